"""Models that map reflectance to land, water and cloud, from an index to a U-Net.

``index`` is the baseline, ``networks`` builds trainable networks (a linear model, a small CNN or the ``unet``), and
``saved`` saves and loads networks, among them those that ship with the package.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
