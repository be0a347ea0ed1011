"""Train a network: a loop that stops early and resumes. Explained in ``03_train_a_model``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from tqdm.auto import tqdm

from ml4ops_helpers.datasets.simulated import MixedWindows, SurfaceWindows
from ml4ops_helpers.datasets.windows import Windows
from ml4ops_helpers.evaluation.scoring import best_event_threshold, score_events, water_scorer
from ml4ops_helpers.inference.engines import native_precision
from ml4ops_helpers.models.common import WATER_CHANNEL
from ml4ops_helpers.models.networks import Network
from ml4ops_helpers.scenes.rasters import replacing
from ml4ops_helpers.simulation.surfaces import draw_surfaces
from ml4ops_helpers.training.augmentation import add_thin_cloud, augment
from ml4ops_helpers.training.losses import LOSSES, class_weights

if TYPE_CHECKING:
    from ml4ops_helpers.training.config import Config


@dataclass
class History:
    """Record of a training run.

    Attributes:
        epochs: one row per epoch: ``loss`` on training windows, ``val_iou`` (mean over the validation events at the
            best ``threshold``), ``threshold``, ``learning_rate``.
        best: index of the epoch whose weights were kept.
    """

    epochs: list[dict[str, float]] = field(default_factory=list)
    best: int = -1

    def table(self) -> pd.DataFrame:
        """The epochs as a table, numbered from 1."""
        return pd.DataFrame(self.epochs, index=pd.RangeIndex(1, len(self.epochs) + 1, name="epoch"))

    @property
    def threshold(self) -> float:
        """Threshold with the best IoU on validation, of the weights that were kept."""
        return self.epochs[self.best]["threshold"]


def validate(model: Network, table: pd.DataFrame) -> tuple[float, float]:
    """Best threshold on a catalogue's events, and the mean IoU of water over them at that threshold.

    Three classes are evaluated where there is no cloud, two heads wherever the ground is known, under thin cloud too.
    """
    ground = model.heads == "cloud_water"
    return best_event_threshold(score_events(water_scorer(model), table, bands=model.bands, ground=ground))


def train(
    model: Network,
    table: pd.DataFrame,
    config: Config,
    *,
    checkpoint: Path | None = None,
    after_epoch: Callable[[int, dict[str, float]], None] | None = None,
) -> History:
    """Train a network on the ``train`` split, and keep the weights that do best on the events of the ``val`` split.

    Args:
        model: from ``build_model``; holds the best weights at the end, in evaluation mode and on the CPU.
        table: catalogue with both splits.
        config: every choice.
        checkpoint: file that holds the state after each epoch. If it exists, the run resumes from it and ends as if it
            had never stopped; removed at the end.
        after_epoch: called with the number of the epoch, from 1, and its row of the history.

    Raises:
        ValueError: a split or water is missing, or the checkpoint belongs to another run.
    """
    splits = {name: table[table["split"] == name] for name in ("train", "val")}
    if any(part.empty for part in splits.values()):
        found = sorted(set(table["split"]))
        raise ValueError(
            f"the catalogue has splits {found}; training needs train and val: put scenes and labels into folders train "
            "and val (each with S2 and gt), or split them with split_by_event"
        )
    version: Literal[1, 2] = 2 if model.heads == "cloud_water" else 1
    windows, counted = _windows(splits["train"], model, config, version)
    weights = class_weights(counted, config.weight_exponent)
    if not weights.reshape(version, -1)[-1, WATER_CHANNEL]:
        raise ValueError(
            "no training label holds water (code 2): labels are 0 invalid, 1 land, 2 water, 3 cloud; add 1 to a mask "
            "of 0 and 1"
        )
    device = config.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    precision = native_precision(device) if config.precision == "auto" else config.precision
    model.to(device).to(memory_format=torch.channels_last)
    run = _Run(model, config, steps=config.epochs * config.rounds * -(-len(windows) // config.batch))
    run.resume(checkpoint)
    for epoch in range(len(run.history.epochs), config.epochs):
        if epoch - run.history.best > config.patience:
            break
        loss = run.epoch(epoch, windows, weights.to(device), precision)
        threshold, val_iou = validate(run.averaged, splits["val"])
        row = {"loss": loss, "val_iou": val_iou, "threshold": threshold, "learning_rate": run.learning_rate}
        run.keep(row)
        if checkpoint:
            run.save(checkpoint)
        if after_epoch:
            after_epoch(epoch + 1, row)
    model.load_state_dict(run.best_weights)
    model.eval().cpu()
    if checkpoint:
        checkpoint.unlink(missing_ok=True)
    return run.history


def _windows(
    table: pd.DataFrame, model: Network, config: Config, version: Literal[1, 2]
) -> tuple[Windows | MixedWindows, Windows | MixedWindows]:
    """Windows to train on, and those by which the classes are weighted."""
    windows = Windows(table, model.bands, config.window, "random", config.seed, version)
    counted = Windows(table, model.bands, config.window, version=version)
    if not config.surfaces:
        return windows, counted
    if model.heads != "cloud_water":
        raise ValueError("under drawn air, cloud and water are learnt apart: choose heads cloud_water")
    surfaces = SurfaceWindows(draw_surfaces(config.surfaces, model.bands, seed=config.seed), config.window, config.seed)
    return MixedWindows([windows, surfaces]), MixedWindows([counted, surfaces])


class _Run:
    """State of a training run: all that a checkpoint holds."""

    def __init__(self, model: Network, config: Config, steps: int) -> None:
        self.model, self.config, self.history = model, config, History()
        self.optimizer = torch.optim.AdamW(model.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, config.learning_rate, total_steps=steps, pct_start=0.15
        )
        # Averaging the last steps' weights removes most of the noise of short runs with few, varied scenes.
        steps = config.averaging_steps
        self.average = AveragedModel(
            model, avg_fn=lambda mean, new, n: mean + (new - mean) / min(int(n) + 1, steps), use_buffers=True
        )
        self.best_weights: dict[str, Tensor] = {}

    @property
    def averaged(self) -> Network:
        """The network with the averaged weights."""
        return cast(Network, self.average.module)

    @property
    def learning_rate(self) -> float:
        """Rate of the next step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def epoch(self, number: int, windows: Windows | MixedWindows, weights: Tensor, precision: str) -> float:
        """Train for one epoch; its draws depend on seed and number alone. Returns the mean loss."""
        rng = np.random.default_rng((self.config.seed, number))
        self.model.train()
        losses: list[float] = []
        orders = []
        for part in range(self.config.rounds):
            orders += [(number * self.config.rounds + part, i) for i in rng.permutation(len(windows))]
        batches = [orders[i : i + self.config.batch] for i in range(0, len(orders), self.config.batch)]
        for batch in tqdm(batches, desc=f"epoch {number + 1}", leave=False, disable=None):
            images, targets = [], []
            for draw, index in batch:
                windows.set_epoch(draw)
                image, target = windows[int(index)]
                images.append(image)
                targets.append(target)
            image, target = torch.stack(images), torch.stack(targets)
            if self.model.heads == "cloud_water":
                image, target = add_thin_cloud(image, target, self.model.bands, self.config.thin_cloud, rng)
            image, target = augment(image.to(weights.device), target.to(weights.device), self.config, rng)
            losses.append(self._step(image, target, weights, precision))
        return float(np.mean(losses))

    def _step(self, image: Tensor, target: Tensor, weights: Tensor, precision: str) -> float:
        with torch.autocast(image.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            logits = self.model(image)
        loss = LOSSES[self.model.heads](logits.float(), target, weights)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.schedule.step()
        self.average.update_parameters(self.model)
        return float(loss.detach())

    def keep(self, row: dict[str, float]) -> None:
        """Add an epoch to the history, and keep its weights when it is the best so far."""
        history = self.history
        history.epochs.append(row)
        if history.best < 0 or not row["val_iou"] <= history.epochs[history.best]["val_iou"]:
            history.best = len(history.epochs) - 1
            self.best_weights = {k: v.clone() for k, v in self.averaged.state_dict().items()}

    def save(self, path: Path) -> None:
        """Write the checkpoint; the one before stays until this one is whole."""
        state = {
            "run": {"config": asdict(self.config), "model": self.model.config},
            "epochs": self.history.epochs,
            "best": self.history.best,
            "weights": self.model.state_dict(),
            "average": self.average.state_dict(),
            "best_weights": self.best_weights,
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
        }
        with replacing(path) as temporary:
            torch.save(state, temporary)

    def resume(self, path: Path | None) -> None:
        """Go back to the state of a checkpoint, if there is one."""
        if path is None or not path.exists():
            return
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if state["run"] != {"config": asdict(self.config), "model": self.model.config}:
            raise ValueError(f"{path}: checkpoint of another run; delete it to start again, or pass its settings")
        self.history = History(state["epochs"], state["best"])
        self.model.load_state_dict(state["weights"])
        self.average.load_state_dict(state["average"])
        self.best_weights = state["best_weights"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
