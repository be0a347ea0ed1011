"""What is claimed when rows are scaled and capped before they are split, and what is true.

The wrong order: scale with the means of all rows, cap the classes among all rows, split afterwards, score on the test
part. That test part has other class shares than the world and lent its means to the training. To see what this does, an
honest test set with the shares of the world is put aside first, where neither order sees it. Each order makes its claim
on its own test part; the same model is then scored on the rows put aside. What is claimed minus what is true is what
the order leads its users to believe. Scores are macro-F1, over several draws of all random choices.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from forest_cover.columns import TARGET
from forest_cover.config import Data
from forest_cover.files import PARTS, ProjectError
from forest_cover.prepare import Scaling, apply_scaling, as_imbalanced, cap, fit_scaling, split
from forest_cover.simulate import simulate
from forest_cover.sources import at_hand, load_rows

Factory = Callable[[int], Any]
"""Makes a new model with ``fit`` and ``predict`` from a seed."""
KINDS = ("scaling", "cap")
"""What can be done before the split."""
HELD = 0.3
"""Share of the rows that is put aside for the truth."""


def make_logistic(seed: int) -> LogisticRegression:
    """Scikit-learn's logistic regression.

    Args:
        seed: not needed by its solver; every factory takes one.

    Returns:
        A new model.
    """
    return LogisticRegression(max_iter=500, random_state=seed)


def make_boosting(seed: int) -> HistGradientBoostingClassifier:
    """Scikit-learn's gradient boosting, small enough to be trained many times.

    Args:
        seed: of its random choices.

    Returns:
        A new model.
    """
    return HistGradientBoostingClassifier(max_iter=60, early_stopping=False, random_state=seed)


MODELS: dict[str, Factory] = {"logistic": make_logistic, "boosting": make_boosting}


def prepare_parts(
    rows: pd.DataFrame, limit: int, seed: int, leak: Collection[str] = ()
) -> tuple[pd.DataFrame, pd.DataFrame, Scaling]:
    """Scale, cap and split, each before or after the split.

    Args:
        rows: features and target.
        limit: most rows of one class.
        seed: of the cap and of the split.
        leak: what is done to all rows before the split, of `KINDS`; the rest is done to the training rows after it.

    Returns:
        Training rows, test rows, and the scaling, which is applied already.

    Raises:
        ProjectError: `leak` names something else, or a class would be missing in a part.
    """
    if unknown := set(leak) - set(KINDS):
        raise ProjectError(f"leak={sorted(unknown)}: use {' and '.join(KINDS)}")
    if "cap" in leak:
        rows = cap(rows, limit, seed)
    parts = split(rows, 0.15, 0.15, seed)
    scaling = fit_scaling(rows if "scaling" in leak else parts["train"])
    train, test = (apply_scaling(parts[name], scaling) for name in (PARTS[0], PARTS[2]))
    return train if "cap" in leak else cap(train, limit, seed), test, scaling


def claim_and_truth(
    frame: pd.DataFrame, factory: Factory, limit: int, seed: int, leak: Collection[str] = ()
) -> tuple[float, float]:
    """Train in one order; score on its own test part, and on rows that were put aside before anything was done.

    Args:
        frame: features and target, with the class shares of the world.
        factory: of the model.
        limit: most rows of one class.
        seed: of everything that is drawn.
        leak: what is done before the split.

    Returns:
        Claimed and true macro-F1 of that very model.
    """
    held = split(frame, HELD, HELD, seed)["test"]  # the same for every order with this seed
    train, test, scaling = prepare_parts(frame.drop(index=held.index), limit, seed, leak)
    model = factory(seed).fit(train.drop(columns=TARGET), train[TARGET])
    return score(model, test), score(model, apply_scaling(held, scaling))


def score(model: Any, rows: pd.DataFrame) -> float:  # noqa: ANN401 (any scikit-learn classifier)
    """Macro-F1 of a model.

    Args:
        model: trained.
        rows: scaled features, and target.

    Returns:
        Mean over the classes, 0 to 1.
    """
    return float(f1_score(rows[TARGET], model.predict(rows.drop(columns=TARGET)), average="macro", zero_division=0))


def measure(
    draw: Callable[[int], pd.DataFrame],
    factory: Factory,
    limit: int,
    seeds: Sequence[int],
    orders: Sequence[Sequence[str]] = ((), ("scaling",), ("cap",), KINDS),
) -> pd.DataFrame:
    """Claimed and true scores of several orders over several seeds.

    Args:
        draw: gives rows with the class shares of the world for a seed.
        factory: of the model.
        limit: most rows of one class.
        seeds: at least two.
        orders: what each does before the split; nothing is the right order.

    Returns:
        One row an order: ``before the split``, means of ``claimed`` and ``true``, mean of ``claimed - true`` and its
        95 % interval from ``low`` to ``high``.
    """
    frames = ((draw(seed), seed) for seed in seeds)
    scores = np.array([[claim_and_truth(frame, factory, limit, seed, o) for o in orders] for frame, seed in frames])
    table = []
    for order, pairs in zip(orders, scores.swapaxes(0, 1), strict=True):
        claimed, true = pairs.mean(axis=0)
        mean, low, high = interval(pairs[:, 0] - pairs[:, 1])
        row = {"claimed": claimed, "true": true, "claimed - true": mean, "low": low, "high": high}
        table.append({"before the split": " and ".join(order) or "nothing (right)", **row})
    return pd.DataFrame(table)


def interval(differences: Sequence[float] | np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, float, float]:
    """Mean of paired differences with its 95 % interval (Student's t).

    Args:
        differences: one a seed, at least two.

    Returns:
        Mean, lower and upper limit.

    Raises:
        ProjectError: there are fewer than two.

    >>> [round(x, 3) for x in interval([0.1, 0.2, 0.3])]
    [0.2, -0.048, 0.448]
    """
    n = len(differences)
    if n < 2:
        raise ProjectError(f"{n} seeds give no interval: use at least 2")
    mean = float(np.mean(differences))
    half = float(student.ppf(0.975, n - 1) * np.std(differences, ddof=1) / np.sqrt(n))
    return mean, mean - half, mean + half


def simulated_rows(seed: int) -> pd.DataFrame:
    """As many simulated rows as the configuration takes by default.

    Args:
        seed: of the simulation.

    Returns:
        20 000 rows.
    """
    return simulate(Data().rows, seed)


def main(seeds: int = 30, limit: int = 200) -> None:
    """Print the tables: for samples of the real rows where they are at hand, else for simulated rows.

    Args:
        seeds: how many draws.
        limit: most rows of one class.
    """
    draw: Callable[[int], pd.DataFrame] = simulated_rows
    if real := at_hand() == "kaggle":
        draw = partial(as_imbalanced, load_rows(Data(source="kaggle"))[0])  # samples with the class shares of the world
    for name, factory in MODELS.items():
        table = measure(draw, factory, limit, range(seeds))
        print(f"{name}, {'real' if real else 'simulated'} rows, at most {limit} of a class, {seeds} seeds, macro-F1")
        print(table.to_string(index=False, float_format="{:+.3f}".format), end="\n\n")


if __name__ == "__main__":
    main()
