"""A closed surface mesh, as mapping systems and segmentation services write it, filled to a mask on the scan's grid."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from ..support.flags import QualityFlag
from ..volumes.volume import Geometry, Volume
from .polydata import SPACE_FIELD

if TYPE_CHECKING:
    from vtkmodules.vtkCommonDataModel import vtkPolyData

MESH_EXTENSIONS = (".stl", ".vtk", ".vtp", ".ply")
HEADER_BYTES = 1024
"""Slicer writes `SPACE=LPS` into the comment at a mesh file's head: 80 bytes in STL, the second line of VTK, a comment of PLY."""
SPACE_COMMENT = re.compile(rb"SPACE=(LPS|RAS)")
RAS_TO_LPS = np.array([-1.0, -1.0, 1.0])


def is_mesh_file(path: Path) -> bool:
    """By its extension; VTK's image formats have others."""
    return path.name.lower().endswith(MESH_EXTENSIONS)


def filled_mesh(path: Path, grid: Geometry) -> Volume:
    """The inside of a closed mesh as a bool volume on `grid`: the voxels whose centres lie in it.

    Positions are mm in LPS or RAS as the file says (field `SPACE`, or Slicer's comment `SPACE=LPS`), else LPS, with a remark.

    Raises
    ------
    InputError
        not a surface that can be read; an open one; one that does not overlap the grid.
    """
    mesh = _read(path)
    _check_closed(mesh, path)
    points, flags = _points_lps(mesh, path)
    indices = grid.lps_to_index(points)
    if (indices.max(axis=0) < 0).any() or (indices.min(axis=0) > np.array(grid.size) - 1).any():
        ras = grid.lps_to_index(points * RAS_TO_LPS)
        turned = (ras.max(axis=0) >= 0).all() and (ras.min(axis=0) <= np.array(grid.size) - 1).all()
        hint = (
            " It would if its coordinates were of the other kind (LPS, RAS): load it in Slicer so that it lies right, and save it again."
            if turned
            else ""
        )
        raise InputError(f"The mesh {path} does not overlap the image. Check that both are of the same patient and in mm.{hint}")
    return Volume(filled(indices, _triangles(mesh), grid), grid, flags)


def _read(path: Path) -> vtkPolyData:
    """The mesh with coinciding points merged (STL repeats them for every triangle) and all its faces triangles."""
    from vtkmodules.vtkFiltersCore import vtkCleanPolyData, vtkTriangleFilter
    from vtkmodules.vtkIOGeometry import vtkSTLReader
    from vtkmodules.vtkIOLegacy import vtkPolyDataReader
    from vtkmodules.vtkIOPLY import vtkPLYReader
    from vtkmodules.vtkIOXML import vtkXMLPolyDataReader

    reader = {".stl": vtkSTLReader, ".vtk": vtkPolyDataReader, ".vtp": vtkXMLPolyDataReader, ".ply": vtkPLYReader}[path.suffix.lower()]()
    # Said in our own words below.
    reader.AddObserver("ErrorEvent", lambda *_: None)
    reader.AddObserver("WarningEvent", lambda *_: None)
    reader.SetFileName(str(path))
    triangles, clean = vtkTriangleFilter(), vtkCleanPolyData()
    triangles.PassLinesOff()
    triangles.PassVertsOff()
    triangles.SetInputConnection(reader.GetOutputPort())
    clean.SetInputConnection(triangles.GetOutputPort())
    clean.SetTolerance(0.0)
    clean.Update()
    mesh = clean.GetOutput()
    if not mesh.GetNumberOfPolys():
        raise InputError(
            f"{path} holds no surface mesh that can be read. Export the surface again (.vtp, .stl, .ply), or give a mask (volume)."
        )
    return mesh


def _check_closed(mesh: vtkPolyData, path: Path) -> None:
    from vtkmodules.vtkFiltersCore import vtkFeatureEdges

    edges = vtkFeatureEdges()
    edges.SetInputData(mesh)
    edges.BoundaryEdgesOn()
    edges.FeatureEdgesOff()
    edges.NonManifoldEdgesOff()
    edges.ManifoldEdgesOff()
    edges.Update()
    if open_edges := edges.GetOutput().GetNumberOfCells():
        raise InputError(
            f"{path} is an open surface ({open_edges} edges have a triangle on one side only: cut veins, the mitral valve?), which has no inside. "
            "Close it (Slicer: Surface Toolbox, Fill holes), or give a mask (volume)."
        )


def _points_lps(mesh: vtkPolyData, path: Path) -> tuple[np.ndarray, tuple[QualityFlag, ...]]:
    """(N, 3) float64 positions in mm, LPS, and a remark where the file doesn't say what its own are."""
    from vtkmodules.util.numpy_support import vtk_to_numpy

    points = vtk_to_numpy(mesh.GetPoints().GetData()).astype(np.float64)
    space = space_of(mesh, path)
    if space == "RAS":
        points = points * RAS_TO_LPS
    if space:
        return points, ()
    message = f"The mesh {path.name} does not say whether its coordinates are LPS or RAS; LPS was taken. If the cavity lies mirrored, save the mesh again in Slicer."
    return points, (QualityFlag("mesh_without_space", message),)


def space_of(mesh: vtkPolyData, path: Path) -> str:
    """"LPS", "RAS", or "" where neither field nor comment says it."""
    field = mesh.GetFieldData().GetAbstractArray(SPACE_FIELD)
    if field is not None and field.GetNumberOfValues():
        said = str(field.GetVariantValue(0).ToString()).strip().upper()
        return said if said in ("LPS", "RAS") else ""
    with open(path, "rb") as content:
        match = SPACE_COMMENT.search(content.read(HEADER_BYTES))
    return match[1].decode() if match else ""


def _triangles(mesh: vtkPolyData) -> np.ndarray:
    from vtkmodules.util.numpy_support import vtk_to_numpy

    return vtk_to_numpy(mesh.GetPolys().GetConnectivityArray()).reshape(-1, 3)


def filled(indices: np.ndarray, triangles: np.ndarray, grid: Geometry) -> np.ndarray:
    """(k, j, i) bool: the voxels of `grid` inside a closed mesh of `triangles` (M, 3) whose points lie at `indices` (N, 3), in the order
    (i, j, k)."""
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkImagingStencil import vtkImageStencilToImage, vtkPolyDataToImageStencil

    from .polydata import mesh_polydata

    stencil, image = vtkPolyDataToImageStencil(), vtkImageStencilToImage()
    # In voxels, where the grid is neither oblique nor flipped.
    stencil.SetInputData(mesh_polydata(indices, triangles))
    stencil.SetOutputOrigin(0.0, 0.0, 0.0)
    stencil.SetOutputSpacing(1.0, 1.0, 1.0)
    stencil.SetOutputWholeExtent(*(bound for size in grid.size for bound in (0, size - 1)))
    image.SetInputConnection(stencil.GetOutputPort())
    image.SetInsideValue(1)
    image.SetOutsideValue(0)
    image.SetOutputScalarTypeToUnsignedChar()
    image.Update()
    return vtk_to_numpy(image.GetOutput().GetPointData().GetScalars()).reshape(grid.shape) > 0
