"""The LA surface as a model node with the scar map on it, and a grey cover where the surface is not LA wall."""

from typing import Any

import numpy as np
from vtkmodules.util.numpy_support import vtk_to_numpy

from ..analysis import Analysis
from ..surface.polydata import mesh_polydata, surface_polydata
from ..surface.surface import Surface
from .colours import LEFT_OUT, scar_table
from .mrml import find_or_add, remove_result, slicer_classes
from .volumes import LPS_TO_RAS, vtk_array

COVER_LIFT_MM = 0.1
"""The cover lies this far outside the surface: enough that the two never fight for a pixel, too little to be seen."""

LEGEND_SIZE = (0.12, 0.18)
"""Share of the view's width and height: two colours need less than Slicer's default of half the view."""


def add_surface(scene: Any, analysis: Analysis, source: Any) -> Any:
    """The model node of the LA surface in RAS, with `LGE`, `IIR`, `Scar`, `Region` and, if any, `ScarProbability`.

    `Scar` is shown: blue healthy, vermilion scar. A user who chose another array or colours keeps that choice.
    """
    node, new = find_or_add(scene, "vtkMRMLModelNode", "surface", f"{source.GetName()} LA scar map", source)
    polydata = surface_polydata(analysis.surface)
    _turn_to_ras(polydata)
    node.SetAndObservePolyData(polydata)
    node.SetDescription(
        "Left-atrial surface. Scar: 1 where scar lies along the normal. LGE: projected grey level; IIR: the same over the blood-pool mean."
    )
    if new:
        node.CreateDefaultDisplayNodes()
        _show_scar(scene, node)
    return node


def _show_scar(scene: Any, node: Any) -> None:
    """Scar in its two colours, with a legend that names them in scenes that know legends (Slicer does)."""
    colour_by(node.GetDisplayNode(), "Scar", scar_table(scene), 0, 1)
    # the segments already draw their outlines in the slices
    node.GetDisplayNode().SetVisibility2D(False)
    if scene.IsNodeClassRegistered("vtkMRMLColorLegendDisplayNode"):
        legend = slicer_classes().vtkSlicerColorLogic.AddDefaultColorLegendDisplayNode(node)
        legend.SetTitleText("LA wall")
        legend.SetSize(*LEGEND_SIZE)
        legend.GetLabelTextProperty().SetFontFamilyToArial()


def colour_by(display: Any, array: str, colours: Any, low: float, high: float) -> None:
    """Colour a surface by one of its arrays; `low` and `high` are the values at the ends of the colour node."""
    display.SetActiveScalarName(array)
    display.SetAndObserveColorNodeID(colours.GetID())
    display.SetScalarRangeFlag(display.UseManualScalarRange)
    display.SetScalarRange(low, high)
    display.SetScalarVisibility(True)


def add_cover(scene: Any, analysis: Analysis, source: Any) -> Any | None:
    """A grey model over the part of the surface beyond the exclusion planes; None, and an old one removed, without any.

    A model of its own keeps `Scar` what it says, 0 or 1 at every vertex, and the eye icon takes the cover off.
    """
    triangles = left_out_triangles(analysis.surface)
    if len(triangles) == 0:
        remove_result(scene, "vtkMRMLModelNode", "left_out", source)
        return None
    node, new = find_or_add(scene, "vtkMRMLModelNode", "left_out", f"{source.GetName()} left out (beyond the planes)", source)
    node.SetAndObservePolyData(_cover(analysis.surface, triangles))
    node.SetDescription("The part of the surface beyond the exclusion planes: not counted in scar_area_pct_wall.")
    if new:
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        display.SetColor(*LEFT_OUT)
        display.SetScalarVisibility(False)
        display.SetVisibility2D(False)
    return node


def left_out_triangles(surface: Surface) -> np.ndarray:
    """(M, 3) the triangles with most of their vertices beyond an exclusion plane."""
    return surface.triangles[(~surface.is_wall)[surface.triangles].sum(axis=1) >= 2]


def _cover(surface: Surface, triangles: np.ndarray) -> Any:
    used, renumbered = np.unique(triangles, return_inverse=True)
    normals = surface.normals[used]
    polydata = mesh_polydata(surface.points[used] + COVER_LIFT_MM * normals, renumbered.reshape(-1, 3))
    polydata.GetPointData().SetNormals(vtk_array("Normals", normals, np.float32))
    _turn_to_ras(polydata)
    return polydata


def _turn_to_ras(polydata: Any) -> None:
    """LPS to RAS in place: half a turn about the superior axis, so triangles keep their sense and normals turn along."""
    signs = np.diag(LPS_TO_RAS)[:3]
    for array in (polydata.GetPoints().GetData(), polydata.GetPointData().GetNormals()):
        values = vtk_to_numpy(array)
        values *= signs.astype(values.dtype)
        array.Modified()
    polydata.GetPoints().Modified()
