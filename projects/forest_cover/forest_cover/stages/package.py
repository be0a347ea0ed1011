"""Put all that inference needs into one folder, and try it once."""

from __future__ import annotations

import shutil
from pathlib import Path

from forest_cover.files import SCALING, ProjectError, read_json, replacing, run_stage, write_json
from forest_cover.predictor import PACKAGE, Predictor, describe
from forest_cover.prepare import Scaling
from forest_cover.store import WEIGHTS, load_model

FOLDER = Path("package")


def package(models: Path, scaling: Path, metrics: Path, out: Path) -> Predictor:
    """Write ``model.safetensors`` and ``package.json``: columns, ranges, scaling, labels, network, scores, versions.

    Args:
        models: folder of the trained network.
        scaling: file of the scaling.
        metrics: file of the scores on the test rows.
        out: folder to write to.

    Returns:
        The predictor, read back from what was written.

    Raises:
        ProjectError: a file is missing or wrong, or the files do not belong together.
    """
    _, about = load_model(models)
    try:
        fitted = Scaling(**read_json(scaling, "normalise"))
    except TypeError:
        raise ProjectError(f"{scaling}: not as the stage normalise writes it") from None
    scores = read_json(metrics, "evaluate")
    with replacing(out / WEIGHTS) as temporary:
        shutil.copyfile(models / WEIGHTS, temporary)
    write_json({**about, **describe(about["columns"], fitted), "scores": scores}, out / PACKAGE)
    return Predictor.load(out)


def main() -> None:
    """The command."""
    package(Path("models"), SCALING, Path("reports/metrics.json"), FOLDER)
    print(f"{FOLDER}: written; predict with forest_cover.predictor.Predictor.load({str(FOLDER)!r})")


if __name__ == "__main__":
    run_stage(main)
