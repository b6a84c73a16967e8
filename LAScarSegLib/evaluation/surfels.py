"""Surface Dice at a tolerance (Nikolov et al. 2018, arXiv:1809.04430), as DeepMind's `surface-distance` computes it.

The surface of a mask consists of surface elements ("surfels") at the corners of the voxels: wherever the 2×2×2 voxels
around a corner are not all alike, marching cubes puts triangles between them, and their area is the surfel's weight.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from ..volumes.volume import Box
from .voxel import nearest_mm

CORNER_WEIGHTS = (1 << np.arange(8)[::-1]).reshape(2, 2, 2)
"""Bit of each of the 2×2×2 voxels around a corner (k, j, i) in its code 0…255."""
ALL_INSIDE = 255


def surface_dice(prediction: np.ndarray, reference: np.ndarray, spacing_kji: Sequence[float], tolerance_mm: float) -> float:
    """The share of both surfaces, by area, that lies within `tolerance_mm` of the other one, in 0…1.

    prediction, reference (k, j, i) bool, spacing in mm. One empty mask: 0. Two empty masks agree: 1 (the original: NaN).
    """
    (corners_a, area_a), (corners_b, area_b) = [surfels(mask, spacing_kji) for mask in (prediction, reference)]
    if not len(corners_a) or not len(corners_b):
        return 1.0 if len(corners_a) == len(corners_b) else 0.0
    close_a = area_a[nearest_mm(corners_a, corners_b, spacing_kji) <= tolerance_mm].sum()
    close_b = area_b[nearest_mm(corners_b, corners_a, spacing_kji) <= tolerance_mm].sum()
    return float((close_a + close_b) / (area_a.sum() + area_b.sum()))


def surfels(mask: np.ndarray, spacing_kji: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Corner (N, 3) and area (N,) in mm² of every surfel of a bool mask (k, j, i).

    Corner (k, j, i) is the one of voxel (k, j, i) towards voxel (0, 0, 0). Beyond the array is background.
    """
    if not mask.any():
        return np.empty((0, 3), dtype=int), np.empty(0)
    spacing = tuple(float(s) for s in spacing_kji)
    box = Box.around(mask, 0.0, spacing)
    padded = np.pad(mask[box.slices], 1).astype(np.uint8)
    codes = np.zeros([n - 1 for n in padded.shape], dtype=np.uint8)
    for (k, j, i), weight in np.ndenumerate(CORNER_WEIGHTS):
        codes += padded[k : k + codes.shape[0], j : j + codes.shape[1], i : i + codes.shape[2]] * np.uint8(weight)
    corners = np.argwhere((codes != 0) & (codes != ALL_INSIDE))
    return corners + box.start, surfel_areas_mm2(spacing)[codes[tuple(corners.T)]]


@lru_cache(maxsize=8)
def surfel_areas_mm2(spacing_kji: tuple[float, float, float]) -> np.ndarray:
    """(256,) area in mm² of the marching cubes' triangles for each code of a corner.

    The original cases of Lorensen & Cline 1987: a code and its complement have the same triangles. VTK's table agrees
    up to four voxels inside; from five on it joins what the original keeps apart, so there the complement is looked up.
    """
    areas = _marching_cubes_areas(spacing_kji)
    inside = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1)
    return np.where(inside <= 4, areas, areas[::-1])


def _marching_cubes_areas(spacing_kji: tuple[float, float, float]) -> np.ndarray:
    """(256,) mm² of VTK's triangles for each code: all 256 cubes lie in one row, each followed by a gap."""
    from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkFiltersCore import vtkMarchingCubes

    row = np.zeros((2, 2, 256, 3), dtype=np.uint8)
    row[..., :2] = ((np.arange(256)[:, None, None, None] & CORNER_WEIGHTS) > 0).transpose(1, 2, 0, 3)
    image = vtkImageData()
    image.SetDimensions(256 * 3, 2, 2)
    image.GetPointData().SetScalars(numpy_to_vtk(row.ravel(), deep=True))
    contour = vtkMarchingCubes()
    contour.SetInputData(image)
    contour.SetValue(0, 0.5)
    contour.ComputeNormalsOff()
    contour.Update()
    points = vtk_to_numpy(contour.GetOutput().GetPoints().GetData()).astype(float)
    corners = points[vtk_to_numpy(contour.GetOutput().GetPolys().GetConnectivityArray()).reshape(-1, 3)]
    cell = np.floor(corners.mean(axis=1)[:, 0]).astype(int)
    sides = np.diff(corners * spacing_kji[::-1], axis=1)
    area = 0.5 * np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1)
    own = cell % 3 == 0
    return np.bincount(cell[own] // 3, area[own], minlength=256)
