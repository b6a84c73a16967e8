"""Somebody else's LA surface from a file, and which of its points are scar by one of its arrays."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..support.flags import QualityFlag
from ..support.printable import printable
from .filled_mesh import MESH_EXTENSIONS, RAS_TO_LPS
from .mapping_meshes import read_carto_mesh, read_dif
from .mesh import oriented_surface
from .mesh_repair import MOST_LABELS, repaired, triangle_areas_mm2
from .raw_mesh import RawMesh
from .surface import CLASS_BORDER, CLASS_DENSE, CLASS_NONE, CLASS_NOT_MEASURED, Surface
from .vtk_meshes import read_vtk_mesh

CARTO_EXTENSION, DIF_EXTENSIONS = ".mesh", (".xml", ".dif")
EXTENSIONS = (*MESH_EXTENSIONS, CARTO_EXTENSION, *DIF_EXTENSIONS)
LARGEST_FILE_BYTES = 256 << 20
"""A mesh of a million triangles as text has some 60 MB; an atrium has 20,000 to 200,000."""
CONDITION = re.compile(r"^(?P<array>.+?)\s*(?P<sign>>=|<=|>|<)\s*(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)$")
OWN_CLASS, OWN_CLASSES = "ScarClass", (CLASS_NONE, CLASS_BORDER, CLASS_DENSE, CLASS_NOT_MEASURED)
"""The array that tells a surface of ours, and all the values it can have."""
OWN_OTHERS = ("LGE", "IIR", "Scar", "ScarProbability", "ScarA")
"""What else such a surface says of each point as far as it was measured; `Region` is known everywhere."""
OWN_CHANGE, OWN_NOT_COMPARED, OWN_COMPARED = "Change", 255, ("ScarB",)
"""The same of a comparison of two results (`compared.vtp`), where B is unknown in what was not compared."""
SMALLEST_GREY_LEVEL = 20.0
"""The 99th percentile of grey levels is above this, however they are scaled; ratios to blood (≤ 5), SDs and voltages in mV stay below."""
ROUNDING = 1e-9
"""Of an area: half of it is half, however sums were rounded."""


@dataclass(frozen=True, eq=False)
class SurfaceFile:
    """A mesh of a file, in order: `surface` in mm, LPS; its `point_arrays` (N,) and `cell_arrays` (M,), float64 with NaN where nothing is
    known; whether it is closed; what is odd about it."""

    surface: Surface
    point_arrays: dict[str, np.ndarray]
    cell_arrays: dict[str, np.ndarray]
    is_closed: bool
    flags: tuple[QualityFlag, ...]

    def on_points(self, name: str) -> np.ndarray:
        """(N,) values of an array; of a cell array the area-weighted mean of the triangles around each point, of which something is known."""
        return self.point_arrays[name] if name in self.point_arrays else self._mean_of_cells(self.cell_arrays[name])

    def _mean_of_cells(self, values: np.ndarray) -> np.ndarray:
        triangles, known = self.surface.triangles, np.isfinite(values)
        weight = np.where(known, triangle_areas_mm2(self.surface.points, triangles), 0.0)
        total, whole = (
            np.bincount(triangles.ravel(), np.repeat(part, 3), minlength=len(self.surface.points)) for part in (weight * np.where(known, values, 0.0), weight)
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            return total / whole

    def median_of_cells(self, name: str, lower: bool = True) -> np.ndarray:
        """(N,) the area-weighted median of a cell array around each point, NaN where nothing is known: the lower one is above a limit
        exactly where more than half of the area is, the upper one below it."""
        turned = 1.0 if lower else -1.0
        points, values = self.surface.triangles.ravel(), turned * np.repeat(self.cell_arrays[name], 3)
        weight = np.repeat(triangle_areas_mm2(self.surface.points, self.surface.triangles), 3)
        order = np.lexsort((values, points))
        order = order[np.isfinite(values[order]) & (weight[order] > 0)]
        points, values, weight = points[order], values[order], weight[order]
        start = np.flatnonzero(np.diff(points, prepend=-1))
        whole = np.add.reduceat(weight, start) if start.size else weight
        number = np.cumsum(np.diff(points, prepend=-1) > 0) - 1
        total = np.cumsum(weight)
        so_far = total - (total[start] - weight[start])[number]
        reached = np.flatnonzero(so_far >= (1 - ROUNDING) * whole[number] / 2)
        first = reached[np.unique(number[reached], return_index=True)[1]]
        found = np.full(len(self.surface.points), np.nan)
        found[points[first]] = turned * values[first]
        return found


@dataclass(frozen=True)
class ScarCondition:
    """What makes a point scar: an array's value, by `sign` and `number`; without a sign, any value above 0."""

    array: str
    sign: str = ""
    number: float = 0.0

    @classmethod
    def parse(cls, text: str) -> ScarCondition:
        """From `ARRAY` or `ARRAY>T` (>=, <, <= as well)."""
        found = CONDITION.match(text.strip())
        return cls(text.strip()) if found is None else cls(found["array"].strip(), found["sign"], float(found["number"]))

    @property
    def words(self) -> str:
        """"scalars > 100"."""
        return f"{self.array} {self.sign} {self.number:g}" if self.sign else self.array

    @property
    def is_label(self) -> bool:
        return not self.sign

    @property
    def is_lower_limit(self) -> bool:
        """Whether what lies above is scar."""
        return self.sign in (">", ">=")

    def holds(self, values: np.ndarray) -> np.ndarray:
        """(n,) bool; False where a value is NaN."""
        compare = {">": np.greater, ">=": np.greater_equal, "<": np.less, "<=": np.less_equal, "": np.greater}[self.sign]
        return compare(values, self.number) & np.isfinite(values)


