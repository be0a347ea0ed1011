from .augmentation import (
    add_thin_cloud as add_thin_cloud,
    augment as augment,
)
from .config import CONFIGS as CONFIGS, WIDE_AIR as WIDE_AIR
from .loop import train as train
from .losses import (
    class_weights as class_weights,
    cloud_water_loss as cloud_water_loss,
    segmentation_loss as segmentation_loss,
)
from .tracking import (
    log_network as log_network,
    track_training as track_training,
)
from .wide_air import make_ready as make_ready
