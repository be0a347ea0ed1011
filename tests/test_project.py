"""What holds the project together: one source of dependencies, links that lead somewhere, notebooks that stay clean."""

from __future__ import annotations

import ast
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import yaml
from book_tools.pages import load_page
from book_tools.repository import repository_of
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from book_tools import environment, readme

ROOT = Path(__file__).parents[1]
CONFIG: dict[str, Any] = yaml.safe_load((ROOT / "_config.yml").read_text())
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TOOLS: dict[str, Any] = tomllib.loads((ROOT / "book_tools/pyproject.toml").read_text())["project"]
TEXT = {".py", ".md", ".ipynb", ".yml", ".yaml", ".toml", ".lock", ".txt", ".cff", ".css", ".svg", ".bib", ".json", ""}
IMPORT_NAMES = {"sklearn": "scikit-learn", "yaml": "pyyaml", "bs4": "beautifulsoup4", "PIL": "pillow"}
"""Packages that are imported under another name than they are installed by."""


def tracked() -> list[Path]:
    """Files under version control, or every test of them is skipped."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: no list of tracked files")
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [ROOT / n for n in names.split("\0") if n and (ROOT / n).is_file()]


def notebooks() -> list[Path]:
    return [p for p in tracked() if p.suffix == ".ipynb" and p.parent.name == "notebooks"]


def requirements(*extras: str) -> list[Requirement]:
    wanted = [*PROJECT["dependencies"], *([] if extras else TOOLS["dependencies"])]
    for extra in extras or PROJECT["optional-dependencies"]:
        wanted += PROJECT["optional-dependencies"][extra]
    return [Requirement(r) for r in wanted]


def pins(python: str) -> dict[str, str]:
    """Version of each package in the lock, for one Python version on Linux."""
    here = default_environment() | {"python_version": python, "python_full_version": f"{python}.9", "extra": ""}
    here |= {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64"}
    lines = [Requirement(line) for line in (ROOT / "requirements.lock").read_text().splitlines() if line]
    found = [r for r in lines if r.marker is None or r.marker.evaluate(here)]  # type: ignore[arg-type]
    assert len({r.name for r in found}) == len(found), "a package is pinned twice"
    return {canonicalize_name(r.name): str(r.specifier).removeprefix("==") for r in found}


# Dependencies ---------------------------------------------------------------------------------------------------------


def test_environment_yml_is_what_pyproject_says() -> None:
    text = (ROOT / "environment.yml").read_text()
    assert text == environment.conda_environment(ROOT), "environment.yml is stale: run `make lock`"
    listed = yaml.safe_load(text)["dependencies"]
    assert {"numpy>=2.0", "pytorch>=2.4"} <= set(listed[:-1])
    assert "--editable book_tools" in listed[-1]["pip"]


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_lock_has_a_fitting_version_of_every_dependency(python: str) -> None:
    locked = pins(python)
    for wanted in requirements():
        if wanted.name == PROJECT["name"]:
            continue
        version = locked.get(canonicalize_name(wanted.name))
        assert version, f"{wanted.name} is not in requirements.lock: run `make lock`"
        assert wanted.specifier.contains(version, prereleases=True), f"{wanted} but the lock has {version}"


def test_lock_names_no_address() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert not re.search(r"://|@|--(index|extra-index|find-links)", lock)


def test_colab_keeps_what_it_has() -> None:
    """With what Colab brings, installing the core changes no package of Colab's."""
    brought = [Requirement(line) for line in (ROOT / "tests/colab.txt").read_text().splitlines() if line[0] != "#"]
    core = {canonicalize_name(r.name): r for r in requirements() if str(r) in map(str, requirements("test"))}
    for have in brought:
        version = str(have.specifier).removeprefix("==")
        assert core[canonicalize_name(have.name)].specifier.contains(version), f"Colab's {have} would be replaced"


