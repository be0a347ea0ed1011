from .adaptation import adapt as adapt
from .decisions import (
    Thresholds as Thresholds,
    classify as classify,
    decide as decide,
    flood_trace as flood_trace,
    ground_map as ground_map,
    model_input as model_input,
    scene_brightness as scene_brightness,
    water_given_seen as water_given_seen,
)
from .decoder import (
    Masks as Masks,
    decoders as decoders,
    unet_of as unet_of,
)
from .engines import (
    NEEDS as NEEDS,
    build_engine as build_engine,
    check_engine as check_engine,
    choose_engine as choose_engine,
    installed_engines as installed_engines,
    native_precision as native_precision,
    try_engines as try_engines,
)
from .folding import fold_encoder as fold_encoder
from .inference_plots import (
    engine_bars as engine_bars,
    influence_figure as influence_figure,
    seams as seams,
)
from .receptive_fields import (
    evaluating as evaluating,
    receptive_field as receptive_field,
)
from .tiling import (
    Runner as Runner,
    check_reflectance as check_reflectance,
    core_shape as core_shape,
    core_windows as core_windows,
    default_tile as default_tile,
    predict_scene as predict_scene,
    predict_window as predict_window,
    read_mirrored as read_mirrored,
)
from .whole import class_map as class_map
