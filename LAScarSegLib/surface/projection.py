"""From voxels to the surface: what lies along each vertex's normal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..volumes.volume import Geometry
from .surface import Surface

PROBE_STEP_MM = 0.25
"""Step of the search for a voxel along a normal: less than half the smallest voxel edge in use (0.625 mm), so none is jumped."""


def project_intensity(
    intensities: np.ndarray, geometry: Geometry, surface: Surface, from_mm: float, to_mm: float, step_mm: float, statistic: str
) -> np.ndarray:
    """Intensity at every vertex: samples along the outward normal, linear interpolation, one statistic (SCIENCE section 5).

    Parameters
    ----------
    intensities
        (k, j, i) grey levels on `geometry`; the nearest voxel's value beyond its border.
    from_mm, to_mm, step_mm
        where to sample along the normal; negative is inside the cavity.
    statistic
        one of `settings.PROJECTION_STATISTICS`.

    Returns
    -------
    (N,) float32 grey levels.
    """
    distances = np.arange(from_mm, to_mm + 1e-9, step_mm)
    coordinates = indices_along_normals(geometry, surface, distances)
    samples = ndimage.map_coordinates(intensities, coordinates, order=1, mode="nearest", output=np.float32)
    samples = samples.reshape(len(surface.points), len(distances))
    if statistic == "max":
        return samples.max(axis=1)
    if statistic == "mean":
        return samples.mean(axis=1)
    return np.percentile(samples, {"median": 50, "p90": 90}[statistic], axis=1).astype(np.float32)


@dataclass(frozen=True, eq=False)
class VoxelsAlongNormals:
    """The voxels that each vertex's normal passes within a reach: looked up once, asked often.

    `voxels` (N, S) flat voxel numbers of the nearest voxel at each step; -1 outside the array.
    """

    voxels: np.ndarray

    @classmethod
    def along(cls, geometry: Geometry, surface: Surface, reach_mm: float) -> VoxelsAlongNormals:
        """The voxels within ±`reach_mm` of every vertex along its normal."""
        steps = max(1, int(np.ceil(reach_mm / PROBE_STEP_MM)))
        indices = indices_along_normals(geometry, surface, np.linspace(-reach_mm, reach_mm, 2 * steps + 1))
        kji = np.rint(indices, out=indices).astype(np.int32)
        shape = geometry.shape
        inside = np.logical_and.reduce([(axis >= 0) & (axis < n) for axis, n in zip(kji, shape)])
        flat = np.where(inside, (kji[0] * shape[1] + kji[1]) * shape[2] + kji[2], -1)
        return cls(flat.reshape(len(surface.points), -1))

    def any(self, mask: np.ndarray) -> np.ndarray:
        """(N,) bool: some voxel of `mask` (k, j, i) lies along the normal."""
        return np.append(mask.ravel(), False)[self.voxels].any(axis=1)

    def maximum(self, values: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """(N,) the greatest of `values` (k, j, i) among the voxels of `mask` along the normal; −inf where there is none."""
        masked = np.append(np.where(mask, values, -np.inf).ravel().astype(np.float32), np.float32(-np.inf))
        return masked[self.voxels].max(axis=1)


def indices_along_normals(geometry: Geometry, surface: Surface, distances_mm: np.ndarray) -> np.ndarray:
    """(3, N·S) continuous array indices (k, j, i) of the points at `distances_mm` along every normal."""
    start = geometry.lps_to_index(surface.points)
    direction = geometry.lps_to_index(surface.points + surface.normals) - start
    kji = np.empty((3, len(start), len(distances_mm)))
    for axis, column in enumerate((2, 1, 0)):
        np.multiply(direction[:, column, None], distances_mm, out=kji[axis])
        kji[axis] += start[:, column, None]
    return kji.reshape(3, -1)
