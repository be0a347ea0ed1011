from .classmaps import (
    ClassMap as ClassMap,
    align as align,
    mosaic as mosaic,
    read_permanent as read_permanent,
)
from .event_map import (
    MapOptions as MapOptions,
    map_event as map_event,
)
from .floodmaps import (
    DRY as DRY,
    FLOOD as FLOOD,
    NOT_OBSERVED as NOT_OBSERVED,
    change_areas as change_areas,
    code_areas as code_areas,
    difference as difference,
    expected_flood as expected_flood,
    flood_bounds as flood_bounds,
)
from .map_plots import (
    change_figure as change_figure,
    flood_area_figure as flood_area_figure,
    series_figure as series_figure,
)
from .predict import (
    map_file as map_file,
    map_files as map_files,
)
from .series import (
    NEVER as NEVER,
    flood_series as flood_series,
)
from .vectors import (
    vectorise as vectorise,
    write_vectors as write_vectors,
)
from .webmap import show_page as show_page
