"""Two results of a scene compared: what a scene holds of each, and the map of what changed, which takes the place of the scar map."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from vtkmodules.util.numpy_support import vtk_to_numpy

from ..analysis.comparison import NOT_COMPARED, SurfaceComparison
from ..errors import InputError
from ..support.json_text import parse_json
from ..surface.surface import Surface
from ..surface.vtk_meshes import surface_with_arrays
from .attributes import MEASUREMENTS, PROVENANCE
from .colours import change_table
from .gaps import POINT_CLASS
from .model import LEGEND, add_legend, colour_by, legend_of, ras_polydata, style_legend
from .mrml import ROLE, SOURCE, all_or_nothing, find_or_add, find_result, nodes_of_class, results_of
from .stored import LARGEST_NOTE, is_result, read_result, result_nodes
from .volumes import LPS_TO_RAS

CHANGE_ROLE = "change"
COMPARED = "LAScarSeg.comparison"
"""Attribute of a map of changes: the content of comparison.json."""
COMPARED_WITH, COVERED = "LAScarSeg.compared_with", "LAScarSeg.covered"
"""Node references of the same: to the volume of B, and to what it takes the place of, to be shown again when it is put away."""
TRIANGLE = 3


@dataclass(frozen=True, eq=False)
class HeldResult:
    """What a scene holds of one result: its surface, and what its table says of numbers and provenance."""

    surface: Surface
    measurements: dict[str, Any]
    provenance: dict[str, Any]


def volumes_with_results(scene: Any) -> tuple[Any, ...]:
    """The volume nodes whose results can be compared, in the scene's order."""
    tables = [
        table for table in nodes_of_class(scene, "vtkMRMLTableNode") if table.GetAttribute(ROLE) == "measurements" and is_result(table)
    ]
    volumes = [scene.GetNodeByID(table.GetNodeReferenceID(SOURCE) or "") for table in tables]
    return tuple(volume for volume in volumes if volume is not None and _surface_node(scene, volume) is not None)


def id_of(node: Any) -> str:
    return node.GetID()


def name_of(node: Any) -> str:
    return node.GetName()


def is_in(scene: Any, node: Any) -> bool:
    """Whether nobody took the node out of the scene."""
    return node.GetScene() is scene


def said_of(scene: Any, volume: Any, what: str) -> dict[str, Any]:
    """What the table of the volume node's result says: `MEASUREMENTS` or `PROVENANCE`; nothing where it is damaged."""
    try:
        content = parse_json(text_of(scene, volume, what) or "{}", LARGEST_NOTE)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def text_of(scene: Any, volume: Any, what: str) -> str:
    """The same as it stands there; "" without a result."""
    table = find_result(scene, "vtkMRMLTableNode", "measurements", volume)
    return "" if table is None else table.GetAttribute(what) or ""


def read_held(scene: Any, volume: Any) -> HeldResult:
    """The result of the volume node as the scene shows it.

    Raises
    ------
    InputError
        there is none, it is damaged, its scar is withheld, or somebody drew in it since it was measured.
    """
    name, nodes, model = repr(volume.GetName()), result_nodes(scene, volume), _surface_node(scene, volume)
    if nodes is None or model is None:
        raise InputError(f"There is no result of {name} in this scene any more. Press Apply.")
    measurements = said_of(scene, volume, MEASUREMENTS)
    if measurements.get("withheld"):
        raise InputError(f"The scar of {name} is withheld: its cavity is not to be used. Confirm or correct it first.")
    drawn = read_result(scene, volume, *nodes).drawn
    if drawn:
        raise InputError(
            f"Somebody drew in the result of {name} ({', '.join(sorted(drawn))}) since it was measured. Choose its scan, and press Update."
        )
    return HeldResult(surface_from_node(model), measurements, said_of(scene, volume, PROVENANCE))


