"""Students' copies: what is in them and what is not, whose names are refused, and what is told of what came back."""

import csv
import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from book_tools.collect import collect
from book_tools.copies import without_solutions
from book_tools.handout import write_handout
from book_tools.owners import HandoutError, read_students
from book_tools.pages import PageError, load_page
from book_tools.plans import read_plan
from book_tools.results import write_results
from book_tools.runner import Outcome
from book_tools.verdicts import exercise_cells
from tiny_pages import write_page

from book_tools import rerun
from ml4ops_helpers.cli import main

ROOT = Path(__file__).parents[2]
OLD = "#### Exercises\n\n**1.** How deep?"
SOLUTION = "````{admonition} Solution 1\n:class: dropdown\n\n```python\nsecret = 4\n```\n\nThe secret is four.\n````"
CHECK = "import numpy as np\n\nfrom ml4ops_helpers.exercises import check"
STUB = 'def reflectance(dn, offset):\n    return ...\n\n\ncheck("02.1", reflectance)'
GOOD = STUB.replace("...", "np.where(dn == 0, np.nan, (dn.astype(float) + offset) / 10_000)")
LONG = "    total = 0\n    for _ in range(x):\n        total = total + x\n    return total"


@pytest.fixture
def handout(tmp_path):
    """Write copies for names, of a page with an old exercise and one with a stub that is checked."""
    path = write_page(tmp_path / "notebooks", "01_old", OLD, after=[], minutes=5)
    book = nbformat.read(path, as_version=4)
    both = nbformat.v4.new_markdown_cell("**2.** How wide?\n\n" + SOLUTION.replace("1\n", "2\n", 1), id="both")
    book.cells += [nbformat.v4.new_markdown_cell(SOLUTION, id="solution"), both]
    nbformat.write(book, path)
    write_page(tmp_path / "notebooks", "02_new", CHECK, (STUB, "exercise"), after=["01_old"], minutes=5)
    (tmp_path / "plan.yml").write_text(
        "title: Floods\ndefaults: {profile: full}\nruns:\n- pages: all\n  grid: {seed: [8, 9]}"
    )

    def write(text="name\nAda Lovelace\nZoë\n", out="handout"):
        (tmp_path / "students.csv").write_text(text, encoding="utf-8")
        plan = read_plan(tmp_path / "plan.yml", tmp_path / "notebooks")
        return write_handout(plan, read_students(tmp_path / "students.csv", plan.title), tmp_path / out)

    return write


def answer(folder, student, source, page="02_new.ipynb", printed=""):
    """A student writes into the last code cell of a notebook, and runs it."""
    path = folder / student / page
    book = nbformat.read(path, as_version=4)
    cell = [cell for cell in book.cells if cell.cell_type == "code"][-1]
    cell.source = source
    cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=printed)] if printed else []
    nbformat.write(book, path)


def told(folder, **options):
    return {(a.owner.folder, a.exercise): a for a in collect(folder.parent, **options).answers}


def test_each_student_has_a_folder_with_an_own_seed_and_no_solutions(handout):
    students = handout()
    assert sorted(p.name for p in students.iterdir()) == ["Ada_Lovelace", "Zoë"]
    pages = {p.parent.name: load_page(p) for p in students.glob("*/02_new.ipynb")}
    seeds = {name: page.defaults["seed"] for name, page in pages.items()}
    assert len(set(seeds.values())) == 2
    assert all(page.defaults["profile"] == "full" for page in pages.values())
    everything = "".join(p.read_text() for p in students.rglob("*") if p.is_file())
    assert "secret" not in everything
    assert "How wide?" in everything
    readme = (students / "Ada_Lovelace/README.txt").read_text()
    assert readme.startswith("Floods\nFor: Ada Lovelace\n")
    assert f"Your seed is {seeds['Ada_Lovelace']}." in readme


