"""Grey levels of a layer along the surface: what a protocol compares with its threshold instead of the wall's voxels.

Every function gives one grey level a vertex, −inf where there is none: "not measured".
"""

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from ..volumes.volume import HEADER_ROUNDING_MM, Geometry
from .projection import PROBE_STEP_MM, indices_along_normals
from .surface import Surface

NORMAL_STEPS_MM = (-1.0, 0.0, 1.0, 2.0, 3.0)
"""Where CemrgApp looks along the normal: whole voxels of its 1 mm grid (minStep −1, maxStep 3 in its scar-projection programs)."""
NEIGHBOURS = 3
"""Voxels across the neighbourhood around each step."""
DEEPEST_WALL_MM = 10.0
"""As far out as a drawn wall is looked for; three times the thickest atrial wall."""


def layer_at(intensities: np.ndarray, geometry: Geometry, surface: Surface, distance_mm: np.ndarray | float) -> np.ndarray:
    """One trilinear sample at every vertex, `distance_mm` along its outward normal.

    Parameters
    ----------
    intensities
        (k, j, i) grey levels on `geometry`.
    distance_mm
        one for all, or (N,); NaN where the layer does not exist.

    Returns
    -------
    (N,) float32 grey levels; −inf where the sample lies outside the scan or there is no layer.
    """
    distances = np.broadcast_to(np.asarray(distance_mm, dtype=np.float64), len(surface.points))
    points = surface.points + np.nan_to_num(distances)[:, None] * surface.normals
    kji = geometry.lps_to_index(points)[:, ::-1].T
    sampled = ndimage.map_coordinates(intensities, kji, order=1, mode="nearest", output=np.float32)
    sampled[~_inside(kji, geometry.shape) | np.isnan(distances)] = -np.inf
    return sampled


def halfway_through(wall: np.ndarray, geometry: Geometry, surface: Surface, reach_mm: float) -> np.ndarray:
    """(N,) mm along the normal of every vertex to the middle of the wall there; NaN where the normal meets none.

    wall (k, j, i) bool. The wall is the first unbroken stretch of its voxels that begins within ±`reach_mm` of the vertex.
    """
    distances = np.arange(-reach_mm, DEEPEST_WALL_MM + PROBE_STEP_MM / 2, PROBE_STEP_MM)
    kji = np.rint(indices_along_normals(geometry, surface, distances)).astype(np.int32)
    inside = _inside(kji, geometry.shape)
    hit = np.zeros(kji.shape[1], dtype=bool)
    hit[inside] = wall[tuple(kji[:, inside])]
    hit = hit.reshape(len(surface.points), -1)
    first = hit.argmax(axis=1)
    after = ~hit & (np.arange(len(distances)) > first[:, None])
    last = np.where(after.any(axis=1), after.argmax(axis=1), len(distances)) - 1
    found = hit.any(axis=1) & (distances[first] <= reach_mm)
    return np.where(found, (distances[first] + distances[last]) / 2, np.nan)


def brightest_along_normals(intensities: np.ndarray, geometry: Geometry, surface: Surface) -> np.ndarray:
    """CemrgApp's reading: the brightest of the 3×3×3 neighbourhoods of `NORMAL_STEPS_MM` on a grid of 1 mm along the scan's axes.

    The grid follows from the scan's position alone (a voxel at every whole millimetre along each axis), so that cropping or flipping changes nothing;
    grey levels come to it by linear interpolation.

    Returns
    -------
    (N,) float32 grey levels; −inf where every step lies outside the scan.
    """
    axes = geometry.rotation.T
    spacing, origin = np.array(geometry.spacing), axes @ np.array(geometry.origin)
    first = np.ceil(origin - HEADER_ROUNDING_MM).astype(int)
    last = np.floor(origin + spacing * (np.array(geometry.size) - 1) + HEADER_ROUNDING_MM).astype(int)
    shape, offset = (last - first + 1)[::-1], ((first - origin) / spacing)[::-1]
    fine = ndimage.affine_transform(intensities, 1.0 / spacing[::-1], offset, tuple(shape), order=1, mode="nearest", output=np.float32)
    brightest = ndimage.maximum_filter(fine, NEIGHBOURS, mode="nearest")
    found = np.full(len(surface.points), -np.inf, dtype=np.float32)
    for step in NORMAL_STEPS_MM:
        points = surface.points + step * surface.normals
        ijk = np.clip(np.rint(points @ axes.T).astype(int) - first, 0, last - first)
        inside = _inside(geometry.lps_to_index(points)[:, ::-1].T, geometry.shape)
        np.maximum(found, np.where(inside, brightest[tuple(ijk.T[::-1])], -np.inf), out=found)
    return found


def nearest_vertices(surface: Surface, points: np.ndarray) -> np.ndarray:
    """(P,) number of the vertex nearest to each of `points` (P, 3), mm LPS."""
    return cKDTree(surface.points).query(points, workers=-1)[1]


def _inside(kji: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """(P,) bool: continuous indices (3, P) that lie in some voxel of an array."""
    return np.logical_and.reduce([(axis > -0.5) & (axis < n - 0.5) for axis, n in zip(kji, shape)])
