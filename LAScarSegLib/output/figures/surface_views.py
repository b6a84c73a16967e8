"""The LA surface from the six standard directions, with orientation letters and a scale bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...surface.polydata import mesh_polydata
from ...surface.surface import Surface
from ..rendering import Camera, render
from . import style
from .slice_layout import side

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from vtkmodules.vtkCommonCore import vtkLookupTable
    from vtkmodules.vtkCommonDataModel import vtkPolyData
    from vtkmodules.vtkRenderingCore import vtkActor


@dataclass(frozen=True)
class SurfaceMark:
    """A numbered place on the surface, and perhaps its course, both LPS mm: drawn in the views that show it."""

    number: int
    point: tuple[float, float, float]
    line: tuple[tuple[float, float, float], ...] = ()


@dataclass(frozen=True)
class View:
    """A standard view: looking along `direction` (LPS) with `up` upwards; letters are where the patient's sides appear."""

    name: str
    direction: tuple[int, int, int]
    up: tuple[int, int, int]

    @property
    def right(self) -> np.ndarray:
        """The LPS direction that points to the viewer's right."""
        return np.cross(self.direction, self.up)

    @property
    def edge_letters(self) -> tuple[str, str, str, str]:
        """The patient's side at the picture's left, right, top and bottom edge."""
        up = np.array(self.up)
        return side(-self.right), side(self.right), side(up), side(-up)


# LPS: +x left, +y posterior, +z superior. From above and below the patient's left stays on the viewer's right, as in
# the anterior view tipped forwards or backwards. Opposite views stand above each other.
VIEWS = (
    View("Anterior (AP)", (0, 1, 0), (0, 0, 1)),
    View("Left lateral", (-1, 0, 0), (0, 0, 1)),
    View("Superior", (0, 0, -1), (0, 1, 0)),
    View("Posterior (PA)", (0, -1, 0), (0, 0, 1)),
    View("Right lateral", (1, 0, 0), (0, 0, 1)),
    View("Inferior", (0, 0, 1), (0, -1, 0)),
)
COLUMNS, ROWS = 3, 2

LETTER_ROOM_IN = 0.2
"""Room for the letters between the surface and the panel's edge."""
PANEL_WIDTH_IN = 3.2
GAP_IN = 0.16
"""Between neighbouring views: the letters at their edges belong to one of them each."""
NAME_IN = 0.26
SCALE_BAR_MM = 20.0
HIDDEN_BY_MM = 4.0
"""What lies this far in front of a mark hides it: more than the curve of the wall beside it, less than any vein in front of it."""
BESIDE_MM = 1.5
"""How near to the line of sight a vertex must be to hide what lies behind: more than half of a mesh's edge."""


def draw_views(surface: Surface, actors: list[vtkActor], head: str, line: str, foot_in: float, marks: Sequence[SurfaceMark] = ()) -> Figure:
    """A figure with the six views of `actors` (LPS mm) under a headline, and `foot_in` inches left free below.

    Every panel has the same scale, so sizes can be compared between views.
    """
    width_mm, height_mm, centre = _common_frame(surface.points)
    panel_height_in = PANEL_WIDTH_IN * height_mm / width_mm
    width_in = COLUMNS * PANEL_WIDTH_IN + (COLUMNS - 1) * GAP_IN
    height_in = style.TITLE_IN + ROWS * (panel_height_in + NAME_IN) + foot_in
    figure = style.new_figure(width_in, height_in, head, line)
    pixels = (round(PANEL_WIDTH_IN * style.DOTS_PER_INCH), round(panel_height_in * style.DOTS_PER_INCH))
    pictures = render(actors, [Camera(view.direction, view.up, centre, height_mm) for view in VIEWS], pixels)
    for number, (view, picture) in enumerate(zip(VIEWS, pictures)):
        row, column = divmod(number, COLUMNS)
        top_in = style.TITLE_IN + row * (panel_height_in + NAME_IN) + NAME_IN
        left_in = column * (PANEL_WIDTH_IN + GAP_IN)
        place = (left_in, height_in - top_in - panel_height_in, PANEL_WIDTH_IN, panel_height_in)
        axes = figure.add_axes([length / whole for length, whole in zip(place, (width_in, height_in) * 2)])
        if column:
            x = (left_in - GAP_IN / 2) / width_in
            figure.add_artist(_divider(x, (height_in - top_in - panel_height_in) / height_in, (height_in - top_in) / height_in))
        axes.imshow(picture, extent=(-width_mm / 2, width_mm / 2, -height_mm / 2, height_mm / 2), aspect="equal")
        axes.axis("off")
        _label(axes, view, width_mm, height_mm)
        _draw_marks(axes, view, marks, surface, np.array(centre))
        if number == 0:
            _scale_bar(axes, width_mm, height_mm)
    return figure


