"""Runs of tiny notebooks."""

import pytest
import yaml
from book_tools.pages import load_page
from book_tools.plans import read_plan
from tiny_pages import Kernels, write_page

from book_tools import runner


@pytest.fixture
def kernels(monkeypatch, tmp_path):
    """Pretended kernels in place of the real ones, on four cores, with a cache that no other test uses."""
    monkeypatch.setenv("ML4OPS_CACHE", str(tmp_path / "cache"))
    pretended = Kernels()
    monkeypatch.setattr(runner, "Run", pretended.start)
    monkeypatch.setattr(runner, "count_cores", lambda: 4)
    monkeypatch.setattr(runner.time, "sleep", lambda seconds: None)
    return pretended


@pytest.fixture
def run(tmp_path):
    """Run the notebooks of ``tmp_path/notebooks`` into ``tmp_path/out``."""

    def run_all(names=(), parameters=None, **options):
        found = sorted((tmp_path / "notebooks").glob("*.ipynb"))
        pages = [load_page(p) for p in found if not names or p.stem in names]
        options = {"jobs": 2, "lock": tmp_path / "requirements.lock"} | options
        outcomes = runner.run_pages(pages, parameters or {}, tmp_path / "out", **options)
        return {o.page: o for o in outcomes}

    return run_all


@pytest.fixture
def plan(tmp_path):
    """Write a plan for three pages, the third of which goes after the first, and read it."""
    for name, after in (("01_a", []), ("02_b", []), ("03_c", ["01_a"])):
        write_page(tmp_path / "notebooks", name, "x = 1", after=after, minutes=1)

    def read(content):
        text = content if isinstance(content, str) else yaml.safe_dump(content)
        (tmp_path / "plan.yml").write_text(text)
        return read_plan(tmp_path / "plan.yml", tmp_path / "notebooks")

    return read
