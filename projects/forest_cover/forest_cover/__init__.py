"""Predict the cover type of a forest from 54 cartographic columns: a small, whole machine-learning project."""

__version__ = "0.1.0"
