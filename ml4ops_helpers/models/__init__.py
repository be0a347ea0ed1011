"""Models that turn reflectance into land, water and cloud, from an index to a U-Net.

``index`` is the baseline, ``networks`` builds what is trained (features, then a linear model, a small CNN or the
``unet``), ``saved`` keeps networks in files and holds those that ship with the package.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
