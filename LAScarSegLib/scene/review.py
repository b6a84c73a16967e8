"""Looking at a result: what the surface is coloured by, a scar map that changes, distance maps over the slices."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from vtkmodules.util.numpy_support import vtk_to_numpy

from ..analysis import Analysis
from ..errors import InputError
from ..measure.headline import WITHHELD
from ..surface.surface import CLASS_NOT_MEASURED
from . import colours
from .build import SceneNodes, require_in_scene, update_scene
from .gaps import show_age
from .maps import PROBABILITY_COLOURS, show_distances
from .model import LEGEND, add_legend, add_surface, classes_of, colour_by, has_classes, legend_of, style_legend
from .mrml import SOURCE, nodes_of_class
from .segmentation import SCAR
from .tables import add_measurements, mark_chosen

IIR_RANGE = (0.6, 1.8)
"""As in the report's figure: from below the lowest published preset (0.86) to above the highest (1.61)."""
GREY = "vtkMRMLColorTableNodeGrey"
FOREGROUND_BEFORE = "LAScarSeg.foreground_before"
"""Attribute of a slice composite node: what its foreground was before a distance map lay there, as JSON."""
OVERLAY_OPACITY = 0.5


@dataclass(frozen=True)
class Scalar:
    """One way to colour the surface: its title, unit for the legend, the values at the ends of the colours.

    `colour_node` gives the colours from the scene and the result's volume node; `names` is how many the legend lists, 0: numbers.
    """

    name: str
    title: str
    legend: str
    colour_node: Callable[[Any, Any], Any]
    low: float
    high: float
    names: int = 0


def scalars(analysis: Analysis) -> tuple[Scalar, ...]:
    """What the surface can be coloured by, in the order in which it is offered; the first is what matters."""
    offered = [
        Scalar("Scar", "Scar", "LA wall", lambda scene, _: colours.scar_table(scene), 0, 1, names=2),
        Scalar("IIR", "Intensity relative to blood (IIR)", "IIR", lambda scene, _: colours.ratio_table(scene), *IIR_RANGE),
        Scalar("LGE", "Intensity (grey levels)", "LGE", lambda scene, _: scene.GetNodeByID(GREY), 0.0, 2 * analysis.blood_pool.mean),
    ]
    if has_classes(analysis):
        names = len(np.unique(analysis.surface.scar_class))
        classes = Scalar(
            "ScarClass", "Scar: border, dense, not measured", "LA wall", lambda scene, _: classes_of(scene, analysis)[0], 0, CLASS_NOT_MEASURED, names
        )
        offered.insert(0, classes)
    if analysis.surface.scar_probability is not None:
        offered.append(Scalar("ScarProbability", "Scar probability", "Probability", _probability_colours, 0.0, 1.0))
    for name, entropy in (("Scar", analysis.surface.scar_entropy), ("Cavity", analysis.surface.cavity_entropy)):
        if entropy is not None:
            offered.append(Scalar(f"{name}Entropy", f"{name}: network uncertainty (bits)", "Entropy (bits)", _entropy_colours, 0.0, 1.0))
    if analysis.planes:
        present = np.unique(analysis.surface.region)
        table = partial(colours.region_table, present=present)
        offered.append(Scalar("Region", "Regions (body, veins, left out)", "Region", table, 0, max(colours.REGIONS), len(present)))
    return tuple(offered)


def show_scalar(nodes: SceneNodes, analysis: Analysis, name: str) -> None:
    """Colour the surface by one of `scalars(analysis)`, its legend with it.

    Raises
    ------
    InputError
        when this result has no such array, or the surface was deleted.
    """
    if analysis.withheld:
        raise InputError(f"{WITHHELD}.")
    chosen = next((scalar for scalar in scalars(analysis) if scalar.name == name), None)
    if chosen is None:
        known = ", ".join(scalar.name for scalar in scalars(analysis))
        raise InputError(f"The surface of this result has no {name!r}; it has {known}.")
    scene, display = _surface_display(nodes)
    colour_by(display, name, chosen.colour_node(scene, nodes.volume), chosen.low, chosen.high)
    legend = legend_of(nodes.surface)
    if legend is not None:
        legend.SetMaxNumberOfColors(display.GetColorNode().GetNumberOfColors())
        style_legend(legend, chosen.legend, chosen.names)


def set_opacity(nodes: SceneNodes, opacity: float) -> None:
    """How solid the surface is, 0…1."""
    _surface_display(nodes)[1].SetOpacity(min(max(opacity, 0.0), 1.0))


def set_legend(nodes: SceneNodes, analysis: Analysis, visible: bool) -> None:
    """Show or hide the surface's colour legend; made when there is none and the scene knows legends."""
    scene, _ = _surface_display(nodes)
    legend = legend_of(nodes.surface)
    visible = visible and not analysis.withheld
    if legend is None and visible and scene.IsNodeClassRegistered(LEGEND):
        legend = add_legend(nodes.surface)
        shown = nodes.surface.GetDisplayNode().GetActiveScalarName()
        scalar = next((scalar for scalar in scalars(analysis) if scalar.name == shown), None)
        style_legend(legend, scalar.legend if scalar else shown, scalar.names if scalar else 0)
    if legend is not None:
        legend.SetVisibility(visible)