def colour_actor(surface: Surface, values: np.ndarray, table: vtkLookupTable) -> list[vtkActor]:
    """Actors of the surface: LA wall coloured by `values` (N,) through `table`, excluded parts in grey.

    Values are interpolated before they are coloured, so that the border of a class is a line and not a blur.
    """
    import vtkmodules.vtkRenderingOpenGL2  # noqa: F401  without it the actors have no implementation
    from vtkmodules.vtkFiltersCore import vtkClipPolyData

    mesh = _polydata(surface, {"Value": values, "Wall": surface.is_wall})
    if surface.is_wall.all():
        return [_actor(mesh, table)]
    mesh.GetPointData().SetActiveScalars("Wall")
    actors = []
    for inside_out, lookup in ((False, table), (True, None)):
        clip = vtkClipPolyData()
        clip.SetInputData(mesh)
        clip.SetValue(0.5)
        clip.SetInsideOut(inside_out)
        clip.Update()
        clip.GetOutput().GetPointData().SetActiveScalars("Value")
        actors.append(_actor(clip.GetOutput(), lookup))
    return actors


def class_actors(surface: Surface, layers: list[tuple[np.ndarray, str]], rest: str) -> list[vtkActor]:
    """Actors of the surface in plain colours: each layer's vertices (N,) bool in its colour, the first on top, the `rest` below.

    A border lies halfway between two vertices, so that it is a line and not a blur.
    """
    import vtkmodules.vtkRenderingOpenGL2  # noqa: F401  without it the actors have no implementation
    from vtkmodules.vtkFiltersCore import vtkClipPolyData

    mesh, actors = _polydata(surface, {f"Layer {number}": mask for number, (mask, _) in enumerate(layers)}), []
    for number, (_, colour) in enumerate(layers):
        mesh.GetPointData().SetActiveScalars(f"Layer {number}")
        clip = vtkClipPolyData()
        clip.SetInputData(mesh)
        clip.SetValue(0.5)
        clip.GenerateClippedOutputOn()
        clip.Update()
        actors.append(_actor(clip.GetOutput(), None, colour))
        mesh = clip.GetClippedOutput()
    return [*actors, _actor(mesh, None, rest)]


def lookup_table(colours: np.ndarray, low: float, high: float) -> vtkLookupTable:
    """A VTK lookup table of `colours` (K, 3 or 4; 0…1) over `low`…`high`; values beyond take the end colours."""
    from vtkmodules.vtkCommonCore import vtkLookupTable

    table = vtkLookupTable()
    table.SetNumberOfTableValues(len(colours))
    table.SetTableRange(low, high)
    for number, colour in enumerate(colours):
        table.SetTableValue(number, *colour[:3], 1.0)
    return table


def _common_frame(points: np.ndarray) -> tuple[float, float, tuple[float, float, float]]:
    """Width and height in mm that hold the surface in every view, and the centre they all look at."""
    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    reach = points - centre
    width = max(np.abs(reach @ view.right).max() for view in VIEWS)
    height = max(np.abs(reach @ np.array(view.up)).max() for view in VIEWS)
    mm_per_inch = 2 * width / (PANEL_WIDTH_IN - 2 * LETTER_ROOM_IN)
    return PANEL_WIDTH_IN * mm_per_inch, 2 * (height + LETTER_ROOM_IN * mm_per_inch), tuple(centre)


def _label(axes: Axes, view: View, width_mm: float, height_mm: float) -> None:
    axes.text(0, height_mm / 2 + 1, view.name, ha="center", va="bottom", fontsize=10, fontweight="bold")
    left, right, top, bottom = view.edge_letters
    x, y = 0.485 * width_mm, height_mm / 2
    for text, place, ha, va in (
        (left, (-x, 0), "left", "center"), (right, (x, 0), "right", "center"),
        (top, (0, y), "center", "top"), (bottom, (0, -y), "center", "bottom"),
    ):  # fmt: skip
        axes.text(*place, text, ha=ha, va=va, fontsize=9, color=style.MUTED)


