"""Models that turn reflectance into land, water and cloud, from an index to a U-Net.

A network takes float32 reflectance ``(n, bands, height, width)`` and gives logits ``(n, outputs, height, width)``, one
output for each name in ``HEADS``. Explained in ``03_train_a_model``; two heads in ``07_see_through_clouds``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import segmentation_models_pytorch as smp
import torch
from numpy.typing import ArrayLike
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ml4ops_helpers.scenes.rasters import replacing
from ml4ops_helpers.scenes.sentinel2 import Float, IndexName, select_bands, water_index

CLASSES: tuple[str, ...] = ("land", "water", "cloud")
WATER_CHANNEL = CLASSES.index("water")
Heads = Literal["classes", "cloud_water"]
HEADS: dict[str, tuple[str, ...]] = {"classes": CLASSES, "cloud_water": ("cloud", "water")}
"""Outputs of a network: three classes that exclude each other, or two questions with an answer each."""
PRETRAINED = Path(__file__).with_name("weights")
"""Folder of the weights that ship with the package; made by ``make weights``."""

CONTRASTS: tuple[tuple[str, str], ...] = (("B3", "B8"), ("B3", "B11"), ("B8", "B4"), ("B4", "B11"), ("B2", "B4"))
"""Band pairs whose normalised difference a network is given beside the bands: NDWI, MNDWI, NDVI and two colours."""


class ModelError(ValueError):
    """A model that cannot be built or loaded; the message names it and says what to do."""


class Features(nn.Module):
    """What a network sees: scaled square roots of reflectance, and normalised differences of band pairs.

    The root spreads out the dark end, where water is told from land. Differences do not change with the brightness of
    the light, so they carry over from one region to another.

    Args:
        bands: bands of the input, in order.
    """

    def __init__(self, bands: Sequence[str]) -> None:
        super().__init__()
        self.pairs = [(bands.index(a), bands.index(b)) for a, b in CONTRASTS if a in bands and b in bands]
        self.channels = len(bands) + len(self.pairs)

    def forward(self, reflectance: Tensor) -> Tensor:
        """Features ``(n, channels, height, width)`` of reflectance ``(n, bands, height, width)``."""
        x = reflectance.clamp(min=1e-3)
        levels = (x.sqrt() - 0.35) / 0.2
        contrasts = [((x[:, a] - x[:, b]) / (x[:, a] + x[:, b])).unsqueeze(1) for a, b in self.pairs]
        return torch.cat([levels, *contrasts], dim=1)


class Network(nn.Module):
    """Features, then a body; what ``build_model`` returns.

    Attributes:
        config: what ``build_model`` was called with; saved beside the weights.
        bands: bands of the input, in order.
        heads: ``classes`` or ``cloud_water``.
    """

    def __init__(self, features: Features, body: nn.Module, config: dict[str, Any]) -> None:
        super().__init__()
        self.features, self.body, self.config = features, body, config
        self.bands: tuple[str, ...] = select_bands(config["bands"])
        self.heads: Heads = config["heads"]

    def forward(self, reflectance: Tensor) -> Tensor:
        """Logits ``(n, outputs, height, width)`` of reflectance ``(n, bands, height, width)``."""
        logits: Tensor = self.body(self.features(reflectance))
        return logits


def to_probabilities(logits: Tensor) -> Tensor:
    """Probabilities of land, water and cloud from the logits of a network of either kind of heads; they sum to 1.

    Two heads are joined as by ``sentinel2.join_probabilities``. Water given that the ground is seen, water / (land +
    water), is then the water head's own answer, to full precision even where cloud is all but certain.

    Args:
        logits: ``(…, 3, height, width)`` of ``CLASSES``, or ``(…, 2, height, width)`` of cloud and water.

    Returns:
        Of the logits' type, ``(…, 3, height, width)``.

    >>> to_probabilities(torch.zeros(2, 1, 1)).flatten().tolist()
    [0.25, 0.25, 0.5]
    """
    if logits.shape[-3] == len(CLASSES):
        return logits.softmax(dim=-3)
    cloud, water = logits.unbind(dim=-3)
    seen = torch.sigmoid(-cloud)  # 1 - sigmoid(cloud) would be 0 long before
    return torch.stack([seen * torch.sigmoid(-water), seen * torch.sigmoid(water), torch.sigmoid(cloud)], dim=-3)


def _cnn(channels: int, outputs: int, width: int = 32) -> nn.Module:
    def block(before: int) -> list[nn.Module]:
        return [nn.Conv2d(before, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]

    return nn.Sequential(*block(channels), *block(width), *block(width), nn.Conv2d(width, outputs, 1))


class _UNet(nn.Module):
    """A U-Net whose logits add to those of a small network on the single pixel.

    The encoder halves its input at once, so the pixel's own path keeps what is one pixel wide.
    """

    def __init__(self, channels: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.context: nn.Module = smp.Unet(
            "timm-mobilenetv3_small_minimal_100",
            encoder_weights=None,
            in_channels=channels,
            classes=outputs,
            decoder_channels=(40, 40, 32, 24, 16),
        )
        for block in self.context.decoder.blocks:  # the last step of a block, the identity unless attention is asked
            block.attention2 = nn.Dropout2d(dropout) if dropout else nn.Identity()
        self.pixel = nn.Sequential(nn.Conv2d(channels, 32, 1), nn.ReLU(), nn.Conv2d(32, outputs, 1))

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.context(features) + self.pixel(features)
        return logits


def build_model(
    name: str, bands: str | Sequence[str] = "bgriswir", *, heads: Heads = "classes", dropout: float = 0.0, seed: int = 0
) -> Network:
    """Build a network with random weights.

    Args:
        name: ``linear`` (logistic regression of each pixel), ``cnn`` (three 3×3 layers) or ``unet`` (U-Net with a
            small MobileNetV3 encoder, Ronneberger et al. 2015, DOI 10.1007/978-3-319-24574-4_28).
        bands: a key of ``BAND_SETS`` or band names: what the images will hold, in order.
        heads: ``classes`` (land, water or cloud) or ``cloud_water`` (is there cloud; is the ground water).
        dropout: rate at which channels are dropped after each block of the U-Net's decoder, 0 to 1.
        seed: of the weights.

    Returns:
        The network, in training mode.

    Raises:
        ModelError: a name is unknown, or dropout is asked of a network that has none.

    >>> model = build_model("linear", "bgri")
    >>> model(torch.zeros(1, 4, 8, 8)).shape
    torch.Size([1, 3, 8, 8])
    """
    if dropout and name != "unet":
        raise ModelError(f"model {name!r} has no dropout; only unet has")
    if not 0 <= dropout < 1:
        raise ModelError(f"dropout {dropout} is not a rate; choose 0 ≤ dropout < 1")
    if heads not in HEADS:
        raise ModelError(f"heads {heads!r} are unknown; choose {' or '.join(HEADS)}")
    chosen = list(select_bands(bands))
    config: dict[str, Any] = {"name": name, "bands": chosen, "heads": heads, "dropout": dropout, "seed": seed}
    features, outputs = Features(chosen), len(HEADS[heads])
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        match name:
            case "linear":
                body: nn.Module = nn.Conv2d(features.channels, outputs, kernel_size=1)
            case "cnn":
                body = _cnn(features.channels, outputs)
            case "unet":
                body = _UNet(features.channels, outputs, dropout)
            case _:
                raise ModelError(f"model {name!r} is unknown; choose linear, cnn or unet")
    return Network(features, body, config)


def save_model(model: Network, path: Path | str, about: Mapping[str, Any] | None = None, *, half: bool = False) -> Path:
    """Save weights and configuration in one safetensors file.

    Args:
        model: from ``build_model``.
        path: file to write; replaced only once the new one is whole.
        about: whatever JSON can hold that should travel along, such as the threshold and the data's hash.
        half: store the weights in 16 bits, half the size; they are loaded as 32 bits, rounded.

    Returns:
        The path.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    weights = {k: v.contiguous() for k, v in model.state_dict().items()}
    if half:
        weights = {k: v.half() if v.is_floating_point() else v for k, v in weights.items()}
    with replacing(target) as temporary:
        save_file(weights, temporary, {"config": json.dumps(model.config), "about": json.dumps(dict(about or {}))})
    return target


