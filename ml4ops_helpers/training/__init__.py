"""Train a network: losses, augmentation, a plain loop that stops early and resumes, a record in MLflow.

``config`` holds every choice, ``losses`` what is minimised, ``augmentation`` how a window is varied, ``loop`` the
training itself, ``tracking`` the record of a run, and ``flood_model`` the model as MLflow serves it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
