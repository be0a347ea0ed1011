"""Definitions shared by all models: the classes, the kinds of outputs, the error. Imports nothing slow."""

from __future__ import annotations

from typing import Literal

CLASSES: tuple[str, ...] = ("land", "water", "cloud")
WATER_CHANNEL = CLASSES.index("water")
Heads = Literal["classes", "cloud_water"]
HEADS: dict[str, tuple[str, ...]] = {"classes": CLASSES, "cloud_water": ("cloud", "water")}
"""Outputs of a network: three exclusive classes, or two independent heads."""


class ModelError(ValueError):
    """A model cannot be built or loaded; the message names it and says what to do."""
