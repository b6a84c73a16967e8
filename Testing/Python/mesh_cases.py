"""Meshes whose area and volume are known, and small writers of the formats that VTK does not write."""

from __future__ import annotations

from pathlib import Path

import numpy as np

SIDE_MM, CELLS = 80.0, 10
STEP_MM = SIDE_MM / CELLS
BOX_AREA_CM2, BOX_VOLUME_ML = 6 * SIDE_MM**2 / 100, SIDE_MM**3 / 1000
"""384 cm² and 512 mL. An inner point of a face has exactly STEP_MM² of area around it."""


def box(side_mm: float = SIDE_MM, cells: int = CELLS, without_lid: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, 3) and outward triangles (M, 3) of a cube around the origin, each face a grid; `without_lid` leaves its upper face out."""
    place = {}
    triangles = []

    def number(corner: tuple[int, int, int]) -> int:
        return place.setdefault(corner, len(place))

    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        for end in (0, cells):
            if without_lid and axis == 2 and end == cells:
                continue
            for i in range(cells):
                for j in range(cells):
                    square = []
                    for a, b in ((i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1)):
                        corner = [0, 0, 0]
                        corner[axis], corner[u], corner[v] = end, a, b
                        square.append(number(tuple(corner)))
                    square = square if end else square[::-1]
                    triangles += [[square[0], square[1], square[2]], [square[0], square[2], square[3]]]
    points = np.array(list(place), dtype=float) * side_mm / cells - side_mm / 2
    return points, np.array(triangles)


def patch(points: np.ndarray, n: int = 3) -> np.ndarray:
    """(N,) bool: n × n inner points of the face towards +x, around its middle: n² · STEP_MM² of area."""
    reach = (n - 1) / 2 * STEP_MM + 0.1
    return (points[:, 0] > SIDE_MM / 2 - 0.1) & (np.abs(points[:, 1]) < reach) & (np.abs(points[:, 2]) < reach)


def poly(points: np.ndarray, faces: list | np.ndarray, point_arrays: dict | None = None, cell_arrays: dict | None = None, space: str = "LPS"):
    """vtkPolyData of points and polygons, with arrays, in a space that it says (""; not)."""
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonCore import vtkPoints, vtkStringArray
    from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData

    data, vertices, cells = vtkPolyData(), vtkPoints(), vtkCellArray()
    vertices.SetData(numpy_to_vtk(np.ascontiguousarray(points, dtype=float), deep=True))
    for face in faces:
        cells.InsertNextCell(len(face), [int(n) for n in face])
    data.SetPoints(vertices)
    data.SetPolys(cells)
    for attributes, arrays in ((data.GetPointData(), point_arrays), (data.GetCellData(), cell_arrays)):
        for name, values in (arrays or {}).items():
            array = numpy_to_vtk(np.ascontiguousarray(values, dtype=float), deep=True)
            array.SetName(name)
            attributes.AddArray(array)
    if space:
        field = vtkStringArray()
        field.SetName("SPACE")
        field.InsertNextValue(space)
        data.GetFieldData().AddArray(field)
    return data


def write(path: Path, data, binary: bool = True, version: int = 51) -> Path:
    """A .vtk (of that version), .vtp, .ply or .stl file by VTK's own writers."""
    from vtkmodules.vtkIOGeometry import vtkSTLWriter
    from vtkmodules.vtkIOLegacy import vtkPolyDataWriter
    from vtkmodules.vtkIOPLY import vtkPLYWriter
    from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

    writer = {".vtk": vtkPolyDataWriter, ".vtp": vtkXMLPolyDataWriter, ".ply": vtkPLYWriter, ".stl": vtkSTLWriter}[path.suffix]()
    if path.suffix == ".vtk":
        writer.SetFileVersion(version)
        writer.SetFileTypeToBinary() if binary else writer.SetFileTypeToASCII()
    writer.SetFileName(str(path))
    writer.SetInputData(data)
    assert writer.Write()
    return path


def carto_mesh(points: np.ndarray, triangles: np.ndarray, bipolar: np.ndarray, groups: np.ndarray | None = None) -> str:
    """The text of a CARTO `.mesh`: the sections and columns of the public readers' descriptions; `groups` (M,) of the triangles."""
    groups = np.zeros(len(triangles), dtype=int) if groups is None else groups
    lines = [
        "#TriangulatedMeshVersion2.0", "[GeneralAttributes]", f"NumVertex = {len(points)}", f"NumTriangle = {len(triangles)}",
        "ColorsNames = Unipolar Bipolar", "", "[VerticesSection]", "; X Y Z NormalX NormalY NormalZ GroupID", "",
        *(f"{n} = {x:.4f} {y:.4f} {z:.4f} 0 0 1 0" for n, (x, y, z) in enumerate(points)), "", "[TrianglesSection]",
        "; Vertex0 Vertex1 Vertex2 NormalX NormalY NormalZ GroupID", "",
        *(f"{n} = {a} {b} {c} 0 0 1 {group}" for n, ((a, b, c), group) in enumerate(zip(triangles, groups))), "", "[VerticesColorsSection]",
        "; Unipolar Bipolar", "", *(f"{n} = 1.0 {value:g}" for n, value in enumerate(bipolar)), "", "[VerticesAttributesSection]", "; none", "",
    ]  # fmt: skip
    return "\r\n".join(lines)


def dif(points: np.ndarray, triangles: np.ndarray, status: np.ndarray) -> str:
    """The text of an EnSite DIF with one volume; polygons count from 1."""

    def numbers(rows: np.ndarray) -> str:
        return "\n".join(" ".join(f"{value:g}" for value in np.atleast_1d(row)) for row in rows)

    return f"""<?xml version="1.0" encoding="UTF-8"?>
<DIF><DIFHeader><Version>SJM_DIF_5.0</Version></DIFHeader><DIFBody><Volumes number="1"><Volume name="LA">
<Vertices number="{len(points)}">
{numbers(points)}
</Vertices><Polygons number="{len(triangles)}">
{numbers(triangles + 1)}
</Polygons><Surface_of_origin number="{len(triangles)}">{" ".join("0" for _ in triangles)}</Surface_of_origin>
<Map_data number="{len(points)}">{numbers(np.ones(len(points)))}</Map_data>
<Map_status number="{len(points)}">{numbers(status)}</Map_status></Volume></Volumes></DIFBody></DIF>
"""
