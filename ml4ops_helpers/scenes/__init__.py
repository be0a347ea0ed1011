"""From a file to reflectance: bands, rasters, grids, labels, and the products that agencies deliver.

Every image is read and written here; nothing here knows of models. ``sentinel2`` holds the sensor's constants and
indices, ``rasters`` reads and writes raster files, ``grids`` says where pixels are and how large. ``opening`` is the
one door for images: it decides which band is which (``bands``), what stored values mean (``scaling``), what is in a
``.SAFE`` or a folder of bands (``archives``) and which pixels have data, and hands out a product (``products``).
``scene`` reads an image whole, ``labels`` its ground truth.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
