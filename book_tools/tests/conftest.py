"""Runs of tiny notebooks."""

import pytest
from book_tools.pages import load_page
from tiny_pages import Kernels

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
