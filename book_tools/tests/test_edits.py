"""Of several pages and a small helper package: which pages run again after an edit, and no others. No kernel starts."""

import os
import platform
import re
import subprocess
from pathlib import Path

import nbformat
import pytest
from book_tools.pages import PageError, find_pages
from tiny_pages import KERNEL, PARAMETERS, write_page

from book_tools import keys, runner

DEEP = ("DEPTH = [1]\n", "def bottom():\n    return DEPTH\n", "def dry():\n    return 0\n")
PACKAGE = {
    "__init__.py": '"""Floods."""\nversion = "1"\n',
    "numbers.py": (
        '"""Numbers."""\n\nLIMIT = 3  # metres\nSPARE = 4\n\n\n'
        'def double(x, factor=2):\n    """Twice."""\n    # as one knows\n    return x * factor\n\n\n'
        "def lonely():\n    return SPARE\n"
    ),
    "maps.py": (
        "from functools import cache\n\nfrom .numbers import LIMIT, double\n\n\nclass Map:\n"
        "    def area(self):\n        return double(LIMIT)\n\n    def draw(self):\n        return 'x'\n\n\n"
        "def scale(x):\n    return x\n"
    ),
    "lazy.py": "def late():\n    from floods.deep import bottom\n\n    return bottom()\n",
    "deep.py": "\n\n".join(DEEP),
    "networks.py": (
        "from pathlib import Path\n\nPLACE = Path(__file__).with_name('weights')\n\n\n"
        "def load():\n    return (PLACE / 'net.bin').read_bytes()\n\n\ndef build(width=8):\n    return width\n"
    ),
    "weights/net.bin": "0123",
    "templates/report.html": "<p>",
    "dynamic.py": "from floods import numbers\n\n\ndef pick(name):\n    return getattr(numbers, name)\n",
    "registry.py": "KNOWN = {}\n\n\ndef register(f):\n    KNOWN[f.__name__] = f\n    return f\n\n\n"
    "@register\ndef first():\n    return 1\n\n\ndef second():\n    return 2\n",
    "press/run.py": "x = 1\n",
    "cli.py": "y = 1\n",
}
LOCK = "numpy==2.4.0  # arrays\nscipy==1.13\nrivers @ https://example.org/rivers.whl#sha256=11\n"
IMPORT, CALL = "from floods import numbers as n", "print(n.double(1))"
CELLS = {
    "01_class": ("from floods.maps import Map\n\nprint(Map().area())",),
    "02_module": (IMPORT, "# Twice one.", CALL),
    "03_lazy": ("from floods.lazy import late\n\nprint(late())",),
    "04_weights": ("from floods.networks import load\n\nload()",),
    "05_plain": ("a = 1", ("a + 1", "hide-input")),
    "06_after": ("print(2)",),
    "07_dynamic": ("%matplotlib inline\nfrom floods import dynamic\n\ndynamic.pick('lonely')",),
    "08_registry": ("from floods.registry import KNOWN\n\nprint(KNOWN)",),
}
ALL = set(CELLS)
NUMBERS = {"01_class", "02_module", "07_dynamic"}


