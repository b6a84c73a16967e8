"""The mitral plane and the vein cut planes as Slicer's plane markups: placed, dragged, and read back."""

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import InputError
from ..support.json_text import parse_json
from ..surface.planes import PLANE_NAMES, CutPlane, same_planes
from .mrml import ROLE, SOURCE, mark, nodes_of_class, remove_node
from .volumes import LPS_TO_RAS

PLANE_CLASS = "vtkMRMLMarkupsPlaneNode"
PLANE_ROLE = "plane"
PLANE_NAME = "LAScarSeg.plane"
"""Node attribute: which opening the plane cuts, `"MV"`, a vein or `"LAA"`; the node itself may be called anything."""
PLANE_FOUND = "LAScarSeg.plane_found"
"""Node attribute: where the program put it (JSON), for a plane that it has found."""
SIZE_MM = 40.0
"""Edge of the square that is drawn: wider than a mitral annulus (30–38 mm, SCIENCE section 7)."""
COLOUR = (0.16, 0.55, 0.58)
"""Away from the colours of cavity, wall and scar."""
FILL_OPACITY = 0.25


def add_plane(scene: Any, volume: Any, name: str, plane: CutPlane | None = None) -> Any:
    """The markup of the plane `name` of the result of the volume node `volume`, made when there is none.

    With `plane` it lies there; without one it waits for three clicks on the opening's rim (`start_placing`).

    Raises
    ------
    InputError
        for a name that no opening has.
    """
    if name not in PLANE_NAMES:
        raise InputError(f"{name!r} is no opening of the left atrium; choose one of {', '.join(PLANE_NAMES)}.")
    node = next((node for node in plane_nodes(scene, volume) if node.GetAttribute(PLANE_NAME) == name), None)
    if node is None:
        node = scene.AddNewNodeByClass(PLANE_CLASS, name)
        mark_plane(node, name, volume)
        node.CreateDefaultDisplayNodes()
        _style(node)
    if plane is not None:
        _lay(node, plane)
    elif not node.GetIsPlaneValid():
        node.SetPlaneType(node.PlaneType3Points)
    return node


def show_planes(scene: Any, volume: Any, planes: Iterable[CutPlane]) -> list[Any]:
    """Markups for the planes of an analysis, so that they can be dragged."""
    return [add_plane(scene, volume, plane.name, plane) for plane in planes]


def show_found(scene: Any, volume: Any, planes: Iterable[CutPlane]) -> None:
    """Markups for planes that the program has found: they replace those it found before, and are known until somebody moves them."""
    for node in plane_nodes(scene, volume):
        if is_as_found(node):
            remove_node(scene, node)
    for node in show_planes(scene, volume, planes):
        node.SetAttribute(PLANE_FOUND, json.dumps(plane_of(node).to_json()))


def is_as_found(node: Any) -> bool:
    """Whether the program has found a plane markup, and nobody has moved it since."""
    noted = node.GetAttribute(PLANE_FOUND)
    try:
        return noted is not None and node.GetIsPlaneValid() and same_planes([CutPlane.from_json(parse_json(noted))], [plane_of(node)])
    except (InputError, ValueError, KeyError, TypeError):
        return False  # a scene that somebody wrote into


def adopt_plane(node: Any, volume: Any) -> str:
    """Let a plane markup that a person made count for the result of `volume`; returns which opening it cuts (`opening_of`)."""
    name = opening_of(node)
    mark_plane(node, name, volume)
    return name


def mark_plane(node: Any, name: str, volume: Any) -> None:
    """Note on a plane markup which opening it cuts, and for the result of which volume node it counts."""
    mark(node, PLANE_ROLE, volume)
    node.SetAttribute(PLANE_NAME, name)


def opening_of(node: Any) -> str:
    """Which opening a plane markup cuts: noted on it, else the label of its first point, else a word of its name ("LSPV-1", "phantom LAA").

    Raises
    ------
    InputError
        when none of them is the name of an opening.
    """
    first = node.GetNthControlPointLabel(0) if node.GetNumberOfControlPoints() else ""
    for text in (node.GetAttribute(PLANE_NAME) or "", first, node.GetName()):
        words = [re.sub(r"\d+$", "", word).upper() for word in re.split(r"[^A-Za-z0-9]+", text)]
        kinds = [word for word in words if word in PLANE_NAMES]
        if kinds:
            return kinds[-1]
    raise InputError(f"The plane {node.GetName()!r} doesn't say which opening it cuts. Rename it to one of {', '.join(PLANE_NAMES)}.")


def cut_plane(node: Any) -> CutPlane:
    """A markups plane as a `CutPlane` where the views show it.

    Raises
    ------
    InputError
        for a plane that doesn't say what it cuts (`opening_of`), and for one that isn't placed yet.
    """
    if not node.GetIsPlaneValid():
        raise InputError(f"The plane {node.GetName()!r} is not placed yet. Place it in a view, or leave it out.")
    return replace(plane_of(node), name=opening_of(node))


