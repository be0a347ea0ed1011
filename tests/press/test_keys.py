"""A key changes with what results depend on and with nothing else."""

import pytest
from tiny_pages import write_page

from ml4ops_helpers.press import keys
from ml4ops_helpers.press.pages import load_page


def key(page, parameters=None, surroundings="s", before=()):
    return keys.page_key(page, parameters or page.defaults, surroundings, before)


def test_prose_and_outputs_do_not_count(tmp_path):
    first = load_page(write_page(tmp_path / "a", "01_a", "# before", "x = 1"))
    second = load_page(write_page(tmp_path / "b", "01_a", "# after", "x = 1", "# more"))
    assert key(first) == key(second)


def test_code_parameters_surroundings_and_earlier_pages_count(tmp_path):
    page = load_page(write_page(tmp_path / "a", "01_a", "x = 1", "y = 2"))
    other = load_page(write_page(tmp_path / "b", "01_a", "y = 2", "x = 1"))
    all_keys = {
        key(page),
        key(other),
        key(page, {"profile": "smoke", "seed": 0}),
        key(page, surroundings="t"),
        key(page, before=["k"]),
    }
    assert len(all_keys) == 5


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "package"
    for name in ("metrics.py", "weights/unet.safetensors", "press/runner.py", "cli.py", "__pycache__/metrics.pyc"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("1")
    monkeypatch.setattr(keys, "PACKAGE", folder)
    return folder


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("metrics.py", True),
        ("weights/unet.safetensors", True),
        ("press/runner.py", False),
        ("cli.py", False),
        ("__pycache__/metrics.pyc", False),
    ],
)
def test_the_helper_counts_as_far_as_notebooks_use_it(package, tmp_path, name, counts):
    before = keys.surroundings_key(tmp_path / "lock", None)
    (package / name).write_text("22")
    assert (keys.surroundings_key(tmp_path / "lock", None) != before) is counts


def test_the_lock_and_the_data_on_disk_count(package, tmp_path):
    lock, data = tmp_path / "lock", tmp_path / "data"
    seen = [keys.surroundings_key(lock, None)]
    lock.write_text("numpy==2.4")
    seen.append(keys.surroundings_key(lock, None))
    (data / "train").mkdir(parents=True)
    (data / "train" / "a.tif").write_text("1")
    seen.append(keys.surroundings_key(lock, data))
    (data / "train" / "a.tif").write_text("12")
    seen.append(keys.surroundings_key(lock, data))
    assert len(set(seen)) == 4
    assert keys.surroundings_key(lock, data) == seen[-1]
