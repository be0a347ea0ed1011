"""A key changes with what results depend on and with nothing else; whole edits stand in ``test_edits``."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from book_tools.package import Package
from book_tools.pages import load_page
from book_tools.reach import reached, statement_text
from book_tools.syntax import acts, bound_names, parse_cells
from tiny_pages import write_page

from book_tools import keys

ROOT = Path(__file__).parents[2]


def key(page, parameters=None, surroundings="s", before=()):
    return keys.page_key(page, parameters or page.defaults, surroundings, before)


def test_prose_and_outputs_do_not_count(tmp_path):
    first = key(load_page(write_page(tmp_path, "01_a", "# before", "x = 1")))
    second = key(load_page(write_page(tmp_path, "01_a", "# after", "x = 1", "# more")))
    assert first == second


def test_code_parameters_surroundings_and_earlier_pages_count(tmp_path):
    page = load_page(write_page(tmp_path, "01_a", "x = 1", "y = 2"))
    found = {
        key(page),
        key(page, {"profile": "smoke", "seed": 0}),
        key(page, surroundings="t"),
        key(page, before=["k"]),
    }
    found.add(key(load_page(write_page(tmp_path, "01_a", "y = 2", "x = 1"))))
    assert len(found) == 5


def test_files_of_a_project_count_by_path_and_content_also_without_git(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "projects/cover/__pycache__").mkdir(parents=True)
    (tmp_path / "projects/cover/a.py").write_text("x = 1")
    page = load_page(write_page(tmp_path / "notebooks", "01_a", "x = 1", projects=["cover"]))
    first = key(page)
    (tmp_path / "projects/cover/__pycache__/a.pyc").write_text("compiled")
    assert key(page) == first
    (tmp_path / "projects/cover/a.py").rename(tmp_path / "projects/cover/b.py")
    assert key(page) != first


TIMED = """
import time
from pathlib import Path
from book_tools.jobs import prepare
from book_tools.keys import surroundings_key
from book_tools.pages import find_pages

pages = find_pages(Path("notebooks"))[:8]
began = time.process_time()
jobs = prepare(pages, {}, Path("nowhere"), surroundings_key(Path("requirements.lock"), None))
print(len({job.key for job in jobs}), time.process_time() - began)
"""


def test_the_keys_of_eight_pages_take_less_than_two_seconds():
    # In a process of its own, where coverage does not slow it down.
    found = subprocess.run([sys.executable, "-c", TIMED], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    keys_made, seconds = found.split()
    assert keys_made == "8"
    assert float(seconds) < 2


PACKAGE = Package(keys.PACKAGE)
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LEFT = {
    "01_scope_the_problem": [("lesson", "read_targets")],
    "03_train_a_model": [("tracking", "trained_model"), ("tracking", "trained_path")],
}
"""Helpers that find what a page left for others."""


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_page_goes_after_those_whose_files_it_finds(path):
    page = load_page(path)
    found = reached(PACKAGE, [str(source) for source, _ in keys.code_of(page.notebook)])
    for maker, helpers in LEFT.items():
        for module, name in helpers:
            [statement] = PACKAGE.module(module).bound[name]
            finds = statement_text(module, statement) in found
            assert not finds or page.name == maker or maker in page.after, f"{page.name} calls {name}: after {maker}"


def test_helpers_that_find_what_pages_left_are_seen():
    cell = "from ml4ops_helpers.tracking import trained_model\n\ntrained_model()"
    for name in ("trained_model", "trained_path"):
        [statement] = PACKAGE.module("tracking").bound[name]
        assert statement_text("tracking", statement) in reached(PACKAGE, [cell])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_page_lists_the_projects_that_it_opens(path):
    page = load_page(path)
    calls = [n for source, _ in keys.code_of(page.notebook) for n in called(str(source))]
    opened = {c.args[0].value for c in calls if ast.unparse(c.func) in ("Project.open", "projects.Project.open")}
    assert opened <= set(page.notebook.metadata.ml4ops.get("projects", []))


def called(source):
    body = parse_cells([source])[1]
    return [n for n in ast.walk(body) if isinstance(n, ast.Call)] if body else []


def parts(cells):
    return {text.rpartition(":")[0] for text in reached(PACKAGE, cells)}


@pytest.mark.parametrize(
    ("cell", "there", "absent"),
    [
        ("from ml4ops_helpers.sentinel2 import BANDS\n\nBANDS", {"", "sentinel2"}, {"metrics"}),
        ("from ml4ops_helpers.datasets import get_dataset\n\nget_dataset()", {"simulate", "spectra"}, {"training"}),
        ("from ml4ops_helpers.models import load_pretrained as f\n\nf('cnn')", {"weights/cnn.safetensors"}, set()),
        ("from ml4ops_helpers.models import build_model\n\nbuild_model()", {"models"}, {"weights/unet.safetensors"}),
        ("from ml4ops_helpers import lesson\n\nlesson.start('01_a', 'smoke', 0)", {"plots"}, {"press.runner"}),
        ("from ml4ops_helpers.projects import Project\n\nProject('x').run('dvc repro')", {"projects"}, {"models"}),
    ],
)  # fmt: skip
def test_what_pages_use_of_the_real_package_is_found(cell, there, absent):
    found = parts([cell])
    assert there <= found
    assert not absent & found


@pytest.mark.parametrize(
    ("source", "names", "does"),
    [
        ("a: int = 1", {"a"}, False),
        ("a, b = np.array([1]), Path('x')", {"a", "b"}, False),
        ("a = start()", {"a"}, True),
        ("a['x'] = 1", {"a"}, True),
        ("a.x = 1", {"a"}, True),
        ("a += 1", {"a"}, True),
        ("a.append(1)", {"a"}, True),
        ("try:\n    import x\nexcept ImportError:\n    y = 1", {"y"}, True),
        ("@dataclass(frozen=True)\nclass A:\n    x: int = 1\n\n    def f(self): ...", {"A"}, False),
        ("class A(metaclass=B): ...", {"A"}, True),
        ("class A:\n    start()", {"A"}, True),
        ("@cache\ndef f(): ...", {"f"}, False),
        ("@app.command\ndef f(): ...", {"f"}, True),
    ],
)
def test_what_a_statement_binds_and_whether_it_acts(source, names, does):
    statement = ast.parse(source).body[0]
    assert bound_names(statement) >= names
    assert acts(statement) is does


def test_a_mark_at_the_beginning_of_a_helper_is_no_code(tmp_path):
    (tmp_path / "water.py").write_text("\ufeffa = 1\n", encoding="utf-8")
    assert len(Package(tmp_path).module("water").statements) == 1
