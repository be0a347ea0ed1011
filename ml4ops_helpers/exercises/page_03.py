"""Exercises of ``03_train_a_model``: a training step, and a validation loss that can be trusted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .core import Answer, Exercise, close

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def train_step(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    loss_of: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    y: Tensor,
) -> float:
    loss = loss_of(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def _squared(output: Tensor, wanted: Tensor) -> Tensor:
    return (output - wanted).square().mean()


def _judge_step(answer: Answer) -> str:
    """A weight of 1, an input of 2, a target of 0: loss 4, gradient 8, so at a rate of 0.1 the weights 0.2, 0.04."""
    import torch

    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.ones_(model.weight)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    x, y = torch.tensor([[2.0]]), torch.tensor([[0.0]])
    loss = answer.numbers(model, optimizer, _squared, x, y)
    weight = model.weight.item()
    if weight == 1:
        return "still" if model.weight.grad is not None and model.weight.grad.any() else "erased"
    if not close(weight, 0.2):
        return "moved"
    answer.numbers(model, optimizer, _squared, x, y)
    if not close(model.weight.item(), 0.04):
        return "accumulated"
    return "" if close(loss, 4) else "loss"


STEP = Exercise(
    name="03.1",
    title="One training step",
    task="""
Write `train_step(model, optimizer, loss_of, x, y)`: one training step on a batch. `loss_of(model(x), y)` is the loss.
The function updates the weights once, by the gradient of *this* batch alone, and returns the loss as a float.""",
    tip="Stuck? Section 4 has the five lines; try to write them, and their order, from memory first.",
    reference=train_step,
    judge=_judge_step,
    hints={
        "still": "The gradient was computed, but the weights did not change. What takes the step, and when?",
        "erased": "The weights did not change, and there is no gradient. Was it computed, and was it still there when "
        "the step was taken?",
        "moved": "A weight of 1 with a gradient of 8 and a learning rate of 0.1 should become 0.2 in one step.",
        "accumulated": "The first step is right, the second is not: it followed the gradients of both batches. PyTorch "
        "adds up gradients until they are cleared.",
        "loss": "The weights are right. Return the loss of the batch before the step, here 4.",
    },
    takeaway="Clear, compute, step: in another order the code still runs, but learns nothing or something else.",
)


def validation_loss(
    model: torch.nn.Module,
    loss_of: Callable[[Tensor, Tensor], Tensor],
    batches: Sequence[tuple[Tensor, Tensor]],
) -> float:
    was_training = model.training
    model.eval()
    total, windows = 0.0, 0
    with torch.inference_mode():
        for x, y in batches:
            total += float(loss_of(model(x), y)) * len(x)
            windows += len(x)
    model.train(was_training)
    return total / windows


def _judge_validation(answer: Answer) -> str:
    """The model is one batch norm, with stored averages of its own, in training mode as a loop leaves it."""
    import torch

    norm = torch.nn.BatchNorm2d(1)
    norm.running_mean, norm.running_var = torch.tensor([1.0]), torch.tensor([4.0])
    pixels = torch.arange(40, dtype=torch.float32).reshape(10, 1, 2, 2)
    batches = [(x, torch.zeros_like(x)) for x in torch.split(pixels, 4)]  # 4, 4 and 2 windows
    losses = [float(_squared((x - 1) / 2, y)) for x, y in batches]
    found = answer.numbers(torch.nn.Sequential(norm).train(), _squared, batches)
    if not close(norm.running_mean, 1):
        return "mode"
    if close(found, (4 * losses[0] + 4 * losses[1] + 2 * losses[2]) / 10):
        return ""
    if close(found, losses[2]):
        return "last"
    return "means" if close(found, sum(losses) / 3) else "value"


VALIDATION = Exercise(
    name="03.2",
    title="A validation loss to trust",
    task="""
Write `validation_loss(model, loss_of, batches)`. `batches` is a list of pairs `(x, y)`, and `loss_of(model(x), y)` is
the mean loss of the windows in a batch. Return the mean over *all windows* as a float; the last batch may be smaller
than the others. The model comes straight from training, and nothing that it stores may change.""",
    tip="Stuck? Two parts of section 4 help: one is about the number, the other about the mode.",
    reference=validation_loss,
    judge=_judge_validation,
    hints={
        "mode": "The running averages of batch norm have changed: the model learned from the validation windows. "
        "Switching off gradients does not prevent that; the mode does.",
        "last": "That is the loss of the last batch alone. Early stopping would follow whichever windows come last.",
        "means": "That is the mean of the batch means, in which a window of the small last batch counts more than the "
        "others.",
        "value": "That is not the mean over all windows. For batches of 4, 4 and 2 windows, how much weight does each "
        "batch get?",
    },
    takeaway="Every window counts the same, and looking at validation data must not teach the model anything.",
)

EXERCISES = (STEP, VALIDATION)
