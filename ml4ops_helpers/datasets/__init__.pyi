from .catalogues import (
    assert_disjoint as assert_disjoint,
    dataset_hash as dataset_hash,
    load_labelled as load_labelled,
    load_scene as load_scene,
    random_tile_split as random_tile_split,
    split_by_event as split_by_event,
)
from .chips import (
    load_chip as load_chip,
    real_chips as real_chips,
    real_images as real_images,
)
from .compare import (
    beside as beside,
    compare_distributions as compare_distributions,
    sample_images as sample_images,
)
from .explore import (
    add_index as add_index,
    medians_outside as medians_outside,
    narrow_water as narrow_water,
    sample_pixels as sample_pixels,
    scene_facts as scene_facts,
)
from .explore_plots import (
    class_bars as class_bars,
    event_locations as event_locations,
    histograms as histograms,
    spectra_figure as spectra_figure,
)
from .folders import cache_dir as cache_dir
from .loaders import (
    get_dataset as get_dataset,
    sen1floods11_official as sen1floods11_official,
    terramesh as terramesh,
)
from .simulated import SurfaceWindows as SurfaceWindows
from .sources import (
    DownloadError as DownloadError,
    sen1floods11_files as sen1floods11_files,
)
from .windows import Windows as Windows