def _draw_marks(axes: Axes, view: View, marks: Sequence[SurfaceMark], surface: Surface, centre: np.ndarray) -> None:
    """The marks that this view shows, each with its number; of a line what is seen."""
    across = np.stack([view.right, view.up], axis=1)
    for mark in marks:
        if len(mark.line) > 1:
            line = np.array(mark.line)
            x, y = np.where(shown(line, view, surface)[:, None], (line - centre) @ across, np.nan).T
            axes.plot(x, y, color=style.INK, linewidth=2.6, solid_capstyle="round")
        if shown(np.array([mark.point]), view, surface)[0]:
            place = (np.array(mark.point) - centre) @ across
            ring = {"boxstyle": "circle,pad=0.22", "facecolor": style.INK, "edgecolor": "white", "linewidth": 0.8}
            axes.text(*place, str(mark.number), ha="center", va="center", fontsize=7, fontweight="bold", color="white", bbox=ring)


def shown(points: np.ndarray, view: View, surface: Surface) -> np.ndarray:
    """(P,) bool: which `points` (P, 3) on the surface a view shows: they face it, and nothing stands in front."""
    from scipy.spatial import cKDTree

    direction = np.array(view.direction, dtype=np.float64)
    faces = surface.normals[cKDTree(surface.points).query(points)[1]] @ direction < 0
    across = np.stack([view.right, view.up], axis=1)
    depth, own = surface.points @ direction, points @ direction
    beside = cKDTree(surface.points @ across).query_ball_point(points @ across, BESIDE_MM)
    free = [not near or depth[near].min() > own_depth - HIDDEN_BY_MM for near, own_depth in zip(beside, own)]
    return faces & np.array(free, dtype=bool)


def _divider(x: float, bottom: float, top: float) -> Line2D:
    from matplotlib.lines import Line2D

    return Line2D([x, x], [bottom, top], color=style.FAINT, linewidth=0.8)


def _scale_bar(axes: Axes, width_mm: float, height_mm: float) -> None:
    x, y = -width_mm / 2 + 4, -height_mm / 2 + 2
    axes.plot([x, x + SCALE_BAR_MM], [y, y], color=style.INK, linewidth=2.2, solid_capstyle="butt")
    axes.text(x + SCALE_BAR_MM / 2, y + 1.2, f"{SCALE_BAR_MM / 10:g} cm", ha="center", va="bottom", fontsize=8.5)


def _polydata(surface: Surface, arrays: dict[str, np.ndarray]) -> vtkPolyData:
    """The mesh with these vertex arrays, the first of them active."""
    from vtkmodules.util.numpy_support import numpy_to_vtk

    mesh = mesh_polydata(surface.points, surface.triangles)
    mesh.GetPointData().SetNormals(numpy_to_vtk(np.ascontiguousarray(surface.normals), deep=True))
    for name, array in arrays.items():
        data = numpy_to_vtk(np.ascontiguousarray(array, dtype=np.float32), deep=True)
        data.SetName(name)
        mesh.GetPointData().AddArray(data)
    mesh.GetPointData().SetActiveScalars(next(iter(arrays)))
    return mesh


def _actor(mesh: vtkPolyData, table: vtkLookupTable | None, colour: str = style.EXCLUDED) -> vtkActor:
    """`table` None: plain `colour`."""
    from matplotlib.colors import to_rgb
    from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper

    mapper = vtkPolyDataMapper()
    mapper.SetInputData(mesh)
    actor = vtkActor()
    actor.SetMapper(mapper)
    if table is None:
        mapper.ScalarVisibilityOff()
        actor.GetProperty().SetColor(*to_rgb(colour))
    else:
        mapper.SetLookupTable(table)
        mapper.UseLookupTableScalarRangeOn()
        mapper.InterpolateScalarsBeforeMappingOn()
    surface = actor.GetProperty()
    surface.SetInterpolationToPhong()
    surface.SetAmbient(0.36)
    surface.SetDiffuse(0.66)
    surface.SetSpecular(0.06)
    surface.SetSpecularPower(20)
    return actor
