"""A lighter site that looks the same: figures, frames, icons."""

import shutil
from pathlib import Path

import matplotlib
import numpy as np
import pydata_sphinx_theme
import pytest
from fontTools.ttLib import TTFont
from PIL import Image

from book_tools import slim

SCRIPT = 'var a={sun:[8,8,[],"f185","M0"],"x-ray":[8,8,["radio"],"f2","M1"],moon:[8,8,[],"f3",["M2","M3"]]};run(a)'


def write_png(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def test_a_light_figure_keeps_every_pixel(tmp_path):
    ramp = np.add.outer(np.arange(60), np.arange(80)).astype(np.uint8)
    pixels = np.stack([ramp, ramp // 2, 255 - ramp], axis=-1)
    new = slim.convert_figure(write_png(tmp_path / "a.png", pixels))
    assert new.suffix == ".webp"
    assert not (tmp_path / "a.png").exists()
    np.testing.assert_array_equal(np.asarray(Image.open(new).convert("RGB")), pixels)


def test_a_heavy_figure_gets_under_the_limit_and_looks_the_same(tmp_path):
    rng = np.random.default_rng(0)
    grain = rng.integers(0, 12, (500, 500, 3)) + np.linspace(40, 200, 500)[:, None, None]
    new = slim.convert_figure(write_png(tmp_path / "a.png", grain.astype(np.uint8)))
    assert new.stat().st_size <= slim.FIGURE_BYTES
    shown = np.asarray(Image.open(new).convert("RGB"), float)
    assert np.abs(shown - grain).mean() < 8


def test_the_same_figure_gives_the_same_bytes(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    first, again = (slim.convert_figure(write_png(tmp_path / f"{n}.png", pixels)).read_bytes() for n in "ab")
    assert first == again


def test_a_png_that_is_smaller_stays(tmp_path, monkeypatch):
    path = write_png(tmp_path / "a.png", np.zeros((2, 2), np.uint8))
    monkeypatch.setattr(slim, "_encode", lambda *_, **__: bytes(10_000))
    assert slim.convert_figure(path) == path
    assert path.exists()


@pytest.fixture
def site(tmp_path):
    pixels = np.zeros((30, 30, 3), np.uint8)
    write_png(tmp_path / "_images/a.png", pixels)
    script = tmp_path / slim.ICONS
    script.parent.mkdir(parents=True)
    script.write_text(SCRIPT)
    (tmp_path / "notebooks").mkdir()
    frame = '<iframe title="Map" srcdoc="&lt;p class=&quot;x&quot;&gt;river &amp;amp; lake&lt;/p&gt;"></iframe>'
    page = f'<img src="../_images/a.png"><a href="../_images/a.png">big</a><i class="fas fa-radio"></i>{frame}'
    (tmp_path / "notebooks/01_a.html").write_text(page)
    return tmp_path


def test_pages_show_the_converted_figures(site):
    slim.slim_site(site)
    page = (site / "notebooks/01_a.html").read_text()
    assert page.count("../_images/a.webp") == 2
    assert [p.name for p in (site / "_images").iterdir()] == ["a.webp"]


def test_a_frame_is_loaded_when_it_comes_into_view(site):
    slim.slim_site(site)
    page = (site / "notebooks/01_a.html").read_text()
    (inside,) = (site / "_frames").iterdir()
    assert f'<iframe title="Map" loading="lazy" src="../_frames/{inside.name}">' in page
    assert inside.read_text() == '<p class="x">river &amp; lake</p>'


def test_icons_that_a_page_shows_stay_under_any_of_their_names(site):
    slim.slim_site(site)
    script = (site / slim.ICONS).read_text()
    assert '"x-ray":[8,8,["radio"],"f2","M1"]' in script
    assert "sun" not in script
    assert "moon" not in script
    assert script.endswith("};run(a)")


def test_the_theme_in_use_has_icons_of_the_form_that_is_known():
    """A theme of another make would not be lightened, without a word."""
    folder = Path(pydata_sphinx_theme.__file__).parent / "theme/pydata_sphinx_theme/static"
    script = (folder / "scripts/fontawesome.js").read_text()
    assert len(slim.prune_icons(script, {"moon", "magnifying-glass"})) < len(script) / 10
    assert len(slim.COMPRESSED_FONT.findall((folder / "styles/pydata-sphinx-theme.css").read_text())) == 3
    assert len(list((folder / "vendor/fontawesome/webfonts").glob("*.ttf"))) == 3


def test_a_font_keeps_the_characters_that_are_shown(tmp_path):
    font = tmp_path / "font.ttf"
    shutil.copy(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", font)
    slim.cut_font(font, {ord("a"), 0xF185})
    assert set(TTFont(font).getBestCmap()) == {ord("a")}
    assert font.stat().st_size < 20_000
