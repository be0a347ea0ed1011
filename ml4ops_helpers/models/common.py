"""What every model shares: the classes, the kinds of outputs, one error. It imports nothing that takes time."""

from __future__ import annotations

from typing import Literal

CLASSES: tuple[str, ...] = ("land", "water", "cloud")
WATER_CHANNEL = CLASSES.index("water")
Heads = Literal["classes", "cloud_water"]
HEADS: dict[str, tuple[str, ...]] = {"classes": CLASSES, "cloud_water": ("cloud", "water")}
"""Outputs of a network: three classes that exclude each other, or two questions with an answer each."""


class ModelError(ValueError):
    """A model that cannot be built or loaded; the message names it and says what to do."""
