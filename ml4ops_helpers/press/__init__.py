"""Runs the notebooks and builds the site. Notebooks never import it."""
