"""Start, figures, records and end of a notebook."""

import json
import random
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
import torch

from ml4ops_helpers import lesson
from ml4ops_helpers.datasets import loaders


@pytest.fixture
def shown(monkeypatch):
    """What was displayed, with the options of each call."""
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **options: shown.append((data, options)))
    return shown


@pytest.fixture
def targets_file(tmp_path, monkeypatch):
    monkeypatch.setenv("ML4OPS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "targets.json"


def test_start_makes_every_generator_repeat():
    def draw():
        begun = lesson.start("99_example", "smoke", 7)
        return random.random(), np.random.rand(), torch.rand(1).item(), begun.rng.random()  # noqa: NPY002

    assert draw() == draw()


@pytest.mark.parametrize(
    ("profile", "seed", "noun"),
    [
        ("lectures", 0, "'lectures'"),
        ("smoke", -1, "seed"),
        ("smoke", 2**32, "seed"),
        ("smoke", "0", "seed '0'"),
        ("smoke", True, "seed True"),
    ],
)
def test_start_names_the_bad_parameter(profile, seed, noun):
    with pytest.raises(ValueError, match=noun):
        lesson.start("99_example", profile, seed)


def test_start_takes_the_threads_it_is_given(monkeypatch):
    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    lesson.start("99_example", "smoke", 0)
    given = torch.get_num_threads()
    torch.set_num_threads(before)
    assert given == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    with pytest.raises(ValueError, match="OMP_NUM_THREADS"):
        lesson.start("99_example", "smoke", 0)


def test_figure_carries_its_alt_text_and_shows_once(shown):
    begun = lesson.start("99_example", "smoke", 0)
    fig, ax = plt.subplots()
    ax.plot([0, 1])
    begun.figure(fig, "A straight line\n   from zero to one.")
    assert shown == [(fig, {"metadata": {"image/png": {"alt": "A straight line from zero to one."}}})]
    assert not plt.fignum_exists(fig.number)
    with pytest.raises(ValueError, match="alt text"):
        begun.figure(fig, "plot")


def test_finish_hands_over_the_record(capsys, shown):
    begun = lesson.start("99_example", "smoke", 3)
    begun.metric("water IoU", np.float32(0.5))
    begun.metric("events", np.int64(4))
    begun.metric("cloud IoU", float("nan"))
    begun.metric("passed", True)
    assert capsys.readouterr().out == "water IoU: 0.5\nevents: 4\ncloud IoU: nan\npassed: True\n"
    begun.finish()
    record = json.loads(json.dumps(shown[0][0][lesson.RECORD_MIME], allow_nan=False))
    assert record.pop("seconds") >= 0
    assert record == {
        "page": "99_example",
        "profile": "smoke",
        "seed": 3,
        "metrics": {"water IoU": 0.5, "events": 4, "cloud IoU": None, "passed": True},
    }
    assert shown[0][0]["text/plain"].startswith("99_example: profile smoke, ")


def test_metric_rejects_an_array():
    with pytest.raises(TypeError, match="'iou'"):
        lesson.start("99_example", "smoke", 0).metric("iou", np.zeros(2))


def test_the_record_holds_the_hash_of_the_data(monkeypatch, tmp_path, shown):
    (tmp_path / "a.tif").write_bytes(b"water")
    table = pd.DataFrame({"image": [str(tmp_path / "a.tif")]})
    monkeypatch.setattr(loaders, "get_dataset", lambda source, **options: table)
    for source in ("embedded", "embedded", "worldfloods"):
        begun = lesson.start("99_example", "smoke", 0)
        begun.dataset(source)
        begun.finish()
        (tmp_path / "a.tif").write_bytes(b"land")
    water, land, none = (data[lesson.RECORD_MIME].get("data") for data, _ in shown)
    assert len(water) == len(land) == 12
    assert water != land
    assert none is None


def test_dataset_is_that_of_the_page(monkeypatch):
    monkeypatch.setattr(loaders, "get_dataset", lambda source, **options: (source, options))
    begun = lesson.start("99_example", "lecture", 5)
    assert begun.dataset("sen1floods11") == ("sen1floods11", {"profile": "lecture", "seed": 5})


def test_targets_written_are_read_back(targets_file, capsys):
    mine = dict(lesson.DEFAULT_TARGETS, min_water_iou=0.8)
    assert lesson.write_targets(mine) == targets_file
    assert lesson.read_targets() == mine
    assert "those of 01_scope_the_problem" in capsys.readouterr().out
    assert list(targets_file.parent.iterdir()) == [targets_file]


def test_targets_are_the_published_ones_before_page_01_ran(targets_file, capsys):
    assert lesson.read_targets() == lesson.DEFAULT_TARGETS
    assert "published" in capsys.readouterr().out


@pytest.mark.parametrize(
    "change", [{"min_water_io": 0.5}, *({"min_water_iou": value} for value in (-1, "high", float("nan"), True))]
)
def test_targets_that_make_no_sense_are_rejected(targets_file, change):
    with pytest.raises(ValueError, match=next(iter(change))):
        lesson.write_targets(lesson.DEFAULT_TARGETS | change)
    assert not targets_file.exists()


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_damaged_targets_file_is_named(targets_file, content):
    targets_file.parent.mkdir()
    targets_file.write_text(content)
    with pytest.raises(ValueError, match=r"targets\.json"):
        lesson.read_targets()


def test_page_01_computes_the_published_targets():
    page = nbformat.read(Path(__file__).parents[1] / "notebooks/01_scope_the_problem.ipynb", as_version=4)
    names = {"np": np, "pd": pd}
    for cell in page.cells:
        if "targets" in cell.metadata.get("tags", []):
            exec(cell.source, names)
    assert names["targets"] == lesson.DEFAULT_TARGETS
    assert names["best_threshold"] == 1 / (1 + 4)