def test_an_exercise_without_a_cell_gets_one(handout):
    page = nbformat.read(handout() / "Zoë/01_old.ipynb", as_version=4)
    assert [c.source.split(":")[0] for c in page.cells if "exercise" in c.metadata.get("tags", [])] == [
        "# Exercise 1",
        "# Exercise 2",
    ]
    assert list(exercise_cells(page)) == ["1", "2"]


def test_the_same_plan_and_names_give_the_same_bytes(handout):
    def content(folder):
        return {p.relative_to(folder.parent): p.read_bytes() for p in folder.parent.rglob("*") if p.is_file()}

    first = content(handout(out="one"))
    assert content(handout(out="two")) == first
    other = content(handout("name\nZoë\nBob\n", out="three"))
    mine = {path: data for path, data in first.items() if "Zoë" in str(path)}
    assert mine.items() <= other.items()  # a copy does not depend on who else gets one


def test_no_solution_of_the_book_is_given_out(tmp_path):
    plan = read_plan(ROOT / "book/lectures/two_days.yml", ROOT / "notebooks")
    students = tmp_path / "students.csv"
    students.write_text("name,group\nAda,blue\nBob,blue\n")
    out = write_handout(plan, read_students(students, plan.title), tmp_path / "out")
    pages = sorted((out / "blue").glob("*.ipynb"))
    assert len(pages) == 8
    assert not [p.name for p in pages if "{admonition} Solution" in p.read_text()]
    assert all(len(exercise_cells(nbformat.read(p, as_version=4))) >= 2 for p in pages)
    assert "For: Ada, Bob\n" in (out / "blue/README.txt").read_text()


def test_a_solution_within_prose_goes_and_the_prose_stays():
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(f"Before.\n\n{SOLUTION}\n\nAfter.")])
    assert without_solutions(book).cells[0].source.split() == ["Before.", "After."]


HIDDEN = {
    "lines of Windows": (SOLUTION + "\n").replace("\n", "\r\n"),
    "longer last fence": SOLUTION + "`",
    "indented": "1. Think.\n\n" + "\n".join(f"   {line}" for line in SOLUTION.splitlines()),
    "tildes": SOLUTION.replace("````", "~~~~"),
    "blank before the name": SOLUTION.replace("````{", "```` {"),
    "two blanks": SOLUTION.replace("} Solution", "}  Solution"),
    "dropdown": SOLUTION.replace("{admonition}", "{dropdown}"),
    "not closed": SOLUTION[:-5],
    "HTML": "<details>\n<summary>Solution</summary>secret</details>",
}


@pytest.mark.parametrize("text", HIDDEN.values(), ids=HIDDEN)
def test_a_solution_goes_in_whatever_form_it_is_written(text):
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(f"Before.\n\n{text}\n\nAfter.")])
    left = without_solutions(book).cells[0].source
    assert "Before." in left
    assert "secret" not in left


