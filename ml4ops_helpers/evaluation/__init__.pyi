from .cloud_plots import (
    decision_plane as decision_plane,
    fate_bars as fate_bars,
    part_lines as part_lines,
)
from .cloud_scores import (
    add_uniform_cloud as add_uniform_cloud,
    by_label as by_label,
    by_thickness as by_thickness,
    cloudy_scenes as cloudy_scenes,
    count_parts as count_parts,
)
from .curves import (
    BINS as BINS,
    ScoreHistogram as ScoreHistogram,
    operating_threshold as operating_threshold,
)
from .events import (
    bootstrap_interval as bootstrap_interval,
    mean_defined as mean_defined,
    per_event as per_event,
    summarise_events as summarise_events,
)
from .metrics import (
    Confusion as Confusion,
    Number as Number,
    as_mask as as_mask,
    binary_counts as binary_counts,
    boundary_band as boundary_band,
    flood_water as flood_water,
    iou as iou,
    precision as precision,
    recall as recall,
)
from .performance_plots import (
    confusion_figure as confusion_figure,
    error_gallery as error_gallery,
    event_dots as event_dots,
    interval_bars as interval_bars,
    learning_curves as learning_curves,
    skill_curves as skill_curves,
    staged_lines as staged_lines,
)
from .scoring import (
    MappedScene as MappedScene,
    always_land as always_land,
    best_event_threshold as best_event_threshold,
    cloud_threshold as cloud_threshold,
    confuse as confuse,
    counts_table as counts_table,
    labelled_scenes as labelled_scenes,
    map_scenes as map_scenes,
    otsu_scorer as otsu_scorer,
    score_events as score_events,
    score_scene as score_scene,
    seconds_per_megapixel as seconds_per_megapixel,
    water_scorer as water_scorer,
)
from .staged import (
    STAGES as STAGES,
    score_stages as score_stages,
    staged_scenes as staged_scenes,
)
