"""Runs the notebooks, builds site and slides, prepares lectures: the command ``book``. No notebook imports it."""
