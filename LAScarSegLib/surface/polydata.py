"""The surface as VTK poly data, and as the file `surface.vtp`.

Positions in the file are LPS, the convention of ITK and DICOM. The field data array `SPACE` says so: Slicer's
vtkMRMLModelStorageNode reads it and turns the mesh into its own RAS, so the surface lands on the heart.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ProcessingError
from .surface import Surface

if TYPE_CHECKING:
    from vtkmodules.vtkCommonDataModel import vtkPolyData

SPACE_FIELD = "SPACE"
"""Name and spelling of vtkMRMLModelStorageNode::GetCoordinateSystemFromFieldData (Slicer/Slicer, Libs/MRML/Core)."""


def surface_arrays(surface: Surface) -> dict[str, np.ndarray]:
    """The point arrays of `surface.vtp` by name, each (N,); a quantity the surface doesn't have is not in it.

    `LGE` (grey levels), `IIR`, `ScarProbability` (0…1), `ScarEntropy` and `CavityEntropy` (bits, 0…1, NaN where not measured) float32;
    `Scar` (0 or 1), `ScarClass` and `Region` uint8.
    """
    wanted = {
        "LGE": (surface.lge, np.float32),
        "IIR": (surface.iir, np.float32),
        "Scar": (surface.scar, np.uint8),
        "ScarClass": (surface.scar_class, np.uint8),
        "ScarProbability": (surface.scar_probability, np.float32),
        "ScarEntropy": (surface.scar_entropy, np.float32),
        "CavityEntropy": (surface.cavity_entropy, np.float32),
        "Region": (surface.region, np.uint8),
    }
    return {name: np.ascontiguousarray(values, dtype=kind) for name, (values, kind) in wanted.items() if values is not None}


def surface_polydata(surface: Surface) -> vtkPolyData:
    """The mesh in LPS mm with its normals and the arrays of `surface_arrays`; `Scar` is the active scalar."""
    from vtkmodules.util.numpy_support import numpy_to_vtk

    polydata = mesh_polydata(surface.points, surface.triangles)
    normals = numpy_to_vtk(np.ascontiguousarray(surface.normals, dtype=np.float32), deep=True)
    normals.SetName("Normals")
    polydata.GetPointData().SetNormals(normals)
    for name, values in surface_arrays(surface).items():
        array = numpy_to_vtk(values, deep=True)
        array.SetName(name)
        polydata.GetPointData().AddArray(array)
    polydata.GetPointData().SetActiveScalars("Scar")
    return polydata


def mesh_polydata(points: np.ndarray, triangles: np.ndarray) -> vtkPolyData:
    """Poly data of `points` (N, 3), kept in double precision, and `triangles` (M, 3) vertex numbers."""
    from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData

    vertices = vtkPoints()
    vertices.SetDataTypeToDouble()
    vertices.SetData(numpy_to_vtk(np.ascontiguousarray(points, dtype=np.float64), deep=True))
    connectivity = np.ascontiguousarray(triangles, dtype=np.int64)
    offsets = np.arange(0, connectivity.size + 1, 3, dtype=np.int64)
    cells = vtkCellArray()
    cells.SetData(numpy_to_vtkIdTypeArray(offsets, deep=True), numpy_to_vtkIdTypeArray(connectivity.ravel(), deep=True))
    polydata = vtkPolyData()
    polydata.SetPoints(vertices)
    polydata.SetPolys(cells)
    return polydata


def write_vtp(surface: Surface, path: str | Path, more: Mapping[str, np.ndarray] | None = None) -> Path:
    """Write `surface.vtp`: LPS mm, said in the file, with `more` point arrays (N,) by name; returns the path.

    Raises
    ------
    ProcessingError
        when the file can't be written (no such folder, no permission, no space).
    """
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonCore import vtkStringArray
    from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

    polydata = surface_polydata(surface)
    for name, values in (more or {}).items():
        array = numpy_to_vtk(np.ascontiguousarray(values), deep=True)
        array.SetName(name)
        polydata.GetPointData().AddArray(array)
    space = vtkStringArray()
    space.SetName(SPACE_FIELD)
    space.InsertNextValue("LPS")
    polydata.GetFieldData().AddArray(space)
    writer = vtkXMLPolyDataWriter()
    writer.SetFileName(str(path))
    writer.SetInputData(polydata)
    if not writer.Write() or writer.GetErrorCode():
        raise ProcessingError(f"The surface can't be written to {path}. Check that the folder exists, is writable and has free space.")
    return Path(path)
