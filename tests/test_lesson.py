"""What a notebook relies on when it starts, shows, records and ends."""

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
def targets_file(tmp_path, monkeypatch):
    path = tmp_path / "cache" / "targets.json"
    monkeypatch.setattr(lesson, "targets_path", lambda: path)
    return path


def test_start_makes_every_generator_repeat():
    def draw():
        begun = lesson.start("99_example", "smoke", 7)
        return random.random(), np.random.rand(), torch.rand(1).item(), begun.rng.random()  # noqa: NPY002

    assert draw() == draw()


@pytest.mark.parametrize(
    ("profile", "seed", "error", "message"),
    [
        ("lectures", 0, ValueError, "'lectures' is unknown; choose smoke, lecture, full"),
        ("smoke", -1, ValueError, "out of range"),
        ("smoke", 2**32, ValueError, "out of range"),
        ("smoke", "0", TypeError, "seed '0' is a str"),
        ("smoke", True, TypeError, "seed True is a bool"),
    ],
)
def test_start_names_the_bad_parameter(profile, seed, error, message):
    with pytest.raises(error, match=message):
        lesson.start("99_example", profile, seed)


def test_start_takes_the_threads_it_is_given(monkeypatch):
    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    lesson.start("99_example", "smoke", 0)
    given = torch.get_num_threads()
    torch.set_num_threads(before)
    assert given == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    with pytest.raises(ValueError, match="OMP_NUM_THREADS is 'many'"):
        lesson.start("99_example", "smoke", 0)


def test_figure_carries_its_alt_text_and_shows_once():
    begun = lesson.start("99_example", "smoke", 0)
    fig, ax = plt.subplots()
    ax.plot([0, 1])
    shown = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lesson, "display", lambda obj, metadata: shown.append((obj, metadata)))
        begun.figure(fig, "A straight line\n   from zero to one.")
    assert shown == [(fig, {"image/png": {"alt": "A straight line from zero to one."}})]
    assert not plt.fignum_exists(fig.number)


def test_figure_refuses_an_alt_text_that_says_nothing():
    begun = lesson.start("99_example", "smoke", 0)
    with pytest.raises(ValueError, match="too short"):
        begun.figure(plt.figure(), "plot")
    plt.close("all")


def test_finish_hands_over_the_record(capsys):
    begun = lesson.start("99_example", "smoke", 3)
    begun.metric("water IoU", np.float32(0.5))
    begun.metric("events", np.int64(4))
    begun.metric("cloud IoU", float("nan"))
    begun.metric("passed", True)
    assert capsys.readouterr().out == "water IoU: 0.5\nevents: 4\ncloud IoU: nan\npassed: True\n"
    shown = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lesson, "display", lambda data, raw: shown.append(data))
        begun.finish()
    record = json.loads(json.dumps(shown[0][lesson.RECORD_MIME], allow_nan=False))
    assert record.pop("seconds") >= 0
    assert record == {
        "page": "99_example",
        "profile": "smoke",
        "seed": 3,
        "metrics": {"water IoU": 0.5, "events": 4, "cloud IoU": None, "passed": True},
    }
    assert shown[0]["text/plain"].startswith("99_example: profile smoke, ")


def test_metric_refuses_an_array():
    with pytest.raises(TypeError, match=r"metric 'iou': .* ndarray"):
        lesson.start("99_example", "smoke", 0).metric("iou", np.zeros(2))


def test_the_record_tells_which_data_the_page_used(monkeypatch, tmp_path):
    (tmp_path / "a.tif").write_bytes(b"water")
    table = pd.DataFrame({"image": [str(tmp_path / "a.tif")]})
    monkeypatch.setattr(loaders, "get_dataset", lambda source, **options: table)
    shown = []
    monkeypatch.setattr(lesson, "display", lambda data, raw: shown.append(data[lesson.RECORD_MIME]))
    for source in ("embedded", "embedded", "worldfloods"):
        begun = lesson.start("99_example", "smoke", 0)
        begun.dataset(source)
        begun.finish()
        (tmp_path / "a.tif").write_bytes(b"land")
    water, land, none = (record.get("data") for record in shown)
    assert len(water) == len(land) == 12
    assert water != land
    assert none is None


def test_dataset_is_that_of_the_page(monkeypatch):
    monkeypatch.setattr(loaders, "get_dataset", lambda source, **options: (source, options))
    begun = lesson.start("99_example", "lecture", 5)
    assert begun.dataset("sen1floods11") == ("sen1floods11", {"profile": "lecture", "seed": 5})


def test_targets_are_kept_in_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("ML4OPS_CACHE", str(tmp_path))
    assert lesson.targets_path() == tmp_path / "targets.json"


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
    ("change", "message"),
    [
        ({"min_water_io": 0.5}, "missing or unknown: min_water_io;"),
        ({"min_water_iou": -1}, "min_water_iou is -1"),
        ({"min_water_iou": "high"}, "min_water_iou is 'high'"),
        ({"min_water_iou": float("nan")}, "min_water_iou is nan"),
        ({"min_water_iou": True}, "min_water_iou is True"),
    ],
)
def test_targets_that_make_no_sense_are_refused(targets_file, change, message):
    with pytest.raises(ValueError, match=message):
        lesson.write_targets(lesson.DEFAULT_TARGETS | change)
    assert not targets_file.exists()


@pytest.mark.parametrize(("content", "message"), [("{", "not a JSON file"), ("[]", "missing or unknown")])
def test_a_damaged_targets_file_is_named(targets_file, content, message):
    targets_file.parent.mkdir()
    targets_file.write_text(content)
    with pytest.raises(ValueError, match=message) as raised:
        lesson.read_targets()
    assert str(targets_file) in str(raised.value)


def test_page_01_computes_the_published_targets():
    page = nbformat.read(Path(__file__).parents[1] / "notebooks/01_scope_the_problem.ipynb", as_version=4)
    names = {"np": np, "pd": pd}
    for cell in page.cells:
        if "targets" in cell.metadata.get("tags", []):
            exec(cell.source, names)
    assert names["targets"] == lesson.DEFAULT_TARGETS
    assert names["best_threshold"] == 1 / (1 + 4)
