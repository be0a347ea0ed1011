"""Helpers for the book on MLOps for Earth observation."""

import os
import warnings

__version__ = "0.1.0"

PROFILES: tuple[str, ...] = ("smoke", "lecture", "full")
"""Sizes of a run: a quick check, what the site shows, real data sets on a GPU."""

# On Linux torch then takes memory in large pages: a network on a scene needs up to a third less time. Read by torch
# when it allocates first, so it must be set before.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

# Without ipywidgets tqdm shows progress as text, and says so on every page that imports it.
warnings.filterwarnings("ignore", message="IProgress not found")
