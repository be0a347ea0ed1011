"""From reflectance to probabilities, and from probabilities to a decision for each pixel.

``tiling`` maps a scene window by window as if it were computed whole, with a halo as wide as the network sees
(``receptive_fields``). ``folding`` and ``decoder`` do the same arithmetic in less time, ``engines`` hand it to other
libraries, and ``decisions`` turn probabilities into classes.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
