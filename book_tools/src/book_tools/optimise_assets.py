"""Make the built site lighter: figures as WebP, frames loaded on demand, and only those icons that a page shows."""

from __future__ import annotations

import hashlib
import html
import io
import os
import re
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from PIL import Image

FIGURE_BYTES = 250_000
"""Most that one figure may weigh."""
QUALITIES = (90, 80, 70)
"""Lossy qualities, tried in turn for a figure that is too heavy without loss."""
FRAMES = Path("_frames")
"""Where the site keeps the contents of frames."""
CITATIONS = ('<div role="list" class="citation-list">', '<div class="citation-list">')
"""Sphinx's list of references, and the same without a role whose rules its entries break."""
STATIC = Path("_static")
ICON_SCRIPT = STATIC / "scripts/fontawesome.js"
ICON_RULE = re.compile(r'((?:\.fa-[\w-]+:before,?)+)\{content:"\\([0-9a-f]+) ?"\}')
"""Names of an icon in the theme's style, and its character in the font."""
WOFF2 = re.compile(r'url\([^)]*\.woff2\) format\("woff2"\),')
"""The font that the theme's style names first; the plain one behind it is as small once it holds a few icons."""


def optimise_assets(site: Path) -> None:
    """Optimise a built site in place. The same site gives the same bytes.

    Args:
        site: folder of the built site.
    """
    pages = {p: p.read_text(encoding="utf-8") for p in sorted(site.rglob("*.html")) if STATIC.name not in p.parts}
    renamed = {old.name: convert_figure(old).name for old in sorted((site / "_images").glob("*.png"))}
    for page, text in pages.items():
        text = re.sub(r'(?<=_images/)[^"/]+\.png(?=")', lambda m: renamed.get(m[0], m[0]), text)
        page.write_text(_move_frames(text, site, page).replace(*CITATIONS), encoding="utf-8")
    _subset_icons(site, "".join(pages.values()))


def convert_figure(path: Path) -> Path:
    """Replace a PNG by a WebP of the same pixels; where that is too heavy, by one that looks the same.

    Args:
        path: the PNG.

    Returns:
        The new file, or the old one where it is smaller than any WebP.
    """
    with Image.open(path) as image:
        best = _encode(image, lossless=True)
        for quality in QUALITIES:
            if len(best) <= FIGURE_BYTES:
                break
            best = _encode(image, quality=quality)
    if len(best) >= path.stat().st_size:
        return path
    new = path.with_suffix(".webp")
    new.write_bytes(best)
    path.unlink()
    return new


def _encode(image: Image.Image, **options: int | bool) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", method=4, **options)
    return buffer.getvalue()


def _move_frames(text: str, site: Path, page: Path) -> str:
    """Move the content of frames, such as an interactive map, to files that load when they scroll into view."""

    def move(frame: re.Match[str]) -> str:
        content = html.unescape(frame[1])
        target = site / FRAMES / f"{hashlib.sha256(content.encode()).hexdigest()[:16]}.html"
        target.parent.mkdir(exist_ok=True)
        target.write_text(content, encoding="utf-8")
        return f'loading="lazy" src="{os.path.relpath(target, page.parent)}"'

    return re.sub(r'srcdoc="([^"]*)"', move, text)


def _subset_icons(site: Path, text: str) -> None:
    """Show icons by the theme's fonts, cut to those in use. The script that draws them anew weighs half a megabyte."""
    (site / ICON_SCRIPT).write_text("", encoding="utf-8")
    styles = {p: p.read_text(encoding="utf-8") for p in sorted((site / STATIC).rglob("*.css"))}
    scripts = [p.read_text(encoding="utf-8") for p in sorted((site / ICON_SCRIPT).parent.glob("*.js"))]
    used = set(re.findall(r"\bfa-[\w-]+", "".join([text, *scripts])))
    codes = {ord(c) for style in styles.values() for c in style if "\ue000" <= c <= "\uf8ff"}
    for path, style in styles.items():
        codes |= {
            int(code, 16) for names, code in ICON_RULE.findall(style) if used & set(re.findall(r"fa-[\w-]+", names))
        }
        path.write_text(WOFF2.sub("", style), encoding="utf-8")
    for path in (site / STATIC / "vendor/fontawesome/webfonts").glob("*.ttf"):
        font, subsetter = TTFont(path, recalcTimestamp=False), Subsetter(Options(notdef_outline=True))
        subsetter.populate(unicodes=codes)
        subsetter.subset(font)
        font.save(path)
