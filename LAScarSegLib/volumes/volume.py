"""A volume: voxels and where they lie in the patient.

Arrays are `[k, j, i]` (slice, row, column). Geometry is SimpleITK's: millimetres in LPS, spacing and size in the order
(i, j, k), the columns of `direction` are the axes i, j, k. Oblique, flipped and anisotropic grids are all exact. Only
`LAScarSegLib.scene` converts to Slicer's RAS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from ..support.flags import QualityFlag

SAME_GRID_VOXELS = 0.01
"""Two grids are one when no corner differs by more than this share of the smallest spacing: origins in single precision and spacings of
six digits differ by thousandths of a millimetre, and a mask drawn on voxels by nothing."""
SHEAR_TOLERANCE = 1e-2
"""Cosine between two axes: up to this a grid counts as perpendicular (0.6°; 1 mm over 100 mm)."""
HEADER_ROUNDING_MM = 0.01
"""Distances are compared to this: a spacing worked out from DICOM positions is 2.500001 mm where 2.5 mm was meant."""


@dataclass(frozen=True)
class Geometry:
    """Where a voxel grid lies: `size`, `spacing` (mm), `origin` (mm, LPS) in the order (i, j, k) = (x, y, z)."""

    size: tuple[int, int, int]
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    """Row-major 3×3; column a is the unit vector of axis a in LPS."""

    def __post_init__(self) -> None:
        if any(not np.isfinite(s) or s <= 0 for s in self.spacing):
            raise InputError(f"The voxel spacing is {self.spacing} mm; every spacing must be a positive number. Correct the header.")
        if not np.isfinite(self.origin).all():
            raise InputError(f"The image origin is {self.origin}; it must be three numbers in mm. Correct the header.")
        with np.errstate(invalid="ignore"):
            determinant = np.linalg.det(self.rotation)
        if not np.isfinite(determinant) or abs(determinant) < 1e-3:
            raise InputError(
                f"The image direction {tuple(map(float, self.direction))} is singular (determinant {determinant:.3g}): its axes "
                "don't span space. Correct the header."
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """The array's shape (k, j, i)."""
        return self.size[::-1]

    @property
    def spacing_kji(self) -> tuple[float, float, float]:
        """Spacing in mm in the array's axis order, as SciPy's `sampling` wants it."""
        return self.spacing[::-1]

    @property
    def rotation(self) -> np.ndarray:
        """Direction as a 3×3 matrix; columns are the axes i, j, k."""
        return np.asarray(self.direction, dtype=float).reshape(3, 3)

    @property
    def index_to_lps_matrix(self) -> np.ndarray:
        """4×4 matrix from (i, j, k, 1) to (L, P, S, 1) in mm."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.rotation * np.asarray(self.spacing)
        matrix[:3, 3] = self.origin
        return matrix

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel in mL (1 mL = 1000 mm³)."""
        return float(abs(np.linalg.det(self.index_to_lps_matrix[:3, :3]))) / 1000.0

    @property
    def extent_mm(self) -> tuple[float, float, float]:
        """Field of view along i, j, k in mm (number of voxels × spacing)."""
        return tuple(n * s for n, s in zip(self.size, self.spacing))

    def index_to_lps(self, ijk: np.ndarray) -> np.ndarray:
        """Physical points (N, 3) in mm of continuous indices (N, 3) in the order (i, j, k)."""
        matrix = self.index_to_lps_matrix
        return np.asarray(ijk, dtype=float) @ matrix[:3, :3].T + matrix[:3, 3]

    def lps_to_index(self, points_lps: np.ndarray) -> np.ndarray:
        """Continuous indices (N, 3) in the order (i, j, k) of physical points (N, 3) in mm."""
        inverse = np.linalg.inv(self.index_to_lps_matrix)
        return np.asarray(points_lps, dtype=float) @ inverse[:3, :3].T + inverse[:3, 3]

    def crop(self, box: Box) -> Geometry:
        """The geometry of the part of this grid inside `box`."""
        origin = self.index_to_lps(np.array([box.start[::-1]]))[0]
        return replace(self, size=box.shape[::-1], origin=tuple(origin))

    def same_grid(self, other: Geometry) -> bool:
        """True when both have the same voxels at the same places (to `SAME_GRID_VOXELS` at every corner)."""
        if self.size != other.size:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.size])).reshape(3, -1).T
        return bool(np.abs(self.index_to_lps(corners) - other.index_to_lps(corners)).max() <= SAME_GRID_VOXELS * min(*self.spacing, *other.spacing))

    def apart(self, other: Geometry) -> tuple[float, float]:
        """How far the voxels of two grids of one size lie apart at the worst: in voxels along any of this grid's axes, and in mm."""
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.size])).reshape(3, -1).T
        theirs = other.index_to_lps(corners)
        in_mm = np.linalg.norm(theirs - self.index_to_lps(corners), axis=1)
        return float(np.abs(self.lps_to_index(theirs) - corners).max()), float(in_mm.max())

    def start_of(self, part: Geometry) -> tuple[int, int, int] | None:
        """The index (k, j, i) in this grid, which may lie outside it, of the first voxel of `part`; None when voxels don't coincide."""
        start = np.rint(self.lps_to_index(np.array([part.origin]))[0])
        origin = tuple(self.index_to_lps(start[None])[0])
        return tuple(int(n) for n in start[::-1]) if replace(self, size=part.size, origin=origin).same_grid(part) else None

    def to_json(self) -> dict[str, list[float]]:
        return {key: list(getattr(self, key)) for key in ("size", "spacing", "origin", "direction")}


