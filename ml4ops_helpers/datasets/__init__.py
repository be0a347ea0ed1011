"""Scenes on disk as a table: where they come from, which split they are in, what they look like.

``catalogues`` lists a folder in the WorldFloods layout and splits it by event, ``sources`` downloads published files,
``loaders`` gives a whole data set by name, ``chips`` reads the real, hand-labelled images, and ``windows`` cuts scenes
into the windows that a network is trained on. ``explore`` and ``compare`` describe a data set for page 02.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
