"""Make the built site light: figures as WebP, and of the theme's two thousand icons only those that are used.

The theme brings its icons twice: as outlines in a script and as fonts.
"""

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

ICONS = Path("_static/scripts/fontawesome.js")
ICON = re.compile(
    r'(?:"(?P<quoted>[a-z0-9-]+)"|(?P<bare>[a-z0-9]+)):'  # name
    r'\[\d+,\d+,\[(?P<aliases>[^\]]*)\],"(?P<code>[0-9a-f]*)",'  # size, other names, character in the font
    r'(?:"[^"]*"|\[(?:"[^"]*",?)*\])\],?'  # outline
)
"""One icon in the theme's script."""

ESCAPED = re.compile(r"\\(f[0-9a-f]{3})")
"""A character of an icon as styles write it."""

FRAMES = Path("_frames")
"""Where the site keeps the contents of frames."""

CITATIONS = ('<div role="list" class="citation-list">', '<div class="citation-list">')
"""A list of references as Sphinx writes it, and without the role whose rules its entries break."""

FONTS = Path("_static/vendor/fontawesome/webfonts")
COMPRESSED_FONT = re.compile(r'url\([^)]*/fa-[a-z]+-\d+\.woff2\) format\("woff2"\),')
"""The form of a font that the styles name first. Cut down to a few icons, the plain form is as small."""


def slim_site(site: Path) -> None:
    """Lighten a built site in place. The same site gives the same bytes.

    Args:
        site: folder of the built site.
    """
    pages = {p: p.read_text(encoding="utf-8") for p in sorted(site.rglob("*.html")) if "_static" not in p.parts}
    renamed = {old.name: convert_figure(old).name for old in sorted((site / "_images").glob("*.png"))}
    for page, text in pages.items():
        new = move_frames(rename_figures(text, renamed), site, page).replace(*CITATIONS)
        if new != text:
            page.write_text(new, encoding="utf-8")
    _slim_icons(site, "\n".join(pages.values()))


def _slim_icons(site: Path, text: str) -> None:
    """Keep the icons that a page, a style or a script of the site names."""
    if not (site / ICONS).exists():
        return
    styles = {p: p.read_text(encoding="utf-8") for p in (site / "_static").rglob("*.css")}
    scripts = [p.read_text(encoding="utf-8") for p in (site / ICONS).parent.glob("*.js") if p != site / ICONS]
    script = (site / ICONS).read_text(encoding="utf-8")
    used = set(re.findall(r"\bfa-([a-z0-9-]+)", "\n".join([text, *scripts])))
    kept = prune_icons(script, used)
    (site / ICONS).write_text(kept, encoding="utf-8")
    codes = {int(icon["code"], 16) for icon in ICON.finditer(kept) if icon["code"]}
    codes |= {ord(c) for style in styles.values() for c in style if 0xE000 <= ord(c) <= 0xF8FF}
    codes |= {int(c, 16) for p, style in styles.items() if "book" in p.name for c in ESCAPED.findall(style)}
    for font in (site / FONTS).glob("*.ttf"):
        cut_font(font, codes)
    for path, style in styles.items():
        if COMPRESSED_FONT.search(style):
            path.write_text(COMPRESSED_FONT.sub("", style), encoding="utf-8")


def cut_font(path: Path, codes: set[int]) -> None:
    """Keep some characters of a font.

    Args:
        path: the font, which is replaced.
        codes: code points of the characters.
    """
    font = TTFont(path, recalcTimestamp=False)
    subsetter = Subsetter(Options(notdef_outline=True))
    subsetter.populate(unicodes=codes)
    subsetter.subset(font)
    font.save(path)


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


def rename_figures(text: str, renamed: dict[str, str]) -> str:
    """Point the images of a page, and the links to them, to the converted files.

    Args:
        text: HTML of a page.
        renamed: new file name of each old one.

    >>> rename_figures('<img src="../_images/a.png"/>', {"a.png": "a.webp"})
    '<img src="../_images/a.webp"/>'
    """
    return re.sub(r"(?<=_images/)[^\"/]+\.png(?=\")", lambda m: renamed.get(m[0], m[0]), text)


def move_frames(text: str, site: Path, page: Path) -> str:
    """Move what a page holds in frames, such as an interactive map, to files that are loaded when they come into view.

    Args:
        text: HTML of the page.
        site: folder of the site.
        page: the page's file.

    Returns:
        HTML that refers to the files.
    """

    def move(frame: re.Match[str]) -> str:
        content = html.unescape(frame[1])
        name = f"{hashlib.sha256(content.encode()).hexdigest()[:16]}.html"
        target = site / FRAMES / name
        target.parent.mkdir(exist_ok=True)
        target.write_text(content, encoding="utf-8")
        return f'loading="lazy" src="{os.path.relpath(target, page.parent)}"'

    return re.sub(r'srcdoc="([^"]*)"', move, text)


def prune_icons(script: str, used: set[str]) -> str:
    """Take the icons out of the theme's script that no page shows.

    Args:
        script: the script.
        used: names of the icons that stay, with or without those that the script gives them besides.

    >>> prune_icons('{sun:[8,8,[],"f1","M0"],"x-ray":[8,8,["radio"],"f2","M1"],moon:[8,8,[],"f3","M2"]}', {"radio"})
    '{"x-ray":[8,8,["radio"],"f2","M1"],}'
    """

    def keep(icon: re.Match[str]) -> str:
        names = {icon["quoted"] or icon["bare"], *re.findall(r'"([^"]+)"', icon["aliases"])}
        return icon[0] if names & used else ""

    return ICON.sub(keep, script)
