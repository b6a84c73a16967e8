"""The LA surface as a model node with the scar map on it, and a grey cover where the surface is not LA wall."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from vtkmodules.util.numpy_support import vtk_to_numpy

from ..analysis import Analysis
from ..surface.polydata import mesh_polydata, surface_polydata
from ..surface.surface import CLASS_BORDER, CLASS_DENSE, CLASS_NONE, CLASS_NOT_MEASURED, Surface
from .colours import LEFT_OUT, WITHHELD, class_table, region_table, scar_table
from .mrml import WITHHELD_HERE, find_or_add, remove_result, slicer_classes
from .volumes import LPS_TO_RAS, vtk_array

COVER_LIFT_MM = 0.1
"""The cover lies this far outside the surface: enough that the two never fight for a pixel, too little to be seen."""

LEGEND = "vtkMRMLColorLegendDisplayNode"
LEGEND_WIDTH = 0.2
NUMBERS_HEIGHT = 0.4
HEIGHT_OF_A_NAME = 0.07
"""Shares of the view: a legend of names is as high as it has names, and its letters stay readable."""
NAMES, NUMBERS = "%s", "%.2f"
"""Label formats; with the other one Slicer's legend shows "(none)" and warns (vtkSlicerScalarBarActor::LayoutTicks)."""
NUMBER_LABELS = 5
INK, PAPER, PAPER_OPACITY = (0.1, 0.1, 0.1), (1.0, 1.0, 1.0), 0.6
"""Dark letters on a light ground of their own: readable on every background."""


def add_surface(scene: Any, analysis: Analysis, source: Any) -> Any:
    """The model node of the LA surface in RAS, with `LGE`, `IIR`, `Scar`, `ScarClass`, `Region` and, if any, `ScarProbability`.

    Scar is shown: vermilion where it was found, amber where it is border scar, dark where nothing was measured, blue elsewhere. A user
    who chose another array or colours keeps that choice.
    """
    node, new = find_or_add(scene, "vtkMRMLModelNode", "surface", f"{source.GetName()} LA scar map", source)
    node.SetAndObservePolyData(ras_polydata(analysis.surface))
    node.SetDescription(
        "Left-atrial surface. Scar: 1 where scar was found; ScarClass: 1 border, 2 dense, 255 not measured. LGE: projected grey level; "
        "IIR: the same over the blood-pool mean."
    )
    if new:
        node.CreateDefaultDisplayNodes()
    if analysis.withheld:
        _show_withheld(node)
    elif new or node.GetAttribute(WITHHELD_HERE) is not None:
        node.RemoveAttribute(WITHHELD_HERE)
        _show_scar(scene, node, analysis)
    elif node.GetDisplayNode() and node.GetDisplayNode().GetActiveScalarName() == "Region":
        # Planes come and go: the legend lists the regions that there are now.
        present = np.unique(analysis.surface.region)
        region_table(scene, source, present)
        legend = legend_of(node)
        if legend is not None:
            style_legend(legend, legend.GetTitleText(), len(present))
    return node


def ras_polydata(surface: Surface, more: Mapping[str, np.ndarray] = MappingProxyType({})) -> Any:
    """The surface with its arrays, and `more` (N,) by name, as a scene has it."""
    polydata = surface_polydata(surface)
    for name, values in more.items():
        polydata.GetPointData().AddArray(vtk_array(name, values))
    _turn_to_ras(polydata)
    return polydata


def _show_withheld(node: Any) -> None:
    """The shape alone: which part of it would be scar is not to be read from a cavity that is not to be used."""
    node.SetAttribute(WITHHELD_HERE, "true")
    display = node.GetDisplayNode()
    display.SetScalarVisibility(False)
    display.SetColor(*WITHHELD)
    display.SetVisibility2D(False)
    legend = slicer_classes().vtkSlicerColorLogic.GetColorLegendDisplayNode(node) if node.GetScene().IsNodeClassRegistered(LEGEND) else None
    if legend is not None:
        legend.SetVisibility(False)


def has_classes(analysis: Analysis) -> bool:
    """Whether there is more to show than scar or not: dense scar, or surface that was not measured."""
    return analysis.measurements["threshold_dense"].value is not None or bool((analysis.surface.scar_class == CLASS_NOT_MEASURED).any())


def classes_of(scene: Any, analysis: Analysis) -> tuple[Any, int]:
    """The colour node of this result's classes, and how many there are."""
    has_dense = analysis.measurements["threshold_dense"].value is not None
    present = np.union1d([CLASS_NONE, CLASS_BORDER, *([CLASS_DENSE] if has_dense else [])], np.unique(analysis.surface.scar_class))
    return class_table(scene, present, has_dense), len(present)


def _show_scar(scene: Any, node: Any, analysis: Analysis) -> None:
    """Scar in its colours, with a legend that names them in scenes that know legends (Slicer does)."""
    names = 2
    if has_classes(analysis):
        table, names = classes_of(scene, analysis)
        colour_by(node.GetDisplayNode(), "ScarClass", table, 0, CLASS_NOT_MEASURED)
    else:
        colour_by(node.GetDisplayNode(), "Scar", scar_table(scene), 0, 1)
    # the segments already draw their outlines in the slices
    node.GetDisplayNode().SetVisibility2D(False)
    if scene.IsNodeClassRegistered(LEGEND):
        style_legend(add_legend(node), "LA wall", names)


def add_legend(surface: Any) -> Any:
    """The legend of the surface's colours, made when there is none."""
    legend = slicer_classes().vtkSlicerColorLogic.AddDefaultColorLegendDisplayNode(surface)
    for text in (legend.GetTitleTextProperty(), legend.GetLabelTextProperty()):
        text.SetFontFamilyToArial()
        text.SetColor(*INK)
        text.ShadowOff()
        text.SetBackgroundColor(*PAPER)
        text.SetBackgroundOpacity(PAPER_OPACITY)
    return legend


def legend_of(surface: Any) -> Any | None:
    """The legend of the surface's colours; None when there is none."""
    return slicer_classes().vtkSlicerColorLogic.GetColorLegendDisplayNode(surface)


def style_legend(legend: Any, title: str, names: int = 0) -> None:
    """What a legend says: so many `names`, or numbers. All at once: a legend that is drawn half changed warns."""
    modifying = legend.StartModify()
    legend.SetTitleText(title)
    legend.SetUseColorNamesForLabels(names > 0)
    legend.SetLabelFormat(NAMES if names else NUMBERS)
    legend.SetNumberOfLabels(names or NUMBER_LABELS)
    legend.SetSize(LEGEND_WIDTH, HEIGHT_OF_A_NAME * (names + 1) if names else NUMBERS_HEIGHT)
    legend.EndModify(modifying)


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