def load_model(path: Path | str) -> tuple[Network, dict[str, Any]]:
    """Load a model saved by ``save_model``.

    Args:
        path: safetensors file; nothing in it is executed.

    Returns:
        The network in evaluation mode, and what was saved about it.

    Raises:
        ModelError: the file is missing, is no safetensors file, or does not fit the network that it names.
    """
    try:
        with safe_open(str(path), "pt") as file:
            saved = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        model = build_model(**json.loads(saved["config"]))
        model.load_state_dict(weights)
    except FileNotFoundError as error:
        raise ModelError(f"{path}: no such model; train one with `ml4ops train`") from error
    except (SafetensorError, KeyError, RuntimeError, TypeError, json.JSONDecodeError) as error:
        cause = str(error).strip().splitlines()[0]  # torch lists every weight that does not fit
        raise ModelError(f"{path}: not a model saved by save_model ({cause}); train one with `ml4ops train`") from error
    return model.eval(), json.loads(saved["about"])


def load_pretrained(name: str = "unet") -> tuple[Network, dict[str, Any]]:
    """Load the weights that ship with the package: trained on the embedded data set alone, never on a real image.

    Returns:
        The network in evaluation mode, and what is known about it (``threshold``, ``data``, ``seed``, …).

    Raises:
        ModelError: no weights of that name ship.

    >>> model, about = load_pretrained("unet")
    >>> model.bands, 0 < about["threshold"] < 1
    (('B2', 'B3', 'B4', 'B8', 'B11'), True)
    """
    shipped = shipped_weights()
    if name not in shipped:
        raise ModelError(f"no weights named {name!r} ship; choose {', '.join(shipped)}")
    return load_model(shipped[name])


