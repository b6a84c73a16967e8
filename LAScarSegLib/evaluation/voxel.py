"""How alike two masks are: border distances and centroids with the meaning that medpy gave them, surface Dice with DeepMind's."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from ..volumes.volume import Box

HD95_PERCENTILE = 95.0
"""Of the distances of both borders together, linear interpolation (medpy `hd95`)."""
CORNER_WEIGHTS = (1 << np.arange(8)[::-1]).reshape(2, 2, 2)
"""Bit of each of the 2×2×2 voxels around a corner (k, j, i) in its code 0…255."""
ALL_INSIDE = 255


@dataclass(frozen=True, eq=False)
class BorderDistances:
    """Between the borders of two masks; NaN measures when a mask is empty.

    `mm` (N + M,) of every border voxel of the prediction to the nearest border voxel of the reference, and the other way round.
    """

    mm: np.ndarray

    @property
    def hd_mm(self) -> float:
        """Hausdorff distance: the true maximum (medpy `hd`)."""
        return float(self.mm.max()) if self.mm.size else np.nan

    @property
    def hd95_mm(self) -> float:
        """95th percentile of all distances, both ways together (medpy `hd95`)."""
        return float(np.percentile(self.mm, HD95_PERCENTILE)) if self.mm.size else np.nan

    @property
    def assd_mm(self) -> float:
        """Average symmetric surface distance: mean of all distances, both ways together (medpy `assd`)."""
        return float(self.mm.mean()) if self.mm.size else np.nan


def border(mask: np.ndarray) -> np.ndarray:
    """The mask minus its 6-connected erosion: (k, j, i) bool. Beyond the array is background, as in medpy."""
    return mask & ~ndimage.binary_erosion(mask)


def border_distances(prediction: np.ndarray, reference: np.ndarray, spacing_kji: Sequence[float]) -> BorderDistances:
    """All distances between the borders of two bool masks (k, j, i), spacing in mm; no component is left out.

    The nearest border voxel is looked up in a k-d tree: exact in double precision, and it costs what the borders cost
    instead of what the grid costs (medpy: a distance transform of the whole grid, each time).
    """
    one, other = (border_voxels(mask) for mask in (prediction, reference))
    return BorderDistances(np.concatenate([nearest_mm(one, other, spacing_kji), nearest_mm(other, one, spacing_kji)]))


def border_voxels(mask: np.ndarray) -> np.ndarray:
    """(N, 3) array indices (k, j, i) of the border voxels."""
    if not mask.any():
        return np.empty((0, 3), dtype=int)
    # Nothing outside the mask's own box can be border, and its outermost layer always is.
    box = Box.around(mask, 0.0, (1.0, 1.0, 1.0))
    return np.argwhere(border(mask[box.slices])) + box.start


def nearest_mm(indices: np.ndarray, others: np.ndarray, spacing_kji: Sequence[float]) -> np.ndarray:
    """(N,) distance in mm of each of `indices` (N, 3) to the nearest of `others` (M, 3); empty when either is empty."""
    if len(indices) == 0 or len(others) == 0:
        return np.empty(0)
    spacing = np.asarray(spacing_kji, dtype=float)
    nearest = cKDTree(others * spacing).query(indices * spacing)[1]
    # From whole voxels: a difference of positions is rounded, and 2.0 mm would be beyond a tolerance of 2.0 mm.
    return np.linalg.norm((indices - others[nearest]) * spacing, axis=1)


def centroid_error_mm(prediction: np.ndarray, reference: np.ndarray, spacing_kji: Sequence[float]) -> float:
    """Distance in mm between the centres of mass of two bool masks; NaN when either is empty (two_stage_sdm, table I)."""
    centres = [_centre_of_mass(mask) for mask in (prediction, reference)]
    return float(np.linalg.norm((centres[0] - centres[1]) * np.asarray(spacing_kji, dtype=float)))


def _centre_of_mass(mask: np.ndarray) -> np.ndarray:
    voxels = np.argwhere(mask)
    return voxels.mean(axis=0) if len(voxels) else np.full(3, np.nan)


def surface_dice(prediction: np.ndarray, reference: np.ndarray, spacing_kji: Sequence[float], tolerance_mm: float) -> float:
    """The share of both surfaces, by area, that lies within `tolerance_mm` of the other one, in 0…1 (Nikolov et al. 2018,
    arXiv:1809.04430), as DeepMind's `surface-distance` computes it.

    The surface of a mask consists of surface elements ("surfels") at the corners of the voxels: wherever the 2×2×2 voxels
    around a corner are not all alike, marching cubes puts triangles between them, and their area is the surfel's weight.
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