class Book:
    """Pages, a package, data and a lock that one may edit."""

    def __init__(self, root: Path) -> None:
        self.root, self.package, self.data = root, root / "floods", root / "data"
        self.parameters: dict = {}
        for name, text in PACKAGE.items():
            self.write(self.package / name, text)
        for name in CELLS:
            self.page(name)
        self.write(root / "requirements.lock", LOCK)
        self.write(self.data / "train" / "a.tif", "0123")

    def write(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def replace(self, name: str, old: str, new: str) -> None:
        path = self.root / name
        assert old in path.read_text()
        self.write(path, path.read_text().replace(old, new))

    def page(self, name: str, *cells, **options) -> None:
        options = ({"after": ["05_plain"]} if name == "06_after" else {}) | options
        write_page(self.root / "notebooks", name, *(cells or CELLS[name]), **options)

    def tag(self, name: str, number: int, tag: str) -> None:
        path = self.root / "notebooks" / f"{name}.ipynb"
        book = nbformat.read(path, as_version=4)
        book.cells[number].metadata["tags"] = [*book.cells[number].metadata.get("tags", []), tag]
        nbformat.write(book, path)

    def rename(self, old: str, new: str) -> None:
        (self.root / "notebooks" / f"{old}.ipynb").rename(self.root / "notebooks" / f"{new}.ipynb")

    def run(self) -> set[str]:
        outcomes = runner.run_pages(
            find_pages(self.root / "notebooks"),
            self.parameters,
            self.root / "out",
            jobs=2,
            lock=self.root / "requirements.lock",
            data=self.data,
        )
        assert {o.state for o in outcomes} <= {"run", "unchanged"}
        return {o.page for o in outcomes if o.state == "run"}


@pytest.fixture
def book(tmp_path, monkeypatch, kernels):
    made = Book(tmp_path)
    monkeypatch.setattr(keys, "PACKAGE", made.package)
    return made


def _helper(name, old, new):
    return lambda book: book.replace(f"floods/{name}", old, new)


def _same_size_same_time(book):
    path = book.data / "train" / "a.tif"
    before = path.stat()
    path.write_text("0124")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


EDITS = {
    # The helper package: what does something, and is reached, counts.
    "helper constant": (_helper("numbers.py", "LIMIT = 3", "LIMIT = 5"), {"01_class", "07_dynamic"}),
    "helper comment": (_helper("numbers.py", "  # metres", "  # in metres\n# more"), set()),
    "helper docstring": (_helper("numbers.py", '"""Twice."""', '"""Two times."""'), set()),
    "module docstring": (_helper("numbers.py", '"""Numbers."""', ""), set()),
    "layout of a helper": (_helper("maps.py", "double(LIMIT)", "double(\n            LIMIT\n        )"), set()),
    "function used directly, by a method and by name": (_helper("numbers.py", "x * factor", "factor * x"), NUMBERS),
    "default argument": (_helper("numbers.py", "factor=2", "factor=3"), NUMBERS),
    "function that no page names": (_helper("numbers.py", "return SPARE", "return -SPARE"), {"07_dynamic"}),
    "function that no page reaches": (_helper("maps.py", "return x\n", "return x + 1\n"), set()),
    "new function": (_helper("maps.py", "def scale", "def new():\n    return 1\n\n\ndef scale"), set()),
    "order of functions": (lambda b: b.write(b.package / "deep.py", "\n\n".join(reversed(DEEP))), set()),
    "method of a reached class": (_helper("maps.py", "return 'x'", "return 'y'"), {"01_class"}),
    "decorator": (_helper("maps.py", "class Map", "@cache\nclass Map"), {"01_class"}),
    "lazily imported module": (_helper("deep.py", "DEPTH = [1]", "DEPTH = [2]"), {"03_lazy"}),
    "neighbour of what is lazily imported": (_helper("deep.py", "return 0", "return 1"), set()),
    "statement that acts when a module is loaded": (_helper("deep.py", "[1]", "[1]\nDEPTH.append(2)"), {"03_lazy"}),
    "import of another package": (_helper("numbers.py", "LIMIT", "import math\n\nLIMIT"), NUMBERS),
    "import that now leads elsewhere": (_helper("maps.py", "import LIMIT", "import SPARE as LIMIT"), {"01_class"}),
    "function under an unknown decorator": (_helper("registry.py", "return 1", "return 3"), {"08_registry"}),
    "undecorated neighbour": (_helper("registry.py", "return 2", "return 3"), set()),
    "package itself": (_helper("__init__.py", "version", "import os\n\nversion"), ALL - {"05_plain", "06_after"}),
    "runner": (_helper("press/run.py", "1", "2"), set()),
    "command line": (_helper("cli.py", "1", "2"), set()),
    "weights byte": (_helper("weights/net.bin", "0123", "0124"), {"04_weights"}),
    "new weights": (lambda b: b.write(b.package / "weights" / "two.bin", "1"), {"04_weights"}),
    "template that no page reaches": (_helper("templates/report.html", "<p>", "<b>"), set()),
    "helper that no longer parses as before": (_helper("networks.py", "def load():", "def load(*a):"), {"04_weights"}),
    # Surroundings: they count for all.
    "data byte": (lambda b: b.write(b.data / "train" / "a.tif", "0124"), ALL),
    "data byte, with size and time as before": (_same_size_same_time, ALL),
    "data file added": (lambda b: b.write(b.data / "train" / "b.tif", ""), ALL),
    "data file renamed": (lambda b: (b.data / "train" / "a.tif").rename(b.data / "train" / "c.tif"), ALL),
    "data file touched": (lambda b: os.utime(b.data / "train" / "a.tif"), set()),
    "lock bump": (lambda b: b.replace("requirements.lock", "2.4.0", "2.4.1"), ALL),
    "hash of a package at an address": (lambda b: b.replace("requirements.lock", "sha256=11", "sha256=22"), ALL),
    "lock comment": (lambda b: b.replace("requirements.lock", "# arrays", "# numbers"), set()),
    # A page: what is run counts, not how it is told or shown.
    "prose cell": (lambda b: b.page("02_module", IMPORT, "# Two times one.", CALL), set()),
    "prose order": (lambda b: b.page("02_module", "# Twice one.", IMPORT, CALL), set()),
    "code": (lambda b: b.page("02_module", IMPORT, "print(n.double(2))"), {"02_module"}),
    "cell order": (lambda b: b.page("05_plain", *CELLS["05_plain"][::-1]), {"05_plain", "06_after"}),
    "empty cell": (lambda b: b.page("02_module", IMPORT, CALL, ""), {"02_module"}),
    "comment in a cell": (lambda b: b.page("05_plain", "a = 1  # one", "a + 1"), {"05_plain", "06_after"}),
    "semicolon after a cell": (lambda b: b.page("05_plain", "a = 1", "a + 1;"), {"05_plain", "06_after"}),
    "cosmetic tag": (lambda b: b.tag("05_plain", 2, "remove-output"), set()),
    "tag that skips a cell": (lambda b: b.tag("05_plain", 2, "skip-execution"), {"05_plain", "06_after"}),
    "tag that lets exceptions pass": (lambda b: b.tag("06_after", 2, "raises-exception"), {"06_after"}),
    "parameter default": (lambda b: b.page("03_lazy", parameters=(PARAMETERS.replace("0", "1"),)), {"03_lazy"}),
    "parameter given": (lambda b: b.parameters.update(seed=7), ALL),
    "profile": (lambda b: b.parameters.update(profile="smoke"), ALL),
    "parameter given that is the default": (lambda b: b.parameters.update(profile="lecture", seed=0), set()),
    "minutes": (lambda b: b.page("03_lazy", minutes=9), set()),
    "page before it": (lambda b: b.page("05_plain", "a = 2"), {"05_plain", "06_after"}),
    "page to wait for": (lambda b: b.page("03_lazy", after=["02_module"]), {"03_lazy"}),
    "name of a page": (lambda b: b.rename("03_lazy", "03_late"), {"03_late"}),
    "kernel's display name": (lambda b: b.page("03_lazy", kernel=KERNEL | {"display_name": "Python"}), set()),
    "helper used by its name in a text": (
        lambda b: b.page("05_plain", "code = 'from floods.deep import dry'"), {"05_plain", "06_after"}
    ),
}  # fmt: skip


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_runs_exactly_the_pages_that_it_can_change(book, edit):
    change, expected = EDITS[edit]
    assert book.run() == ALL
    change(book)
    assert book.run() == expected
    assert book.run() == set()


def test_there_are_enough_edits():
    assert len(EDITS) >= 25


@pytest.mark.parametrize(
    ("cell", "edit", "runs"),
    [
        ("from floods.deep import *", ("deep.py", "return 0", "return 1"), True),
        ("import floods.deep as m\n\ngetattr(m, 'd' + 'ry')()", ("deep.py", "return 0", "return 1"), True),
        ("import floods.deep as m\n\nm.__dict__['dry']()", ("deep.py", "return 0", "return 1"), True),
        ("import floods.deep\n\nfloods.deep.bottom()", ("deep.py", "return 0", "return 1"), False),
        ("import floods.deep\n\nfloods.deep.dry()", ("deep.py", "return 0", "return 1"), True),
        ("import importlib\n\nimportlib.import_module('floods.deep').dry()", ("deep.py", "return 0", "return 1"), True),
        ("import importlib\n\nimportlib.import_module('flo' + 'ods.deep')", ("deep.py", "return 0", "return 1"), True),
        ("code = 'from floods.deep import dry'", ("deep.py", "return 0", "return 1"), True),
        ("code = 'from floods.maps import Map'", ("deep.py", "return 0", "return 1"), False),
        (
            "import subprocess\n\nsubprocess.run(['python', '-m', 'floods.deep'])",
            ("deep.py", "return 0", "return 1"),
            True,
        ),
        ("%%bash\npython -c 'import floods.deep'", ("deep.py", "return 0", "return 1"), True),
        ("%%time\nfrom floods.deep import dry", ("deep.py", "return 0", "return 1"), True),
        ("import subprocess\n\nsubprocess.run(['ml4ops', 'map', 'a', 'b'])", ("deep.py", "return 0", "return 1"), True),
        ("eval('1')", ("deep.py", "return 0", "return 1"), True),
        ("from floods.deep import dry\n\n%timeit dry()", ("deep.py", "return 0", "return 1"), True),
        ("from floods.deep import dry\n\n%timeit 1 + 1", ("deep.py", "return 0", "return 1"), False),
        ("for", ("deep.py", "return 0", "return 1"), True),
        ("from floods.numbers import double\n\nhelp(double)", ("numbers.py", '"""Twice."""', '"""Two."""'), True),
        ("from floods.numbers import double\n\n%psource double", ("numbers.py", "# as one", "# as each"), True),
        ("from floods.numbers import double\n\ndouble?", ("numbers.py", "# as one", "# as each"), True),
        ("import floods\n\nfloods.__file__", ("templates/report.html", "<p>", "<b>"), True),
    ],
)
def test_when_in_doubt_a_page_runs(book, cell, edit, runs):
    book.page("05_plain", cell)
    book.run()
    book.replace(f"floods/{edit[0]}", *edit[1:])
    assert ("05_plain" in book.run()) is runs


DRY = ("deep.py", "return 0", "return 1")
OWN = ("h.py", "return 0", "return 1")
PAGE = ("templates/report.html", "<p>", "<b>")
HERE = "from pathlib import Path\n\n"
ONE = "def one():\n    return 0\n\n\n"
HIDDEN = {
    # What a helper named ``h`` holds, what of it a page uses, and the edit that must let the page run again.
    "else of what only type checkers see": (
        "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    A: int\nelse:\n    A = 3\n",
        "A",
        ("h.py", "= 3", "= 4"),
    ),
    "what type checkers do not see": (
        "from typing import TYPE_CHECKING\n\nif not TYPE_CHECKING:\n    A = 3\n",
        "A",
        ("h.py", "= 3", "= 4"),
    ),
    "file of the package as a resource": (
        "from importlib import resources\n\n\ndef f():\n    return resources.files(__package__) / 'templates'\n",
        "f()",
        PAGE,
    ),
    "file beside the file of a function": (
        f"import inspect\n{HERE}\ndef f():\n    return Path(inspect.getfile(f)).parent / 'templates'\n",
        "f()",
        PAGE,
    ),
    "file beside the origin of a module": (
        f"{HERE}\ndef f():\n    return Path(__spec__.origin).parent / 'templates/report.html'\n",
        "f()",
        PAGE,
    ),
    "file by a path of several parts, beside another text": (
        f"{HERE}\ndef f():\n    a = 'weights'\n    return Path(__file__).parent / 'templates/report.html', a\n",
        "f()",
        PAGE,
    ),
    "file by an argument, beside another text": (
        f"{HERE}\ndef f(a):\n    assert a != 'weights'\n    return Path(__file__).parent / a / 'x'\n",
        "f('templates')",
        PAGE,
    ),
    "file by its ending, beside another text": (
        f"{HERE}\ndef f(a='html'):\n    return [*Path(__file__).parent.rglob(f'*.{{a}}'), 'weights']\n",
        "f()",
        PAGE,
    ),
    "file beside a place of another module": (
        "from .networks import PLACE\n\n\ndef f():\n    return PLACE.parent / 'templates'\n",
        "f()",
        PAGE,
    ),
    "module by a sum, beside another text": (
        "from importlib import import_module\n\n\n"
        "def f(a):\n    return a == 'maps' or import_module('.' + a, __package__)\n",
        "f('deep')",
        DRY,
    ),
    "module by a renamed function": (
        "from importlib import import_module as load\n\n\ndef f(a):\n    return load(__package__ + '.' + a)\n",
        "f('deep')",
        DRY,
    ),
    "module by its loader": (
        "import importlib.util as u\n\n\ndef f(a):\n    return u.find_spec('floo' + a).loader.load_module()\n",
        "f('ds')",
        DRY,
    ),
    "function by a search": (
        "from pydoc import locate\n\n\ndef f():\n    return locate(__package__ + '.deep.dry')\n",
        "f()",
        DRY,
    ),
    "function in a pickle": (
        "import pickle\n\n\ndef f(a):\n    return pickle.loads(a)\n",
        "f(b'cfloods.deep\\ndry\\n.')",
        DRY,
    ),
    "modules, imported": (
        "from sys import modules\n\n\n" + ONE + "def f():\n    return modules[__name__]\n",
        "f()",
        OWN,
    ),
    "modules, of a renamed module": (
        "import sys as s\n\n\n" + ONE + "def f():\n    return s.modules[__name__]\n",
        "f()",
        OWN,
    ),
    "names that a function sees": (ONE + "def f(a):\n    return f.__globals__[a]()\n", "f('one')", OWN),
    "names of a module, vars": (ONE + "ALL = dict(vars())\n", "ALL", OWN),
    "names of a module, locals": (ONE + "ALL = dict(locals())\n", "ALL", OWN),
    "classes made from a class": (
        "class A:\n    pass\n\n\nclass B(A):\n    def one(self):\n        return 0\n\n\n"
        "def f():\n    return A.__subclasses__()\n",
        "f()",
        OWN,
    ),
    "classes kept by an inherited metaclass": (
        "ALL = []\n\n\nclass M(type):\n    def __init__(cls, *a):\n        ALL.append(cls)\n\n\n"
        "class A(metaclass=M):\n    pass\n\n\nclass B(A):\n    def one(self):\n        return 0\n",
        "ALL",
        OWN,
    ),
    "seed of a harmless package": (
        "import numpy as np\n\n_ = np.random.seed(0)\n\n\ndef f():\n    return 1\n",
        "f()",
        ("h.py", "seed(0)", "seed(1)"),
    ),
    "default that acts": ("ALL = {}\n\n\ndef f(_=ALL.update(a=1)):\n    pass\n", "ALL", ("h.py", "a=1", "a=2")),
    "decorator that is only called like a harmless one": (
        "ALL = []\n\n\nclass steps:\n    @staticmethod\n    def cache(g):\n        ALL.append(g)\n\n\n"
        "@steps.cache\ndef one():\n    return 0\n",
        "ALL",
        OWN,
    ),
}


@pytest.mark.parametrize("how", HIDDEN)
def test_what_a_helper_reaches_without_naming_it_counts(book, how):
    source, use, edit = HIDDEN[how]
    book.write(book.package / "h.py", source)
    book.page("05_plain", f"from floods.h import {use.partition('(')[0]}\n\n{use}")
    book.run()
    assert book.run() == set()
    book.replace(f"floods/{edit[0]}", *edit[1:])
    assert "05_plain" in book.run()


def test_a_place_with_plain_texts_reaches_nothing_else(book):
    book.write(book.package / "h.py", f"{HERE}\ndef f():\n    return Path(__file__).parent / 'templates/report.html'\n")
    book.page("05_plain", "from floods.h import f\n\nf()")
    book.run()
    book.replace("floods/deep.py", "return 0", "return 1")
    book.replace("floods/weights/net.bin", "0123", "0124")
    assert "05_plain" not in book.run()


def test_a_member_of_a_family_of_modules_counts_for_the_page_that_names_it(book):
    load = (
        "import importlib\n\n\ndef load(page):\n    return importlib.import_module(f'{__package__}.page_{page[:2]}')\n"
    )
    for name, text in {
        "__init__": "from .core import load",
        "core": load,
        "page_05": "A = 1",
        "page_06": "A = 1",
    }.items():
        book.write(book.package / "tasks" / f"{name}.py", text)
    book.page("05_plain", "from floods.tasks import load\n\nload('05.1')")
    book.page("06_after", "from floods.tasks import load\n\nload('06.1')", after=[])
    book.run()
    book.write(book.package / "tasks" / "page_06.py", "A = 2")
    assert book.run() == {"06_after"}


def test_a_module_that_finds_others_by_place_reaches_those_it_names(book):
    find = (
        "from pathlib import Path\n\nPARTS = ('deep', 'maps')\n\n\n"
        "def text():\n    return [Path(__file__).with_name(f'{p}.py') for p in PARTS]\n"
    )
    book.write(book.package / "found.py", find)
    book.page("05_plain", "from floods.found import text\n\ntext()")
    book.run()
    book.replace("floods/deep.py", "return 0", "return 1")
    assert "05_plain" in book.run()
    book.replace("floods/registry.py", "return 2", "return 3")
    assert book.run() == set()


def test_files_that_a_page_reads_count(book, monkeypatch):
    monkeypatch.chdir(book.root)
    book.write(book.root / "projects" / "cover" / "dvc.yaml", "stages: 1")
    book.page("05_plain", reads=["projects/cover"])
    book.run()
    book.replace("projects/cover/dvc.yaml", "1", "2")
    assert book.run() == {"05_plain", "06_after"}
    book.page("05_plain", reads=["projects/none"])
    with pytest.raises(PageError, match=re.escape("05_plain.ipynb: metadata ml4ops.reads names 'projects/none'")):
        book.run()


@pytest.mark.parametrize(
    ("edit", "runs"),
    [
        (lambda b, p: b.write(p / "cover/stages/train.py", "x = 2"), True),  # a comment would count, too
        (lambda b, p: b.write(p / "params.yaml", "seed: 2"), True),
        (lambda b, p: b.write(p / "cover/new.py", ""), True),
        (lambda b, p: (p / "dvc.lock").unlink(), True),
        (lambda b, p: b.write(p / "data/raw.parquet", "2"), False),  # git ignores it: the page makes it
        (lambda b, p: b.write(b.root / "projects/traffic/params.yaml", "2"), False),
        (lambda b, p: b.write(p / "params.yaml", "seed: 1"), False),  # written anew, as it was
    ],
)
def test_a_page_runs_again_when_its_project_changes(book, monkeypatch, edit, runs):
    monkeypatch.chdir(book.root)
    project = book.root / "projects/forest_cover"
    files = {"params.yaml": "seed: 1", "dvc.lock": "1", ".gitignore": "/data", "data/raw.parquet": "1"}
    for name, text in (files | {"cover/stages/train.py": "x = 1"}).items():
        book.write(project / name, text)
    book.write(book.root / "projects/traffic/params.yaml", "1")
    subprocess.run("git init -q && git add projects", shell=True, cwd=book.root, check=True)
    book.page("03_lazy", projects=["forest_cover"])
    book.run()
    assert book.run() == set()
    edit(book, project)
    assert book.run() == ({"03_lazy"} if runs else set())


@pytest.fixture
def store(tmp_path):
    """A folder of files elsewhere, to which links may lead."""
    (tmp_path / "store").mkdir()
    for name in "st":
        (tmp_path / "store" / f"{name}.tif").write_text(name)
    return tmp_path / "store"


@pytest.mark.parametrize("link", ["folder", "file", "swap", "circle", "broken"])
def test_data_behind_links_count(book, store, link):
    targets = {"folder": {"all": store}, "circle": {"all": store}, "broken": {"s": store / "none.tif"}}
    links = targets.get(link, {name: store / f"{name}.tif" for name in "st"})
    for name, target in links.items():
        (book.data / name).symlink_to(target)
    if link == "circle":
        (store / "again").symlink_to(book.data)
    book.run()
    assert book.run() == set()
    if link == "swap":
        for name, other in ("st", "ts"):
            (book.data / name).unlink()
            (book.data / name).symlink_to(store / f"{other}.tif")
    elif link == "broken":
        (store / "none.tif").write_text("here")
    else:
        (store / "s.tif").write_text("other")
    assert book.run() == ALL


@pytest.mark.parametrize("where", ["tables", "tables/link"])
def test_files_that_a_page_reads_through_links_count(book, monkeypatch, store, where):
    monkeypatch.chdir(book.root)
    subprocess.run("git init -q", shell=True, cwd=book.root, check=True)
    (book.root / "tables").mkdir()
    (book.root / "tables/link").symlink_to(store)
    book.page("03_lazy", reads=[where])
    book.run()
    assert book.run() == set()
    book.write(store / "s.tif", "other")
    assert book.run() == {"03_lazy"}


def test_a_folder_to_read_of_which_git_ignores_everything_is_told(book, monkeypatch):
    monkeypatch.chdir(book.root)
    book.write(book.root / ".gitignore", "shared/")
    book.write(book.root / "shared/a.csv", "1")
    subprocess.run("git init -q", shell=True, cwd=book.root, check=True)
    book.page("03_lazy", reads=["shared"])
    with pytest.raises(PageError, match=r"03_lazy.*ml4ops\.reads names 'shared', but git ignores all files there"):
        book.run()


def test_a_project_that_is_not_there_is_told(book, monkeypatch):
    monkeypatch.chdir(book.root)
    book.page("03_lazy", projects=["forest_cover"])
    with pytest.raises(
        PageError, match=r"03_lazy.*ml4ops\.projects names 'forest_cover', but there is no projects/forest"
    ):
        book.run()


@pytest.mark.parametrize("what", ["Python", "command", "path"])
def test_another_kernel_runs_everything(book, monkeypatch, what):
    book.run()
    if what == "Python":
        monkeypatch.setattr(platform, "python_version", lambda: "3.99.0")
    elif what == "command":
        monkeypatch.setattr(keys, "kernel_facts", lambda name: [name, "elsewhere/python"])
    else:
        monkeypatch.chdir(book.root)  # the same code in another folder is another page
    assert book.run() == ALL


def test_the_same_code_in_two_folders_is_two_pages(tmp_path):
    first, second = (find_pages(write_page(tmp_path / f, "01_a", "x = 1").parent)[0] for f in "ab")
    assert keys.page_key(first, first.defaults, "", []) != keys.page_key(second, second.defaults, "", [])


def test_data_are_read_again_only_when_they_changed(book, monkeypatch):
    known, read = book.root / "known.json", []
    monkeypatch.setattr(keys, "file_digest", lambda path: read.append(path.name) or "digest")
    monkeypatch.setattr(keys.time, "time", lambda: 4e9)  # long after the change
    first = keys.data_manifest(book.data, known)
    assert keys.data_manifest(book.data, known) == first == {"train/a.tif": "digest"}
    assert read == ["a.tif"]
    book.write(book.data / "train" / "a.tif", "9999")
    keys.data_manifest(book.data, known)
    assert read == ["a.tif", "a.tif"]
    known.write_text("damaged")
    keys.data_manifest(book.data, known)
    assert len(read) == 3


def test_a_file_changed_just_now_is_read_again(book, monkeypatch):
    known = book.root / "known.json"
    keys.data_manifest(book.data, known)
    assert not known.exists()
