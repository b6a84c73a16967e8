"""Sub-voxel signed distance: to the smooth surface instead of to voxel centres."""

import numpy as np
from scipy.spatial import cKDTree

from ..volumes.volume import Geometry
from .surface import Surface


def signed_distance_to_surface(surface: Surface, points: np.ndarray) -> np.ndarray:
    """Signed distance in mm of points (P, 3), LPS, to the surface, positive inside.

    Distance to the tangent plane at the nearest vertex: with 1 mm edges it is off by less than 0.02 mm where the radius
    of curvature is 8 mm. Meant for points within a few millimetres of the surface.
    """
    tree = cKDTree(surface.points)
    _, nearest = tree.query(points, workers=-1)
    return -np.einsum("ij,ij->i", points - surface.points[nearest], surface.normals[nearest])


def subvoxel_signed_distance(sdm_cavity_mm: np.ndarray, geometry: Geometry, surface: Surface, band_mm: float) -> np.ndarray:
    """The cavity's signed distance map in sub-voxel accuracy near the surface (SCIENCE section 2, "sub-voxel mode").

    Parameters
    ----------
    sdm_cavity_mm
        (k, j, i) plain signed distance map in mm.
    band_mm
        voxels this close to the surface are computed anew; farther ones keep their plain value.

    Returns
    -------
    (k, j, i) float32 mm, positive inside.
    """
    refined = sdm_cavity_mm.astype(np.float32, copy=True)
    # The plain map is off by up to a voxel's edge: search that much wider.
    near = np.argwhere(np.abs(sdm_cavity_mm) <= band_mm + max(geometry.spacing))
    distance = signed_distance_to_surface(surface, geometry.index_to_lps(near[:, ::-1]))
    refined[tuple(near.T)] = distance
    return refined
