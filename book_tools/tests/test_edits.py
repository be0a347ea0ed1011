"""Which pages a change makes run again: several pages, a small helper package, and a table of edits."""

import os
import platform
import re
import subprocess
from pathlib import Path

import pytest
from book_tools.jobs import prepare
from book_tools.pages import PageError, find_pages
from tiny_pages import KERNEL, PARAMETERS, write_page

from book_tools import keys

ONE = "def one():\n    return 0\n"
LAZY = "import lazy_loader as lazy\n\n__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)\n"
HELPER = {
    "__init__.py": '"""Floods."""\nversion = "1"\n',
    "numbers.py": '"""Numbers."""\n\nLIMIT = 3  # metres\n\n\ndef double(x):\n    """Twice."""\n    return x * 2\n',
    "maps.py": "from .numbers import LIMIT, double\n\n\ndef area():\n    return double(LIMIT)\n",
    "late.py": "def late():\n    from floods.deep import one\n\n    return one()\n",
    "deep.py": ONE,
    "spare.py": ONE,
    "cli.py": "from . import spare\n",
    "scores/__init__.py": LAZY,
    "scores/__init__.pyi": "from .curves import curve as curve\nfrom .events import events as events\n",
    "scores/curves.py": "def curve():\n    return 0\n",
    "scores/events.py": "from ..deep import one\n\n\ndef events():\n    return one()\n",
    "scores/legends/en.txt": "water",
    "weights/net.bin": "0123",
}
FILES = {
    "requirements.lock": "numpy==2.4.0  # arrays\nscipy==1.13\nrivers @ https://example.org/rivers.whl#sha256=11\n",
    "data/train/a.tif": "0123",
    "projects/cover/params.yaml": "seed: 1",
    "projects/cover/train.py": "x = 1",
    "projects/cover/data/raw.csv": "1",
    "projects/traffic/params.yaml": "1",
    "tables/here.csv": "1",
    "shelf/elsewhere.csv": "1",
    "store/s.tif": "s",
    ".gitignore": "projects/cover/data\nstore\n",
}
LINKS = {"data/folder": "store", "data/broken": "store/none", "store/circle": "data", "tables/link": "shelf"}
IMPORT, CALL = "from floods import numbers as n", "print(n.double(1))"
CELLS = {
    "01_maps": ("from floods.maps import area\n\nprint(area())",),
    "02_numbers": (IMPORT, "# Twice one.", CALL),
    "03_late": ("%matplotlib inline\nfrom floods.late import late\n\nprint(late())",),
    "04_curve": ("from floods.scores import curve\n\ncurve()",),
    "05_plain": ("a = 1", ("a + 1", "hide-input")),
    "06_after": ("print(2)",),
    "07_scores": ("from floods import scores as s\n\ns.curve()",),
}
METADATA = {
    "02_numbers": {"reads": ["tables"]},
    "03_late": {"projects": ["cover"]},
    "06_after": {"after": ["05_plain"]},
}
ALL = set(CELLS)
USE_HELPER, PLAIN = ALL - {"05_plain", "06_after"}, {"05_plain", "06_after"}
NUMBERS, DEEP, SCORES = {"01_maps", "02_numbers"}, {"03_late", "07_scores"}, {"04_curve", "07_scores"}


class Book:
    """Pages, a helper package, data and a lock that one may edit, in the current folder."""

    def __init__(self):
        self.parameters = {}
        for name, text in (FILES | {f"floods/{name}": text for name, text in HELPER.items()}).items():
            self.write(name, text)
        for link, target in LINKS.items():
            Path(link).symlink_to(Path(target).absolute())
        subprocess.run(["git", "init", "-q"], check=True)
        for name in CELLS:
            self.page(name)

    def write(self, name, text):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)

    def replace(self, name, old, new):
        text = Path(name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))

    def page(self, name, *cells, **options):
        write_page(Path("notebooks"), name, *(cells or CELLS[name]), **METADATA.get(name, {}) | options)

    def keys(self):
        environment = keys.environment_key(Path("requirements.lock"), Path("data"), Path("known.json"))
        jobs = prepare(find_pages(Path("notebooks")), self.parameters, Path("out"), environment)
        return {(job.page.name, job.key) for job in jobs}

    def runs_after(self, edit):
        """Pages whose keys an edit changes."""
        before = self.keys()
        edit(self)
        return {name for name, _ in self.keys() - before}


