"""The shape of a cavity as a few numbers, in the patient's directions, whatever the grid."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..volumes.volume import Box, Geometry
from .masks import Mask

GRID_MM = 2.0
"""Shapes are compared at one resolution: that of the network, finer than what tells one atrium from another."""
OPENING_MM = 8.0
"""What a ball of this radius does not reach is protrusion: veins (radius 4–8 mm) and appendage, not the body."""
REACH_PERCENTILE = 99.0
"""A single voxel does not decide how far a cavity reaches."""
FACE_SHARE = 2.0 / 3.0
"""Of the area of a smooth surface's voxel faces, the area of the surface itself, averaged over all directions (|nx|+|ny|+|nz| is 3/2)."""
BALL = (36.0 * np.pi) ** (1.0 / 3.0)
"""Area of a ball over its volume to the power of 2/3."""
DIRECTIONS: tuple[tuple[int, int, int], ...] = tuple(
    direction for direction in itertools.product((-1, 0, 1), repeat=3) if sum(map(abs, direction)) in (1, 3)
)
"""(L, P, S) of the six sides and eight corners of a cube."""


@dataclass(frozen=True, eq=False)
class CavityShape:
    """A cavity's shape; lengths in mm.

    reach
        (14,) how far it reaches from its centroid along each of `DIRECTIONS`.
    inscribed_mm
        radius of the largest ball in it.
    protrusion
        share of its volume that no ball of 8 mm radius inside it covers.
    sphericity
        1 for a ball, less for everything else.
    body_offset
        (3,) from its centroid to that of its body without the protrusions, L, P, S.
    """

    volume_ml: float
    reach: np.ndarray
    inscribed_mm: float
    protrusion: float
    sphericity: float
    body_offset: np.ndarray

    @property
    def vector(self) -> np.ndarray:
        """(21,) the shape for statistics: the volume's logarithm, and everything else relative to the cavity's size."""
        size = np.cbrt(1000.0 * self.volume_ml)
        relative = np.log(np.maximum(self.reach, 1.0) / size)
        return np.array(
            [np.log(self.volume_ml), *relative, np.log(max(self.inscribed_mm, 1.0) / size), self.protrusion, self.sphericity,
             *(self.body_offset / size)]
        )  # fmt: skip

    def reach_towards(self, *direction: int) -> float:
        """How far it reaches in one of `DIRECTIONS` (L, P, S)."""
        return float(self.reach[DIRECTIONS.index(direction)])


def shape_of(cavity: Mask, geometry: Geometry) -> CavityShape:
    """The shape of a cavity on the grid `geometry`; it has one voxel at least."""
    inside = _at_grid(cavity.inside, geometry)
    spacing = np.array(geometry.spacing_kji) * cavity.inside.shape / inside.shape
    voxel_ml = float(np.prod(spacing)) / 1000.0
    padded = np.pad(inside, 1)
    depth = ndimage.distance_transform_edt(padded, sampling=spacing)[1:-1, 1:-1, 1:-1]
    core = np.pad(depth >= OPENING_MM, 1)
    body = inside & (ndimage.distance_transform_edt(~core, sampling=spacing)[1:-1, 1:-1, 1:-1] < OPENING_MM) if core.any() else inside
    # Array axes (k, j, i) to L, P, S: where the grid lies does not matter.
    to_lps = (geometry.rotation[:, ::-1] * spacing).T
    points = np.argwhere(inside) @ to_lps
    centre = points.mean(axis=0)
    units = np.array(DIRECTIONS) / np.linalg.norm(DIRECTIONS, axis=1, keepdims=True)
    reach = np.percentile((points - centre) @ units.T, REACH_PERCENTILE, axis=0)
    volume_ml = len(points) * voxel_ml
    area = _face_area_mm2(padded, spacing) * FACE_SHARE
    share = 1.0 - np.count_nonzero(body) / len(points) if core.any() else 1.0
    offset = (np.argwhere(body) @ to_lps).mean(axis=0) - centre
    return CavityShape(volume_ml, reach, float(depth.max()), share, float(BALL * (1000.0 * volume_ml) ** (2 / 3) / area), offset)


def border_share(cavity: Mask, geometry: Geometry, seen: Box | None = None) -> float:
    """The share of a cavity's surface that lies on the border of the scan, or of the part `seen` of it that is not blank."""
    seen = seen or Box((0, 0, 0), cavity.shape)
    spacing = geometry.spacing_kji
    part = np.pad(cavity.within(cavity.box.within(seen)), 1) if _common(cavity.box, seen) else np.zeros((1, 1, 1), dtype=bool)
    whole = _face_area_mm2(np.pad(cavity.inside, 1), spacing)
    cut = 0.0
    for axis in range(3):
        face = float(np.prod(spacing)) / spacing[axis]
        if cavity.box.start[axis] <= seen.start[axis]:
            cut += face * np.count_nonzero(np.take(part, 1, axis=axis)) if part.shape[axis] > 2 else 0.0
        if cavity.box.stop[axis] >= seen.stop[axis]:
            cut += face * np.count_nonzero(np.take(part, -2, axis=axis)) if part.shape[axis] > 2 else 0.0
    return cut / whole if whole > 0 else 0.0


def _common(one: Box, other: Box) -> bool:
    return min(one.within(other).shape) > 0


def _at_grid(inside: np.ndarray, geometry: Geometry) -> np.ndarray:
    """A tight bool mask (k, j, i) with voxels of about `GRID_MM`, one of them at least in it."""
    shape = [max(1, int(round(n * s / GRID_MM))) for n, s in zip(inside.shape, geometry.spacing_kji)]
    if tuple(shape) == inside.shape:
        return inside
    # Voxels' outer faces stay where they are.
    share = ndimage.zoom(
        inside.astype(np.float32), [m / n for m, n in zip(shape, inside.shape)], order=1, mode="nearest", grid_mode=True
    )
    found = share > 0.5
    return found if found.any() else share >= share.max()


def _face_area_mm2(mask: np.ndarray, spacing: np.ndarray | tuple[float, ...]) -> float:
    """Area of the voxel faces between a mask, which leaves the array's border free, and the rest."""
    voxel = float(np.prod(spacing))
    return sum(float(np.count_nonzero(np.diff(mask, axis=axis))) * voxel / spacing[axis] for axis in range(3))
