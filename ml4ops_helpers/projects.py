"""Course projects: copy one to a folder of your own, and run its commands there.

A project stands whole in ``projects/`` of a checkout, and in the installed package. A copy knows nothing of this book.
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
"""Of an installed package, of a checkout. Both are named here, so that a page's key can tell what is read."""
LEFT_OUT = (
    *("data", "models", "package", "reports", "runs", "sweeps", "mlruns", "*.db", "*.db.lock", "dvc.lock"),
    *(".venv", "dist", "*.egg-info", ".dvc/tmp", ".dvc/cache", ".dvc/config.local", "conf/experiment"),
    *(".*_cache", ".hypothesis", ".coverage*", "__pycache__", "*/__pycache__"),
)
"""What a run or a tool leaves in a project, as patterns of paths from its root; a copy begins without it."""
NOBODY = ("-c", "user.name=ml4ops", "-c", "user.email=ml4ops@localhost")
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
"""For commands whose output is shown on a page: nothing is sent, no colours or bars, commits without an identity."""


class ProjectError(ValueError):
    """A project can't be copied, or a command in it failed; the message says which and what to do."""


def project_names() -> list[str]:
    """The projects there are.

    Example:
        >>> "forest_cover" in project_names()
        True
    """
    return sorted(path.parent.name for path in _projects().glob("*/pyproject.toml"))


def copy_project(name: str, folder: str | Path) -> Path:
    """Copy a project, without what was run in it.

    Args:
        name: of the project, from `project_names`.
        folder: to copy to; not there yet, or empty.

    Returns:
        The folder.

    Raises:
        ProjectError: if there is no such project, or the folder holds something.
    """
    folder = Path(folder)
    if name not in project_names():
        raise ProjectError(f"{name}: no such project; there are {', '.join(project_names())}")
    if folder.exists() and not folder.is_dir():
        raise ProjectError(f"{folder}: a file of that name is there; give another folder")
    if folder.is_dir() and any(folder.iterdir()):
        raise ProjectError(f"{folder}: is not empty; give a folder that is not there yet")
    source = _projects() / name

    def left_out(parent: str, names: list[str]) -> set[str]:
        here = Path(parent).relative_to(source)
        return {n for n in names if any(fnmatch((here / n).as_posix(), pattern) for pattern in LEFT_OUT)}

    shutil.copytree(source, folder, ignore=left_out, dirs_exist_ok=True)
    return folder


def begin_repository(folder: str | Path) -> str:
    """Make a copy a git repository with a first commit, unless it lies in one; DVC keeps its versions there.

    Args:
        folder: of the copy.

    Returns:
        What was done, or why not, in one sentence.
    """
    folder = Path(folder)
    if shutil.which("git") is None:
        return "git is not installed: DVC works without it after `dvc config --local core.no_scm true`"
    if _git(folder, "rev-parse", "--is-inside-work-tree", check=False).strip() == "true":
        return "the folder lies in a git repository: commit the files there"
    identity = () if _git(folder, "config", "user.email", check=False).strip() else NOBODY
    _git(folder, "init", "--quiet", "--initial-branch=main")
    _git(folder, "add", "--all")
    _git(folder, *identity, "commit", "--quiet", "--message=Begin the project")
    return "a git repository with a first commit"


class Project:
    """A copy of a project, to run its commands in.

    Args:
        folder: of the copy.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).resolve()

    @classmethod
    def open(cls, name: str, folder: str | Path) -> Project:
        """The copy in a folder; it is made, with a git repository, where the folder is not there or is empty.

        Args:
            name: of the project.
            folder: of the copy.

        Raises:
            ProjectError: if there is no such project, or the folder holds something else.
        """
        if not (Path(folder) / "dvc.yaml").is_file():
            begin_repository(copy_project(name, folder))
        return cls(folder)

    @property
    def environment(self) -> dict[str, str]:
        """Of the commands: this interpreter and the commands beside it come first."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
        return {**os.environ, **ENVIRONMENT, "PATH": path}

    def run(self, command: str, show: str = "") -> None:
        """Run a command, and print what it says, line by line.

        Args:
            command: as typed in a terminal, without pipes; ``python`` is this interpreter.
            show: regular expression of the lines to print; all by default.

        Raises:
            ProjectError: if it is not there or ends with an exit code other than 0.
        """
        self.output(command, show)  # without a value, which a notebook would show once more

    def output(self, command: str, show: str = "") -> str:
        """The same as `run`, for those who also need what it says.

        Args:
            command: as of `run`.
            show: as of `run`.

        Returns:
            All that it said.

        Raises:
            ProjectError: as `run`.
        """
        lines = []
        for line in self._lines(command):
            if re.search(show, line):
                print(line, end="", flush=True)
            lines.append(line)
        return "".join(lines)

    def start(self, command: str) -> subprocess.Popen[str]:
        """Begin a command and do not wait for it: its output goes to the pipe ``stdout`` of the process.

        Args:
            command: as of `run`.

        Raises:
            ProjectError: if there is no such command.
        """
        words, environment = shlex.split(command), self.environment
        found = shutil.which(words[0], path=environment["PATH"])  # on the child's path, which is not this process's
        if found is None:
            raise ProjectError(f"{words[0]}: no such command here; install the project's packages: requirements.lock")
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
        """Let this process import the project's own modules, from this copy."""
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
            raise ProjectError(f"`{command}` ended with exit code {process.returncode}: {last or 'it said nothing'}")


def _projects() -> Path:
    """In the installed package, or else in the checkout around it."""
    installed, checkout = PLACES
    return installed if installed.is_dir() else checkout


def _git(folder: Path, *arguments: str, check: bool = True) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise ProjectError(f"git {arguments[0]} in {folder} failed: {' '.join(done.stderr.split())}")
    return done.stdout
