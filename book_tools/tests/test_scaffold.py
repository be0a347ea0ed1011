"""A page begun with ``book new`` passes the checks as it is."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from book_tools.pages import load_page
from book_tools.scaffold import new_page

from book_tools import scaffold

ROOT = Path(__file__).parents[2]
LAST = max(int(p.name[:2]) for p in (ROOT / "notebooks").glob("*.ipynb"))
NUMBER = f"{LAST + 1:02d}"


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """The whole repository with a page begun in it, under version control."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: no list of tracked files")
    root = tmp_path_factory.mktemp("book")
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in (n for n in names.split("\0") if n and (ROOT / n).is_file()):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, root / name)
    new_page(root, "measure_a_river")
    subprocess.run("git init -q && git add -A", shell=True, cwd=root, check=True)
    return root


def in_book(book, *command):
    return subprocess.run([sys.executable, "-m", *command], cwd=book, capture_output=True, text=True, check=False)


def test_the_page_is_named_numbered_and_entered(book):
    page = load_page(book / f"notebooks/{NUMBER}_measure_a_river.ipynb")
    assert page.notebook.cells[0].source.startswith("# Measure a river\n")
    assert f"- file: notebooks/{LAST:02d}_" in (toc := (book / "_toc.yml").read_text())
    assert f"      - file: notebooks/{NUMBER}_measure_a_river\n  - caption" in toc
    assert f"[Measure a river](notebooks/{NUMBER}_measure_a_river.ipynb) | 15 |" in (book / "README.md").read_text()
    new = subprocess.run(
        ["git", "ls-files", f"*{NUMBER}*"], cwd=book, check=True, capture_output=True, text=True
    ).stdout
    assert {f"notebooks/{NUMBER}_measure_a_river.ipynb", f"ml4ops_helpers/exercises/page_{NUMBER}.py"} < {*new.split()}
    assert not [name for name in new.split() if "__NN__" in (book / name).read_text()]


def test_a_new_page_comes_after_the_last_one_of_the_last_part_with_pages(tmp_path):
    parts = "parts:\n  - caption: A\n    chapters:\n      - file: notebooks/08_a\n  - caption: B\n    chapters:\n"
    (tmp_path / "_toc.yml").write_text(parts + "      - file: notebooks/09_b\n  - caption: C\n    chapters: []\n")
    contents = scaffold._after_the_last(tmp_path / "_toc.yml", "10_c")
    assert "      - file: notebooks/09_b\n      - file: notebooks/10_c\n  - caption: C" in contents


def test_it_passes_the_tests_of_pages_and_exercises(book):
    names = f"notebook or notebooks or badge or contents or readme_links or page_names or {NUMBER}."
    command = ["pytest", "-q", "-p", "no:cacheprovider", "tests/test_project.py", "tests/test_exercises.py"]
    done = in_book(book, *command, "book_tools/tests/test_solutions.py", "-k", names)
    assert done.returncode == 0, done.stdout
    assert int(done.stdout.split(" passed")[0].split()[-1]) > 20


def test_it_is_written_as_the_others_are(book):
    for task in (["check"], ["format", "--check"]):
        done = in_book(book, "ruff", *task, "notebooks", "ml4ops_helpers/exercises")
        assert done.returncode == 0, done.stdout


def test_it_runs_in_seconds_and_keeps_its_contract(book, tmp_path):
    code = "import sys; from book_tools.commands import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "run", NUMBER, "--profile", "smoke", "--out", str(tmp_path)]
    env = os.environ | {"PYTHONPATH": str(book)}
    done = subprocess.run(command, cwd=book, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / f"{NUMBER}_measure_a_river.ipynb").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("River", "River.*verb"),
        ("rivers", "rivers.*verb"),
        ("map_the_flood", "08_map_the_flood"),
    ],
)
def test_a_name_that_will_not_do_is_refused_and_nothing_written(book, name, message):
    before = sorted(book.rglob("*"))
    with pytest.raises(ValueError, match=message):
        new_page(book, name)
    assert sorted(book.rglob("*")) == before


def test_contents_without_a_place_are_left_alone(tmp_path):
    (tmp_path / "_toc.yml").write_text("root: book/introduction\n")
    with pytest.raises(ValueError, match="lists no notebook"):
        new_page(tmp_path, "measure_a_river")
    assert [p.name for p in tmp_path.iterdir()] == ["_toc.yml"]


@pytest.mark.parametrize(
    ("existing", "readme", "message"),
    [
        ("ml4ops_helpers/exercises/page_09.py", "<!-- pages: end -->", r"page_09\.py: exists"),
        ("tests/exercises/page_09.yml", "<!-- pages: end -->", r"page_09\.yml: exists"),
        ("notes.txt", "# Mine", r"README\.md: .*<!-- pages: end -->"),
    ],
)
def test_nothing_is_overwritten_and_no_row_is_lost(tmp_path, existing, readme, message):
    for name, text in {
        existing: "mine",
        "notebooks/08_a.ipynb": "",
        "_toc.yml": "chapters:\n  - file: notebooks/08_a\n",
        "README.md": readme,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    before = {p: p.read_text() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(ValueError, match=message):
        new_page(tmp_path, "measure_a_river")
    assert {p: p.read_text() for p in tmp_path.rglob("*") if p.is_file()} == before
