"""The house as it is promised: layers, public names, imports that cost no more than they must."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import ml4ops_helpers

HELPERS = Path(ml4ops_helpers.__file__).parent
PACKAGES = sorted(path.parent.name for path in HELPERS.glob("*/__init__.pyi"))


def test_each_package_builds_only_on_those_below_it_and_none_on_the_tools() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-logo"], cwd=HELPERS.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_there_and_none_hides_a_module(package: str) -> None:
    module = __import__(f"ml4ops_helpers.{package}", fromlist=["x"])
    assert module.__all__
    modules = {path.stem for path in (HELPERS / package).glob("*.py")}
    assert not modules & set(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None


HEAVY = ("torch", "torchvision", "timm", "segmentation_models_pytorch", "mlflow", "geopandas", "bokeh", "seaborn")


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ("import ml4ops_helpers.cli", set()),
        ("from ml4ops_helpers.lesson import check, start, trained_model", {"torch"}),
        ("from ml4ops_helpers.scenes import Grid, open_product, read_scene, read_label", set()),
        ("from ml4ops_helpers.mapping import difference, map_event, read_permanent", set()),
        ("from ml4ops_helpers.models import IndexModel", set()),
        ("from ml4ops_helpers.models import load_pretrained; load_pretrained('unet')", {"torch"}),
        ("import ml4ops_helpers.mapping.predict", {"torch"}),
    ],
)
def test_an_import_loads_what_it_needs(statement: str, allowed: set[str]) -> None:
    program = f"import sys\n{statement}\nprint(*set({HEAVY!r}).intersection(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == allowed
