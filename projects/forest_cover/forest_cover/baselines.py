"""What a network must beat: the most frequent class, logistic regression and gradient boosting, on the same rows."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from forest_cover.columns import LABELS
from forest_cover.dataset import CoverDataset
from forest_cover.scores import Floats


def baselines(seed: int) -> dict[str, BaseEstimator]:
    """Fresh models of scikit-learn by name, with its own defaults.

    Args:
        seed: of those that draw.

    Example:
        >>> list(baselines(0))
        ['majority', 'logistic regression', 'gradient boosting']
    """
    return {
        "majority": DummyClassifier(strategy="prior"),
        "logistic regression": LogisticRegression(max_iter=1000, random_state=seed),
        "gradient boosting": HistGradientBoostingClassifier(random_state=seed),
    }


def fit_predict(model: BaseEstimator, train: CoverDataset, rows: CoverDataset) -> Floats:
    """Train a model of scikit-learn, and predict.

    Args:
        model: with ``fit``, ``predict_proba`` and ``classes_``.
        train: the training rows.
        rows: to predict.

    Returns:
        Probabilities ``(rows, 7)``; 0 for a class that has no training row.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a thousand rounds are all that a baseline gets
        model.fit(train.features.numpy(), train.labels.numpy())
    probabilities = np.zeros((len(rows), len(LABELS)))
    probabilities[:, model.classes_] = model.predict_proba(rows.features.numpy())
    return probabilities
