"""A fork of the book: nothing of the old address is left, and every link leads to the fork."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from book_tools.adopt import adopt
from book_tools.pages import load_page
from book_tools.repository import read_config, repository_of
from book_tools.setup_cells import check_setup, setup_cell
from tiny_pages import write_page

from book_tools import adopt as adopt_module
from ml4ops_helpers.cli import main

ROOT = Path(__file__).parents[2]
OLD = repository_of(read_config(ROOT))


@pytest.fixture(scope="module")
def fork(tmp_path_factory):
    """The whole repository, moved to another owner, name and branch; and what was said to have changed."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: no list of tracked files")
    root = tmp_path_factory.mktemp("fork")
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in (n for n in names.split("\0") if n and (ROOT / n).is_file()):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, root / name)
    subprocess.run("git init -q && git add -A", shell=True, cwd=root, check=True)
    new = (root / "notebooks/01_scope_the_problem.ipynb").read_text()
    (root / "notebooks/99_not_yet_tracked.ipynb").write_text(new)
    write_page(root / "notebooks", "98_with_an_extra", (setup_cell(OLD, "projects"), "setup"), extra="projects")
    changed = adopt(root, "fen-lab/flood.course", "lecture/2027")
    return root, changed


def test_nothing_of_the_old_address_is_left(fork):
    root, _ = fork
    for part in OLD.slug.split("/"):
        found = subprocess.run(["git", "grep", "-n", part], cwd=root, capture_output=True, text=True, check=False)
        assert found.stdout == ""


def test_the_setting_and_every_kind_of_file_have_the_new_one(fork):
    root, changed = fork
    here = repository_of(read_config(root))
    assert (here.slug, here.branch) == ("fen-lab/flood.course", "lecture/2027")
    assert here.site == "https://fen-lab.github.io/flood.course/"
    assert {"_config.yml", "README.md", "CITATION.cff", "book/how_to_use.md"} <= set(changed)
    assert here.colab("notebooks/01_scope_the_problem.ipynb") in (root / "README.md").read_text()
    assert "git+https://github.com/fen-lab/flood.course" in (root / "notebooks/05_run_inference.ipynb").read_text()
    assert "fen-lab/flood.course" in (root / "notebooks/99_not_yet_tracked.ipynb").read_text()
    assert "cd flood.course\n" in (root / "book/how_to_use.md").read_text()


def test_a_setup_cell_with_an_extra_installs_from_the_fork(fork):
    root, _ = fork
    page = load_page(root / "notebooks/98_with_an_extra.ipynb")
    assert '"ml4ops-helpers[projects] @ git+https://github.com/fen-lab/flood.course"' in page.notebook.cells[2].source
    check_setup(page, root)


def test_done_again_it_changes_nothing(fork):
    root, _ = fork
    assert adopt(root, "fen-lab/flood.course") == []


def test_the_tests_of_links_pass_in_the_fork(fork):
    root, _ = fork
    names = "links or badge or citation or clean_pages"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_project.py", "-k", names]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout


@pytest.fixture
def small_fork(tmp_path):
    """A repository with words that no rule can judge: they name the old place, but not as an address."""
    (tmp_path / "_config.yml").write_text("repository:\n  url: https://github.com/old-lab/floods\n  branch: main\n")
    (tmp_path / "README.md").write_text(
        "# Floods-now\n\nSee https://old-lab.github.io/floods/ and old-lab/floods.\nold-lab/floods\n"
    )
    (tmp_path / "Makefile").write_text("# made by Old-Lab\n")
    (tmp_path / "ignored.txt").write_text("old-lab")
    (tmp_path / ".gitignore").write_text("ignored.txt\n")
    (tmp_path / "tile.bin").write_bytes(b"old-lab\xff")
    subprocess.run("git init -q && git add -A", shell=True, cwd=tmp_path, check=True)
    return tmp_path


@pytest.mark.parametrize(
    ("slug", "names"), [("fen/waters", 2), ("fen/floods.course", 2), ("fen/floods", 2), ("old-lab/waters", 1)]
)
def test_what_still_names_the_old_place_is_told_by_file_and_line(small_fork, capsys, slug, names):
    assert main(["adopt", slug, "--root", str(small_fork)]) == 0
    told = capsys.readouterr().err.splitlines()
    places = ["Makefile:1: # made by Old-Lab", f"README.md:3: See https://old-lab.github.io/floods/ and {slug}."]
    assert told == ["these still name old-lab/floods or a part of it; look at each:", *places[2 - names :]]


def test_where_nothing_is_left_nothing_is_told(small_fork, capsys):
    (small_fork / "Makefile").unlink()
    (small_fork / "README.md").write_text("old-lab/floods\n")
    assert main(["adopt", "fen/waters", "--root", str(small_fork)]) == 0
    assert main(["adopt", "fen/waters", "--root", str(small_fork)]) == 0
    assert capsys.readouterr().err == ""


def test_files_that_are_no_text_stay_and_lines_end_as_they_did(small_fork):
    (small_fork / "old.txt").write_bytes("Zoë of old-lab/floods".encode("latin-1"))
    (small_fork / "windows.md").write_bytes(b"old-lab/floods\r\nend\r\n")
    config = (small_fork / "_config.yml").read_bytes().replace(b"\n", b"\r\n")
    (small_fork / "_config.yml").write_bytes(config)
    assert adopt(small_fork, "fen/waters") == ["README.md", "_config.yml", "windows.md"]
    assert (small_fork / "old.txt").read_bytes() == "Zoë of old-lab/floods".encode("latin-1")
    assert (small_fork / "windows.md").read_bytes() == b"fen/waters\r\nend\r\n"
    assert (small_fork / "_config.yml").read_bytes() == config.replace(b"old-lab/floods", b"fen/waters")


def test_a_move_that_broke_off_can_be_made_again(small_fork, monkeypatch):
    (small_fork / "zebra.md").write_text("old-lab/floods\n")
    replace = adopt_module._replace

    def full(path, text):
        if path.name == "zebra.md":
            raise OSError("no space left on device")
        replace(path, text)

    monkeypatch.setattr(adopt_module, "_replace", full)
    with pytest.raises(OSError, match="no space"):
        adopt(small_fork, "fen/waters")
    monkeypatch.undo()
    assert adopt(small_fork, "fen/waters") == ["_config.yml", "zebra.md"]
    assert (small_fork / "zebra.md").read_text() == "fen/waters\n"


@pytest.mark.parametrize("slug", ["flood-course", "a/b/c", "https://github.com/a/b", "a b/c", "a/b.git"])
def test_what_is_no_repository_is_refused(slug):
    with pytest.raises(ValueError, match="write OWNER/REPO"):
        adopt(ROOT, slug)


def test_what_is_no_branch_is_refused():
    with pytest.raises(ValueError, match="no name of a branch"):
        adopt(ROOT, "a/b", "my branch")
