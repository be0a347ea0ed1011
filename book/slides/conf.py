"""Settings of the slide decks: reveal.js from a package, nothing from the network. Used by ``book slides``."""

project = "MLOps for Earth Observation"
extensions = ["myst_parser", "sphinx_revealjs", "sphinx-mathjax-offline", "sphinxcontrib.programoutput"]
extensions += ["book_tools.slide_cells"]
exclude_patterns = ["images", "_static", "demos"]
myst_enable_extensions = ["colon_fence", "dollarmath", "attrs_inline"]
html_static_path = ["_static"]
pygments_style = "default"
revealjs_static_path = ["_static"]
revealjs_style_theme = "white"
revealjs_css_files = ["slides.css"]
revealjs_use_section_ids = True
revealjs_script_plugins = [
    {"name": "RevealNotes", "src": "revealjs/plugin/notes/notes.js"},
    {"name": "RevealSearch", "src": "revealjs/plugin/search/search.js"},
]
revealjs_script_conf = {
    "width": 1280,
    "height": 720,
    "margin": 0.03,
    "center": False,
    "display": "flex",  # a figure takes the height that the words leave
    "hash": True,
    "slideNumber": "c/t",
    "transition": "none",
    "pdfSeparateFragments": False,
}
mathjax_path = "mathjax/tex-chtml.js"