def test_cells_tagged_solution_go():
    tagged = nbformat.v4.new_code_cell("secret = 4", metadata={"tags": ["solution"]})
    assert without_solutions(nbformat.v4.new_notebook(cells=[tagged])).cells == []


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (nbformat.v4.new_markdown_cell("````{note} A solution\nsecret\n````"), "`````{note} A solution` seems to"),
        (nbformat.v4.new_markdown_cell("- <summary>My solutions</summary> secret"), "`<summary>My solutions` seems"),
        (nbformat.v4.new_markdown_cell("Look.\n\n### Solution\n\nsecret"), "`### Solution` seems to announce"),
        (nbformat.v4.new_code_cell("secret = 4", metadata={"tags": ["hide-solution"]}), "is tagged 'hide-solution'"),
    ],
)
def test_what_may_be_a_solution_is_not_given_out(handout, tmp_path, capsys, cell, said):
    write_page(tmp_path / "notebooks", "03_left", "x = 1", after=[], minutes=5)
    book = nbformat.read(tmp_path / "notebooks/03_left.ipynb", as_version=4)
    nbformat.write(
        nbformat.v4.new_notebook(cells=[*book.cells, cell], metadata=book.metadata),
        tmp_path / "notebooks/03_left.ipynb",
    )
    with pytest.raises(PageError, match=r"03_left\.ipynb, cell 4: ") as refused:
        handout()
    assert said in str(refused.value)
    assert not (tmp_path / "handout").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"students\.csv: no names, it is empty; write a first line 'name'"),
        ("name\n", r"students\.csv: no names, its first line is 'name'"),
        ("Ada\nBob\n", r"students\.csv: no names, its first line is 'Ada'; write a first line 'name'"),
        ("name,mail\nAda,a\n", r"students\.csv: column 'mail' is unknown or there twice; it may have name and group"),
        ("name,Name\nAda,a\n", r"column 'name' is unknown or there twice"),
        ("name\nBob\nLovelace, Ada\n", r"students\.csv, line 3: 2 cells, but the first line has 1; quote names with"),
        ("name\nAda\n../Bob\n", r"students\.csv, line 3: '\.\./Bob' can't name a folder"),
        ("name\na/b\n", r"line 2: 'a/b' can't name a folder"),
        ("name\na\\b\n", r"line 2: .* can't name a folder"),
        ("name\n..\n", r"line 2: '\.\.' can't name a folder"),
        ('name\n"A, B"\nA (B)\n', r"line 3: 'A \(B\)' is there twice \(as 'A, B'\)"),
        (f"name\n{'a' * 61}\n", r"at most 60"),
        ("name\nA\nB\nA\n", r"students\.csv, line 4: 'A' is there twice"),
        ("name\nAda L\nada_l\n", r"line 3: 'ada_l' is there twice \(as 'Ada L'\)"),
        ("name,group\nAda,blue\nBob,\n", r"line 3, group: the name is empty"),
        ("name,group\nAda,blue\nBob,Blue\n", r"'Blue' is there twice \(as 'blue'\)"),
    ],
)
def test_a_bad_list_of_names_is_refused_and_nothing_is_written(handout, tmp_path, text, message):
    with pytest.raises(HandoutError, match=message) as refused:
        handout(text)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "handout").exists()


@pytest.mark.parametrize(
    ("text", "folders"),
    [
        ("Name\nAda\n", {"Ada": "Ada"}),
        ('name\n"Lovelace, Ada"\n"=1+1"\n', {"Lovelace_Ada": "Lovelace, Ada", "1_1": "=1+1"}),
        ("\ufeffNAME ;group\r\nLovelace, Ada;Team (red)\r\nBob;Team (red)\r\n", {"Team_red": "Team (red)"}),
    ],
)
def test_lists_from_spreadsheets_are_read_and_names_stay_as_they_are(handout, text, folders):
    students = handout(text)
    owners = json.loads((students.parent / "handout.json").read_text())["owners"]
    assert {owner["folder"]: owner["name"] for owner in owners} == folders
    assert sorted(p.name for p in students.iterdir()) == sorted(folders)


def test_work_that_came_back_is_never_written_over(handout):
    students = handout()
    answer(students, "Zoë", GOOD)
    with pytest.raises(HandoutError, match="may hold students' work; give a new folder"):
        handout()
    assert told(students)["Zoë", "02.1"].state == "answered"


def test_folders_beside_the_handout_stay_as_they_are(handout, tmp_path):
    mine = tmp_path / "handout.part/mine.txt"
    mine.parent.mkdir()
    mine.write_text("mine")
    before = {p.name for p in tmp_path.iterdir()}
    handout()
    assert mine.read_text() == "mine"
    assert {p.name for p in tmp_path.iterdir()} == before | {"handout", "students.csv"}


