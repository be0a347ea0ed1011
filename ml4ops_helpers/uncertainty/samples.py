"""Uncertainty of a network: several predictions of one scene, and what they agree on.

A sample is one prediction, float32: class probabilities ``(classes, height, width)``, or the probability of one of two
classes ``(height, width)``. Samples come from Monte Carlo dropout, from turned images, or from several networks; they
are processed one by one, so memory does not grow with their number. Explained in ``06_quantify_uncertainty``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from rasterio.windows import Window

from ml4ops_helpers.inference.receptive_fields import evaluating, receptive_field
from ml4ops_helpers.inference.tiling import (
    check_reflectance,
    core_shape,
    core_windows,
    default_tile,
    predict_scene,
    read_mirrored,
)
from ml4ops_helpers.models.networks import Network, to_probabilities
from ml4ops_helpers.scenes.sentinel2 import Float
from ml4ops_helpers.uncertainty.dropout import DropoutSampler, draw_masks

if TYPE_CHECKING:
    from ml4ops_helpers.inference.decoder import Masks

VIEWS = 8
"""Ways to turn and mirror a square."""
_CHUNK = 1 << 15  # pixels at a time: what is computed of them stays in the processor's cache
_TINY = np.float32(np.finfo(np.float32).tiny)


def entropy(probabilities: ArrayLike) -> Float:
    """Entropy −Σ p ln p of each pixel, in nats: 0 where one class is certain, ln C where all C are equally likely.

    Args:
        probabilities: ``(classes, height, width)``; or ``(height, width)``, one of two classes, whose other class
            counts too. NaN stays NaN.

    >>> entropy([[0.1, 0.5, 0.9]]).round(3).tolist()
    [[0.32499998807907104, 0.6930000185966492, 0.32499998807907104]]
    """
    p = np.asarray(probabilities, np.float32)
    found = np.empty(p.shape[-2:], np.float32)
    flat, out = p.reshape(*p.shape[:-2], -1), found.reshape(-1)
    for start in range(0, out.size, _CHUNK):
        part = np.s_[start : start + _CHUNK]
        out[part] = _entropy(flat[..., part])
    return found


def _entropy(p: Float) -> Float:
    first, *others = (p, 1 - p) if p.ndim == 1 else p
    total = _weighted_log(first)
    for other in others:
        total += _weighted_log(other)
    return np.negative(total, out=total)


def _weighted_log(p: Float) -> Float:
    """The term p ln p, 0 at 0."""
    logarithm = np.log(np.maximum(p, _TINY))
    logarithm *= p
    return np.asarray(logarithm, np.float32)


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """Summary of several predictions of a scene; NaN where there are no data.

    Attributes:
        mean: of the samples, of their shape: the prediction.
        variance: of the samples, same shape.
        expected_entropy: mean of their entropies, ``(height, width)``: uncertainty in the image itself (aleatoric).
        samples: how many.
    """

    mean: Float
    variance: Float
    expected_entropy: Float
    samples: int

    @property
    def predictive_entropy(self) -> Float:
        """Entropy of the mean, ``(height, width)``: all the uncertainty."""
        return entropy(self.mean)

    @property
    def mutual_information(self) -> Float:
        """Predictive less expected entropy, ``(height, width)``, at least 0: how far the samples disagree.

        More training data could reduce it (epistemic). Source: Houlsby et al. 2011, arXiv:1112.5745.
        """
        mutual = self.predictive_entropy
        mutual -= self.expected_entropy
        return np.maximum(mutual, 0, out=mutual)


class Moments:
    """Mean, variance and mean entropy of samples that come one at a time.

    The squares are summed around the moving mean, so that small variances keep their digits (Welford 1962,
    doi:10.2307/1266577).

    >>> moments = Moments()
    >>> for p in (0.25, 0.75):
    ...     moments.add(np.full((1, 1), p))
    >>> found = moments.result()
    >>> found.mean.item(), found.variance.item(), found.samples
    (0.5, 0.0625, 2)
    """

    def __init__(self) -> None:
        self.samples = 0

    def add(self, sample: ArrayLike) -> None:
        """Add one sample, 0 to 1; ``ValueError`` if its shape is not that of the samples before it."""
        p = np.asarray(sample, np.float32)
        if not self.samples:
            self._mean, self._squares = np.zeros_like(p), np.zeros_like(p)
            self._entropy = np.zeros(p.shape[-2:], np.float32)
        if p.shape != self._mean.shape:
            raise ValueError(f"sample of shape {p.shape} after samples of shape {self._mean.shape}; use one scene")
        self.samples += 1
        flat = [x.reshape(*x.shape[:-2], -1) for x in (p, self._mean, self._squares, self._entropy)]
        for start in range(0, self._entropy.size, _CHUNK):
            _accumulate(self.samples, *(x[..., start : start + _CHUNK] for x in flat))

    def result(self) -> Uncertainty:
        """Summary of the samples so far; more may follow. ``ValueError`` if there are none."""
        if not self.samples:
            raise ValueError("no sample was added; add at least one")
        number = np.float32(self.samples)
        return Uncertainty(self._mean.copy(), self._squares / number, self._entropy / number, self.samples)


def _accumulate(number: int, p: Float, mean: Float, squares: Float, entropies: Float) -> None:
    """Add some pixels of a sample to the sums, in place."""
    change = p - mean
    step = change / np.float32(number)
    mean += step
    np.subtract(p, mean, out=step)
    change *= step
    squares += change
    entropies += _entropy(p)


def summarise_samples(samples: Iterable[ArrayLike]) -> Uncertainty:
    """Summary of samples of one scene; ``ValueError`` if there are none, or shapes differ.

    >>> summarise_samples([[[0.25]], [[0.75]]]).mutual_information.round(3).item()
    0.13099999725818634
    """
    moments = Moments()
    for sample in samples:
        moments.add(sample)
    return moments.result()


def mc_dropout(model: Network, reflectance: ArrayLike, samples: int = 20, seed: int = 0) -> Uncertainty:
    """Uncertainty of a scene by Monte Carlo dropout; see ``dropout_samples``.

    >>> from ml4ops_helpers.models.networks import build_model
    >>> found = mc_dropout(build_model("unet", "bgri"), np.full((4, 32, 32), 0.1), samples=2)  # it has no dropout
    >>> found.mean.shape, float(found.variance.max())
    ((3, 32, 32), 0.0)
    """
    return summarise_samples(dropout_samples(model, reflectance, samples, seed))


def dropout_samples(model: Network, reflectance: ArrayLike, samples: int = 20, seed: int = 0) -> Iterator[Float]:
    """Predictions of a scene by networks without some channels: float32 ``(3, height, width)`` each, NaN without data.

    Only dropout is random: batch norm uses its running statistics. A sample has one mask for the whole scene, and the
    same seed gives the same networks for every scene. Source: Gal & Ghahramani 2016.

    Args:
        model: a U-Net with dropout in its decoder; its mode stays as it is.
        reflectance: ``(bands, height, width)`` in the model's bands; NaN where there are no data.
        samples: how many.
        seed: of the masks.

    Raises:
        ValueError: ``samples`` is below 1, the image does not have the model's bands, or holds digital numbers.
        ModelError: the network has no decoder to drop channels in.
    """
    if samples < 1:
        raise ValueError(f"{samples} samples; draw at least 1")
    image = check_reflectance(model, reflectance)
    missing = np.asarray(np.isnan(image).all(axis=0))
    parts: list[tuple[Window, DropoutSampler]] = []
    for masks in draw_masks(model, samples, seed):
        parts = parts or _prepare(model, image)
        yield _decode(parts, masks, missing)


def _prepare(model: Network, image: Float) -> list[tuple[Window, DropoutSampler]]:
    """Windows of a scene, each ready to be decoded."""
    shape, halo = (image.shape[1], image.shape[2]), receptive_field(model)
    core, device = core_shape(shape, default_tile(halo)), next(model.parameters()).device
    parts = []
    with evaluating(model):
        for window in core_windows(shape, core):
            part = read_mirrored(lambda w: image[:, *w.toslices()], window, shape, core, halo)
            batch = torch.from_numpy(np.nan_to_num(part))[None].to(device, memory_format=torch.channels_last)
            parts.append((window, DropoutSampler(model, batch, halo)))
    return parts


def _decode(parts: Sequence[tuple[Window, DropoutSampler]], masks: Masks, missing: NDArray[np.bool_]) -> Float:
    found = np.empty((3, *missing.shape), np.float32)
    for window, sampler in parts:
        probabilities = to_probabilities(sampler.logits(masks))[0].cpu().numpy()
        found[:, *window.toslices()] = probabilities[:, : window.height, : window.width]
    found[:, missing] = np.nan
    return found


def augmented_samples(model: Network, reflectance: ArrayLike, samples: int = VIEWS) -> Iterator[Float]:
    """Test-time augmentation: predictions of 1 to 8 turned and mirrored views, turned back; the first is the scene."""
    if not 1 <= samples <= VIEWS:
        raise ValueError(f"{samples} views of a scene: choose 1 to {VIEWS}")
    image = np.asarray(reflectance, np.float32)
    for view in range(samples):
        turns, mirrored = view % 4, view >= 4
        seen = np.rot90(image[..., ::-1] if mirrored else image, turns, (1, 2))
        back = np.rot90(predict_scene(model, seen), -turns, (1, 2))
        yield back[..., ::-1] if mirrored else back


def ensemble_samples(models: Iterable[Network], reflectance: ArrayLike) -> Iterator[Float]:
    """Deep ensemble: predictions of networks trained from different seeds (Lakshminarayanan et al. 2017)."""
    for model in models:
        yield predict_scene(model, reflectance)
