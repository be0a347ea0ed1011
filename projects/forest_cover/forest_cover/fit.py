"""The training loop: it stops early, keeps the best weights, and resumes bit for bit where it was interrupted."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler, OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from forest_cover.columns import LABELS
from forest_cover.config import Config
from forest_cover.dataset import CoverDataset, make_loader
from forest_cover.files import ProjectError
from forest_cover.models import build_model
from forest_cover.reproduce import choose_device, fingerprint, set_determinism
from forest_cover.scores import Floats, scores

if TYPE_CHECKING:
    from forest_cover.callbacks import Callback

log = logging.getLogger(__name__)

SCHEDULES: dict[str, Callable[[Optimizer, float, int], LRScheduler]] = {
    "none": lambda optimiser, rate, steps: LambdaLR(optimiser, lambda step: 1.0),
    "cosine": lambda optimiser, rate, steps: CosineAnnealingLR(optimiser, steps),
    "one_cycle": lambda optimiser, rate, steps: OneCycleLR(optimiser, rate, total_steps=steps),
}
"""How the learning rate moves over the steps: functions ``(optimiser, highest rate, steps) -> schedule``."""


def predict(model: nn.Module, features: Tensor, chunk: int = 8192) -> Floats:
    """Probabilities of the classes; the model is in evaluation mode afterwards.

    Args:
        model: from features to logits.
        features: float32 ``(rows, columns)``, on any device.
        chunk: rows at a time, which bounds the memory.

    Returns:
        ``(rows, 7)``.
    """
    model.eval()
    device = next(model.parameters()).device
    with torch.inference_mode():
        parts = [model(rows.to(device)).softmax(dim=1).cpu() for rows in torch.split(features, chunk)]
    return torch.cat(parts).double().numpy()


def class_weights(labels: Tensor, kind: str) -> Tensor | None:
    """Weights of the classes in the loss.

    Args:
        labels: of the training rows.
        kind: ``none``, or ``balanced``: rows over classes over rows of the class, 0 for a class without rows.

    Returns:
        float32 ``(7,)``, or None.

    Example:
        >>> class_weights(torch.tensor([0, 0, 0, 1]), "balanced")[:3].tolist()
        [0.6666666865348816, 2.0, 0.0]
    """
    if kind == "none":
        return None
    counts = torch.bincount(labels, minlength=len(LABELS)).float()
    return torch.where(counts > 0, len(labels) / ((counts > 0).sum() * counts), 0.0)


class Run:
    """One training: what callbacks see and may change.

    Attributes:
        config: all settings.
        out: folder that callbacks write to.
        model: the network in training.
        history: one dict an epoch: ``epoch`` (from 1), ``train_loss``, ``val_loss``, ``val_macro_f1``,
            ``val_balanced_accuracy``, ``learning_rate`` (of the last step).
        best: index in ``history`` of the epoch with the highest ``val_macro_f1``, the first of equals; -1 before one.
        stop: set it to end the training after this epoch.

    Args:
        config: all settings.
        columns: names of the columns.
        train: the training rows.
        val: the validation rows.
        out: folder for what callbacks write.
    """

    def __init__(
        self, config: Config, columns: Sequence[str], train: CoverDataset, val: CoverDataset, out: Path
    ) -> None:
        training, resources = config.training, config.resources
        self.config, self.columns, self.out = config, list(columns), out
        self.train, self.val = train, val
        self.device = choose_device(resources.device)
        self.hash = fingerprint(config, columns, train, val)
        set_determinism(training.seed, resources.threads)
        self.model = build_model(config.model, columns, train.features).to(self.device)
        self.average = _averaged(self.model, training.averaging)
        self.loader = make_loader(
            train, resources.batch_size, shuffle=True, workers=resources.workers, seed=training.seed
        )
        self.optimiser = AdamW(
            self.model.parameters(), training.learning_rate, weight_decay=training.weight_decay, fused=True
        )
        steps = resources.epochs * len(self.loader)
        self.schedule = SCHEDULES[training.schedule](self.optimiser, training.learning_rate, steps)
        weights = class_weights(train.labels, training.class_weights)
        self.loss = nn.CrossEntropyLoss(weights, label_smoothing=training.label_smoothing).to(self.device)
        self.history: list[dict[str, float]] = []
        self.best, self.best_weights = -1, _copied(self.validated)
        self.stop = False

    @property
    def validated(self) -> nn.Module:
        """The network whose weights are validated and kept: the average where there is one."""
        return self.average.module if self.average else self.model

    def epoch(self) -> None:
        """One round through the training rows, then the validation."""
        start, rate = time.perf_counter(), self.optimiser.param_groups[0]["lr"]
        self.model.train()
        losses = []
        for features, labels in self.loader:
            rate = self.optimiser.param_groups[0]["lr"]
            losses.append(self.step(features.to(self.device), labels.to(self.device)) * len(labels))
        loss = torch.stack(losses).sum().item() / len(self.train)
        self.note({"epoch": len(self.history) + 1, "train_loss": loss, **self.validate(), "learning_rate": rate})
        log.info("%s, %.2f s", _line(self.history[-1]), time.perf_counter() - start)

    def step(self, features: Tensor, labels: Tensor) -> Tensor:
        """One step down the gradient; returns the mean loss of the batch."""
        loss: Tensor = self.loss(self.model(features), labels)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.schedule.step()
        if self.average:
            self.average.update_parameters(self.model)
        return loss.detach()

    def validate(self) -> dict[str, float]:
        """Loss and scores on the validation rows."""
        probabilities = predict(self.validated, self.val.features)
        truth = self.val.labels.numpy()
        loss = -np.log(np.maximum(probabilities[np.arange(len(truth)), truth], 1e-12)).mean()
        found = scores(truth, probabilities)
        return {"val_loss": float(loss)} | {f"val_{name}": found[name] for name in ("macro_f1", "balanced_accuracy")}

    def note(self, row: dict[str, float]) -> None:
        """Add an epoch to the history, and keep the weights where they are the best so far."""
        if not np.isfinite(row["train_loss"]):
            raise ProjectError(f"epoch {row['epoch']}: the loss is {row['train_loss']}; lower training.learning_rate")
        self.history.append(row)
        if self.best < 0 or row["val_macro_f1"] > self.history[self.best]["val_macro_f1"]:
            self.best, self.best_weights = len(self.history) - 1, _copied(self.validated)

    def state(self) -> dict[str, Any]:
        """All that a training needs to resume, as tensors and plain values."""
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        generators = [torch.get_rng_state(), self._order.get_state(), *torch.cuda.get_rng_state_all()]
        own = {"hash": self.hash, "history": self.history, "best": self.best, "stop": self.stop}
        return {"parts": parts, "generators": generators, "best_weights": self.best_weights, **own}

    def resume(self, state: Mapping[str, Any]) -> None:
        """Resume from a state of ``state()``."""
        for name, part in self._parts().items():
            part.load_state_dict(state["parts"][name])
        here, order, *cuda = state["generators"]
        torch.set_rng_state(here)
        self._order.set_state(order)
        torch.cuda.set_rng_state_all(cuda)
        self.history, self.best, self.stop = list(state["history"]), state["best"], state["stop"]
        self.best_weights = dict(state["best_weights"])

    def _parts(self) -> dict[str, Any]:
        parts = {"model": self.model, "optimiser": self.optimiser, "schedule": self.schedule}
        return parts | ({"average": self.average} if self.average else {})

    @property
    def _order(self) -> torch.Generator:
        """Generator of the order of the training rows."""
        return self.loader.sampler.generator  # type: ignore[attr-defined, no-any-return]


def _averaged(model: nn.Module, steps: int) -> AveragedModel | None:
    if not steps:
        return None
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(1 - 1 / steps))  # type: ignore[no-untyped-call]


def _copied(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}


def _line(row: Mapping[str, float]) -> str:
    values = ", ".join(f"{name} {value:.4g}" for name, value in row.items() if name != "epoch")
    return f"epoch {row['epoch']}: {values}"


def fit(run: Run, callbacks: Iterable[Callback] = ()) -> Run:
    """Train until the last epoch or until a callback stops it.

    Args:
        run: what to train.
        callbacks: called in their order at the start, after each epoch and at the end, or when it fails.

    Returns:
        The run; its model holds the best weights, in evaluation mode and on the CPU.

    Raises:
        ProjectError: the loss is not finite.
    """
    callbacks = list(callbacks)
    try:
        _train(run, callbacks)
    except BaseException as problem:  # an interruption as well
        for callback in callbacks:
            callback.on_error(run, problem)
        raise
    return run


def _train(run: Run, callbacks: Sequence[Callback]) -> None:
    for callback in callbacks:
        callback.on_start(run)
    while not run.stop and len(run.history) < run.config.resources.epochs:
        run.epoch()
        for callback in callbacks:
            callback.on_epoch(run)
    run.model.load_state_dict(run.best_weights)
    run.model.cpu().eval()
    for callback in callbacks:
        callback.on_end(run)
