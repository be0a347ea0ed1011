"""Sphinx extension: what the site changes about Jupyter Book's pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

CLEAN = "_downloads/clean"
"""Where the site keeps the notebooks without outputs, with the tree of the repository."""


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx; it calls this when the book's settings name the module."""
    app.connect("html-page-context", _change_page, priority=900)  # the theme has made its buttons by then
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _change_page(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object) -> None:
    """Offer a notebook with and without outputs; leave out live code, whose scripts fail when they are loaded twice."""
    for kind in ("script_files", "css_files"):
        context[kind] = [f for f in context[kind] if "thebe" not in f"{f.filename} {f.attributes.get('body')}".lower()]
    if context.get("page_source_suffix") != ".ipynb":
        return
    for group in context.get("header_buttons", []):
        if group.get("label") == "download-buttons":
            executed = next(b for b in group["buttons"] if b["label"] == "download-source-button")
            executed |= {"text": "Notebook with outputs", "tooltip": "Download the executed notebook"}
            url = f"{context['pathto'](CLEAN, 1)}/{pagename}.ipynb"
            clean = {"text": "Notebook, clean", "tooltip": "Download the notebook without outputs", "url": url}
            group["buttons"].insert(0, executed | clean | {"label": "download-clean-button"})