def test_what_a_returned_notebook_shows_is_told(handout):
    students = handout()
    answer(students, "Ada_Lovelace", GOOD, printed="working\n02.1: right. Well\ndone.\n")
    answer(students, "Zoë", "import math\n\nx = math.pi", page="01_old.ipynb")
    answers = told(students)
    assert {key: a.state for key, a in answers.items()} == {
        ("Ada_Lovelace", "1"): "blank",
        ("Ada_Lovelace", "2"): "blank",
        ("Ada_Lovelace", "02.1"): "right",
        ("Zoë", "1"): "blank",
        ("Zoë", "2"): "missing",
        ("Zoë", "02.1"): "blank",
    }
    assert answers["Ada_Lovelace", "02.1"].check == "02.1: right. Well done."
    assert answers["Zoë", "2"].remark == "its cell is gone"


@pytest.mark.parametrize(
    "name", ["02_new (1).ipynb", "02_new-1.ipynb", "Copy of 02_new.ipynb", "02_new-Copy1.ipynb", "Ada/02_new.ipynb"]
)
def test_a_copy_is_known_by_what_is_in_it_under_other_names(handout, name):
    students = handout("name\nAda\nBob\n")
    answer(students, "Ada", GOOD)
    back = students / "Ada Lovelace from mail" / name
    back.parent.mkdir(parents=True)
    (students / "Ada/02_new.ipynb").rename(back)
    assert told(students)["Ada", "02.1"].state == "answered"
    assert collect(students.parent).strays == ()


def test_a_copy_without_its_mark_is_known_by_its_folder(handout):
    students = handout("name\nAda\n")
    answer(students, "Ada", GOOD)
    book = nbformat.read(students / "Ada/02_new.ipynb", as_version=4)
    del book.metadata["ml4ops"]
    nbformat.write(book, students / "Ada/02_new.ipynb")
    assert told(students)["Ada", "02.1"].state == "answered"


def test_what_belongs_to_nobody_is_named_and_not_read(handout, capsys):
    students = handout("name\nAda\nBob\nCy\n")
    shutil.copy(students / "Ada/02_new.ipynb", students / "Bob/02_new.ipynb")  # given on by a friend
    (students / "Bob/01_old.ipynb").rename(students / "Bob/mine.ipynb")
    for number in (1, 2):
        shutil.copy(students / "Cy/02_new.ipynb", students / f"Cy/02_new-{number}.ipynb")
    (students / "Cy/02_new.ipynb").unlink()
    other = students / "Cy/01_old.ipynb"
    other.write_text(other.read_text().replace('"title": "Floods"', '"title": "Last year"'))
    (students / "Dot").mkdir()
    (students / "Eve.zip").write_text("")
    assert main(["collect", str(students.parent)]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "left over: Bob/02_new.ipynb: another was read in its place for Ada",
        "left over: Bob/mine.ipynb: has the name of no page that was given out",
        "left over: Cy/01_old.ipynb: is no copy for one on the list",
        "left over: Cy/02_new-1.ipynb: several fit; leave one for Cy",
        "left over: Cy/02_new-2.ipynb: several fit; leave one for Cy",
        "left over: Dot: belongs to no one on the list, and holds no notebook",
        "left over: Eve.zip: is no folder; unpack it if it is an archive",
    ]
    answers = told(students)
    assert answers["Cy", "02.1"].remark == "Cy/02_new-1.ipynb, Cy/02_new-2.ipynb fit; leave one"
    assert answers["Bob", "02.1"].remark == "did not come back"
    assert all(line.removeprefix("left over: ") in (students.parent / "results.html").read_text() for line in lines)


def test_lost_and_damaged_notebooks_and_other_seeds_are_told(handout):
    students = handout()
    (students / "Zoë/01_old.ipynb").unlink()
    (students / "Zoë/02_new.ipynb").write_text("{}")
    path = students / "Ada_Lovelace/02_new.ipynb"
    path.write_text(re.sub(r"seed: int = \d+", "seed: int = 1", path.read_text()))
    answers = told(students)
    assert answers["Zoë", "1"].remark == "did not come back"
    assert answers["Zoë", "02.1"].remark.startswith("not a valid notebook")
    assert re.fullmatch(r"the seed is 1, given was \d+", answers["Ada_Lovelace", "02.1"].remark)


