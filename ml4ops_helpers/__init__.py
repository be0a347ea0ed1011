"""Helpers for the book on MLOps for Earth observation."""

import os
import warnings

__version__ = "0.1.0"

PROFILES: tuple[str, ...] = ("smoke", "lecture", "full")
"""Sizes of a run: a quick check, what the site shows, real data sets on a GPU."""

DEFAULT_MODEL = "flood"
"""Shipped weights that scenes are mapped by."""

RECORD_MIME = "application/vnd.ml4ops.lesson+json"
"""Type of the output by which a page hands its metrics to whoever runs it."""

_SETTINGS = {
    # On Linux torch takes memory in large pages: a network on a scene needs up to a third less time.
    "THP_MEM_ALLOC_ENABLE": "1",
    # Nothing is reported to anybody: https://consoledonottrack.com, and libraries that have names of their own.
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "ITERATIVE_DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
# Libraries read them when they are loaded, so they are set before; what the user has set stays.
for _name, _value in _SETTINGS.items():
    os.environ.setdefault(_name, _value)

# Without ipywidgets tqdm shows progress as text, and says so on every page that imports it.
warnings.filterwarnings("ignore", message="IProgress not found")
