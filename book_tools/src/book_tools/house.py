"""A picture of the house, drawn from the imports: each subject of the helper package, and what it builds on."""

from __future__ import annotations

import ast
import html
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from importlib.util import resolve_name
from pathlib import Path

PAGE, PICTURE = Path("book/contributing.md"), Path("book/figures/house.svg")
BOX, STEP = (130, 26), 38
"""Size of a box, across and up, and from box to box, in pixels."""

Rooms = Mapping[str, set[str]]
"""Packages and modules at the top of a package, each with those that it imports."""


def read_rooms(package: Path) -> Rooms:
    """Rooms of a package, given by its folder, by the imports in its files, also those within functions."""
    files = [(p, p.relative_to(package.parent).with_suffix("").parts) for p in sorted(package.rglob("*.py"))]
    rooms: dict[str, set[str]] = {parts[1]: set() for _, parts in files if parts[1] != "__init__"}
    for path, parts in files:
        found: list[str] = []
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                source = resolve_name("." * node.level + (node.module or ""), ".".join(parts[:-1]))
                found += [f"{source}.{alias.name}" for alias in node.names]
        used = {name.split(".")[1] for name in found if name.startswith(f"{package.name}.")}
        if parts[1] in rooms:
            rooms[parts[1]] |= (used & rooms.keys()) - {parts[1]}
    return rooms


def draw_house(rooms: Rooms) -> str:
    """SVG of rooms, each above those that it imports; an arrow that follows from others is left out.

    Raises:
        ValueError: rooms import each other in a circle.
    """
    below = dict[str, set[str]]()
    try:
        for room in TopologicalSorter({room: sorted(rooms[room]) for room in sorted(rooms)}).static_order():
            below[room] = rooms[room].union(*(below[other] for other in rooms[room]))
    except CycleError as error:
        raise ValueError(f"packages import each other: {' → '.join(error.args[1])}") from error
    height = {room: number * STEP + BOX[1] for number, room in enumerate(reversed(below))}
    parts = []
    for room, y in height.items():
        for other in sorted(rooms[room].difference(*(below[o] for o in rooms[room]))):
            right, out, start, end = BOX[0] + 2, BOX[0] + 12 + (height[other] - y) / 2, y + 4, height[other] - 4
            curve = f"M{BOX[0]} {start}C{out:.0f} {start} {out:.0f} {end} {right} {end}"
            parts.append(f'<path class="arrow" d="{curve}"/>')
        parts.append(f'<rect x="1" y="{y - BOX[1] / 2:.0f}" width="{BOX[0]}" height="{BOX[1]}" rx="5"/>')
        parts.append(f'<text x="{BOX[0] / 2:.0f}" y="{y + 5}">{html.escape(room)}</text>')
    tip = '<marker id="house-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    label = "Packages of the helper in a column; arrows lead down from each to those that it imports."
    head = f'<svg class="house" role="img" aria-label="{label}" viewBox="0 0 {3 * BOX[0]} {(len(rooms) + 1) * STEP}">'
    return "\n".join([head, f'<defs>{tip}<path d="M0 0L8 4L0 8z"/></marker></defs>', *parts, "</svg>\n"])


def insert_house(root: Path, stage: Path) -> None:
    """Draw the picture that ``book/contributing.md`` shows, among the gathered sources that have that page."""
    if (stage / PAGE).exists():
        (stage / PICTURE).write_text(draw_house(read_rooms(root / "ml4ops_helpers")), encoding="utf-8")
