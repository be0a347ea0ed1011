"""Every choice of a training run, and the choices of each profile. Explained in ``03_train_a_model``."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Config:
    """Every choice of a training run.

    Attributes:
        epochs: at most.
        rounds: passes over the training windows in one epoch; more where the data set is small.
        patience: epochs without a better validation before training stops.
        batch: windows in a batch.
        window: side of a window, pixels.
        learning_rate: highest rate of the one-cycle schedule.
        weight_decay: of AdamW.
        weight_exponent: class weights are frequency to minus this power; 1 is inverse frequency.
        brightness: standard deviation of the logarithm of the random brightness.
        shift: standard deviation of the random offset, reflectance.
        coarse: share of the batches at half or a quarter of the resolution.
        thin_cloud: share of the windows that get simulated thin cloud, where the network has two heads.
        surfaces: simulated places to train on beside the scenes, under air drawn anew each time; with two heads.
        averaging_steps: steps over which the weights are averaged; the average is what is validated and kept.
        precision: ``float32``, ``bfloat16`` or ``auto`` (see ``native_precision``).
        device: ``cpu``, ``cuda`` or ``auto``: the GPU where there is one.
        seed: of the windows and their augmentation.
    """

    epochs: int = 20
    rounds: int = 1
    patience: int = 10
    batch: int = 8
    window: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    weight_exponent: float = 0.5
    brightness: float = 0.2
    shift: float = 0.012
    coarse: float = 0.35
    thin_cloud: float = 0.5
    surfaces: int = 0
    averaging_steps: int = 60
    precision: str = "auto"
    device: str = "auto"
    seed: int = 0


CONFIGS: dict[str, Config] = {
    "smoke": Config(epochs=2, rounds=2, patience=2, batch=4, window=128),
    "lecture": Config(),
    "full": Config(epochs=60, patience=20, batch=16),
}
"""Training of each profile."""
WIDE_AIR: dict[str, Config] = {
    name: replace(
        config,
        epochs=min(config.epochs, 8),
        batch=12,
        window=128,
        brightness=0.1,
        shift=0.006,
        coarse=0.45,
        thin_cloud=0.25,
        surfaces=8 if name == "smoke" else 600,
    )
    for name, config in CONFIGS.items()
}
"""Training of each profile on scenes and on surfaces under drawn air: smaller windows, as there are many."""
