"""How good a map is: counts, curves, events, and scores of a model over a catalogue.

``metrics`` counts pixels, ``curves`` keeps the histogram of scores that every threshold can be read from, ``events``
averages over floods and draws intervals, ``scoring`` runs a model over labelled scenes, ``cloud_scores`` asks what is
right under clouds. The figures of pages 03, 04 and 07 stand beside them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
