"""What a plan may say, and how a mistake in it is reported before anything runs."""

import re
import shutil
from pathlib import Path

import nbformat
import pytest
from book_tools.lecture import cache_names
from book_tools.plans import PlanError, read_plan
from book_tools.timetables import write_timetables
from tiny_pages import PARAMETERS, write_page

ROOT = Path(__file__).parents[2]
PLANS = sorted((ROOT / "book/lectures").glob("*.yml"))


def entries(*runs, **more):
    return {"title": "T", "runs": list(runs)} | more


def test_a_plan_is_pages_times_cases_times_grid(plan):
    entry = {"pages": ["01", "02_b"], "cases": {"dry": {"profile": "smoke"}, "wet": {}}, "grid": {"seed": [3, 4]}}
    runs = plan(entries(entry, defaults={"profile": "full"})).runs
    assert len(runs) == 8
    assert [r.name for r in runs[:3]] == ["01_a__dry-seed-3", "01_a__dry-seed-4", "01_a__wet-seed-3"]
    assert runs[0].parameters == {"profile": "smoke", "seed": 3}
    assert runs[2].parameters == {"profile": "full", "seed": 3}


def test_a_run_goes_after_the_run_with_its_parameters(plan):
    runs = plan(entries({"pages": ["03_c", "01_a"], "grid": {"seed": [1, 2]}}, {"pages": ["02_b"]})).runs
    after = {r.name: r.after for r in runs if r.after}
    assert after == {"03_c__seed-1": ("01_a__seed-1",), "03_c__seed-2": ("01_a__seed-2",)}


ONE = {"pages": ["01"]}


@pytest.mark.parametrize(
    ("content", "place", "mistake"),
    [
        (entries(ONE, job=2), "plan.yml", "'job'.*title, defaults, runs"),
        ({"runs": [ONE]}, "plan.yml, title", "required"),
        (entries(), "plan.yml, runs", "at least 1"),
        (entries(ONE, {"page": ["01"]}), "plan.yml, runs, entry 2", "'page'"),
        (entries({"pages": ["09"]}), "plan.yml, entry 1", "'09'.* 01_a, 02_b, 03_c"),
        (entries({"pages": [1]}), "plan.yml, runs, entry 1, pages", "list of page names"),
        (entries(ONE | {"parameters": {"sede": 1}}), "plan.yml, entry 1", "01_a.*'sede'.*profile, seed"),
        (entries(ONE | {"grid": {"seed": [1, "two"]}}), "plan.yml, entry 1", "01_a.*seed is int, got 'two'"),
        (entries(ONE | {"grid": {"seed": 3}}), "plan.yml, runs, entry 1, grid, seed", "list.*3"),
        (entries(ONE, defaults={"sede": 1}), "plan.yml", "defaults.*'sede'"),
        (
            "title: T\nruns:\n- pages: [01_a]\n  cases: {dry: {}, dry: {seed: 2}}\n",
            "plan.yml, line 4",
            "duplicate.*dry",
        ),
        (entries(ONE | {"cases": {"../x": {}}}), "plan.yml, runs, entry 1, cases, ../x", "letters"),
        (entries(ONE | {"cases": {"x" * 61: {}}}), "plan.yml, runs, entry 1, cases, x+", "at most 60"),
        (entries(ONE, {"pages": "all"}), "plan.yml", "duplicate run 01_a"),
        (entries(ONE, ONE | {"cases": {"same": {"seed": 0}}}), "plan.yml", "01_a__same and 01_a are the same"),
        ("title: [", "plan.yml, line 1", "YAML"),
        ("- 1", "plan.yml", "mapping"),
        *(
            (f"title: T\nruns:\n- pages: [01_a]\n  parameters: {{seed: {text}}}\n", "plan.yml, entry 1", f"'{text}'")
            for text in ("12:30", "1:30.5", "010")  # numbers of YAML 1.1 that few would read as such
        ),
    ],
)
def test_a_mistake_is_reported_in_one_line_with_its_place(plan, content, place, mistake):
    with pytest.raises(PlanError) as refused:
        plan(content)
    assert re.fullmatch(f"{place}: .*{mistake}.*", str(refused.value)), str(refused.value)


@pytest.mark.parametrize("words", [["ä", "ö"], ["?", "!"], ["x" * 300, "x" * 299 + "y"], ["2019_01", "201901"]])
def test_texts_stay_texts_and_give_runs_names_of_their_own(plan, tmp_path, words):
    write_page(tmp_path / "notebooks", "04_d", parameters=(f"{PARAMETERS}\nword: str = 'a'",))
    runs = plan(entries({"pages": ["04_d"], "grid": {"word": words}})).runs
    assert [run.parameters["word"] for run in runs] == words
    assert len({run.name for run in runs}) == 2
    assert all(re.fullmatch(r"[\w.-]{1,60}", run.name, re.ASCII) for run in runs)


def test_a_run_works_on_the_files_of_those_it_goes_after(plan, tmp_path):
    more = f"{PARAMETERS}\ndepth: float = 1.0"
    write_page(tmp_path / "notebooks", "04_d", parameters=(more,), after=["03_c"])
    write_page(tmp_path / "notebooks", "05_e", after=["02_b", "04_d"])
    deep = plan(entries({"pages": ["01", "02", "03"]}, {"pages": ["04"], "parameters": {"depth": 2}}))
    assert len(set(cache_names(deep).values())) == 1
    with pytest.raises(PlanError, match=r"05_e goes after 02_b and 04_d.*different parameters"):
        cache_names(plan(entries({"pages": ["02", "04", "05"]})))


@pytest.mark.parametrize("path", PLANS, ids=lambda p: p.stem)
def test_the_plans_of_the_book_fit_its_pages(path):
    plan = read_plan(path, ROOT / "notebooks")
    assert all(run.part for run in plan.runs)
    assert cache_names(plan).keys() == {run.name for run in plan.runs}


def test_the_plan_shown_in_the_guide_works(tmp_path):
    shown = re.search(r"```yaml\n(.*?)```", (ROOT / "book/instructor_guide.md").read_text(), re.DOTALL)[1]
    (tmp_path / "shown.yml").write_text(shown)
    assert len(read_plan(tmp_path / "shown.yml", ROOT / "notebooks").runs) == 13


def test_the_guide_gets_the_timetable_of_each_plan(tmp_path):
    assert {path.stem for path in PLANS} >= {"half_day", "two_days", "semester"}
    shutil.copytree(ROOT / "book", tmp_path / "book", ignore=shutil.ignore_patterns("figures", "_static"))
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    first = tmp_path / "notebooks/01_scope_the_problem.ipynb"
    book = nbformat.read(first, as_version=4)
    book.metadata.ml4ops |= {"minutes": 33, "run": {"seconds": 90.0}}
    nbformat.write(book, first)
    write_timetables(tmp_path)
    guide = (tmp_path / "book/instructor_guide.md").read_text()
    assert "The site shows the timetable here" not in guide
    row = "| Before the break | [Scope the problem](../notebooks/01_scope_the_problem.ipynb) | 33 | 1.5 |"
    assert guide.count(row) == 1
    assert re.search(r"\| \*\*in all\*\* \| \| \*\*\d+\*\* \| \*\*1\.5\*\* \|", guide)
    assert re.search(r"Train a model\]\(../notebooks/03_train_a_model.ipynb\) \| \d+ \| – \|", guide)