def shipped_weights() -> dict[str, Path]:
    """Files of the weights that ship with the package, by name."""
    return {path.stem: path for path in sorted(PRETRAINED.glob("*.safetensors"))}


def count_parameters(model: nn.Module) -> int:
    """Number of weights that training can change.

    >>> count_parameters(build_model("linear", "bgri"))  # 4 bands and 3 contrasts to 3 classes, and 3 offsets
    24
    """
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@dataclass(frozen=True)
class IndexModel:
    """A water index as a model: the baseline that a network must beat.

    Its score runs from 0 to 1 as a probability does, so that both are judged by the same code; it is no probability.

    Attributes:
        index: which index.
    """

    index: IndexName

    @property
    def limit(self) -> float:
        """Largest magnitude the index takes on reflectance up to 1."""
        return 1.0 if self.index in ("ndwi", "mndwi") else 6.0

    def score(self, reflectance: ArrayLike, bands: str | Sequence[str]) -> Float:
        """The index scaled to 0 to 1, float32 ``(height, width)``; NaN where it is undefined.

        >>> pixel = np.array([0.2, 0.1]).reshape(2, 1, 1)
        >>> round(float(IndexModel("ndwi").score(pixel, ["B3", "B8"])[0, 0]), 4)
        0.6667
        """
        return self.to_score(water_index(self.index, reflectance, bands))

    def to_score(self, value: ArrayLike) -> Float:
        """Score of a value of the index: a threshold on one is a threshold on the other.

        >>> float(IndexModel("mndwi").to_score(0.0))
        0.5
        """
        return np.asarray((np.clip(value, -self.limit, self.limit) / self.limit + 1) / 2, np.float32)

    def to_index(self, score: float) -> float:
        """Value of the index at a score.

        >>> IndexModel("mndwi").to_index(0.5)
        0.0
        """
        return (2 * score - 1) * self.limit
