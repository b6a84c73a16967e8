"""Surface meshes as VTK reads them: its own files (legacy to 5.1, XML), PLY and STL."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..support.printable import printable
from .filled_mesh import RAS_TO_LPS, space_of
from .mesh import oriented_surface
from .raw_mesh import RawMesh
from .surface import Surface

if TYPE_CHECKING:
    from vtkmodules.vtkCommonDataModel import vtkDataSetAttributes, vtkPolyData

COUNTS = re.compile(rb"^\s*(?:POINTS|POLYGONS|CELLS|POINT_DATA|CELL_DATA|element \w+)\s+(\d+)", re.MULTILINE)
"""How many of something a legacy VTK or PLY file announces: each takes a byte at least, so that a false number can't fill the memory."""
STL_HEADER_BYTES, STL_TRIANGLE_BYTES = 84, 50
CARTO_TITLE, CARTO_NO_VALUE = b"PatientData", -999.0
"""The second line of the VTK files that CARTO takes, and how they write "no value" (SlicerHeart's CartoExport)."""
TITLE_BYTES = 512
DATASET, DATASET_BYTES = re.compile(rb"^\s*DATASET\s+(\w+)", re.MULTILINE | re.IGNORECASE), 4096
"""What a legacy file holds, in its fourth line."""
NOT_A_NUMBER = re.compile(rb"(?<=\s)[-+]?(?:nan|inf(?:inity)?)(?=\s)", re.IGNORECASE)
MARK = -(2.0**127)
"""Stands for "no number" while VTK reads: exact in float32, and nobody's value."""
MARK_TEXT = f"{MARK:.17g}".encode()
DAMAGE_SIGNS = ("ERR|", "Error reading", "ERROR:")


def read_vtk_mesh(path: Path) -> RawMesh:
    """The mesh of a .vtk, .vtp, .ply or .stl file, all its faces triangles.

    Raises
    ------
    InputError
        damaged, or no surface: an image, points or lines only.
    """
    content = path.read_bytes()
    _refuse_false_counts(content, path)
    mesh = _triangles_of(_read(path, content), path)
    from vtkmodules.util.numpy_support import vtk_to_numpy

    triangles = vtk_to_numpy(mesh.GetPolys().GetConnectivityArray()).reshape(-1, 3).astype(np.int64)
    points = vtk_to_numpy(mesh.GetPoints().GetData()).astype(np.float64)
    points[points == MARK] = np.nan
    if triangles.min() < 0 or triangles.max() >= len(points):
        raise InputError(f"{printable(path)} is damaged: a triangle names point {triangles.max()} of {len(points)}. Export the surface again.")
    no_value = CARTO_NO_VALUE if CARTO_TITLE in content[:TITLE_BYTES] else None
    return RawMesh(
        points, triangles, _arrays(mesh.GetPointData(), len(points), no_value), _arrays(mesh.GetCellData(), len(triangles), no_value),
        space_of(mesh, path),
    )  # fmt: skip


def _refuse_false_counts(content: bytes, path: Path) -> None:
    counts = [int(found) for found in COUNTS.findall(content)]
    if path.suffix.lower() == ".stl" and not content.lstrip()[:5].lower() == b"solid" and len(content) >= STL_HEADER_BYTES:
        counts.append(int.from_bytes(content[80:84], "little") * STL_TRIANGLE_BYTES)
    if counts and max(counts) > len(content):
        raise InputError(f"{printable(path)} is damaged or cut off: it announces more than its {len(content)} bytes can hold. Copy or export it again.")


def _read(path: Path, content: bytes) -> Any:
    from vtkmodules.vtkIOGeometry import vtkSTLReader
    from vtkmodules.vtkIOPLY import vtkPLYReader
    from vtkmodules.vtkIOXML import vtkXMLPolyDataReader

    extension = path.suffix.lower()
    if extension == ".vtk":
        reader = _legacy_reader(content, path)
    else:
        reader = {".stl": vtkSTLReader, ".vtp": vtkXMLPolyDataReader, ".ply": vtkPLYReader}[extension]()
        reader.SetFileName(str(path))
    with _said_by_vtk() as said:
        reader.Update()
    # A file that is cut off gives an array whose rest is whatever was in the memory, with a warning alone.
    if reader.GetErrorCode() or any(sign in said() for sign in DAMAGE_SIGNS):
        raise InputError(f"{printable(path)} is damaged, or no surface mesh: VTK can't read it. Export the surface again (.vtp, .vtk, .ply, .stl).")
    return reader.GetOutput()


