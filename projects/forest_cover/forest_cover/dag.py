"""Draws the pipeline as DVC knows it: ``python -m forest_cover.dag reports/dag.png``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import networkx as nx
import pydot
from matplotlib.axes import Axes

from forest_cover.files import ProjectError, replacing, run_stage


def stages(folder: str | Path = ".") -> nx.DiGraph[str]:
    """The stages and what follows from what, as ``dvc dag`` shows.

    Args:
        folder: of the project.

    Returns:
        A graph with an edge from each stage to those that need it.

    Raises:
        ProjectError: DVC is not there or finds no pipeline.
    """
    command = [sys.executable, "-m", "dvc", "dag", "--dot"]  # the path may not lead to it, as in a notebook
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ProjectError(f"dvc dag: {' '.join(done.stderr.split())}")
    [dot] = pydot.graph_from_dot_data(done.stdout) or [pydot.Dot()]
    edges = [(str(edge.get_source()).strip('"'), str(edge.get_destination()).strip('"')) for edge in dot.get_edges()]
    graph = nx.DiGraph(edges)
    graph.add_nodes_from(node.get_name().strip('"') for node in dot.get_nodes())
    return graph


def layout(graph: nx.DiGraph[str]) -> dict[str, tuple[float, float]]:
    """A place for each stage: one row down for each stage that must run before it, side by side within a row.

    Args:
        graph: of `stages`.

    Returns:
        x and y, from the top at 0 downwards.

    Example:
        >>> layout(nx.DiGraph([("fetch", "drop"), ("fetch", "explore")]))
        {'fetch': (0.0, 0.0), 'drop': (-0.5, -1.0), 'explore': (0.5, -1.0)}
    """
    places = {}
    for row, names in enumerate(nx.topological_generations(graph)):
        for i, name in enumerate(sorted(names)):
            places[name] = (i - (len(names) - 1) / 2, 0.0 - row)
    return places


def draw(ax: Axes, graph: nx.DiGraph[str] | None = None) -> None:
    """Draw the stages as boxes and what they need as arrows.

    Args:
        ax: to draw into.
        graph: of `stages`; that of the working folder when None.

    Raises:
        ProjectError: as `stages`.
    """
    graph = stages() if graph is None else graph
    places = layout(graph)
    box = {"boxstyle": "round,pad=0.4", "facecolor": "#e8f1ec", "edgecolor": "#2f6b4f"}
    for source, target in graph.edges:
        ax.annotate(
            "",
            xy=places[target],
            xytext=places[source],
            arrowprops={
                "arrowstyle": "-|>",
                "color": "#555555",
                "shrinkA": 13,
                "shrinkB": 13,
                "connectionstyle": _bend(places, source, target),
            },
        )
    for name, (x, y) in places.items():
        ax.text(x, y, name, ha="center", va="center", bbox=box, fontsize=10)
    xs, ys = zip(*places.values(), strict=True)
    ax.set(xlim=(min(xs) - 1, max(xs) + 1), ylim=(min(ys) - 0.6, max(ys) + 0.6))
    ax.set_axis_off()


def _bend(places: dict[str, tuple[float, float]], source: str, target: str) -> str:
    """An arrow that passes rows goes around the boxes in between: outwards, or by turns to the left and right."""
    (x, y), (to_x, to_y) = places[source], places[target]
    if y - to_y <= 1:
        return "arc3"
    left = to_x < x or (to_x == x and y % 2 == 0)
    return f"arc3,rad={0.4 if left else -0.4}"


def main() -> None:
    """Write the picture."""
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "reports/dag.png")
    figure, ax = plt.subplots(figsize=(6, 8), layout="constrained")
    draw(ax)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120)
    print(path)


if __name__ == "__main__":
    run_stage(main)
