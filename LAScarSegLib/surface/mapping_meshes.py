"""Surface meshes of mapping systems: CARTO's `.mesh` (plain text) and EnSite/NavX DIF (XML).

Read by the formats' public descriptions (OpenEP, SlicerHeart's EAMapReader, pyCEPS); no console was tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree
from xml.parsers import expat

import numpy as np

from ..errors import InputError
from ..support.printable import printable
from .raw_mesh import RawMesh

CARTO_FIRST_LINE = "#TriangulatedMeshVersion"
CARTO_NO_VALUE = -10000.0
"""What CARTO writes for "no value" into the colours of a vertex."""
VERTICES, TRIANGLES, COLOURS = "[VerticesSection]", "[TrianglesSection]", "[VerticesColorsSection]"
VERTEX_COLUMNS = 7
"""Of a vertex and of a triangle: three numbers, the normal, the group."""
MAP_ARRAYS = ("Map_data", "Map_status")
"""The values of a DIF's vertices; status: 0 valid, 1 scar, 2 interpolated."""
DIF_ORIGIN = "Surface_of_origin"


def read_carto_mesh(path: Path) -> RawMesh:
    """The mesh of a CARTO `.mesh`: vertices and triangles of groups below 0 are left out, colours are arrays by their names.

    Raises
    ------
    InputError
        another file, a section missing, a line that can't be understood.
    """
    text = path.read_bytes().decode("utf-8", "replace")
    if not text.lstrip("\ufeff").startswith(CARTO_FIRST_LINE):
        raise InputError(f"{printable(path)} is no mesh of CARTO: it does not begin with {CARTO_FIRST_LINE}. Export the map again.")
    sections, names = _carto_sections(text)
    vertices, faces = (_carto_rows(sections.get(name, []), name, path) for name in (VERTICES, TRIANGLES))
    if not len(vertices) or not len(faces):
        raise InputError(f"{printable(path)} holds {len(vertices)} vertices and {len(faces)} triangles: no surface. Export the map again.")
    if min(vertices.shape[1], faces.shape[1]) < VERTEX_COLUMNS:
        raise InputError(f"{printable(path)} has fewer than {VERTEX_COLUMNS} numbers in a line of {VERTICES} or {TRIANGLES}. Export the map again.")
    triangles = _point_numbers(faces[:, :3], len(vertices), path)
    colours = _carto_rows(sections.get(COLOURS, []), COLOURS, path)
    if len(colours) and len(colours) != len(vertices):
        raise InputError(f"{printable(path)} has {len(vertices)} vertices and colours of {len(colours)}. Export the map again.")
    colours = np.where(colours == CARTO_NO_VALUE, np.nan, colours)
    arrays = {name: colours[:, column] for column, name in enumerate(names[: colours.shape[1]])} if len(colours) else {}
    kept = (faces[:, 6] >= 0) & (vertices[triangles, 6] >= 0).all(axis=1)
    if not kept.any():
        raise InputError(f"{printable(path)} has no triangle that is in use (all groups are below 0). Export the map again.")
    return RawMesh(vertices[:, :3], triangles, arrays).keep_triangles(kept)


def _carto_sections(text: str) -> tuple[dict[str, list[str]], list[str]]:
    """The lines `i = …` of each section, what stands behind the sign, and the names of the colours."""
    sections: dict[str, list[str]] = {}
    names: list[str] = []
    lines: list[str] = []
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            lines = sections.setdefault(line, [])
        elif line.startswith("ColorsNames"):
            names = line.partition("=")[2].split()
        elif line and not line.startswith((";", "#")) and "=" in line:
            lines.append(line.partition("=")[2])
    return sections, names


def _carto_rows(lines: Sequence[str], section: str, path: Path) -> np.ndarray:
    """(n, columns) float64."""
    try:
        return np.array([line.split() for line in lines], dtype=np.float64)
    except ValueError as error:
        raise InputError(f"{printable(path)}: a line of {section} can't be understood ({printable(error)}). Export the map again.") from error