def _legacy_reader(content: bytes, path: Path) -> Any:
    from vtkmodules.vtkIOLegacy import vtkDataReader, vtkPolyDataReader, vtkUnstructuredGridReader

    dataset = DATASET.search(content[:DATASET_BYTES])
    kind = dataset[1].upper() if dataset else b""
    reader = {b"POLYDATA": vtkPolyDataReader, b"UNSTRUCTURED_GRID": vtkUnstructuredGridReader}.get(kind, vtkDataReader)()
    if type(reader) is vtkDataReader:
        raise InputError(
            f"{printable(path)} holds no surface mesh (but {printable(kind.decode('ascii', 'replace')) or 'nothing that is known'}). Give the mesh; "
            "a scan goes to `lascarseg run`."
        )
    for arrays in ("Scalars", "Vectors", "Normals", "Fields"):
        # Else only the first of several arrays is read.
        getattr(reader, f"ReadAll{arrays}On")()
    if dataset and b"ASCII" in content[: dataset.start()].split(b"\n", 2)[-1]:
        # VTK stops at a number that is written as "nan", and takes what was in the memory for the rest.
        content = NOT_A_NUMBER.sub(MARK_TEXT, content)
    reader.ReadFromInputStringOn()
    reader.SetBinaryInputString(content, len(content))
    return reader


@contextmanager
def _said_by_vtk() -> Iterator[Callable[[], str]]:
    """What VTK's readers complain about meanwhile, kept from the terminal."""
    from vtkmodules.vtkCommonCore import vtkOutputWindow, vtkStringOutputWindow

    before, window = vtkOutputWindow.GetInstance(), vtkStringOutputWindow()
    vtkOutputWindow.SetInstance(window)
    try:
        yield window.GetOutput
    finally:
        vtkOutputWindow.SetInstance(before)


def _triangles_of(data: Any, path: Path) -> vtkPolyData:
    """Poly data whose faces are all triangles; the outer faces of a volume mesh."""
    from vtkmodules.vtkCommonDataModel import vtkUnstructuredGrid
    from vtkmodules.vtkFiltersCore import vtkTriangleFilter
    from vtkmodules.vtkFiltersGeometry import vtkGeometryFilter

    if isinstance(data, vtkUnstructuredGrid):
        outer = vtkGeometryFilter()
        outer.SetInputData(data)
        outer.Update()
        data = outer.GetOutput()
    triangles = vtkTriangleFilter()
    triangles.PassLinesOff()
    triangles.PassVertsOff()
    triangles.SetInputData(data)
    triangles.Update()
    mesh = triangles.GetOutput()
    if not mesh.GetNumberOfPolys():
        points = data.GetNumberOfPoints()
        what = f"{points} points and no triangle: a point cloud, or lines" if points else "nothing"
        raise InputError(f"{printable(path)} holds {what}. Export the surface as a mesh of triangles.")
    return mesh


def _arrays(data: vtkDataSetAttributes, length: int, no_value: float | None) -> dict[str, np.ndarray]:
    """The single-valued numeric arrays of points or cells by name, float64; infinite values and `no_value` become NaN."""
    from vtkmodules.util.numpy_support import vtk_to_numpy

    found = {}
    for number in range(data.GetNumberOfArrays()):
        array, name = data.GetArray(number), data.GetArrayName(number)
        if array is None or array.GetNumberOfComponents() != 1 or array.GetNumberOfTuples() != length:
            continue
        values = vtk_to_numpy(array).astype(np.float64)
        missing = ~np.isfinite(values) | (values == MARK) | (values == no_value if no_value is not None else False)
        found[name or f"array {number + 1}"] = np.where(missing, np.nan, values)
    return found


def read_vtp(path: Path) -> Surface:
    """The surface of a result as `write_vtp` wrote it, vertex by vertex, with the arrays that are there.

    Raises
    ------
    InputError
        damaged, or no surface.
    """
    raw = read_vtk_mesh(path)
    found = raw.point_arrays
    points = raw.points * RAS_TO_LPS if raw.space == "RAS" else raw.points
    return surface_with_arrays(points, raw.triangles, found)


def surface_with_arrays(points: np.ndarray, triangles: np.ndarray, arrays: Mapping[str, np.ndarray]) -> Surface:
    """A result's surface from points (N, 3) mm LPS, triangles (M, 3) and those arrays (N,) of `polydata.surface_arrays` that are there."""
    whole = {name: np.nan_to_num(arrays[name]).astype(np.uint8) for name in ("Scar", "ScarClass", "Region") if name in arrays}
    return oriented_surface(points, triangles).with_arrays(
        lge=arrays.get("LGE"), iir=arrays.get("IIR"), scar_probability=arrays.get("ScarProbability"), region=whole.get("Region"),
        scar_entropy=arrays.get("ScarEntropy"), cavity_entropy=arrays.get("CavityEntropy"),
        scar=whole["Scar"] > 0 if "Scar" in whole else None, scar_class=whole.get("ScarClass"),
    )  # fmt: skip
