"""The line of progress."""

import io

import pytest
from book_tools.display import ERASE, Progress
from book_tools.runner import Outcome

from book_tools import display


class Screen(io.StringIO):
    def __init__(self, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal

    def lines(self):
        """What stands there in the end."""
        return [line.rpartition(ERASE)[2] for line in self.getvalue().split("\n")]


@pytest.mark.parametrize("terminal", [True, False])
def test_the_line_gives_way_to_outcomes_and_is_gone_in_the_end(terminal):
    screen = Screen(terminal)
    with Progress(lambda outcome: screen.write(f"{outcome.state} {outcome.page}\n"), screen) as progress:
        progress.watch({"01_a": 0.2, "02_b": 11.6})
        if terminal:
            assert screen.lines() == ["01_a 0 s · 02_b 12 s"]
        progress.report(Outcome("01_a", "run"))
        progress.watch({"02_b": 12.9})
    assert screen.lines() == ["run 01_a", ""]
    assert (ERASE in screen.getvalue()) is terminal


def test_nothing_is_written_while_nothing_changes():
    screen = Screen(terminal=True)
    progress = Progress(lambda outcome: None, screen)
    for tenth in range(5):
        progress.watch({"01_a": 3 + tenth / 10})
    assert screen.getvalue() == f"{ERASE}01_a 3 s"


def test_the_line_stays_on_one_line(monkeypatch):
    monkeypatch.setattr(display.shutil, "get_terminal_size", lambda: display.shutil.os.terminal_size((20, 24)))
    screen = Screen(terminal=True)
    Progress(lambda outcome: None, screen).watch({"01_scope_the_problem": 3.0})
    assert screen.lines() == ["01_scope_the_probl…"]
