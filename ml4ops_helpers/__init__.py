"""Helpers for the book on MLOps for Earth observation."""

import warnings

__version__ = "0.1.0"

# Without ipywidgets tqdm shows progress as text, and says so on every page that imports it.
warnings.filterwarnings("ignore", message="IProgress not found")
