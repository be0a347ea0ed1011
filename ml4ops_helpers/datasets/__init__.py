"""Scenes on disk as a table: their sources, splits and statistics.

``catalogues`` lists a folder in the WorldFloods layout and splits it by event, ``sources`` downloads published files,
``loaders`` returns a data set by name, ``chips`` reads real, hand-labelled images, and ``windows`` cuts scenes into
windows for training. ``explore`` and ``compare`` describe a data set for page 02.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
