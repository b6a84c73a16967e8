"""What came out of an archive is what an analysis is made of: kinds, shapes and numbers of vertices, before anything computes with it.

Python's own complaints come too late for some of it: a triangle that names a vertex which isn't there ends the process in VTK.
"""

import math
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..anatomy.anatomy import Anatomy
from ..intensity.blood_pool import BloodPool
from ..measure.sample import Sample
from ..support.flags import QualityFlag
from ..surface.surface import Surface
from ..volumes.volume import Box, Geometry
from .measured_cavity import MeasuredCavity
from .result import Analysis
from .sources import Probability

BYTES_PER_VOXEL = 64
"""Of the scan: a cavity that fills it costs 10 as an anatomy, and is there six times with its perturbations."""
BYTES_FOR_MESHES = 512 << 20
"""An atrium of 150 cm² at the finest edge, 0.3 mm, costs 130 MB with its perturbations; a mask with a ventricle twice that."""
MOST_MEMBERS = 1000
"""An analysis has about 50 arrays."""
NUMERIC_KINDS = "biuf"
"""NumPy's kinds of booleans, integers and floating-point numbers."""


def read_arrays(path: Path, voxels: int) -> dict[str, np.ndarray]:
    """The arrays of an .npz of uncompressed members for a scan of so many voxels; `ValueError` for what claims to be more than it is."""
    limit = BYTES_PER_VOXEL * voxels + BYTES_FOR_MESHES
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) > MOST_MEMBERS or sum(member.file_size for member in members) > min(limit, path.stat().st_size):
            raise ValueError(f"it claims {len(members)} arrays, or more than its own length or {limit:,} bytes")
        return {member.filename.removesuffix(".npy"): _array(archive, member) for member in members}


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{member.filename} is compressed")
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    with archive.open(member) as file:
        shape, _, kind = read_header[np.lib.format.read_magic(file)](file)
        if kind.kind not in NUMERIC_KINDS or math.prod(shape) * kind.itemsize != member.file_size - file.tell():
            raise ValueError(f"{member.filename} is not the array of {shape} that it claims to be")
    with archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def check_steps(steps: Mapping[str, list[Any]], shape: tuple[int, int, int]) -> None:
    """`ValueError` unless the values of the steps, by name, are of the right kind and fit a scan of `shape` (k, j, i)."""
    for name, values in steps.items():
        _require(isinstance(values, list), f"the step {name}")
        for value in values:
            _require(_FITS[name](value), f"the step {name}")
            check_value(value, shape)


