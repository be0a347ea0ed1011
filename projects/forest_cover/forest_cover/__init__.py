"""Predict the cover type of a forest from 54 cartographic columns: a small, whole machine-learning project."""

import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # usage statistics, sent unless it is set before the import

__version__ = "0.1.0"
