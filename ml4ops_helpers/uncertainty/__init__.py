"""What a model does not know: samples, calibration, sets with guaranteed coverage, rejection.

``dropout`` draws masks, ``samples`` turns many predictions into means and entropies, ``calibration`` fits and judges
probabilities, ``conformal`` builds prediction sets and intervals of the area, ``selective`` asks what is left when the
least certain pixels are set aside. The figures of page 06 stand beside them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
