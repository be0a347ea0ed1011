"""Folders for downloaded data and for what is made on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_dir


def cache_dir() -> Path:
    """Folder for what is made on this machine: ``ML4OPS_CACHE``, else ``ml4ops`` in the user's cache."""
    return Path(os.environ.get("ML4OPS_CACHE") or user_cache_dir("ml4ops"))


def data_dir() -> Path:
    """Folder that is searched first for data sets: ``ML4OPS_DATA``, else the cache."""
    return Path(os.environ.get("ML4OPS_DATA") or cache_dir())