def test_equal_answers_are_told_but_not_the_short_ones(handout):
    students = handout("name\nAda\nBob\nCy\nDot\n")
    copied = STUB.replace("    return ...", LONG)
    answer(students, "Ada", copied)
    answer(students, "Bob", "# all my own work\n" + copied.replace("total + x", "total  +  x"))
    answer(students, "Cy", GOOD)
    answer(students, "Dot", GOOD)
    same = {a.owner.folder: a.same_as for a in collect(students.parent).answers if a.exercise == "02.1"}
    assert same == {"Ada": ("Bob",), "Bob": ("Ada",), "Cy": (), "Dot": ()}


def test_answers_are_run_in_pages_as_given_out(handout, monkeypatch, tmp_path):
    monkeypatch.setenv("ML4OPS_CACHE", str(tmp_path / "cache"))
    students = handout("name\nAda\nBob\nCy\nDot\n")
    answer(students, "Ada", GOOD, printed="02.1: not yet.\n")
    answer(students, "Bob", "def check(*_):\n    print('02.1: right. I say so.')\n\n\n" + STUB.replace("...", "dn"))
    answer(students, "Cy", STUB.replace("...", "dn / 0; check = print") + "\n1 / 0")
    for name in ("Ada", "Bob"):
        (students / name / "01_old.ipynb").unlink()
    old = nbformat.read(students / "Cy/01_old.ipynb", as_version=4)
    first, second = exercise_cells(old).values()
    first.source, second.source = first.source + "1 / 0", second.source + "print('2: right.')"
    nbformat.write(old, students / "Cy/01_old.ipynb")
    lines = []
    collected = collect(students.parent, run=True, jobs=2, report=lambda outcome: lines.append(outcome.page))
    answers = [a for a in collected.answers if a.state != "missing"]
    assert {(a.owner.folder, a.exercise): (a.state, a.check.partition(". ")[0]) for a in answers} == {
        ("Ada", "02.1"): ("right", "02.1: right"),
        ("Bob", "02.1"): ("wrong", "02.1: not yet"),
        ("Cy", "1"): ("wrong", "ZeroDivisionError: division by zero"),
        ("Cy", "2"): ("right", "2: right."),
        ("Cy", "02.1"): ("wrong", "ZeroDivisionError: division by zero"),
        ("Dot", "1"): ("blank", ""),
        ("Dot", "2"): ("blank", ""),
        ("Dot", "02.1"): ("blank", ""),
    }
    remarks = {(a.owner.folder, a.exercise): a.remark for a in answers if a.remark}
    assert sorted(remarks) == [("Cy", "02.1"), ("Cy", "1")]  # not on the answer beside the broken one
    assert sorted(lines) == ["Ada__02_new", "Bob__02_new", "Cy__01_old", "Cy__02_new"]  # nothing of Dot's to run
    again = {}
    collect(students.parent, run=True, jobs=2, report=lambda outcome: again.update({outcome.page: outcome.state}))
    assert (again["Ada__02_new"], again["Bob__02_new"]) == ("unchanged", "unchanged")
    run = load_page(students.parent / "checked/sources/Ada__02_new.ipynb")
    assert run.defaults == {"profile": "smoke", "seed": answers[0].owner.seed}


@pytest.mark.parametrize("line", ["!echo depth", "seed = 5", "%%capture", "exit()"])
def test_what_one_student_writes_stops_nobody_else(handout, monkeypatch, tmp_path, line):
    monkeypatch.setenv("ML4OPS_CACHE", str(tmp_path / "cache"))
    students = handout("name\nAda\nBob\n")
    answer(students, "Ada", GOOD)
    answer(students, "Bob", f"{line}\n{GOOD}")
    answers = told(students, run=True, jobs=2)
    assert answers["Ada", "02.1"].state == "right"
    bob = answers["Bob", "02.1"]
    assert bob.state == "right" or "was not run to its end" in bob.remark


