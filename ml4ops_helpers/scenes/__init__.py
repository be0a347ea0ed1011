"""From a file to reflectance: bands, rasters, grids, labels, and the products that agencies deliver.

The first room of the house: everything that reads or writes an image goes through here, and nothing here knows of
models. ``sentinel2`` holds the sensor's constants and indices, ``rasters`` reads and writes GeoTIFFs, ``grids`` says
where pixels lie and how large they are, ``scene`` reads an image or a label whole, ``products`` opens what agencies
deliver (Sentinel-2 ``.SAFE``, Landsat, GeoTIFF) window by window, and ``scaling`` turns its numbers into reflectance.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
