"""The command line: what it passes on, what it prints, how it exits."""

import json

import pytest
from book_tools.runner import Outcome

from book_tools import browser, check, commands, pages, runner, scaffold, site, slides


@pytest.fixture(autouse=True)
def _keep_signals(monkeypatch):
    monkeypatch.setattr(commands.signal, "signal", lambda number, handler: None)


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """Stands in for the runner, in an empty folder; ``outcomes`` is what it is to report."""
    monkeypatch.chdir(tmp_path)
    seen = {"outcomes": [Outcome("01_a", "run", 2.5)]}

    def run_pages(found, parameters, out, *, report, **options):
        seen.update(options, pages=found, parameters=parameters, out=str(out))
        for outcome in seen["outcomes"]:
            report(outcome)
        return seen["outcomes"]

    monkeypatch.setattr(runner, "run_pages", run_pages)
    named = type("Named", (str,), {"types": {"tile": "str", "rate": "float"}})
    monkeypatch.setattr(pages, "find_pages", lambda folder, wanted: [named(name) for name in (folder, *wanted)])
    monkeypatch.setenv("ML4OPS_DATA", "")
    return seen


def test_run_passes_its_options_on(calls, capsys):
    code = commands.main(
        ["run", "01", "03", "-p", "seed", "3", "-p", "rate", "0.5", "--profile", "smoke", "--jobs", "2"]
    )
    assert code == 0
    assert calls["pages"] == ["notebooks", "01", "03"]
    assert calls["parameters"] == {"seed": 3, "rate": 0.5, "profile": "smoke"}
    assert (calls["jobs"], calls["force"], calls["out"], calls["data"]) == (2, False, "_build/notebooks", None)
    assert capsys.readouterr().out.splitlines() == [
        "      run      2.5 s  01_a",
        "",
        "page      state   seconds      MB",
        "01_a        run       2.5       –",
    ]


@pytest.mark.parametrize("written", ["2019_01", "007", "1_000", "1e3", "12", "True", "smoke", "a, b", "[1]"])
def test_a_text_is_taken_as_written_and_quotes_are_taken_off(calls, written):
    for given in (written, repr(written)):
        assert commands.main(["run", "-p", "tile", given, "-p", "rate", "1_000"]) == 0
        assert calls["parameters"] == {"tile": written, "rate": 1000}


def test_run_leaves_a_report_beside_the_pages(calls, tmp_path):
    assert commands.main(["run"]) == 0
    (written,) = json.loads((tmp_path / "_build/notebooks/report/run.json").read_text())
    assert (written["page"], written["state"]) == ("01_a", "run")


def test_a_run_that_never_began_leaves_no_old_report(calls, tmp_path, monkeypatch):
    def refuse(folder, wanted):
        raise pages.PageError("01_a.ipynb: no cell is tagged 'parameters'; tag exactly one")

    commands.main(["run"])
    monkeypatch.setattr(pages, "find_pages", refuse)
    assert commands.main(["run"]) == 1
    (written,) = json.loads((tmp_path / "_build/notebooks/report/run.json").read_text())
    assert (written["state"], written["message"][:10]) == ("failed", "01_a.ipynb")


@pytest.mark.parametrize("state", ["failed", "skipped"])
def test_run_fails_when_a_page_does_and_says_why(calls, capsys, state):
    calls["outcomes"].append(Outcome("02_b", state, 1.0, "02_b.ipynb, cell 3: ValueError: no water"))
    assert commands.main(["run"]) == 1
    assert capsys.readouterr().err == "02_b.ipynb, cell 3: ValueError: no water\n"


def test_run_fails_in_one_line_where_there_is_no_notebook(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert commands.main(["run"]) == 1
    assert capsys.readouterr().err == "notebooks: no notebook there; run from the root of the repository\n"


def test_wrong_usage_exits_with_two(capsys):
    for arguments in ([], ["walk"], ["run", "--jobs", "0"], ["run", "-p", "seed"]):
        with pytest.raises(SystemExit) as raised:
            commands.main(arguments)
        assert raised.value.code == 2
    assert "'0' is not a positive integer" in capsys.readouterr().err


def test_site_builds_or_checks(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(site, "build_site", lambda root: root / "_build/html")
    assert commands.main(["site", "--root", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"the site is in {tmp_path}/_build/html\n"
    monkeypatch.setattr(check, "check_site", lambda root: [])
    assert commands.main(["site", "--check"]) == 0
    assert capsys.readouterr().out == "the site is sound\n"
    monkeypatch.setattr(check, "check_site", lambda root: ["a.html: shows a traceback"])
    assert commands.main(["site", "--check"]) == 1
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("1 problems in the site\n", "a.html: shows a traceback\n")


@pytest.mark.parametrize(("command", "what"), [("site --browser", "site"), ("slides --check", "set of slides")])
def test_what_is_built_is_checked_in_a_browser_where_there_is_one(monkeypatch, capsys, command, what):
    monkeypatch.setattr(browser, "check_in_browser", lambda root, program: [f"a.html: {program}"])
    monkeypatch.setattr(slides, "check_slides", lambda root, program: [f"a.html: {program}"])
    monkeypatch.setattr(browser, "find_browser", lambda: None)
    monkeypatch.delenv("CI", raising=False)
    assert commands.main(command.split()) == 0
    captured = capsys.readouterr()
    assert f"the {what} was not checked: no browser; install Chromium" in captured.err
    assert "sound" not in captured.out
    monkeypatch.setenv("CI", "true")
    assert commands.main(command.split()) == 1
    monkeypatch.setattr(browser, "find_browser", lambda: "chromium")
    capsys.readouterr()
    assert commands.main(command.split()) == 1
    assert capsys.readouterr().err == "a.html: chromium\n"


def test_a_page_is_begun(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(scaffold, "new_page", lambda root, name: [root / f"09_{name}.ipynb", root / "page_09.py"])
    assert commands.main(["new", "map_a_fire", "--root", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "09_map_a_fire.ipynb: written" in out
    assert "page_09.py: written" in out


def test_a_wrong_name_is_refused_in_one_line(capsys, tmp_path):
    assert commands.main(["new", "Fire", "--root", str(tmp_path)]) == 2
    assert "'Fire' is not a page name" in capsys.readouterr().err


def test_site_fails_in_one_line_without_a_book(tmp_path, capsys):
    assert commands.main(["site", "--root", str(tmp_path)]) == 1
    assert "_toc.yml: missing" in capsys.readouterr().err


def test_a_parameter_is_given_once(calls, capsys):
    for arguments in (["-p", "seed", "1", "-p", "seed", "2"], ["-p", "profile", "lecture", "--profile", "smoke"]):
        assert commands.main(["run", *arguments]) == 2
        assert capsys.readouterr().err == f"parameter {arguments[1]} is given twice; give it once\n"
    assert "pages" not in calls


def test_a_run_that_is_killed_leaves_no_old_report(calls, tmp_path, monkeypatch):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    commands.main(["run"])
    monkeypatch.setattr(runner, "run_pages", stop)
    assert commands.main(["run"]) == 130
    assert "did not finish" in (tmp_path / "_build/notebooks/report/run.json").read_text()


def test_a_full_disk_fails_a_run_in_one_line(calls, tmp_path, monkeypatch, capsys):
    def fill(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(runner, "run_pages", fill)
    assert commands.main(["run"]) == 1
    assert capsys.readouterr().err == "the run did not finish: [Errno 28] No space left on device\n"
