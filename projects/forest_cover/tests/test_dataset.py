import json

import pytest
import torch
from samples import few, write_project

from forest_cover.config import Resources
from forest_cover.dataset import CoverDataset, load_columns, load_dataset, load_loaders, make_loader
from forest_cover.files import ProjectError


def order(loader):
    return torch.cat([features[:, 0] for features, _ in loader]).int().tolist()


@pytest.fixture
def tensors(tmp_path):
    write_project(tmp_path)
    return tmp_path / "data" / "tensors"


def test_each_round_gives_all_rows_in_an_order_of_its_own():
    loader = make_loader(few(), 4, shuffle=True, seed=1)
    first, second = order(loader), order(loader)
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second


def test_labels_stay_with_their_rows():
    for features, labels in make_loader(few(50), 8, shuffle=True):
        assert (features[:, 0].int() % 7).tolist() == labels.tolist()


def test_the_seed_decides_the_order_and_nothing_else_does():
    torch.manual_seed(5)
    first = order(make_loader(few(), 4, shuffle=True, seed=1))
    torch.manual_seed(6)
    assert order(make_loader(few(), 4, shuffle=True, seed=1)) == first
    assert order(make_loader(few(), 4, shuffle=True, seed=2)) != first


def test_workers_change_nothing_in_any_round():
    alone, helped = (make_loader(few(), 4, shuffle=True, workers=n, seed=3) for n in (0, 2))
    assert [order(alone) for _ in range(3)] == [order(helped) for _ in range(3)]


def test_without_shuffling_rows_come_in_their_order_in_batches():
    loader = make_loader(few(), 4)
    assert order(loader) == list(range(10))
    assert [len(labels) for _, labels in loader] == [4, 4, 2]


def test_a_generator_put_back_gives_the_same_rounds_again():
    loader = make_loader(few(), 4, shuffle=True)
    order(loader)
    kept = loader.sampler.generator.get_state()
    expected = [order(loader), order(loader)]
    other = make_loader(few(), 4, shuffle=True, seed=9)
    other.sampler.generator.set_state(kept)
    assert [order(other), order(other)] == expected


def test_loaders_of_the_three_parts(tensors):
    train, val, test = load_loaders(tensors, Resources(batch_size=50), seed=0)
    assert [len(loader.dataset) for loader in (train, val, test)] == [252, 84, 84]
    assert torch.equal(torch.cat([labels for _, labels in test]), load_dataset(tensors, "test").labels)
    assert not torch.equal(torch.cat([labels for _, labels in train]), load_dataset(tensors, "train").labels)


def test_the_test_rows_are_opened_only_when_they_are_asked_for(tensors):
    (tensors / "test.pt").unlink()


GOOD = {"features": torch.zeros(4, 54), "labels": torch.arange(4)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "expected a dict of tensors"),
        ({"features": GOOD["features"]}, "expected a dict of tensors 'features' and 'labels'"),
        (GOOD | {"features": torch.zeros(4, 54).double()}, r"float64 of shape \(4, 54\), expected float32"),
        (GOOD | {"features": torch.zeros(54)}, r"expected float32 \(rows, k\)"),
        (GOOD | {"features": torch.zeros(4, 53)}, "53 columns, but columns.json names 54"),
        (GOOD | {"features": torch.full((4, 54), torch.nan)}, "row 0, column 0 is nan"),
        (GOOD | {"labels": torch.arange(3)}, r"shape \(3,\), expected int64 \(4,\)"),
        (GOOD | {"labels": torch.arange(4).int()}, "int32"),
        (GOOD | {"labels": torch.tensor([0, 1, 7, 2])}, "row 2 holds class 7, only 0 to 6 exist"),
        (GOOD | {"labels": torch.tensor([0, -1, 1, 2])}, "row 1 holds class -1"),
        ({"features": torch.zeros(0, 54), "labels": torch.zeros(0, dtype=torch.int64)}, "no rows"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(tensors, content, message):
    torch.save(content, tensors / "train.pt")
    with pytest.raises(ProjectError, match=message) as caught:
        load_dataset(tensors, "train")
    assert str(tensors / "train.pt") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no tensors", b"PK\x03\x04 half a zip file"])
def test_a_damaged_file_is_named(tensors, content):
    (tensors / "val.pt").write_bytes(content)
    with pytest.raises(ProjectError, match=r"val\.pt can't be read as tensors"):
        load_dataset(tensors, "val")


def test_a_missing_file_names_the_stage_that_makes_it(tensors):
    (tensors / "val.pt").unlink()
    with pytest.raises(ProjectError, match=r"val\.pt is not there: the stage tensors"):
        load_dataset(tensors, "val")


@pytest.mark.parametrize("content", [{}, [], [1, 2], "Elevation"])
def test_columns_must_be_names(tensors, content):
    (tensors / "columns.json").write_text(json.dumps(content))
    with pytest.raises(ProjectError, match="expected a list of column names"):
        load_columns(tensors)


def test_rows_are_checked_wherever_they_come_from():
    with pytest.raises(ProjectError, match="class 9"):
        CoverDataset(torch.zeros(1, 2), torch.tensor([9]))