def check_value(value: Any, shape: tuple[int, int, int]) -> None:
    """`ValueError` unless a value, and what it is made of, agrees with itself and with a scan of `shape`."""
    if isinstance(value, (tuple, list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            check_value(item, shape)
    elif check := _CHECKS.get(type(value)):
        _require(check(value, shape), f"a {type(value).__name__}")


def check_surface_and_box(analysis: Analysis) -> None:
    """`ValueError` unless the surface that came out has a value for each vertex, and every array the shape of its box."""
    _require(_is_surface(analysis.surface, ()), "the surface")
    arrays = (analysis.cavity_box, analysis.wall_box, analysis.scar_box, analysis.lge_box)
    _require(all(array.shape == analysis.box.shape for array in arrays), "the box")


def _require(fits: bool, what: str) -> None:
    if not fits:
        raise ValueError(f"{what} is not what it should be")


def _is_array(value: Any, shape: tuple[int, ...], kinds: str) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in kinds and value.shape == shape


def _is_triple(value: Any, kind: type | tuple[type, ...], length: int = 3) -> bool:
    return isinstance(value, tuple) and len(value) == length and all(type(n) in (kind if isinstance(kind, tuple) else (kind,)) for n in value)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _is_box(box: Box, shape: tuple[int, ...]) -> bool:
    corners = _is_triple(box.start, int) and _is_triple(box.stop, int)
    return corners and all(0 <= a <= b <= n for a, b, n in zip(box.start, box.stop, shape))


def _is_grid(grid: Geometry, shape: tuple[int, ...]) -> bool:
    numbers = (int, float)
    placed = _is_triple(grid.spacing, numbers) and _is_triple(grid.origin, numbers) and _is_triple(grid.direction, numbers, 9)
    return placed and _is_triple(grid.size, int) and all(0 < n <= whole for n, whole in zip(grid.shape, shape))


def _is_anatomy(anatomy: Anatomy, shape: tuple[int, ...]) -> bool:
    if not isinstance(anatomy.geometry, Geometry) or not _is_grid(anatomy.geometry, shape):
        return False
    masks, distances = (anatomy.cavity, anatomy.wall), (anatomy.depth_mm, anatomy.outside_mm)
    inside = anatomy.geometry.shape
    return all(_is_array(mask, inside, "b") for mask in masks) and all(_is_array(distance, inside, "f") for distance in distances)


def _is_surface(surface: Surface, _: tuple[int, ...]) -> bool:
    points, triangles = surface.points, surface.triangles
    if not isinstance(points, np.ndarray) or not isinstance(triangles, np.ndarray) or points.ndim != 2 or triangles.ndim != 2:
        return False
    count = len(points)
    whole = _is_array(points, (count, 3), "f") and _is_array(surface.normals, (count, 3), "f") and _is_array(triangles, (len(triangles), 3), "i")
    if not whole or not count or not len(triangles) or triangles.min() < 0 or triangles.max() >= count:
        return False
    if not np.isfinite(points).all() or not np.isfinite(surface.normals).all():
        return False
    of_networks = (surface.scar_probability, surface.scar_entropy, surface.cavity_entropy)
    data = (surface.lge, surface.iir, surface.scar, surface.scar_class, surface.region, *of_networks)
    return all(values is None or _is_array(values, (count,), NUMERIC_KINDS) for values in data)


def _is_sample(sample: Sample, _: tuple[int, ...]) -> bool:
    try:
        vertices, wall = (len(sample.surface_value),), (len(sample.wall_intensity),)
        of_vertices = all(_is_array(values, vertices, "f") for values in (sample.surface_value, sample.vertex_area_mm2, sample.vertex_share))
        of_wall = all(_is_array(values, wall, "iuf") for values in (sample.wall_intensity, sample.wall_value))
        masks = _is_array(sample.is_wall, vertices, "b") and _is_array(sample.is_wall_voxel, wall, "b")
        cavity = _is_array(sample.cavity_intensity, (len(sample.cavity_intensity),), "iuf")
    except TypeError:
        return False
    numbers = _is_number(sample.la_volume_ml) and _is_number(sample.voxel_volume_ml) and isinstance(sample.has_planes, bool)
    blood = isinstance(sample.blood, BloodPool) and _is_blood(sample.blood, ())
    return of_vertices and of_wall and masks and cavity and numbers and blood and sample.given_scar is None


def _is_blood(blood: BloodPool, _: tuple[int, ...]) -> bool:
    return _is_number(blood.mean) and _is_number(blood.sd) and type(blood.voxels) is int


def _is_cavity(cavity: MeasuredCavity, shape: tuple[int, ...]) -> bool:
    kinds = ((cavity.surface, Surface), (cavity.geometry, Geometry), (cavity.box, Box), (cavity.sample, Sample))
    if not all(isinstance(value, kind) for value, kind in kinds):
        return False
    parts = (_is_surface(cavity.surface, shape), _is_grid(cavity.geometry, shape), _is_box(cavity.box, shape), _is_sample(cavity.sample, shape))
    if not all(parts) or not _is_array(cavity.wall, cavity.box.shape, "b"):
        return False
    count, nearest = len(cavity.surface.points), cavity.nearest
    known = nearest is None or (_is_array(nearest, (len(cavity.sample.wall_intensity),), "iu") and bool(((nearest >= 0) & (nearest < count)).all()))
    return known and len(cavity.sample.surface_value) == count and int(cavity.wall.sum()) == len(cavity.sample.wall_intensity)


def _is_probability(found: Probability, shape: tuple[int, ...]) -> bool:
    return (
        isinstance(found.box, Box) and found.shape == shape and _is_box(found.box, shape) and _is_array(found.values, found.box.shape, "f")
        and bool(((found.values >= 0) & (found.values <= 1)).all())
    )  # fmt: skip


def _is_flag(flag: QualityFlag, _: tuple[int, ...]) -> bool:
    return all(isinstance(text, str) for text in (flag.code, flag.message, flag.severity))


_CHECKS: dict[type, Callable[[Any, tuple[int, ...]], bool]] = {
    Anatomy: _is_anatomy, BloodPool: _is_blood, Box: _is_box, Geometry: _is_grid, MeasuredCavity: _is_cavity, Probability: _is_probability,
    QualityFlag: _is_flag, Sample: _is_sample, Surface: _is_surface,
}  # fmt: skip
_FITS: dict[str, Callable[[Any], bool]] = {
    "check_scan": lambda value: isinstance(value, tuple) and all(isinstance(flag, QualityFlag) for flag in value),
    "find_anatomy": lambda value: isinstance(value, Anatomy),
    "mesh_of": lambda value: isinstance(value, Surface),
    "with_regions": lambda value: isinstance(value, Surface),
    "measure_cavity": lambda value: isinstance(value, MeasuredCavity),
    "with_other_blood": lambda value: isinstance(value, MeasuredCavity),
    "with_shifted_surface": lambda value: isinstance(value, dict) and all(isinstance(one, MeasuredCavity) for one in value.values()),
    "project_intensity": lambda value: isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind == "f",
    "grey_level_of": lambda value: value is None or _is_number(value),
    "read_another": lambda value: isinstance(value, Sample),
}
"""What each of `archive.SLOW_STEPS` gives."""