def chosen_plane(scene: Any, node_id: str) -> Any:
    """The plane markup of that ID; `InputError` when it is no longer there."""
    node = scene.GetNodeByID(node_id) if node_id else None
    if node is None or not node.IsA(PLANE_CLASS):
        raise InputError("A plane that was chosen is no longer there. Choose the planes again.")
    return node


def start_placing(scene: Any, node: Any) -> None:
    """Let the next clicks in any view place the points of the plane (vtkMRMLSelectionNode, vtkMRMLInteractionNode)."""
    selection, interaction = (scene.GetSingletonNode("Singleton", f"vtkMRML{kind}Node") for kind in ("Selection", "Interaction"))
    if selection is None or interaction is None:
        raise InputError("This scene has no views to click in. Open it in Slicer, or give the plane's position.")
    node.RemoveAllControlPoints()
    node.SetPlaneType(node.PlaneType3Points)
    selection.SetReferenceActivePlaceNodeClassName(PLANE_CLASS)
    selection.SetActivePlaceNodeID(node.GetID())
    interaction.SetPlaceModePersistence(0)
    interaction.SetCurrentInteractionMode(interaction.Place)


def stop_placing(scene: Any) -> None:
    """Give the mouse back to the views; a plane that waits for clicks waits on (`remove_unplaced`)."""
    interaction = scene.GetSingletonNode("Singleton", "vtkMRMLInteractionNode")
    if interaction is not None and interaction.GetCurrentInteractionMode() == interaction.Place:
        interaction.SwitchToViewTransformMode()


def is_placing(scene: Any, node: Any) -> bool:
    """Whether the next click in a view places a point of the plane."""
    selection, interaction = (scene.GetSingletonNode("Singleton", f"vtkMRML{kind}Node") for kind in ("Selection", "Interaction"))
    if selection is None or interaction is None or interaction.GetCurrentInteractionMode() != interaction.Place:
        return False
    return selection.GetActivePlaceNodeID() == node.GetID()


def remove_unplaced(scene: Any, volume: Any) -> None:
    """Take away the scan's planes that nobody placed and nobody places: three clicks were begun and given up."""
    for node in plane_nodes(scene, volume):
        if not node.GetIsPlaneValid() and not is_placing(scene, node):
            remove_node(scene, node)


def show_markups(nodes: Iterable[Any], visible: bool) -> None:
    """Show or hide markups, as their eyes in the Data module do."""
    for node in nodes:
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetVisibility(visible)


def any_shown(nodes: Iterable[Any]) -> bool:
    """Whether one of the markups is shown."""
    return any(node.GetDisplayNode() is not None and node.GetDisplayNode().GetVisibility() for node in nodes)


def plane_nodes(scene: Any, volume: Any) -> list[Any]:
    """The markups that count for the result of `volume`, in the order of `PLANE_NAMES`."""
    nodes = (node for node in nodes_of_class(scene, PLANE_CLASS) if node.GetAttribute(ROLE) == PLANE_ROLE)
    mine = [node for node in nodes if node.GetNodeReferenceID(SOURCE) == volume.GetID()]
    return sorted(mine, key=lambda node: PLANE_NAMES.index(node.GetAttribute(PLANE_NAME)))


def read_planes(scene: Any, volume: Any) -> tuple[CutPlane, ...]:
    """The planes that are placed; one that still waits for its clicks is left out."""
    return tuple(plane_of(node) for node in plane_nodes(scene, volume) if node.GetIsPlaneValid())


def plane_of(node: Any) -> CutPlane:
    """Where a valid plane markup lies, transforms applied, in LPS mm."""
    # The origin of a plane through three points is the first of them; the opening's middle is meant.
    clicked = [node.GetNthControlPointPositionWorld(n) for n in range(node.GetNumberOfControlPoints())]
    origin = node.GetOriginWorld() if node.GetPlaneType() == node.PlaneTypePointNormal else np.mean(clicked, axis=0)
    to_lps = LPS_TO_RAS[:3, :3]
    return CutPlane(node.GetAttribute(PLANE_NAME), tuple((to_lps @ origin).tolist()), tuple((to_lps @ node.GetNormalWorld()).tolist()))


def _lay(node: Any, plane: CutPlane) -> None:
    to_ras = LPS_TO_RAS[:3, :3]
    node.RemoveAllControlPoints()
    node.SetPlaneType(node.PlaneTypePointNormal)
    node.SetSizeMode(node.SizeModeAbsolute)
    node.SetSize(SIZE_MM, SIZE_MM)
    node.SetOriginWorld(*(to_ras @ plane.origin))
    node.SetNormalWorld(*(to_ras @ plane.normal))


def _style(node: Any) -> None:
    display = node.GetDisplayNode()
    display.SetSelectedColor(*COLOUR)
    display.SetFillOpacity(FILL_OPACITY)
    display.SetHandlesInteractive(True)
    display.SetScaleHandleVisibility(False)
