"""Simulated floods: terrain, water, plants, air and sensor, drawn from a seed.

``landscape`` makes terrain and drains it, ``spectra`` holds published reflectances and the physics of water and air,
``rendering`` mixes them into an image, ``events`` draws events, and ``simulate`` writes the embedded data set.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