@dataclass(frozen=True)
class Box:
    """A block of voxels: `start` inclusive, `stop` exclusive, in the array's order (k, j, i)."""

    start: tuple[int, int, int]
    stop: tuple[int, int, int]

    @property
    def shape(self) -> tuple[int, int, int]:
        return tuple(b - a for a, b in zip(self.start, self.stop))

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        return tuple(slice(a, b) for a, b in zip(self.start, self.stop))

    @classmethod
    def around(cls, mask: np.ndarray, margin_mm: float, spacing_kji: Sequence[float]) -> Box:
        """The smallest box that holds every non-zero voxel of `mask` and `margin_mm` around, within the array."""
        used = [np.flatnonzero(mask.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
        if used[0].size == 0:
            raise InputError("The mask is empty: there is nothing to put a box around.")
        tight = cls(tuple(int(n[0]) for n in used), tuple(int(n[-1]) + 1 for n in used))
        return tight.grown(margin_mm, spacing_kji, mask.shape)

    def within(self, other: Box) -> Box:
        """What both have in common."""
        return Box(tuple(map(max, self.start, other.start)), tuple(map(min, self.stop, other.stop)))

    def of_values(self, values: np.ndarray, wanted: Box, fill: float = 0) -> np.ndarray:
        """An array (k, j, i) known in this box as it is in the box `wanted` of the same grid: `fill` where it isn't known."""
        out = np.full(wanted.shape, fill, dtype=values.dtype)
        common = self.within(wanted)
        if all(a < b for a, b in zip(common.start, common.stop)):
            out[common.seen_from(wanted).slices] = values[common.seen_from(self).slices]
        return out

    def around_both(self, other: Box) -> Box:
        """The smallest box that holds both."""
        return Box(tuple(map(min, self.start, other.start)), tuple(map(max, self.stop, other.stop)))

    def seen_from(self, other: Box) -> Box:
        """This box in the voxels of an array that begins where `other` begins."""
        return Box(*(tuple(a - first for a, first in zip(corner, other.start)) for corner in (self.start, self.stop)))

    def grown(self, margin_mm: float, spacing_kji: Sequence[float], shape: Sequence[int]) -> Box:
        """With `margin_mm` more on every side, within an array of `shape`."""
        margins = [int(np.ceil(margin_mm / s)) for s in spacing_kji]
        start = tuple(max(0, a - m) for a, m in zip(self.start, margins))
        return Box(start, tuple(min(n, b + m) for b, m, n in zip(self.stop, margins, shape)))


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxels and their place.

    `array` has shape (k, j, i); `flags` are remarks the reader made about the file (header contradictions and the like).
    """

    array: np.ndarray
    geometry: Geometry
    flags: tuple[QualityFlag, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.array.shape != self.geometry.shape:
            raise ValueError(f"array of shape {self.array.shape} on a grid of shape {self.geometry.shape}")

    @classmethod
    def from_sitk(cls, image: sitk.Image, flags: tuple[QualityFlag, ...] = ()) -> Volume:
        """From a 3-D scalar SimpleITK image; the voxels are copied."""
        geometry = Geometry(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())
        return cls(sitk.GetArrayFromImage(image), geometry, flags)

    def to_sitk(self) -> sitk.Image:
        """As a SimpleITK image (booleans become uint8)."""
        array = self.array.astype(np.uint8) if self.array.dtype == bool else self.array
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(self.geometry.spacing)
        image.SetOrigin(self.geometry.origin)
        image.SetDirection(self.geometry.direction)
        return image

    def like(self, array: np.ndarray) -> Volume:
        """Another volume on this grid."""
        return Volume(array, self.geometry)

    def crop(self, box: Box) -> Volume:
        """The part inside `box`, as a view: no voxel is copied."""
        return Volume(self.array[box.slices], self.geometry.crop(box), self.flags)

    def expand(self, box: Box, geometry: Geometry, fill: float = 0) -> Volume:
        """This volume, which is the part inside `box` of the grid `geometry`, on that whole grid; `fill` elsewhere."""
        return Volume(box.of_values(self.array, Box((0, 0, 0), geometry.shape), fill), geometry)

    def resample(self, geometry: Geometry, *, labels: bool, fill: float = 0) -> Volume:
        """On another grid: nearest neighbour for `labels`, linear interpolation else; `fill` outside this volume."""
        interpolator = sitk.sitkNearestNeighbor if labels else sitk.sitkLinear
        grid = (geometry.origin, geometry.spacing, geometry.direction)
        return Volume.from_sitk(sitk.Resample(self.to_sitk(), geometry.size, sitk.Transform(), interpolator, *grid, fill), self.flags)