def third_party(path: Path) -> Iterator[str]:
    """Packages that a module imports, as they are called where they are installed from."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module]
        for name in {n.split(".")[0] for n in names} - set(sys.stdlib_module_names) - {"ml4ops_helpers", "book_tools"}:
            yield canonicalize_name(IMPORT_NAMES.get(name, name))


def test_every_import_is_a_declared_dependency() -> None:
    def names(requirements: list[str]) -> set[str]:
        return {canonicalize_name(Requirement(r).name) for r in requirements}

    core, extras = names(PROJECT["dependencies"]), PROJECT["optional-dependencies"]
    more = {"book_tools": names(TOOLS["dependencies"]), "engines.py": names(extras["engines"])}
    more["networks.py"] = names(extras["encoders"])
    for path in [*(ROOT / "ml4ops_helpers").rglob("*.py"), *(ROOT / "book_tools/src").rglob("*.py")]:
        allowed = core | more.get(path.parent.name, set()) | more.get(path.name, set())
        assert set(third_party(path)) <= allowed, f"{path.name} imports {set(third_party(path)) - allowed}, undeclared"


# Tracked files --------------------------------------------------------------------------------------------------------


def test_no_machine_path_and_no_registry_host_is_tracked() -> None:
    home = "/" + "home/"  # joined here, so that this file passes its own test
    forbidden = re.compile(
        "|".join([r"(?<![\w.])/" + "(work|root)/", home + r"\w+", "pypi" + r"\.org", "python" + "hosted"])
    )
    for path in tracked():
        if path.suffix in TEXT:
            found = forbidden.search(path.read_text(encoding="utf-8"))
            assert not found, f"{path.relative_to(ROOT)}: {found and found[0]!r}"


def test_links_to_the_repository_use_the_setting() -> None:
    url = CONFIG["repository"]["url"]
    slug = url.removeprefix("https://github.com/")
    owner = slug.split("/")[0]
    for path in tracked():
        if path.suffix in TEXT:
            for found in re.findall(rf"{owner}/[\w.-]+", path.read_text(encoding="utf-8")):
                assert found.removesuffix(".git").rstrip(".") == slug, f"{path.relative_to(ROOT)}: {found}"
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["repository-code"] == url


def test_readme_has_a_badge_for_every_notebook_and_no_other() -> None:
    text = (ROOT / "README.md").read_text()
    badges = re.findall(r"\]\((https://colab\.research\.google\.com/github/[^)]+)\)", text)
    assert badges == [repository_of(CONFIG).colab(p.relative_to(ROOT).as_posix()) for p in sorted(notebooks())]


def test_readme_links_lead_to_tracked_files() -> None:
    files = {p.relative_to(ROOT).as_posix() for p in tracked()}
    folders = {f"{parent.as_posix()}/" for f in files for parent in Path(f).parents}
    for link in re.findall(r"\]\(([^)]+)\)", (ROOT / "README.md").read_text()):
        assert "://" in link or link in files | folders, f"README.md links to {link}, which is not tracked"


def test_every_entry_of_the_contents_exists_and_every_page_is_in_it() -> None:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    entries = [toc["root"], *(c["file"] for part in toc["parts"] for c in part["chapters"])]
    files = {p.relative_to(ROOT).with_suffix("").as_posix() for p in [*(ROOT / "book").glob("*.md"), *notebooks()]}
    assert len(entries) == len(set(entries))
    assert set(entries) == files


def test_citation_keys_exist() -> None:
    keys = re.findall(r"^@\w+\{([^,]+),", (ROOT / "book/references.bib").read_text(), re.MULTILINE)
    assert len(keys) == len(set(keys))
    for path in [*(ROOT / "book").glob("*.md"), *notebooks()]:
        for role in re.findall(r"\{cite[a-z:]*\}`([^`]+)`", path.read_text(encoding="utf-8")):
            missing = {k.strip() for k in role.split(",")} - set(keys)
            assert not missing, f"{path.name} cites {missing}, not in references.bib"


def test_no_published_workflow_hides_a_failure() -> None:
    for path in (ROOT / ".github/workflows").glob("*.yml"):
        workflow = yaml.safe_load(path.read_text())
        for job in workflow["jobs"].values():
            for step in job.get("steps", []):
                shell = step.get("shell", workflow.get("defaults", {}).get("run", {}).get("shell"))
                assert "run" not in step or shell == "bash", f"{path.name}: {step['run']!r} may run without pipefail"
                assert not step.get("continue-on-error"), path.name


def test_workflows_pass_the_security_audit() -> None:
    """Actions are pinned, permissions are few, no credentials stay behind."""
    program, places = Path(sys.executable).with_name("zizmor"), [ROOT, *(ROOT / "projects").iterdir()]
    folders = [folder for place in places if (folder := place / ".github/workflows").is_dir()]
    done = subprocess.run([program, "--offline", "--quiet", *folders], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


# Scripts --------------------------------------------------------------------------------------------------------------


def test_a_timed_step_passes_its_failure_on() -> None:
    run = [ROOT / ".ci/timed", "A step", "bash", "-c", "exit 7"]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 7
    assert "A step: FAILED" in done.stderr


def test_installation_without_a_usable_python_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/install", tmp_path / ".ci")
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for tool in ("bash", "dirname", "env"):
        (bin_ / tool).symlink_to(str(shutil.which(tool)))
    (bin_ / "python3").write_text("#!/bin/sh\nexit 1\n")
    (bin_ / "python3").chmod(0o755)
    done = subprocess.run(
        ["bash", ".ci/install"], cwd=tmp_path, env={"PATH": str(bin_)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "3.11, 3.12 or 3.13" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_pre_commit_cleans_a_notebook_and_keeps_what_a_run_needs(tmp_path: Path) -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    entry = shlex.split(next(h["entry"] for h in hooks if h["id"] == "nbstripout"))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    out = [new_output("stream", text="hello")]
    cell = new_code_cell("print(1)", id="keep-me", execution_count=3, outputs=out, metadata={"tags": ["parameters"]})
    path = tmp_path / "page.ipynb"
    nbformat.write(new_notebook(cells=[cell], metadata={"kernelspec": kernel, "ml4ops": {"minutes": 5}}), path)
    command = [str(Path(sys.executable).parent / Path(entry[0]).name), *entry[1:], str(path)]
    subprocess.run(command, check=True, capture_output=True)
    clean = nbformat.read(path, as_version=4)
    assert (clean.cells[0].outputs, clean.cells[0].execution_count) == ([], None)
    assert (clean.cells[0].id, clean.cells[0].metadata.tags) == ("keep-me", ["parameters"])
    assert (clean.metadata.kernelspec.name, clean.metadata.ml4ops.minutes) == ("python3", 5)


# README ---------------------------------------------------------------------------------------------------------------


def test_the_readme_shows_measured_minutes_and_the_cover(tmp_path: Path) -> None:
    for folder in ("notebooks", "_build/notebooks", "book/figures"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / "_config.yml", tmp_path)
    (tmp_path / "README.md").write_text(
        "before\n<!-- cover: begin --><!-- cover: end -->\n<!-- pages: begin -->\nold\n<!-- pages: end -->\nafter\n"
    )
    source = new_notebook(cells=[new_markdown_cell("# Do it")], metadata={"ml4ops": {"minutes": 20}})
    nbformat.write(source, tmp_path / "notebooks/01_do_it.ipynb")
    nbformat.write(source, tmp_path / "notebooks/02_not_run.ipynb")
    figure = new_output("display_data", data={"image/png": "aGVsbG8="})
    source.metadata.ml4ops.run = {"seconds": 90.0}
    source.cells.append(
        new_code_cell("f()", outputs=[figure], metadata={"tags": ["cover"], "mystnb": {"image": {"alt": "A map"}}})
    )
    nbformat.write(source, tmp_path / "_build/notebooks/01_do_it.ipynb")

    readme.main(tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert "| [Do it](notebooks/01_do_it.ipynb) | 20 | 1.5 |" in text
    assert "| [Do it](notebooks/02_not_run.ipynb) | 20 | – |" in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "![A map](book/figures/cover.png)" in text
    assert (tmp_path / readme.COVER).read_bytes() == b"hello"
    readme.main(tmp_path)
    assert (tmp_path / "README.md").read_text() == text


def test_a_readme_without_its_marks_is_left_alone() -> None:
    with pytest.raises(ValueError, match="<!-- pages: begin -->"):
        readme.replace_part("no marks", "pages", "table")


def test_a_page_needs_a_title() -> None:
    with pytest.raises(ValueError, match="heading of level one"):
        readme.page_title(new_notebook(cells=[new_markdown_cell("## Two")]))


# Notebooks ------------------------------------------------------------------------------------------------------------


def test_notebooks_are_clean_pages() -> None:
    for path in notebooks():
        notebook = load_page(path).notebook  # kernelspec python3 and exactly one parameters cell, else it raises
        for number, cell in enumerate(notebook.cells, start=1):
            if cell.cell_type == "code":
                where = f"{path.name}, cell {number}"
                assert cell.outputs == [], f"{where} has outputs; run nbstripout --keep-id"
                assert cell.execution_count is None, f"{where} has an execution count; run nbstripout --keep-id"
        assert "ml4ops" in notebook.metadata, f"{path.name} has no metadata ml4ops"


def test_notebooks_keep_the_rhythm() -> None:
    """Short cells, and at least as much prose as code: empty lines are not counted."""
    for path in notebooks():
        cells = nbformat.read(path, as_version=4).cells
        code = [c.source.splitlines() for c in cells if c.cell_type == "code"]
        lengths = [sum(bool(line.strip()) for line in lines) for lines in code]
        prose = sum(c.cell_type == "markdown" for c in cells)
        assert max(lengths) <= 30, f"{path.name}: a cell of {max(lengths)} lines"
        assert np.percentile(lengths, 90) <= 12, f"{path.name}: one cell in ten is longer than 12 lines"
        assert np.median(lengths) <= 3, f"{path.name}: median cell of {np.median(lengths)} lines"
        assert prose >= len(lengths), f"{path.name}: {prose} prose cells for {len(lengths)} code cells"
