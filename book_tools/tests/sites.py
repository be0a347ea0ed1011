"""A hand-made site, with the marks by which the checks find search, navigation and text."""

import yaml

CONFIG = {"title": "Rivers", "repository": {"url": "https://github.com/owner/repo", "branch": "main"}}
LINE = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><path d="M0 9L9 0" stroke="#000"/></svg>'
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"></head><body>
<div id="pst-skip-link"><a href="#text">Skip to main content</a></div>
<button class="search-button" aria-label="Search">?</button>
<div class="bd-sidebar-primary"><nav aria-label="Main"><a href="search.html">Pages</a></nav></div>
<main><article class="bd-article" id="text">{body}</article></main></body></html>
"""
TEXT = "<h1>Rivers</h1><p>Rivers, rivers and <a href='#text'>more rivers</a>.</p>"
SEARCH = """<h1>Search</h1><ul id="search-results"></ul><script>
if (new URLSearchParams(location.search).get('q') === 'Rivers')
  for (const page of PAGES) document.getElementById('search-results').innerHTML += `<li><a href="${page}">it</a></li>`;
</script>"""


def page(more="", text=TEXT, title="A page"):
    """A page that says what every page must say, and something more."""
    return PAGE.format(title=title, body=text + more)


def write_site(root, pages):
    """Write pages, a search that finds them all by the title Rivers, and a page for what is not found."""
    html = root / "_build/html"
    html.mkdir(parents=True)
    (root / "_config.yml").write_text(yaml.safe_dump(CONFIG))
    first, *others = pages
    (root / "_toc.yml").write_text(
        yaml.safe_dump({"format": "jb-book", "root": first, "chapters": [{"file": name} for name in others]})
    )
    for name, text in pages.items():
        (html / f"{name}.html").write_text(text)
    (html / "search.html").write_text(page(text=SEARCH.replace("PAGES", str([f"{name}.html" for name in pages]))))
    (html / "404.html").write_text(page(text="<h1>Page not found</h1>"))
    (html / "line.svg").write_text(LINE)
    return root
