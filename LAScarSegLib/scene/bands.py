"""The band around a vein in which its path may run, as an outline on the surface: what is painted below stays to be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkFiltersCore import vtkContourFilter, vtkStripper

from ..surface.gaps import Bands
from ..surface.polydata import mesh_polydata
from ..surface.surface import Surface
from .build import SceneNodes, require_in_scene
from .colours import BAND
from .hierarchy import arrange
from .mrml import all_or_nothing, find_or_add, remove_result
from .tubes import tubes
from .volumes import vtk_array

BAND_ROLE = "band"
TUBE_MM = 0.5
"""Radius of the outline: thinner than a path (`gaps.TUBE_MM`), which is what was found in it."""
SMOOTHINGS = 8
"""The border runs half-way between vertices, in a zigzag of half an edge; so often a point moves half-way to the middle of its
neighbours."""
SLICE_PIXELS = 2
LONGEST_LINE = 1 << 20


def show_band(scene: Any, nodes: SceneNodes, bands: Bands, around: str = "") -> Any:
    """The model node of the outline of the band around `around` ("LSPV", "left pair"), or ("") of all together, beside a result's nodes.

    It is there while somebody edits it, and is not saved with the scene.
    """
    source = require_in_scene(scene, nodes.volume, "volume")
    with all_or_nothing(scene):
        node, new = find_or_add(scene, "vtkMRMLModelNode", BAND_ROLE, f"{source.GetName()} band", source)
        node.SetName(f"{source.GetName()} band{f' around {around}' if around else 's around the veins'}")
        node.SetDescription("Where a path around a vein may run. Shown while it is edited; not saved with the scene.")
        node.SetAndObservePolyData(outline(bands.surface, in_bands(bands, around)))
        if new:
            node.SetSaveWithScene(False)
            node.CreateDefaultDisplayNodes()
            display = node.GetDisplayNode()
            display.SetSaveWithScene(False)
            display.SetColor(*BAND)
            display.SetScalarVisibility(False)
            display.SetSliceIntersectionThickness(SLICE_PIXELS)
    arrange(scene, source, [*nodes.results(), node])
    return node


def hide_band(scene: Any, source: Any) -> None:
    """Take the outline away."""
    remove_result(scene, "vtkMRMLModelNode", BAND_ROLE, source)


def in_bands(bands: Bands, around: str = "") -> np.ndarray:
    """(N,) bool: the vertices in the band around `around`, or ("") in any."""
    inside = np.zeros(len(bands.surface.points), dtype=bool)
    for band in bands.bands:
        if around in ("", band.around):
            inside[band.vertices] = True
    return inside


def outline(surface: Surface, inside: np.ndarray) -> Any:
    """The border of `inside` (N,) bool on the surface as tubes in RAS; empty where there is none."""
    return tubes(_borders(surface, inside), TUBE_MM)


def _borders(surface: Surface, inside: np.ndarray) -> Iterator[np.ndarray]:
    """Each border line, (Q, 3) mm LPS; of a closed one the first point comes again at the end."""
    mesh = mesh_polydata(surface.points, surface.triangles)
    mesh.GetPointData().SetScalars(vtk_array("Band", inside.astype(float), np.float32))
    contour = vtkContourFilter()
    contour.SetInputData(mesh)
    contour.SetValue(0, 0.5)
    stripper = vtkStripper()
    stripper.SetInputConnection(contour.GetOutputPort())
    stripper.JoinContiguousSegmentsOn()
    stripper.SetMaximumLength(LONGEST_LINE)
    stripper.Update()
    found = stripper.GetOutput()
    if not found.GetNumberOfLines():
        return
    points = vtk_to_numpy(found.GetPoints().GetData()).astype(float)
    offsets = vtk_to_numpy(found.GetLines().GetOffsetsArray())
    ids = vtk_to_numpy(found.GetLines().GetConnectivityArray())
    for start, stop in zip(offsets[:-1], offsets[1:]):
        yield _smoothed(points[ids[start:stop]], closed=bool(ids[start] == ids[stop - 1]))


def _smoothed(line: np.ndarray, closed: bool) -> np.ndarray:
    ring = line[:-1] if closed else line
    for _ in range(SMOOTHINGS):
        middle = (np.roll(ring, 1, axis=0) + np.roll(ring, -1, axis=0)) / 2
        moved = (ring + middle) / 2
        if not closed:
            moved[[0, -1]] = ring[[0, -1]]
        ring = moved
    return np.concatenate([ring, ring[:1]]) if closed else ring
