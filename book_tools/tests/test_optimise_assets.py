"""A lighter site that looks the same: figures, frames, icons."""

import shutil
from pathlib import Path

import numpy as np
import pydata_sphinx_theme
import pytest
from book_tools.optimise_assets import FIGURE_BYTES, ICON_SCRIPT, convert_figure, optimise_assets
from fontTools.ttLib import TTFont
from PIL import Image

THEME = Path(pydata_sphinx_theme.__file__).parent / "theme/pydata_sphinx_theme/static"
FONTS = "_static/vendor/fontawesome/webfonts"


def write_png(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def test_a_light_figure_keeps_every_pixel(tmp_path):
    ramp = np.add.outer(np.arange(60), np.arange(80)).astype(np.uint8)
    pixels = np.stack([ramp, ramp // 2, 255 - ramp], axis=-1)
    new = convert_figure(write_png(tmp_path / "a.png", pixels))
    assert [p.name for p in tmp_path.iterdir()] == ["a.webp"]
    np.testing.assert_array_equal(np.asarray(Image.open(new).convert("RGB")), pixels)


def test_a_heavy_figure_gets_under_the_limit_and_looks_the_same(tmp_path):
    rng = np.random.default_rng(0)
    grain = rng.integers(0, 12, (500, 500, 3)) + np.linspace(40, 200, 500)[:, None, None]
    new = convert_figure(write_png(tmp_path / "a.png", grain.astype(np.uint8)))
    assert new.stat().st_size <= FIGURE_BYTES
    shown = np.asarray(Image.open(new).convert("RGB"), float)
    assert np.abs(shown - grain).mean() < 8


def test_a_png_that_is_smaller_stays(tmp_path, monkeypatch):
    path = write_png(tmp_path / "a.png", np.zeros((2, 2), np.uint8))
    monkeypatch.setattr("book_tools.optimise_assets._encode", lambda *_, **__: bytes(10_000))
    assert convert_figure(path) == path
    assert path.exists()


@pytest.fixture
def site(tmp_path):
    """A page with a figure, a frame and two icons, beside the files of the theme that is installed."""
    write_png(tmp_path / "_images/a.png", np.zeros((30, 30, 3), np.uint8))
    shutil.copytree(THEME, tmp_path / "_static", ignore=shutil.ignore_patterns("*.map"))
    (tmp_path / "notebooks").mkdir()
    frame = '<iframe title="Map" srcdoc="&lt;p class=&quot;x&quot;&gt;river &amp;amp; lake&lt;/p&gt;"></iframe>'
    icons = '<i class="fas fa-fire-extinguisher"></i><i class="fab fa-github"></i>'
    page = f'<img src="../_images/a.png"><a href="../_images/a.png">big</a>{icons}{frame}'
    (tmp_path / "notebooks/01_a.html").write_text(page)
    optimise_assets(tmp_path)
    return tmp_path


def test_pages_show_the_converted_figures(site):
    assert (site / "notebooks/01_a.html").read_text().count("../_images/a.webp") == 2


def test_a_frame_is_loaded_when_it_comes_into_view(site):
    (inside,) = (site / "_frames").iterdir()
    frame = f'<iframe title="Map" loading="lazy" src="../_frames/{inside.name}">'
    assert frame in (site / "notebooks/01_a.html").read_text()
    assert inside.read_text() == '<p class="x">river &amp; lake</p>'


def test_the_theme_s_icons_are_cut_to_those_in_use(site):
    """Fails, too, when a new theme keeps its icons in another form."""
    kept = set(TTFont(site / FONTS / "fa-solid-900.ttf").getBestCmap())
    assert {0xF134, 0xF05A} <= kept  # the page's extinguisher, and the circle of a note in the style
    assert 0xF0F4 not in kept  # a cup
    assert 0xF09B in TTFont(site / FONTS / "fa-brands-400.ttf").getBestCmap()
    style = (site / "_static/styles/pydata-sphinx-theme.css").read_text()
    assert "woff2" not in style
    assert style.count("fontawesome/webfonts/") == 3
    weight = (site / ICON_SCRIPT).stat().st_size + sum(p.stat().st_size for p in (site / FONTS).glob("*.ttf"))
    assert weight < 30_000