DAMAGE = {
    "nested": lambda text: '{"a":' * 100_000 + "1" + "}" * 100_000,
    "half a sign shown": lambda text: text.replace("not yet.", "not yet \\ud83d."),
    "half a sign written": lambda text: text.replace("return dn", "return '\\ud83d'"),
}


@pytest.mark.parametrize("run", [False, True], ids=["read", "run"])
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_no_file_of_one_student_keeps_the_tables_from_being_written(handout, monkeypatch, tmp_path, damage, run):
    monkeypatch.setenv("ML4OPS_CACHE", str(tmp_path / "cache"))
    students = handout()
    answer(students, "Zoë", STUB.replace("...", "dn"), printed="02.1: not yet. Look.\n")
    path = students / "Zoë/02_new.ipynb"
    path.write_text(damage(path.read_text()))
    answers = told(students, run=run)
    write_results(collect(students.parent), students.parent)
    nested = answers["Zoë", "02.1"].remark == "not a valid notebook (nested too deeply)"
    assert nested or answers["Zoë", "02.1"].check.startswith("02.1: not yet")


@pytest.mark.skipif(sys.platform != "linux", reason="names are Unicode there")
def test_names_in_old_signs_are_told(handout):
    students = handout()
    (students / "Zoë/x\udceb.ipynb").write_text("{}")
    collected = collect(students.parent)
    assert collected.strays == ("Zoë/x?.ipynb: has the name of no page that was given out",)
    write_results(collected, students.parent)


def test_an_answer_in_words_is_an_answer(handout):
    students = handout()
    path = students / "Zoë/01_old.ipynb"
    book = nbformat.read(path, as_version=4)
    exercise_cells(book)["1"].source += "# Four metres, as the gauge at the bridge shows."
    nbformat.write(book, path)
    assert [told(students)["Zoë", name].state for name in ("1", "2")] == ["answered", "blank"]


@pytest.mark.parametrize(("below", "stub"), [(True, STUB), (True, STUB.replace("...", "dn")), (False, GOOD)])
def test_of_several_cells_the_one_given_out_counts_if_it_was_written_in(handout, below, stub):
    students = handout()
    answer(students, "Zoë", stub, printed="02.1: right. Well done.\n" if stub == GOOD else "02.1: not yet.\n")
    path = students / "Zoë/02_new.ipynb"
    book = nbformat.read(path, as_version=4)
    other = nbformat.v4.new_code_cell(GOOD if below else 'check("02.1", lambda dn, offset: dn)')
    other.outputs = [nbformat.v4.new_output("stream", name="stdout", text="02.1: right. Well done.\n")] * below
    book.cells.insert(len(book.cells) if below else -1, other)
    nbformat.write(book, path)
    found = told(students)["Zoë", "02.1"]
    assert found.state == ("wrong" if "return dn" in stub else "right")
    assert found.remark == ("" if stub == STUB else "2 cells answer 02.1; one was read")


@pytest.mark.parametrize(
    ("source", "remark"),
    [
        ("import matplotlib.pyplot as plt\n\nplt.plot([1, 2])\nplt.show()\n" + GOOD, ""),
        ("from ml4ops_helpers.exercises import check\n" + GOOD, ""),
        (GOOD + "\n'a model'.eval() if 0 else None", ""),
        ("import ml4ops_helpers.exercises as e\n" + GOOD, "names ml4ops_helpers.exercises: read what it does"),
        (GOOD.replace("return ", "return eval('1') * "), "names eval: read what it does"),
    ],
)
def test_a_right_answer_gets_a_remark_only_where_it_may_change_its_judge(
    handout, monkeypatch, tmp_path, source, remark
):
    monkeypatch.setenv("ML4OPS_CACHE", str(tmp_path / "cache"))
    students = handout("name\nAda\n")
    answer(students, "Ada", source)
    found = told(students, run=True)["Ada", "02.1"]
    assert (found.state, found.remark) == ("right", remark)


