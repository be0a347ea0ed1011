"""Sphinx extension: what the site changes about Jupyter Book's pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

CLEAN = "_downloads/clean"
"""Where the site keeps the notebooks without outputs, with the tree of the repository."""


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx; it calls this when the book's settings name the module.

    Args:
        app: what Sphinx hands over.
    """
    app.connect("html-page-context", offer_both, priority=900)  # the theme has made its buttons by then
    app.connect("html-page-context", drop_thebe, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def offer_both(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object) -> None:
    """Name the theme's download of a notebook for what it is, and put the clean notebook beside it.

    Args:
        app: not used.
        pagename: path of the page without its suffix.
        templatename: not used.
        context: what the page's template gets; its buttons are changed.
        doctree: not used.
    """
    if context.get("page_source_suffix") != ".ipynb":
        return
    for group in context.get("header_buttons", []):
        if group.get("label") == "download-buttons":
            executed = next(b for b in group["buttons"] if b["label"] == "download-source-button")
            executed |= {"text": "Notebook with outputs", "tooltip": "Download the executed notebook"}
            url = f"{context['pathto'](CLEAN, 1)}/{pagename}.ipynb"
            clean = {"text": "Notebook, clean", "tooltip": "Download the notebook without outputs", "url": url}
            group["buttons"].insert(0, executed | clean | {"label": "download-clean-button"})


def drop_thebe(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object) -> None:
    """Leave out the scripts of live code, which the book does not use: loaded twice, they stop with an error.

    Args:
        app: not used.
        pagename: not used.
        templatename: not used.
        context: what the page's template gets; its scripts and styles are changed.
        doctree: not used.
    """
    for kind in ("script_files", "css_files"):
        context[kind] = [f for f in context[kind] if "thebe" not in f"{f.filename} {f.attributes.get('body')}".lower()]
