from .common import (
    CLASSES as CLASSES,
    WATER_CHANNEL as WATER_CHANNEL,
    ModelError as ModelError,
)
from .index import IndexModel as IndexModel
from .networks import (
    Network as Network,
    build_model as build_model,
    count_parameters as count_parameters,
    to_probabilities as to_probabilities,
)
from .saved import (
    load_model as load_model,
    load_pretrained as load_pretrained,
    save_model as save_model,
    shipped_weights as shipped_weights,
)
from .unet import (
    DECODED as DECODED,
    ConvNorm as ConvNorm,
    DecoderBlock as DecoderBlock,
    Encoder as Encoder,
    UNet as UNet,
)