def surface_from_node(node: Any) -> Surface:
    """The surface that a model node shows, in LPS. `InputError` when its mesh is none of triangles any more."""
    mesh = node.GetPolyData()
    if (
        mesh is None
        or mesh.GetNumberOfPolys() == 0
        or mesh.GetPolys().GetMaxCellSize() != TRIANGLE
        or mesh.GetPolys().IsHomogeneous() != TRIANGLE
    ):
        raise InputError(f"The surface {node.GetName()!r} holds no mesh of triangles. Press Apply for a new one.")
    points = vtk_to_numpy(mesh.GetPoints().GetData()).astype(np.float64) @ LPS_TO_RAS[:3, :3]
    triangles = vtk_to_numpy(mesh.GetPolys().GetConnectivityArray()).reshape(-1, TRIANGLE).astype(np.int64)
    data = mesh.GetPointData()
    found = {data.GetArrayName(n): data.GetArray(n) for n in range(data.GetNumberOfArrays()) if data.GetArray(n) is not None}
    # In double precision, as a file's arrays are read: both doors compare the same.
    arrays = {name: vtk_to_numpy(array).astype(np.float64) for name, array in found.items() if array.GetNumberOfComponents() == 1}
    return surface_with_arrays(points, triangles, arrays)


def add_change_map(scene: Any, source: Any, other: Any, comparison: SurfaceComparison, title: str, said: dict[str, Any]) -> Any:
    """The model node of what changed from the result of the volume node `source` to that of `other`: the surface of the first, with the
    arrays `Change`, `ScarA` and `ScarB`.

    One a result: a second call brings it up to date. `said` is the content of comparison.json, which the node keeps.
    """
    with all_or_nothing(scene):
        node, new = find_or_add(scene, "vtkMRMLModelNode", CHANGE_ROLE, title, source)
        node.SetName(title)
        node.SetNodeReferenceID(COMPARED_WITH, other.GetID())
        arrays = {"Change": comparison.change, "ScarA": comparison.scar_a.astype(np.uint8), "ScarB": comparison.scar_b.astype(np.uint8)}
        node.SetAndObservePolyData(ras_polydata(comparison.surface, arrays))
        node.SetDescription("Change: 0 scar in neither, 1 in both, 2 in B alone, 3 in A alone, 255 not compared.")
        node.SetAttribute(COMPARED, json.dumps(said, ensure_ascii=False, allow_nan=False))
        if new:
            node.CreateDefaultDisplayNodes()
            node.GetDisplayNode().SetVisibility2D(False)
        present = np.unique(comparison.change)
        table = change_table(scene, source, present, comparison.of_methods)
        colour_by(node.GetDisplayNode(), "Change", table, 0, NOT_COMPARED)
        if scene.IsNodeClassRegistered(LEGEND):
            style_legend(
                legend_of(node) or add_legend(node), "Scar by A and B" if comparison.of_methods else "Before and after", len(present)
            )
    return node


def show_change_map(node: Any, on: bool) -> None:
    """Show the map in the place of the surfaces of both results, or (off) what it had covered again."""
    scene = node.GetScene()
    node.GetDisplayNode().SetVisibility(on)
    if on:
        sources = [node.GetNodeReference(role) for role in (SOURCE, COMPARED_WITH)]
        for source in filter(None, sources):
            for covered in _drawn_in_3d(scene, source):
                if covered is not node and covered.GetDisplayNode() and covered.GetDisplayNode().GetVisibility():
                    covered.GetDisplayNode().SetVisibility(False)
                    node.AddNodeReferenceID(COVERED, covered.GetID())
        return
    for number in range(node.GetNumberOfNodeReferences(COVERED)):
        covered = node.GetNthNodeReference(COVERED, number)
        if covered is not None and covered.GetDisplayNode():
            covered.GetDisplayNode().SetVisibility(True)
    node.RemoveNodeReferenceIDs(COVERED)


def find_change_map(scene: Any, source: Any | None = None) -> Any | None:
    """The map of changes on the surface of the volume node's result, or the first that the scene holds; None when there is none."""
    return find_result(scene, "vtkMRMLModelNode", CHANGE_ROLE, source)


def _surface_node(scene: Any, volume: Any) -> Any | None:
    return find_result(scene, "vtkMRMLModelNode", "surface", volume)


def _drawn_in_3d(scene: Any, source: Any) -> Sequence[Any]:
    """The surface, its cover, paths, and the points in gaps."""
    return [node for node in results_of(scene, source) if node.IsA("vtkMRMLModelNode") or node.IsA(POINT_CLASS)]