@dataclass(frozen=True, eq=False)
class MeshScar:
    """Scar by an array: `scar` (N,) bool, `values` (N,) float64 of that array, NaN where it was not measured."""

    condition: ScarCondition
    scar: np.ndarray
    values: np.ndarray

    @property
    def is_grey_level(self) -> bool:
        """Whether the array is taken for grey levels of an LGE-MRI: compared with a lower limit, nowhere negative, with the values of an
        image and not of a ratio or a voltage."""
        known = self.values[np.isfinite(self.values)]
        return self.condition.is_lower_limit and looks_like_grey_levels(known)


def looks_like_grey_levels(known: np.ndarray) -> bool:
    """Whether some values (n,) are an image's: many different ones, none negative, the largest far above a ratio."""
    return bool(known.size and known.min() >= 0 and np.percentile(known, 99) > SMALLEST_GREY_LEVEL and np.unique(known).size > MOST_LABELS)


def read_surface_file(path: str | Path, unit: str | None = None) -> SurfaceFile:
    """The LA surface of a mesh file: VTK (legacy, XML), PLY, STL, CARTO `.mesh`, EnSite/NavX DIF.

    Parameters
    ----------
    unit
        of the file's coordinates, one of `mesh_repair.UNITS_MM`; None: mm, unless the size says otherwise (`mesh_unit_assumed`).

    Raises
    ------
    InputError
        no such file, too large, another format, damaged, no surface, or one without an inside.
    """
    path = Path(path)
    raw = _read(path)
    try:
        found = repaired(raw, unit)
    except InputError as error:
        raise InputError(f"{printable(path.name)}: {error}") from None
    mesh, flags = found.mesh, found.flags
    if not mesh.space:
        message = (
            f"The mesh {printable(path.name)} does not say whether its coordinates are LPS or RAS; LPS was taken. Areas and shares do not depend on "
            "it; planes, views and sides do."
        )
        flags += (QualityFlag("mesh_without_space", message),)
    points = mesh.points * RAS_TO_LPS if mesh.space == "RAS" else mesh.points
    surface = oriented_surface(points, mesh.triangles)
    return SurfaceFile(surface, mesh.point_arrays, mesh.cell_arrays, found.is_closed, flags)