@pytest.fixture
def book(tmp_path, monkeypatch):
    monkeypatch.setattr(keys, "PACKAGE", tmp_path / "floods")
    monkeypatch.setenv("ML4OPS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return Book()


def helper(name, old, new):
    return lambda book: book.replace(f"floods/{name}", old, new)


def page(name, *cells, **options):
    return lambda book: book.page(name, *cells, **options)


def same_size_same_time(book):
    before = Path("data/train/a.tif").stat()
    book.write("data/train/a.tif", "0124")
    os.utime("data/train/a.tif", ns=(before.st_atime_ns, before.st_mtime_ns))


EDITS = {
    # The helper package: modules that a page's imports lead to, whatever of them it uses.
    "constant": (helper("numbers.py", "LIMIT = 3", "LIMIT = 5"), NUMBERS),
    "comment": (helper("numbers.py", "  # metres", "  # in metres\n# more"), set()),
    "docstring": (helper("numbers.py", '"""Twice."""', '"""Two times."""'), set()),
    "module docstring": (helper("numbers.py", '"""Numbers."""', ""), set()),
    "layout": (helper("maps.py", "double(LIMIT)", "double(\n        LIMIT\n    )"), set()),
    "function": (helper("numbers.py", "x * 2", "2 * x"), NUMBERS),
    "new function": (helper("maps.py", "def area", "def new(): ...\n\n\ndef area"), {"01_maps"}),
    "module behind a module": (helper("deep.py", "0", "1"), DEEP),
    "module that no page imports": (helper("spare.py", "0", "1"), set()),
    "command line": (helper("cli.py", "spare", "maps"), set()),
    "new module": (lambda b: b.write("floods/more.py", "x = 1"), set()),
    "import that now leads elsewhere": (helper("maps.py", "import LIMIT", "import double as LIMIT"), {"01_maps"}),
    "package itself": (helper("__init__.py", "version", "import os\n\nversion"), USE_HELPER),
    "module that a stub names": (helper("scores/curves.py", "0", "1"), SCORES),
    "module beside it": (helper("scores/events.py", "one()", "one() + 1"), {"07_scores"}),
    "name that a stub now finds elsewhere": (helper("scores/__init__.pyi", ".curves", ".events"), SCORES),
    "new name in a stub": (helper("scores/__init__.pyi", "import events", "import one, events"), {"07_scores"}),
    "new module in a lazy package": (lambda b: b.write("floods/scores/more.py", "x = 1"), {"07_scores"}),
    "data file of the package": (helper("weights/net.bin", "0123", "0124"), USE_HELPER),
    "new data file": (lambda b: b.write("floods/weights/two.bin", "1"), USE_HELPER),
    "data file of a package inside": (helper("scores/legends/en.txt", "water", "Water"), SCORES),
    # The environment counts for all.
    "data byte": (lambda b: b.write("data/train/a.tif", "0124"), ALL),
    "data byte, with size and time as before": (same_size_same_time, ALL),
    "data file added": (lambda b: b.write("data/train/b.tif", ""), ALL),
    "data file renamed": (lambda b: Path("data/train/a.tif").rename("data/train/c.tif"), ALL),
    "data file touched": (lambda b: os.utime("data/train/a.tif"), set()),
    "data file behind a link": (lambda b: b.write("store/s.tif", "other"), ALL),
    "target of a broken link": (lambda b: b.write("store/none", ""), ALL),
    "link to another target": (lambda b: Path("tables/link").replace("data/broken"), ALL),
    "version in the lock": (lambda b: b.replace("requirements.lock", "2.4.0", "2.4.1"), ALL),
    "hash of a package at an address": (lambda b: b.replace("requirements.lock", "sha256=11", "sha256=22"), ALL),
    "comment in the lock": (lambda b: b.replace("requirements.lock", "# arrays", "# numbers"), set()),
    # Files and projects that a page reads, but for those that git ignores.
    "file of a project": (lambda b: b.write("projects/cover/train.py", "x = 1  # comments count, too"), {"03_late"}),
    "file that a project gains": (lambda b: b.write("projects/cover/new.py", ""), {"03_late"}),
    "file that a project loses": (lambda b: Path("projects/cover/params.yaml").unlink(), {"03_late"}),
    "file that git ignores": (lambda b: b.write("projects/cover/data/raw.csv", "2"), set()),
    "other project": (lambda b: b.write("projects/traffic/params.yaml", "2"), set()),
    "project file written anew": (lambda b: b.write("projects/cover/params.yaml", "seed: 1"), set()),
    "file of a folder to read": (lambda b: b.write("tables/here.csv", "2"), {"02_numbers"}),
    "file behind a link in it": (lambda b: b.write("shelf/elsewhere.csv", "2"), {"02_numbers"}),
    # A page: what is run counts, not how it is told or shown.
    "prose": (page("02_numbers", IMPORT, "# Two times one.", CALL), set()),
    "prose order": (page("02_numbers", "# Twice one.", IMPORT, CALL), set()),
    "code": (page("02_numbers", IMPORT, "print(n.double(2))"), {"02_numbers"}),
    "cell order": (page("05_plain", *CELLS["05_plain"][::-1]), PLAIN),
    "empty cell": (page("02_numbers", IMPORT, CALL, ""), {"02_numbers"}),
    "comment in a cell": (page("05_plain", "a = 1  # one", "a + 1"), PLAIN),
    "semicolon after a cell": (page("05_plain", "a = 1", "a + 1;"), PLAIN),
    "cosmetic tag": (page("05_plain", "a = 1", ("a + 1", "hide-input", "remove-output")), set()),
    "tag that skips a cell": (page("05_plain", "a = 1", ("a + 1", "skip-execution")), PLAIN),
    "tag that lets exceptions pass": (page("06_after", ("print(2)", "raises-exception")), {"06_after"}),
    "parameter default": (page("03_late", parameters=(PARAMETERS.replace("0", "1"),)), {"03_late"}),
    "parameter given": (lambda b: b.parameters.update(seed=7), ALL),
    "profile": (lambda b: b.parameters.update(profile="smoke"), ALL),
    "parameter given that is the default": (lambda b: b.parameters.update(profile="lecture", seed=0), set()),
    "minutes": (page("03_late", minutes=9), set()),
    "page before it": (page("05_plain", "a = 2"), PLAIN),
    "page to wait for": (page("03_late", after=["02_numbers"]), {"03_late"}),
    "name of a page": (lambda b: Path("notebooks/03_late.ipynb").rename("notebooks/03_new.ipynb"), {"03_new"}),
    "kernel's display name": (page("03_late", kernel=KERNEL | {"display_name": "Python"}), set()),
}  # fmt: skip


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_runs_exactly_the_pages_that_it_can_change(book, edit):
    change, expected = EDITS[edit]
    assert book.runs_after(change) == expected


SPARE, CURVES, TWICE = ("spare.py", "0", "1"), ("scores/curves.py", "0", "1"), ("numbers.py", "Twice", "Two times")
IMPORTS = [  # cell of a page, edit of the helper, whether the page runs again
    ("from floods import *", SPARE, True),
    ("import floods\n\nfloods.spare", SPARE, True),
    ("def f():\n    from floods import spare", SPARE, True),
    ("from floods.scores import *", CURVES, True),
    ("import floods.scores.events", CURVES, True),
    ("from floods.scores import events", CURVES, False),
    ("from floods.scores import no_such_name", CURVES, True),
    ("from floods.scores import curves", CURVES, True),
    ("import importlib\n\nimportlib.import_module('floods.spare')", SPARE, True),
    ("import importlib\n\nimportlib.import_module('floods.maps')", SPARE, False),
    ("import importlib\n\nimportlib.import_module('floods.' + 'spare')", SPARE, True),
    ("from importlib import import_module as load\n\nload('flo' + 'ods')", SPARE, True),
    ("import subprocess\n\nsubprocess.run(['python', '-m', 'floods.spare'])", SPARE, True),
    ("import subprocess\n\nsubprocess.run(['ml4ops', 'map', 'a', 'b'])", SPARE, True),
    ("%%bash\npython -c 'from floods import spare'", SPARE, True),
    ("%%time\nfrom floods.spare import one", SPARE, True),
    ("%time from floods.maps import area", SPARE, False),
    ("eval('1')", SPARE, True),
    ("for", SPARE, True),
    ("from floods.numbers import double\n\nhelp(double)", TWICE, True),
    ("from floods.numbers import double\n\ndouble?", TWICE, True),
]
TYPED = "from typing import TYPE_CHECKING\n\nif "
HIDDEN = [  # module of the helper that a page imports, whether a change of another module counts
    (TYPED + "TYPE_CHECKING:\n    from . import spare\n", False),
    (TYPED + "TYPE_CHECKING:\n    A = 1\nelse:\n    from . import spare\n", True),
    (TYPED + "not TYPE_CHECKING:\n    from . import spare\n", True),
    ("from importlib import import_module\n\n\ndef f(a):\n    return import_module('.' + a, __package__)\n", True),
    ("import importlib\n\n\ndef f(a):\n    return list(map(importlib.import_module, a))\n", True),
    ("import importlib.util as u\n\n\ndef f(a):\n    return u.find_spec('floo' + a).loader.load_module()\n", True),
    ("from pydoc import locate\n\n\ndef f():\n    return locate(__package__ + '.spare.one')\n", True),
    ("import pickle\n\n\ndef f(a):\n    return pickle.loads(a)\n", True),
    ("from pathlib import Path\n\nTEXT = Path(__file__).with_name('spare.py').read_text()\n", True),
    ("from pathlib import Path\n\nPATHS = [Path(__file__).with_name(f'{m}.py') for m in ('maps', 'a/spare')]\n", True),
    ("from pathlib import Path\n\nPATHS = [Path(__file__).with_name(f'{m}.py') for m in ('maps', 'deep')]\n", False),
    ("from pathlib import Path\n\nTEXTS = [p.read_text() for p in Path(__file__).parent.glob('*.py')]\n", True),
]


@pytest.mark.parametrize(("cell", "edit", "runs"), IMPORTS)
def test_all_that_a_page_may_import_counts(book, cell, edit, runs):
    book.page("06_after", cell)
    assert ("06_after" in book.runs_after(helper(*edit))) is runs


@pytest.mark.parametrize(("source", "counts"), HIDDEN)
def test_modules_that_a_helper_finds_without_an_import_count(book, source, counts):
    book.write("floods/finds.py", source)
    book.page("05_plain", "import floods.finds")
    assert ("05_plain" in book.runs_after(helper(*SPARE))) is counts


def test_of_modules_with_a_number_in_their_name_those_that_a_page_names_count(book):
    load = "import importlib\n\n\ndef load(n):\n    return importlib.import_module(f'{__package__}.page_{n[:2]}')\n"
    for name, text in {"__init__": load, "page_05": "A = 1", "page_06": "A = 1"}.items():
        book.write(f"floods/tasks/{name}.py", text)
    book.page("05_plain", "from floods.tasks import load\n\nload('05.1')")
    book.page("06_after", "from floods.tasks import load\n\nload('06.1')", after=[])
    assert book.runs_after(helper("tasks/page_06.py", "1", "2")) == {"06_after"}


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"reads": ["none"]}, "ml4ops.reads names 'none'"),
        ({"projects": ["none"]}, "ml4ops.projects names 'none'"),
        ({"reads": ["store"]}, "ml4ops.reads names 'store', but git ignores"),
    ],
)
def test_files_to_read_that_are_missing_are_reported(book, metadata, reason):
    Path("store/circle").unlink()
    book.page("03_late", **metadata)
    with pytest.raises(PageError, match=f"03_late.*{re.escape(reason)}"):
        book.keys()


@pytest.mark.parametrize(
    ("name", "value"), [("python_version", "3.99.0"), ("kernel_facts", ["python3", "elsewhere/python"])]
)
def test_another_kernel_runs_everything(book, monkeypatch, name, value):
    place = platform if name == "python_version" else keys
    assert book.runs_after(lambda b: monkeypatch.setattr(place, name, lambda *_: value)) == ALL


def test_data_are_read_again_only_when_they_changed(book, monkeypatch):
    folder, known, read = Path("projects/traffic"), Path("known.json"), []
    monkeypatch.setattr(keys, "file_digest", lambda path: read.append(path.name) or "digest")
    keys.data_manifest(folder, known)
    assert not known.exists()  # changed just now: it may change again under the same time stamp
    monkeypatch.setattr(keys.time, "time", lambda: 4e9)  # long after the change
    for _ in range(2):
        assert keys.data_manifest(folder, known) == {"params.yaml": "digest"}
    assert len(read) == 2
    book.write("projects/traffic/params.yaml", "9")
    keys.data_manifest(folder, known)
    known.write_text("damaged")
    keys.data_manifest(folder, known)
    assert len(read) == 4
