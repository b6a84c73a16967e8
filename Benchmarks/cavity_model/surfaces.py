"""Where a predicted cavity's surface lies outside (red) and inside (blue) the reference's: shapes only, nothing of the scans."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from LAScarSegLib.output.figures.surface_views import VIEWS, colour_actor, lookup_table
from LAScarSegLib.output.rendering import Camera, render
from LAScarSegLib.surface.mesh import cavity_surface
from LAScarSegLib.surface.surface import Surface
from LAScarSegLib.volumes.volume import Geometry

EDGE_MM = 1.25
LIMIT_MM = 8.0
SHOWN = (VIEWS[0], VIEWS[3], VIEWS[1])
WIDTH_IN, HEIGHT_IN, DOTS_PER_INCH = 2.6, 1.95, 130


def distance_outside_mm(found: Surface, true: Surface) -> np.ndarray:
    """(N,) from each vertex of `found` to the nearest of `true`, negative inside it."""
    distance, nearest = cKDTree(true.points).query(found.points)
    side = np.einsum("ij,ij->i", found.points - true.points[nearest], true.normals[nearest])
    return np.copysign(distance, side)


def draw_surfaces(cases: list[tuple[str, np.ndarray, np.ndarray, Geometry]], path: Path) -> None:
    """One row for each case (title, prediction, reference, geometry): the reference from the front, the prediction from three sides."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    colours = matplotlib.colormaps["RdBu_r"]
    table = lookup_table(colours(np.linspace(0, 1, 256)), -LIMIT_MM, LIMIT_MM)
    columns = ["Reference, anterior", *(f"Model, {view.name.split(' (')[0].lower()}" for view in SHOWN)]
    figure, axes = plt.subplots(
        len(cases), len(columns), figsize=(WIDTH_IN * len(columns), (HEIGHT_IN + 0.2) * len(cases) + 0.8), squeeze=False, layout="constrained"
    )
    figure.get_layout_engine().set(h_pad=0.1)
    for row, (title, prediction, reference, geometry) in zip(axes, cases):
        true, found = (cavity_surface(mask, geometry, EDGE_MM) for mask in (reference, prediction))
        everything = np.concatenate([true.points, found.points])
        centre = (everything.min(axis=0) + everything.max(axis=0)) / 2
        x, y, z = 2.04 * np.abs(everything - centre).max(axis=0)
        height = max(z, max(x, y) * HEIGHT_IN / WIDTH_IN)
        cameras = [Camera(view.direction, view.up, tuple(centre), height) for view in SHOWN]
        size = round(WIDTH_IN * DOTS_PER_INCH), round(HEIGHT_IN * DOTS_PER_INCH)
        pictures = render(colour_actor(true, np.zeros(len(true.points)), table), cameras[:1], size)
        pictures += render(colour_actor(found, distance_outside_mm(found, true), table), cameras, size)
        for panel, picture in zip(row, pictures):
            panel.imshow(picture)
            panel.axis("off")
        row[0].set_title(title, fontsize=9, loc="left")
    for panel, name in zip(axes[-1], columns):
        panel.text(0.5, -0.02, name, transform=panel.transAxes, ha="center", va="top", fontsize=9)
    bar = figure.colorbar(
        ScalarMappable(Normalize(-LIMIT_MM, LIMIT_MM), colours), ax=axes, location="bottom", shrink=0.5, aspect=40, extend="both"
    )
    bar.set_label("model's surface inside (−) or outside (+) the reference, mm", fontsize=9)
    figure.savefig(path, dpi=DOTS_PER_INCH)
    plt.close(figure)