def _read(path: Path) -> RawMesh:
    extension = path.suffix.lower()
    if not path.is_file():
        raise InputError(f"There is no file {printable(path)}. Give the surface mesh ({', '.join(EXTENSIONS)}).")
    if extension not in EXTENSIONS:
        raise InputError(f"{printable(path)} is no surface mesh by its name; known are {', '.join(EXTENSIONS)}. A scan goes to `lascarseg run`.")
    size = path.stat().st_size
    if not 0 < size <= LARGEST_FILE_BYTES:
        raise InputError(f"{printable(path)} has {size:,} bytes; a mesh file has 1 to {LARGEST_FILE_BYTES:,}. Export the surface again.")
    if extension == CARTO_EXTENSION:
        return read_carto_mesh(path)
    return read_dif(path) if extension in DIF_EXTENSIONS else without_unmeasured(read_vtk_mesh(path))


def without_unmeasured(mesh: RawMesh) -> RawMesh:
    """A surface of a result without what its `ScarClass` says was not measured: NaN there, and not a class that is above 0. Others' meshes
    come back as they are."""
    arrays = dict(mesh.point_arrays)
    for told_by, not_known, others in ((OWN_CLASS, CLASS_NOT_MEASURED, OWN_OTHERS), (OWN_CHANGE, OWN_NOT_COMPARED, OWN_COMPARED)):
        if OWN_CLASS not in arrays or told_by not in arrays or not np.isin(mesh.point_arrays[OWN_CLASS], OWN_CLASSES).all():
            continue
        unknown = mesh.point_arrays[told_by] == not_known
        arrays |= {name: np.where(unknown, np.nan, arrays[name]) for name in (told_by, *others) if name in arrays}
    return replace(mesh, point_arrays=arrays)


def scar_of(file: SurfaceFile, condition: ScarCondition) -> MeshScar:
    """Which points are scar. Of a cell array a point is where more than half of the area around it is; its value is the median there, so
    that a second limit of the same array goes by the same majority.

    Raises
    ------
    InputError
        no such array, one without any value, or one of many values without a threshold.
    """
    name = find_array(file, condition.array)
    values = file.on_points(name)
    known = values[np.isfinite(values)]
    if not known.size:
        raise InputError(f"The array {printable(name)} has no value (all NaN or marked as missing). Choose another: {_listed(file)}.")
    labels = np.unique(known if name in file.point_arrays else file.cell_arrays[name])
    if condition.is_label and labels[np.isfinite(labels)].size > MOST_LABELS:
        raise InputError(
            f"The array {printable(name)} has {labels.size} different values from {known.min():g} to {known.max():g}: say which are scar, "
            f"for example --scar '{printable(name)}>{np.percentile(known, 90):.4g}'."
        )
    if name in file.cell_arrays and name not in file.point_arrays:
        values = file.median_of_cells(name, lower=condition.is_label or condition.is_lower_limit)
    return MeshScar(ScarCondition(name, condition.sign, condition.number), condition.holds(values), values)


def find_array(file: SurfaceFile, name: str) -> str:
    """The array's name as the file spells it. Raises `InputError` when there is none."""
    names = [*file.point_arrays, *file.cell_arrays]
    found = [name] if name in names else [other for other in names if other.lower() == name.lower()]
    if len(found) != 1:
        raise InputError(f"The mesh has no array {printable(name)}. It has: {_listed(file)}.")
    return found[0]


def _listed(file: SurfaceFile) -> str:
    """The arrays with their ranges."""
    arrays = file.point_arrays | file.cell_arrays
    told = []
    for name, values in arrays.items():
        known = values[np.isfinite(values)]
        told.append(f"{printable(name)} ({known.min():g} to {known.max():g})" if known.size else f"{printable(name)} (no value)")
    return ", ".join(told) or "none (STL and PLY hold shapes only; export VTK or VTP)"