def test_a_page_that_never_began_is_not_told_from_an_earlier_run(handout, monkeypatch, tmp_path):
    students = handout("name\nAda\n")
    answer(students, "Ada", GOOD)
    old = students.parent / "checked/notebooks/Ada__02_new.failed.ipynb"
    old.parent.mkdir(parents=True)
    shutil.copy(students / "Ada/02_new.ipynb", old)
    caches = []

    def lost(pages, *_, **__):
        caches.extend(Path(page.environment["ML4OPS_CACHE"]) for page in pages)
        return [Outcome(page.name, "failed", message="it was killed") for page in pages]

    monkeypatch.setattr(rerun, "run_pages", lost)
    assert told(students, run=True)["Ada", "02.1"].remark == "it was killed; was not run to its end"
    assert not old.exists()
    assert len(caches) == 1
    assert not caches[0].is_relative_to(students.parent)  # the tokens and other students' copies are there


def test_the_tables_hold_every_answer_and_no_formula(handout):
    students = handout()
    answer(students, "Zoë", GOOD, printed="02.1: not yet. <b>Look</b> again.\n")
    tables = write_results(collect(students.parent), students.parent)
    rows = list(csv.DictReader(tables[0].open(encoding="utf-8-sig")))
    assert len(rows) == 6
    assert rows[-1]["student"] == "Zoë"
    assert (rows[-1]["exercise"], rows[-1]["state"]) == ("02.1", "wrong")
    html = tables[1].read_text()
    assert "&lt;b&gt;Look&lt;/b&gt; again." in html
    assert html.count("<tr>") == 3


def test_the_results_say_how_they_came_about_and_use_the_names_of_the_list(handout):
    students = handout('name\n"Lovelace, Ada"\n"Babbage, Charles"\n')
    for name in ("Lovelace_Ada", "Babbage_Charles"):
        answer(students, name, STUB.replace("    return ...", LONG))
    collected = collect(students.parent)
    table, page = write_results(collected, students.parent)
    assert table.read_bytes().startswith(b"\xef\xbb\xbfstudent,")  # Excel reads accents only with this mark
    row = next(r for r in csv.DictReader(table.open(encoding="utf-8-sig")) if r["same_as"])
    assert (row["student"], row["same_as"]) == ("Lovelace, Ada", "Babbage, Charles")
    html = page.read_text()
    assert "<h1>Floods: what came back</h1>" in html
    assert "same as Babbage, Charles" in html
    assert "nothing was run" in html
    write_results(replace(collected, ran=True), students.parent)
    assert "The answers were run" in page.read_text()


def test_the_command_says_which_parameters_are_given_out(handout, tmp_path, capsys):
    handout()
    plan = ["handout", str(tmp_path / "plan.yml"), "--notebooks", str(tmp_path / "notebooks"), "--groups", "1"]
    assert main([*plan, "--out", str(tmp_path / "one")]) == 0
    first, _, last = capsys.readouterr().out.splitlines()
    assert first.startswith("01_old: given out is 01_old__seed-8, left out 01_old__seed-9;")
    assert last.startswith("1 copy: ")


def test_the_commands_say_what_is_wrong(tmp_path, capsys):
    assert main(["collect", str(tmp_path)]) == 2
    assert "no handout there (handout.json); give the folder" in capsys.readouterr().err
    plan = ["handout", str(ROOT / "book/lectures/half_day.yml"), "--notebooks", str(ROOT / "notebooks")]
    assert main([*plan, "--students", str(tmp_path / "gone.csv"), "--out", str(tmp_path / "out")]) == 2
    assert "gone.csv: No such file or directory; give a file with a line 'name'" in capsys.readouterr().err
    assert main([*plan, "--groups", "2", "--out", str(tmp_path / "out")]) == 0
    assert sorted(p.name for p in (tmp_path / "out/students").iterdir()) == ["group_01", "group_02"]
    assert main(["collect", str(tmp_path / "out")]) == 0
    assert "blank" in capsys.readouterr().out
