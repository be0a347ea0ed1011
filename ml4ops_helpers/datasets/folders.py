"""Folders for what is downloaded and for what this machine makes."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_dir


def cache_dir() -> Path:
    """Folder for what this machine makes: ``ML4OPS_CACHE``, else ``ml4ops`` in the user's cache."""
    return Path(os.environ.get("ML4OPS_CACHE") or user_cache_dir("ml4ops"))


def data_dir() -> Path:
    """Folder where data sets are looked for first: ``ML4OPS_DATA``, else the cache."""
    return Path(os.environ.get("ML4OPS_DATA") or cache_dir())