def show_scar(nodes: SceneNodes, analysis: Analysis) -> None:
    """Surface map, table and the mark on the curve show the scar of `analysis`; the scar segment is left alone.

    Raises
    ------
    InputError
        volume or surface were deleted.
    """
    scene, _ = _surface_display(nodes)
    found = {"Scar": analysis.surface.scar, "ScarClass": analysis.surface.scar_class}
    if not _paint(nodes.surface.GetPolyData(), found):
        add_surface(scene, analysis, nodes.volume)
    add_measurements(scene, analysis, nodes.volume)
    mark_chosen(scene, analysis, nodes.volume)
    show_age(scene, analysis, nodes.volume)


def write_scar(nodes: SceneNodes, analysis: Analysis) -> SceneNodes:
    """Scar segment and what the nodes say of their method follow; raises as `show_scar`."""
    scene, _ = _surface_display(nodes)
    return update_scene(scene, analysis, nodes, [SCAR], same_anatomy=True, same_networks=True)


def _paint(polydata: Any | None, arrays: dict[str, np.ndarray]) -> bool:
    """New values in the arrays of these names, the mesh stays; False when the node holds another mesh by now."""
    held = {name: None if polydata is None else polydata.GetPointData().GetArray(name) for name in arrays}
    if any(array is None or array.GetNumberOfTuples() != len(arrays[name]) for name, array in held.items()):
        return False
    for name, array in held.items():
        vtk_to_numpy(array)[:] = arrays[name]
        array.Modified()
    polydata.Modified()
    return True


def show_distance(nodes: SceneNodes, which: str | None, opacity: float = OVERLAY_OPACITY) -> None:
    """Lay a distance map (`"cavity"` or `"wall"`) over the scan in the slice views that show it; None: as it was before.

    Red is inside, blue outside, a black line where the distance is zero. What lay in the foreground before is put back,
    unless somebody put something else there meanwhile.

    Raises
    ------
    InputError
        for another name, or when the map or the volume were deleted.
    """
    maps = {"cavity": nodes.sdm_cavity, "wall": nodes.sdm_wall}
    if which is not None and which not in maps:
        raise InputError(f"There is no distance map of {which!r}; choose 'cavity' or 'wall'.")
    scene = _scene_of(nodes)
    ours = {node.GetID() for node in maps.values()}
    if which is None:
        for composite in nodes_of_class(scene, "vtkMRMLSliceCompositeNode"):
            _put_back(scene, composite, ours)
        return
    node = require_in_scene(scene, maps[which], "distance map")
    # Whatever somebody chose since: the overlay is of no use without the black line at zero.
    show_distances(scene, node)
    # A result of a hardened copy is looked at on the scan it was copied from, too.
    scans = {nodes.volume.GetID(), nodes.volume.GetNodeReferenceID(SOURCE)} - {None}
    for composite in nodes_of_class(scene, "vtkMRMLSliceCompositeNode"):
        if composite.GetBackgroundVolumeID() in scans:
            _cover(composite, node.GetID(), ours, opacity)


def _cover(composite: Any, map_id: str, ours: set[str], opacity: float) -> None:
    if composite.GetForegroundVolumeID() not in ours:
        before = {"volume": composite.GetForegroundVolumeID(), "opacity": composite.GetForegroundOpacity()}
        composite.SetAttribute(FOREGROUND_BEFORE, json.dumps(before))
    composite.SetForegroundVolumeID(map_id)
    composite.SetForegroundOpacity(opacity)


def _put_back(scene: Any, composite: Any, ours: set[str]) -> None:
    noted = composite.GetAttribute(FOREGROUND_BEFORE)
    if noted is None:
        return
    composite.RemoveAttribute(FOREGROUND_BEFORE)
    if composite.GetForegroundVolumeID() not in ours | {None}:
        return
    before = json.loads(noted)
    kept = before["volume"] if before["volume"] and scene.GetNodeByID(before["volume"]) is not None else None
    composite.SetForegroundVolumeID(kept)
    composite.SetForegroundOpacity(before["opacity"])


def _probability_colours(scene: Any, _source: Any) -> Any:
    """Slicer's viridis; grey in a scene without it."""
    return scene.GetNodeByID(PROBABILITY_COLOURS) or scene.GetNodeByID(GREY)


def _entropy_colours(scene: Any, _source: Any) -> Any:
    return colours.entropy_table(scene)


def _scene_of(nodes: SceneNodes) -> Any:
    return require_in_scene(nodes.volume.GetScene(), nodes.volume, "volume").GetScene()


def _surface_display(nodes: SceneNodes) -> tuple[Any, Any]:
    """The scene, and the display node of the surface, made anew where somebody took it away."""
    scene = _scene_of(nodes)
    surface = require_in_scene(scene, nodes.surface, "surface")
    surface.CreateDefaultDisplayNodes()
    return scene, surface.GetDisplayNode()
