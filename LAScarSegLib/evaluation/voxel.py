"""How alike two masks are, voxel by voxel: Dice, border distances and centroids, with the meaning that medpy gave them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from ..volumes.volume import Box

HD95_PERCENTILE = 95.0
"""Of the distances of both borders together, linear interpolation (medpy `hd95`)."""


@dataclass(frozen=True, eq=False)
class BorderDistances:
    """Distances in mm between the borders of two masks, one for each border voxel; NaN measures when a mask is empty.

    from_prediction
        (N,) of every border voxel of the prediction to the nearest border voxel of the reference.
    from_reference
        (M,) the other way round.
    """

    from_prediction: np.ndarray
    from_reference: np.ndarray

    @property
    def defined(self) -> bool:
        """Whether both masks have a border."""
        return self.from_prediction.size > 0 and self.from_reference.size > 0

    @property
    def hd_mm(self) -> float:
        """Hausdorff distance: the true maximum (medpy `hd`)."""
        return float(max(self.from_prediction.max(), self.from_reference.max())) if self.defined else np.nan

    @property
    def hd95_mm(self) -> float:
        """95th percentile of all distances, both ways together (medpy `hd95`)."""
        return float(np.percentile(self._both, HD95_PERCENTILE)) if self.defined else np.nan

    @property
    def assd_mm(self) -> float:
        """Average symmetric surface distance: mean of all distances, both ways together (medpy `assd`)."""
        return float(self._both.mean()) if self.defined else np.nan

    @property
    def _both(self) -> np.ndarray:
        return np.concatenate([self.from_prediction, self.from_reference])


def border(mask: np.ndarray) -> np.ndarray:
    """The mask minus its 6-connected erosion: (k, j, i) bool. Beyond the array is background, as in medpy."""
    return mask & ~ndimage.binary_erosion(mask)


def border_distances(prediction: np.ndarray, reference: np.ndarray, spacing_kji: Sequence[float]) -> BorderDistances:
    """All distances between the borders of two bool masks (k, j, i), spacing in mm; no component is left out.

    The nearest border voxel is looked up in a k-d tree: exact in double precision, and it costs what the borders cost
    instead of what the grid costs (medpy: a distance transform of the whole grid, each time).
    """
    voxels = [border_voxels(mask) for mask in (prediction, reference)]
    return BorderDistances(nearest_mm(voxels[0], voxels[1], spacing_kji), nearest_mm(voxels[1], voxels[0], spacing_kji))


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
