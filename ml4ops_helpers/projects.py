"""Course projects: copy one to a folder of your own, and run its commands there.

Projects are in ``projects/`` of a checkout, and in the installed package. A copy doesn't depend on this book.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

PLACES = (Path(__file__).resolve().with_name("_projects"), Path(__file__).resolve().parents[1] / "projects")
"""In an installed package, in a checkout; named here, so that a page's key includes them."""
LEFT_OUT = (
    *("data", "models", "package", "reports", "runs", "sweeps", "mlruns", "*.db", "*.db.lock", "dvc.lock"),
    *(".venv", "dist", "*.egg-info", ".dvc/tmp", ".dvc/cache", ".dvc/config.local", "conf/experiment"),
    *(".*_cache", ".hypothesis", ".coverage*", "__pycache__", "*/__pycache__"),
)
"""Results of runs and tools, as patterns of paths from the project's root; they are not copied."""
IDENTITY = ("-c", "user.name=ml4ops", "-c", "user.email=ml4ops@localhost")
ENVIRONMENT = {
    "DVC_NO_ANALYTICS": "1",
    "NO_COLOR": "1",
    "TQDM_DISABLE": "1",
    "PYTHONUNBUFFERED": "1",
    "MPLBACKEND": "agg",
    "GIT_AUTHOR_NAME": "ml4ops",
    "GIT_AUTHOR_EMAIL": "ml4ops@localhost",
    "GIT_COMMITTER_NAME": "ml4ops",
    "GIT_COMMITTER_EMAIL": "ml4ops@localhost",
}
"""For commands whose output is shown on a page: no telemetry, colours or bars; commits need no identity."""


class ProjectError(ValueError):
    """A project cannot be copied, or a command in it failed; the message says which and what to do."""


def project_names() -> list[str]:
    """Names of the projects.

    >>> project_names()
    ['forest_cover']
    """
    return sorted(path.parent.name for path in _projects().glob("*/pyproject.toml"))


def copy_project(name: str, folder: str | Path) -> Path:
    """Copy a project, without results of runs.

    Args:
        name: of the project, from ``project_names``.
        folder: to copy to; new or empty.

    Returns:
        The folder.

    Raises:
        ProjectError: there is no such project, or the folder is not empty.
    """
    folder = Path(folder)
    if name not in project_names():
        raise ProjectError(f"{name}: no such project; choose {', '.join(project_names())}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ProjectError(f"{folder}: not an empty folder; choose a new one")
    source = _projects() / name

    def left_out(parent: str, names: list[str]) -> set[str]:
        here = Path(parent).relative_to(source)
        return {n for n in names if any(fnmatch((here / n).as_posix(), pattern) for pattern in LEFT_OUT)}

    shutil.copytree(source, folder, ignore=left_out, dirs_exist_ok=True)
    return folder


def begin_repository(folder: str | Path) -> str:
    """Make a copy a git repository with a first commit, unless it is in one; DVC keeps its versions there.

    Returns:
        What was done, or why not, in one sentence.
    """
    folder = Path(folder)
    if shutil.which("git") is None:
        return "git is not installed: DVC works without it after `dvc config --local core.no_scm true`"
    if _git(folder, "rev-parse", "--is-inside-work-tree", check=False).strip() == "true":
        return "the folder is in a git repository: commit the files there"
    identity = () if _git(folder, "config", "user.email", check=False).strip() else IDENTITY
    _git(folder, "init", "--quiet", "--initial-branch=main")
    _git(folder, "add", "--all")
    _git(folder, *identity, "commit", "--quiet", "--message=Begin the project")
    return "a git repository with a first commit"


class Project:
    """A copy of a project in a folder, to run commands in it."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).resolve()

    @classmethod
    def open(cls, name: str, folder: str | Path) -> Project:
        """Open the copy of a project in a folder; in a new or empty folder, make it, with a git repository.

        Raises:
            ProjectError: there is no such project, or the folder holds something else.
        """
        if not (Path(folder) / "dvc.yaml").is_file():
            begin_repository(copy_project(name, folder))
        return cls(folder)

    @property
    def environment(self) -> dict[str, str]:
        """Environment of the commands, in which this interpreter and the commands beside it come first."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
        return {**os.environ, **ENVIRONMENT, "PATH": path}

    def run(self, command: str, show: str = "") -> None:
        """Run a command and print its output, line by line.

        Args:
            command: as typed in a terminal, without pipes; ``python`` is this interpreter.
            show: regular expression of the lines to print; all by default.

        Raises:
            ProjectError: the command is not found, or ends with an exit code other than 0.
        """
        self.output(command, show)  # without a value, which a notebook would show once more

    def output(self, command: str, show: str = "") -> str:
        """The same as ``run``, but return the whole output, too."""
        lines = []
        for line in self._lines(command):
            if re.search(show, line):
                print(line, end="", flush=True)
            lines.append(line)
        return "".join(lines)

    def start(self, command: str) -> subprocess.Popen[str]:
        """Start a command as in ``run``, without waiting for it; read its output from ``stdout`` of the process."""
        words, environment = shlex.split(command), self.environment
        found = shutil.which(words[0], path=environment["PATH"])  # on the child's path, which is not this process's
        if found is None:
            raise ProjectError(f"{words[0]}: command not found; install the project's packages: requirements.lock")
        return subprocess.Popen(
            [found, *words[1:]],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )

    def importable(self) -> None:
        """Let this process import the project's modules from this copy."""
        if (path := str(self.folder)) not in sys.path:
            sys.path.insert(0, path)

    def _lines(self, command: str) -> Iterator[str]:
        last = ""
        with self.start(command) as process:
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    last = line.strip() or last
                    yield line
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            raise ProjectError(f"`{command}` ended with exit code {process.returncode}: {last or 'no output'}")


def _projects() -> Path:
    """Folder of the projects: in the installed package, or else in the checkout around it."""
    installed, checkout = PLACES
    return installed if installed.is_dir() else checkout


def _git(folder: Path, *arguments: str, check: bool = True) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise ProjectError(f"git {arguments[0]} in {folder} failed: {' '.join(done.stderr.split())}")
    return done.stdout
