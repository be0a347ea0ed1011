"""An interactive map in one HTML file that needs no network: pan, zoom, layers to switch on and off.

Bokeh draws it; its script is part of the file. Explained in ``08_map_the_flood``.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from bokeh.embed import file_html
from bokeh.models import BasicTickFormatter, HoverTool
from bokeh.models.annotations import Legend, LegendItem, ScaleBar
from bokeh.models.annotations.dimensional import Metric
from bokeh.plotting import figure
from bokeh.resources import INLINE
from IPython.display import HTML

from ml4ops_helpers.mapping.map_plots import CHANGE_COLOURS
from ml4ops_helpers.mapping.pictures import data_uri
from ml4ops_helpers.scenes.grids import Grid
from ml4ops_helpers.scenes.sentinel2 import Float

if TYPE_CHECKING:
    import geopandas as gpd


def interactive_map(
    outlines: gpd.GeoDataFrame, grid: Grid, pictures: Mapping[str, Float], title: str = "Flood map"
) -> str:
    """A map as self-contained HTML: outlines over pictures; a click on a name in the legend shows or hides the layer.

    Args:
        outlines: from ``vectors.vectorise``, in any CRS; a layer for each ``class``.
        grid: of the pictures; the map is drawn in its CRS.
        pictures: RGB ``(height, width, 3)`` in 0 to 1 by name; the last is on top, the others are hidden.
        title: of the page and the map.
    """
    plot = _empty_plot(grid, title)
    layers: list[tuple[str, Any]] = []
    left, bottom, right, top = grid.bounds
    for number, (name, picture) in enumerate(pictures.items(), start=1):
        place = {"x": left, "y": bottom, "w": right - left, "h": top - bottom, "anchor": "bottom_left"}
        drawn = plot.image_url(url=[data_uri(picture)], **place, level="image")
        drawn.visible = number == len(pictures)
        layers.append((name, drawn))
    outlines = outlines.to_crs(grid.crs)
    for name in (n for n in CHANGE_COLOURS if n in set(outlines["class"])):
        layers.append((name, _add_outlines(plot, name, outlines[outlines["class"] == name])))
    items = [LegendItem(label=name, renderers=[drawn]) for name, drawn in layers]
    plot.add_layout(Legend(items=items, click_policy="hide", ncols=3, title="Click a name to show or hide it"), "below")
    return str(file_html(plot, resources=INLINE, title=title))


def _empty_plot(grid: Grid, title: str) -> Any:  # noqa: ANN401 - Bokeh builds its classes when it is imported
    """A plot in the coordinates of a grid, as wide as it is high on the ground, with a scale bar and a frame."""
    geographic = grid.crs.is_geographic
    metric = grid.crs.is_projected and grid.crs.linear_units_factor[1] == 1
    unit = "m" if metric else grid.unit
    axes = ("longitude (°)", "latitude (°)") if geographic else (f"easting ({unit})", f"northing ({unit})")
    stretch = np.cos(np.radians(grid.centre[1])) if geographic else 1.0
    plot = figure(
        title=title, x_axis_label=axes[0], y_axis_label=axes[1], match_aspect=True, aspect_scale=stretch,
        tools="pan,wheel_zoom,box_zoom,reset,save", active_scroll="wheel_zoom", sizing_mode="stretch_width",
        height=700,
    )  # fmt: skip
    left, bottom, right, top = grid.bounds
    plot.quad(left=left, right=right, bottom=bottom, top=top, fill_alpha=0, line_color="black")
    plot.grid.visible = False
    plot.toolbar.logo = None
    if not geographic:
        for axis in plot.axis:
            axis.formatter = BasicTickFormatter(use_scientific=False)
    if metric:
        bar = ScaleBar(range=plot.x_range, unit="m", dimensional=Metric(base_unit="m"), location="bottom_left")
        bar.bar_length, bar.length_sizing = 0.2, "adaptive"
        plot.add_layout(bar)
    return plot


def _add_outlines(plot: Any, name: str, outlines: gpd.GeoDataFrame) -> Any:  # noqa: ANN401 - as above
    """Draw the outlines of a class; pointing at one shows its class and area."""
    coordinates = [_rings(shape) for shape in outlines.geometry]
    data = {"xs": [c[0] for c in coordinates], "ys": [c[1] for c in coordinates], "km2": outlines["area_km2"].tolist()}
    colour = CHANGE_COLOURS[name]
    drawn = plot.multi_polygons("xs", "ys", source=data, fill_color=colour, fill_alpha=0.55, line_color=colour)
    plot.add_tools(HoverTool(renderers=[drawn], tooltips=[("class", name), ("km²", "@km2{0.0000}")], visible=False))
    return drawn


def _rings(shape: shapely.Geometry) -> tuple[list[Any], list[Any]]:
    """Coordinates of the rings of each part, the outer ring first, then the holes: what Bokeh calls a multi-polygon."""
    parts = [[p.exterior, *p.interiors] for p in shapely.get_parts(shape)]
    rings = [[np.round(np.array(ring.coords)[:-1].T, 7) for ring in part] for part in parts]
    xs, ys = ([[ring[axis].tolist() for ring in part] for part in rings] for axis in (0, 1))
    return xs, ys


def show_page(page: str, title: str, height: int = 760) -> HTML:
    """Show an HTML page in a notebook: ``title`` for readers who cannot see it, ``height`` of the frame in pixels."""
    inside, title = html.escape(page), html.escape(title)
    style = f"width: 100%; height: {height}px; border: 1px solid #ccc"
    return HTML(f'<div><iframe title="{title}" srcdoc="{inside}" style="{style}"></iframe></div>')  # type: ignore[no-untyped-call]
