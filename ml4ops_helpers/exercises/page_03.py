"""Exercises of ``03_train_a_model``: a training step, and a validation loss that is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .core import Answer, Exercise, close

if TYPE_CHECKING:
    from torch import Tensor


def _squared(output: Tensor, wanted: Tensor) -> Tensor:
    return (output - wanted).square().mean()


def _judge_step(answer: Answer) -> str:
    """A weight of 1, an input of 2, an answer of 0: loss 4, gradient 8, so at a rate of 0.1 the weights 0.2, 0.04."""
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
        return "piled"
    return "" if close(loss, 4) else "loss"


STEP = Exercise(
    name="03.1",
    title="One step of training",
    task="""
Write `train_step(model, optimizer, loss_of, x, y)`: one step of training on a batch. `loss_of(model(x), y)` is the
loss. The function changes the weights once, by the gradient of *this* batch alone, and returns the loss as a float.""",
    stub="""
def train_step(model, optimizer, loss_of, x, y):
    return ...""",
    tip="Stuck? Section 4 has the five lines; try to write them, and their order, from memory first.",
    solution="""
def train_step(model, optimizer, loss_of, x, y):
    loss = loss_of(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())""",
    takeaway="Forget, compute, step: in another order it still runs, and learns nothing or something else.",
    judge=_judge_step,
    hints={
        "still": "The gradient was computed, but the weights did not follow it. Who takes the step, and when?",
        "erased": "The weights did not change, and no gradient is there. Was it computed, and was it still there "
        "when the step was taken?",
        "moved": "A weight of 1 with a gradient of 8 and a learning rate of 0.1 should become 0.2 in one step.",
        "piled": "The first step is right, the second is not: it followed the gradients of both batches. PyTorch "
        "adds up gradients until somebody clears them.",
        "loss": "The weights are right. The loss to return is that of the batch before the step, here 4.",
    },
    wrong={
        "still": """
def train_step(model, optimizer, loss_of, x, y):
    loss = loss_of(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    return float(loss.detach())""",
        "erased": """
def train_step(model, optimizer, loss_of, x, y):
    loss = loss_of(model(x), y)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return float(loss.detach())""",
        "piled": """
def train_step(model, optimizer, loss_of, x, y):
    loss = loss_of(model(x), y)
    loss.backward()
    optimizer.step()
    return float(loss.detach())""",
        "moved": """
def train_step(model, optimizer, loss_of, x, y):
    loss = loss_of(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    optimizer.step()
    return float(loss.detach())""",
        "loss": """
def train_step(model, optimizer, loss_of, x, y):
    optimizer.zero_grad()
    loss_of(model(x), y).backward()
    optimizer.step()
    return float(loss_of(model(x), y).detach())""",
    },
)


def _normed() -> Any:  # noqa: ANN401
    """A network that is one batch norm, with stored averages of its own, in training mode as a loop leaves it."""
    import torch

    norm = torch.nn.BatchNorm2d(1)
    norm.running_mean = torch.tensor([1.0])
    norm.running_var = torch.tensor([4.0])
    return torch.nn.Sequential(norm).train()


def _judge_validation(answer: Answer) -> str:
    import torch

    pixels = torch.arange(40, dtype=torch.float32).reshape(10, 1, 2, 2)
    batches = [(x, torch.zeros_like(x)) for x in torch.split(pixels, 4)]  # 4, 4 and 2 windows
    losses = [float(_squared((x - 1) / 2, y)) for x, y in batches]
    model = _normed()
    found = answer.numbers(model, _squared, batches)
    if not close(model[0].running_mean, 1):
        return "mode"
    if close(found, (4 * losses[0] + 4 * losses[1] + 2 * losses[2]) / 10):
        return ""
    if close(found, losses[2]):
        return "last"
    return "means" if close(found, sum(losses) / 3) else "value"


VALIDATION = Exercise(
    name="03.2",
    title="A validation loss that is one",
    task="""
Write `validation_loss(model, loss_of, batches)`. `batches` holds pairs `(x, y)`, and `loss_of(model(x), y)` is the
mean loss of the windows of a batch. Return the mean over *all windows* as a float; the last batch may be smaller than
the others. The model comes straight from training, and nothing that it stores may change.""",
    stub="""
def validation_loss(model, loss_of, batches):
    return ...""",
    tip="Stuck? Two parts of section 4 are about this, one about the number and one about the mode.",
    solution="""
def validation_loss(model, loss_of, batches):
    was_training = model.training
    model.eval()
    total, windows = 0.0, 0
    with torch.inference_mode():
        for x, y in batches:
            total += float(loss_of(model(x), y)) * len(x)
            windows += len(x)
    model.train(was_training)
    return total / windows""",
    takeaway="Every window counts the same, and looking at validation data must not teach the model anything.",
    judge=_judge_validation,
    hints={
        "mode": "The averages that batch norm stores have moved: the model learned from the validation windows. "
        "Doing without gradients does not prevent that; the mode does.",
        "last": "That is the loss of the last batch alone. Early stopping by it follows whichever windows came last.",
        "means": "That is the mean of the batches' means, in which a window of the small last batch counts more "
        "than the others.",
        "value": "That is not the mean over all windows. For batches of 4, 4 and 2 windows, how much does each "
        "batch weigh?",
    },
    wrong={
        "mode": """
def validation_loss(model, loss_of, batches):
    with torch.no_grad():
        losses = [float(loss_of(model(x), y)) for x, y in batches]
    return np.average(losses, weights=[len(x) for x, _ in batches])""",
        "last": """
def validation_loss(model, loss_of, batches):
    model.eval()
    for x, y in batches:
        loss = loss_of(model(x), y)
    return float(loss)""",
        "means": """
def validation_loss(model, loss_of, batches):
    model.eval()
    with torch.inference_mode():
        return np.mean([float(loss_of(model(x), y)) for x, y in batches])""",
        "value": """
def validation_loss(model, loss_of, batches):
    model.eval()
    with torch.inference_mode():
        return sum(float(loss_of(model(x), y)) for x, y in batches)""",
    },
)

EXERCISES = (STEP, VALIDATION)
