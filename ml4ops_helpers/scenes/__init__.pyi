from .bands import (
    parse_bands as parse_bands,
)
from .grids import (
    LONGITUDE_LATITUDE as LONGITUDE_LATITUDE,
    Grid as Grid,
    pixel_areas as pixel_areas,
    union_grid as union_grid,
)
from .labels import (
    as_version_2 as as_version_2,
    from_sen1floods11 as from_sen1floods11,
    read_label as read_label,
    to_v2 as to_v2,
)
from .opening import (
    Reading as Reading,
    decide as decide,
    inspect as inspect,
    open_product as open_product,
)
from .products import (
    Product as Product,
    check_share as check_share,
)
from .rasters import (
    SceneError as SceneError,
    WindowReader as WindowReader,
    check_georeference as check_georeference,
    open_raster as open_raster,
    replacing as replacing,
    tile_windows as tile_windows,
    write_raster as write_raster,
)
from .scaling import (
    Scaling as Scaling,
)
from .scene import (
    Scene as Scene,
    read_scene as read_scene,
)
from .sentinel2 import (
    BAND_SETS as BAND_SETS,
    BANDS as BANDS,
    CLASS_NAMES as CLASS_NAMES,
    CLEAR as CLEAR,
    CLOUD as CLOUD,
    CLOUDY as CLOUDY,
    INVALID as INVALID,
    LAND as LAND,
    PERMANENT_WATER as PERMANENT_WATER,
    QUANTIFICATION as QUANTIFICATION,
    RESOLUTION as RESOLUTION,
    SEASONAL_WATER as SEASONAL_WATER,
    THICK_CLOUD_BRIGHTNESS as THICK_CLOUD_BRIGHTNESS,
    WATER as WATER,
    WAVELENGTH as WAVELENGTH,
    WORLDFLOODS_MEAN as WORLDFLOODS_MEAN,
    Codes as Codes,
    Float as Float,
    IndexName as IndexName,
    band_positions as band_positions,
    brightness as brightness,
    composite as composite,
    join_probabilities as join_probabilities,
    merge_label as merge_label,
    select_bands as select_bands,
    water_index as water_index,
)
