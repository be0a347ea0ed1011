"""From a file to reflectance: bands, rasters, grids, labels, and the products that agencies deliver.

Every image is read and written here; nothing here knows of models. ``sentinel2`` holds the sensor's constants and
indices, ``rasters`` reads and writes GeoTIFFs, ``grids`` says where pixels are and how large, ``scene`` reads a whole
image or label, ``products`` opens what agencies deliver (Sentinel-2 ``.SAFE``, Landsat, GeoTIFF) window by window, and
``scaling`` converts its values to reflectance.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