def read_dif(path: Path) -> RawMesh:
    """The mesh of an EnSite/NavX DIF: all its volumes together, with `Map_data`, `Map_status` (1: scar) and `Surface_of_origin`.

    Raises
    ------
    InputError
        no DIF, damaged, or one that declares entities of its own.
    """
    content = path.read_bytes()
    root = _parsed(content, path)
    if root.tag != "DIF":
        raise InputError(f"{printable(path)} is XML, but no DIF of EnSite (its first element is {printable(root.tag)}). Export the map again.")
    parts = [_dif_volume(volume, path) for volume in root.iterfind("DIFBody/Volumes/Volume")]
    if not parts:
        raise InputError(f"{printable(path)} is a DIF without a volume (DIFBody/Volumes/Volume). Export the model with its geometry.")
    offsets = np.cumsum([0, *(len(part.points) for part in parts[:-1])])
    # The console's own coordinates: public readers take them for the patient's (LPS), the file says nothing.
    return RawMesh(
        np.concatenate([part.points for part in parts]),
        np.concatenate([part.triangles + offset for part, offset in zip(parts, offsets)]),
        {name: np.concatenate([_or_nan(part.point_arrays.get(name), len(part.points)) for part in parts]) for name in MAP_ARRAYS},
        {DIF_ORIGIN: np.concatenate([_or_nan(part.cell_arrays.get(DIF_ORIGIN), len(part.triangles)) for part in parts])},
    )


def _parsed(content: bytes, path: Path) -> ElementTree.Element:
    """The document; one with a DTD is refused, since entities can be made to fill the memory."""
    checker = expat.ParserCreate()

    def refuse(*_: object) -> None:
        raise InputError(f"{printable(path)} declares a document type, which no DIF has; it was not read.")

    checker.StartDoctypeDeclHandler = refuse
    try:
        checker.Parse(content, True)
        return ElementTree.fromstring(content)
    except (expat.ExpatError, ElementTree.ParseError, ValueError, LookupError) as error:
        raise InputError(f"{printable(path)} is not XML that can be read ({printable(error)}). Export the map again.") from error


def _dif_volume(volume: ElementTree.Element, path: Path) -> RawMesh:
    points = _dif_numbers(volume, "Vertices", path, 3)
    faces = _dif_numbers(volume, "Polygons", path, 3)
    if not points.size or not faces.size:
        raise InputError(f"{printable(path)}: a volume holds {len(points)} vertices and {len(faces)} triangles: no surface. Export the model again.")
    arrays = {name: values for name in MAP_ARRAYS if (values := _dif_numbers(volume, name, path, 1)[:, 0]).size == len(points)}
    origin = _dif_numbers(volume, DIF_ORIGIN, path, 1)[:, 0]
    return RawMesh(points, _point_numbers(faces - 1, len(points), path), arrays, {DIF_ORIGIN: origin} if origin.size == len(faces) else {})


def _dif_numbers(volume: ElementTree.Element, tag: str, path: Path, columns: int) -> np.ndarray:
    """(n, columns) float64; none where the element is missing."""
    element = volume.find(tag)
    try:
        return np.array(((element.text if element is not None else "") or "").split(), dtype=np.float64).reshape(-1, columns)
    except ValueError as error:
        raise InputError(f"{printable(path)}: {tag} can't be understood ({printable(error)}). Export the map again.") from error


def _point_numbers(faces: np.ndarray, count: int, path: Path) -> np.ndarray:
    """(M, 3) int64 of (M, 3) float64, each the number of a point."""
    if not np.isfinite(faces).all() or faces.min() < 0 or faces.max() >= count or (faces != np.rint(faces)).any():
        raise InputError(f"{printable(path)} is damaged: a triangle names a vertex that is none of the {count}. Export the map again.")
    return faces.astype(np.int64)


def _or_nan(values: np.ndarray | None, length: int) -> np.ndarray:
    return np.full(length, np.nan) if values is None else values
