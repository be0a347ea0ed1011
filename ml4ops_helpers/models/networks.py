"""Networks that map reflectance to land, water and cloud, from a linear model to a U-Net.

A network maps float32 reflectance ``(n, bands, height, width)`` to logits ``(n, outputs, height, width)``, one output
for each name in ``HEADS``. Explained in ``03_train_a_model``; two heads in ``07_see_through_clouds``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ml4ops_helpers.models.common import CLASSES, HEADS, Heads, ModelError
from ml4ops_helpers.models.unet import UNet
from ml4ops_helpers.scenes.sentinel2 import select_bands

CONTRASTS: tuple[tuple[str, str], ...] = (("B3", "B8"), ("B3", "B11"), ("B8", "B4"), ("B4", "B11"), ("B2", "B4"))
"""Band pairs whose normalised difference is an input beside the bands: NDWI, MNDWI, NDVI and two colours."""


class Features(nn.Module):
    """Input features: scaled square roots of reflectance of ``bands``, and normalised differences of band pairs.

    The root stretches the dark end, where water and land differ. Normalised differences do not depend on illumination,
    so they transfer between regions.
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
    """Features, then a body; see ``build_model``.

    Attributes:
        config: the arguments of ``build_model``; saved beside the weights.
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

    Two heads are combined as by ``sentinel2.join_probabilities``. Water given that the ground is visible, water /
    (land + water), is then the output of the water head, at full precision even where cloud is all but certain.

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


class IndexRule(nn.Module):
    """A rule without weights, as a body: water where MNDWI > 0 and NDWI > −0.1, never cloud.

    MNDWI sees muddy water (Xu 2006, DOI 10.1080/01431160600589179) but also shade and towns; NDWI (McFeeters 1996, DOI
    10.1080/01431169608948714) leaves those out, and a limit below 0 keeps the mud.

    Args:
        contrasts: position of the first contrast among the features.
    """

    def __init__(self, contrasts: int) -> None:
        super().__init__()
        self.contrasts = contrasts
        self.limits = nn.Parameter(torch.tensor([-0.1, 0.0]), requires_grad=False)  # of NDWI and MNDWI

    def forward(self, features: Tensor) -> Tensor:
        """Logits of land, water and cloud; those of land and water are equal where the rule begins to hold."""
        indices = features[:, self.contrasts : self.contrasts + 2]
        water = 10 * (indices - self.limits[:, None, None]).amin(dim=1)
        return torch.stack([torch.zeros_like(water), water, torch.full_like(water, -20)], dim=1)


def _cnn(channels: int, outputs: int, width: int = 32) -> nn.Module:
    def block(before: int) -> list[nn.Module]:
        return [nn.Conv2d(before, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]

    return nn.Sequential(*block(channels), *block(width), *block(width), nn.Conv2d(width, outputs, 1))


def build_model(
    name: str,
    bands: str | Sequence[str] = "bgriswir",
    *,
    heads: Heads = "classes",
    dropout: float = 0.0,
    encoder: str | None = None,
    seed: int = 0,
) -> Network:
    """Build a network with random weights.

    Args:
        name: ``linear`` (logistic regression of each pixel), ``cnn`` (three 3×3 layers), ``unet`` (see ``unet``), or
            ``index``: a rule on two water indices, with nothing to train.
        bands: a key of ``BAND_SETS`` or band names: those of the images, in order.
        heads: ``classes`` (land, water or cloud) or ``cloud_water`` (cloud or not; water or not).
        dropout: rate at which channels are dropped after each block of the U-Net's decoder, 0 to 1.
        encoder: a larger encoder for the U-Net, by its name in segmentation-models-pytorch (extra ``encoders``), such
            as ``resnet18``; without dropout, and without the faster inference of the default encoder.
        seed: of the weights.

    Returns:
        The network, in training mode.

    Raises:
        ModelError: a name is unknown, a package is missing, or dropout is set for a network that has none.

    >>> model = build_model("linear", "bgri")
    >>> model(torch.zeros(1, 4, 8, 8)).shape
    torch.Size([1, 3, 8, 8])
    """
    if (dropout or encoder) and name != "unet":
        raise ModelError(f"model {name!r} has no dropout and no encoder; choose unet")
    if dropout and encoder:
        raise ModelError(f"the U-Net with encoder {encoder!r} has no dropout; drop one of the two")
    if not 0 <= dropout < 1:
        raise ModelError(f"dropout {dropout} is not a rate; choose 0 ≤ dropout < 1")
    if heads not in HEADS:
        raise ModelError(f"heads {heads!r} are unknown; choose {' or '.join(HEADS)}")
    chosen = list(select_bands(bands))
    config: dict[str, Any] = {"name": name, "bands": chosen, "heads": heads, "dropout": dropout, "seed": seed}
    if encoder:
        config["encoder"] = encoder
    features, outputs = Features(chosen), len(HEADS[heads])
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        match name:
            case "linear":
                body: nn.Module = nn.Conv2d(features.channels, outputs, kernel_size=1)
            case "cnn":
                body = _cnn(features.channels, outputs)
            case "unet" if encoder:
                body = _unet_with(encoder, features.channels, outputs)
            case "unet":
                body = UNet(features.channels, outputs, dropout)
            case "index":
                if not {"B3", "B8", "B11"} <= set(chosen) or heads != "classes":
                    raise ModelError("the index needs bands B3, B8 and B11, and heads classes")
                body = IndexRule(len(chosen))
            case _:
                raise ModelError(f"model {name!r} is unknown; choose linear, cnn, unet or index")
    return Network(features, body, config)


def _unet_with(encoder: str, channels: int, outputs: int) -> nn.Module:
    try:
        import segmentation_models_pytorch as smp

        unet: nn.Module = smp.Unet(encoder, encoder_weights=None, in_channels=channels, classes=outputs)
    except ImportError as error:
        raise ModelError(f"encoder {encoder!r}: pip install segmentation-models-pytorch first") from error
    except KeyError as error:
        raise ModelError(f"encoder {encoder!r} is unknown to segmentation-models-pytorch; try resnet18") from error
    return unet


def count_parameters(model: nn.Module) -> int:
    """Number of trainable weights.

    >>> count_parameters(build_model("linear", "bgri"))  # 4 bands and 3 contrasts to 3 classes, and 3 offsets
    24
    """
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
