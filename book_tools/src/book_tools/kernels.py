"""Papermill and a kernel, both forked from a process that has already imported what a page needs.

The kernel is forked before papermill begins, so that it inherits no open connection and no event loop, and waits until
papermill wants to start one. It gets a working folder, an environment and threads of its own, like any kernel.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

import numpy as np
import threadpoolctl
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.factory import KernelProvisionerFactory
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from .processes import die_with_parent, leave

LAUNCHER = [sys.executable, "-m", "ipykernel_launcher"]
"""How the kernels begin that a forked one can stand for: those of this very Python."""


class ForkedKernel:
    """A forked process that waits to become a kernel; looks like a ``subprocess.Popen``.

    Args:
        pid: the process.
        line: connection on which it is told what to become.
    """

    stdin = stdout = stderr = None

    def __init__(self, pid: int, line: Connection) -> None:
        self.pid, self._line = pid, line
        self.returncode: int | None = None

    def launch(self, arguments: Sequence[str], folder: str, environment: Mapping[str, str]) -> None:
        """Let it become a kernel.

        Args:
            arguments: of ``ipykernel_launcher``.
            folder: its working folder.
            environment: its environment.
        """
        self._line.send((list(arguments), folder, dict(environment)))

    def poll(self) -> int | None:
        """Its exit code, or None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended."""
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)


class ForkedProvisioner(LocalProvisioner):
    """Gives papermill the kernel that was forked for it, if that can stand for the one wanted."""

    waiting: ForkedKernel | None = None

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:  # noqa: ANN401
        """Launch the kernel.

        Args:
            cmd: the kernel's command line.
            **kwargs: ``cwd``, ``env`` and others, as for ``subprocess.Popen``.
        """
        kernel = type(self).waiting
        if kernel is None or cmd[:3] != LAUNCHER:
            return await super().launch_kernel(cmd, **kwargs)
        type(self).waiting = None
        environment = kwargs["env"] | {"JPY_PARENT_PID": str(os.getpid())}
        kernel.launch(cmd[3:], str(kwargs.get("cwd") or Path.cwd()), environment)
        self.process = kernel  # type: ignore[assignment]  # as good as a Popen
        self.pid, self.pgid, self.cwd = kernel.pid, kernel.pid, kwargs.get("cwd")
        return self.connection_info


def run_papermill(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Fork a kernel, then run papermill's command line in this process.

    Args:
        arguments: of papermill's command line.
        environment: of both.
    """
    set_environment(environment)
    parent, (ours, theirs) = os.getpid(), Pipe()
    if (pid := os.fork()) == 0:
        ours.close()
        die_with_parent(parent)
        os.setsid()
        leave(lambda: become_kernel(*theirs.recv()))
    theirs.close()
    ForkedProvisioner.waiting = ForkedKernel(pid, ours)
    factory = KernelProvisionerFactory.instance()
    where = f"{__name__}:{ForkedProvisioner.__name__}"
    factory.provisioners["forked"] = EntryPoint("forked", where, KernelProvisionerFactory.GROUP_NAME)
    factory.default_provisioner_name = "forked"
    from papermill.__main__ import papermill

    papermill(args=list(arguments))


def become_kernel(arguments: list[str], folder: str, environment: Mapping[str, str]) -> None:
    """Be a kernel until it is told to end.

    Args:
        arguments: of ``ipykernel_launcher``.
        folder: where it works.
        environment: its environment.
    """
    from ipykernel.kernelapp import IPKernelApp

    os.chdir(folder)
    set_environment(environment)
    forget_helpers()
    sys.argv[:] = ["ipykernel_launcher", *arguments]
    # Libraries read their number of threads when they are loaded, which was long ago.
    threadpoolctl.threadpool_limits(int(environment["OMP_NUM_THREADS"]))
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(int(environment["OMP_NUM_THREADS"]))
    np.random.seed()  # noqa: NPY002 - else all pages would draw the same from the global generator
    app = IPKernelApp.instance(parent_handle=os.getppid())
    app.initialize(arguments)  # type: ignore[no-untyped-call]
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.install_repl_displayhook()  # was loaded when there was no shell yet to show figures in
    app.start()  # type: ignore[no-untyped-call]


def forget_helpers() -> None:
    """Let the helper package be imported anew: what other pages import of it, or its state, must not help this one.

    That takes little time, as the libraries that it needs stay.
    """
    package = __name__.partition(".")[0]
    for name in [m for m in sys.modules if m.partition(".")[0] == package]:
        del sys.modules[name]


def set_environment(environment: Mapping[str, str]) -> None:
    """Give this process another environment.

    Args:
        environment: all of it.
    """
    for name in set(os.environ) - set(environment):
        del os.environ[name]
    os.environ.update(environment)
