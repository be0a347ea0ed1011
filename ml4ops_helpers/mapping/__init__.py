"""Products for people: maps of scenes, of what changed, outlines, series, a report.

``predict`` maps files in bounded memory and resumes (``cogs`` writes them), ``classmaps`` reads and aligns class maps,
``floodmaps`` compares two of them, ``series`` many, ``vectors`` draws outlines, ``event_map`` runs all of it for one
flood, with ``report``, ``webmap`` and ``pictures`` for the pages that people open.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
