"""Course projects: copies that stand alone, and commands in them."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from ml4ops_helpers import projects
from ml4ops_helpers.cli import main
from ml4ops_helpers.projects import LEFT_OUT, Project, ProjectError, begin_repository, copy_project, project_names

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "projects" / "forest_cover"
MADE = ("data/raw.parquet", "models/model.json", "runs/a/run.json", "reports/x.json", "package/p", "dvc.lock")
MADE += (
    "studies.db",
    ".dvc/cache/files/x",
    ".dvc/tmp/x",
    ".dvc/config.local",
    ".venv/bin/x",
    "conf/experiment/best.yaml",
)
MADE += ("forest_cover/__pycache__/x.pyc", ".mypy_cache/x", "mlflow.db")


def files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and ".git/" not in str(p)}


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in which somebody has worked."""
    folder = tmp_path / "here" / "projects" / "forest_cover"
    kept = ("pyproject.toml", "dvc.yaml", ".dvc/config", "conf/data/a.yaml", "conf/model/b.yaml", "tests/data/c")
    for name in (*kept, *MADE):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    monkeypatch.setattr(projects, "PLACES", (tmp_path / "installed", folder.parent))
    return folder


def test_a_copy_has_dot_files_and_nothing_that_was_run(source: Path, tmp_path: Path) -> None:
    copy = copy_project("forest_cover", tmp_path / "copy")
    assert files(copy) == files(source) - set(MADE)
    assert ".dvc/config" in files(copy)


@pytest.mark.usefixtures("source")
def test_the_installed_package_comes_first(tmp_path: Path) -> None:
    (tmp_path / "installed" / "other").mkdir(parents=True)
    (tmp_path / "installed" / "other" / "pyproject.toml").write_text("")
    assert project_names() == ["other"]


def test_only_new_and_empty_folders_are_filled(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    for folder in (tmp_path, tmp_path / "a"):
        with pytest.raises(ProjectError, match="empty folder"):
            copy_project("forest_cover", folder)
    assert files(tmp_path) == {"a"}
    (tmp_path / "empty").mkdir()
    assert copy_project("forest_cover", tmp_path / "empty").name == "empty"


def test_unknown_projects_are_answered_with_names(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"forest_cove: .* forest_cover"):
        copy_project("forest_cove", tmp_path / "a")


def test_the_command_copies_and_prints_what_is_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "none"))
    folder = tmp_path / "my copy"
    assert main(["project", "forest_cover", str(folder)]) == 0
    told = capsys.readouterr().out
    assert f"  cd '{folder}'\n  make run\n" in told
    assert "a git repository with a first commit" in told
    status = subprocess.run(["git", "-C", str(folder), "status", "--porcelain"], capture_output=True, check=True)
    assert status.stdout == b""
    assert main(["project", "forest_cover", str(folder)]) == 2
    assert main(["project", "other", str(tmp_path / "b")]) == 2
    assert "forest_cover" in capsys.readouterr().err


def test_no_repository_within_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    (tmp_path / "a").mkdir()
    assert "commit the files there" in begin_repository(tmp_path / "a")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "core.no_scm" in begin_repository(tmp_path / "a")


def test_commands_run_in_the_folder_with_this_interpreter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = Project(tmp_path)
    code = "import os, sys; print(sys.executable); print(os.getcwd()); print(os.environ['DVC_NO_ANALYTICS'])"
    told = project.output(f'python -c "{code}"')
    assert told.splitlines() == [str(Path(sys.executable).parent / "python"), str(tmp_path), "1"]
    assert capsys.readouterr().out == told
    told = project.output("python -c \"print('one'); print('two')\"", show="tw")
    assert (told, capsys.readouterr().out) == ("one\ntwo\n", "two\n")


def test_a_command_that_fails_is_reported_in_one_line(tmp_path: Path) -> None:
    project = Project(tmp_path)
    with pytest.raises(ProjectError, match="exit code 3: bad luck"):
        project.run("python -c \"import sys; print('bad luck'); sys.exit(3)\"")
    with pytest.raises(ProjectError, match="no-such-command"):
        project.run("no-such-command")


def test_a_command_can_be_left_running(tmp_path: Path) -> None:
    process = Project(tmp_path).start('python -c "import time; print(1, flush=True); time.sleep(60)"')
    assert process.stdout is not None
    assert process.stdout.readline() == "1\n"
    process.kill()
    assert process.wait() != 0
    process.stdout.close()


def test_a_page_opens_a_copy_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    project = Project.open("forest_cover", tmp_path / "copy")
    (project.folder / "mine").write_text("x")
    assert (Project.open("forest_cover", tmp_path / "copy").folder / "mine").exists()
    project.importable()
    project.importable()
    assert sys.path.count(str(project.folder)) == 1


def test_the_wheel_leaves_out_what_a_copy_leaves_out() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    excluded = set(re.findall(r'"/projects/\*/([^"]+)"', text))
    assert excluded == set(LEFT_OUT) - {"__pycache__", "*/__pycache__"}
    assert '"__pycache__"' in text


def test_the_wheel_carries_the_project(tmp_path: Path) -> None:
    command = f"{Path(sys.executable).with_name('uv')} build --offline --quiet --wheel --out-dir"
    done = subprocess.run([*command.split(), str(tmp_path), str(ROOT)], capture_output=True, text=True, check=False)
    if "hatchling" in done.stderr:
        pytest.skip("the build backend has not been downloaded yet")
    assert done.returncode == 0, done.stderr
    [wheel] = tmp_path.glob("*.whl")
    prefix = "ml4ops_helpers/_projects/forest_cover/"
    carried = {n.removeprefix(prefix) for n in zipfile.ZipFile(wheel).namelist() if n.startswith(prefix)}
    assert carried == files(copy_project("forest_cover", tmp_path / "copy"))
    assert {".dvc/config", ".github/workflows/ci.yml", ".gitignore"} <= carried


def test_the_project_never_imports_the_book() -> None:
    for path in [*SOURCE.rglob("*.py"), *SOURCE.rglob("*.yaml")]:
        assert "ml4ops_helpers" not in path.read_text(encoding="utf-8"), path


def test_its_versions_are_the_book_s() -> None:
    def versions(path: Path) -> dict[str, str]:
        return dict(re.findall(r"^([a-z0-9-]+)==([^ \n]+)$", path.read_text(), flags=re.M))

    own, book = versions(SOURCE / "requirements.lock"), versions(ROOT / "requirements.lock")
    assert {name for name in own if own[name] != book.get(name, own[name])} == set()


def test_its_workflow_checks_what_the_readme_says() -> None:
    steps = yaml.safe_load((SOURCE / ".github" / "workflows" / "ci.yml").read_text())["jobs"]["test"]["steps"]
    said = " ".join(step.get("run", "") for step in steps)
    assert "make test" in said
    assert "dvc repro" in said
