"""The blood pool: the cavity away from its edge, the reference of every intensity rule."""

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..volumes.volume import HEADER_ROUNDING_MM


@dataclass(frozen=True)
class BloodPool:
    """Mean and population standard deviation of the intensities (grey levels) of `voxels` blood-pool voxels."""

    mean: float
    sd: float
    voxels: int

    @property
    def coefficient_of_variation(self) -> float:
        """SD over mean (no unit)."""
        return self.sd / self.mean if self.mean else float("inf")


def blood_pool_mask(cavity_depth_mm: np.ndarray, erosion_mm: float) -> np.ndarray:
    """Where a cavity of this depth (any shape, mm; 0 or less outside) is deeper than `erosion_mm`. Returns bool."""
    return cavity_depth_mm > erosion_mm + HEADER_ROUNDING_MM


def measure_blood_pool(intensities: np.ndarray, cavity_depth_mm: np.ndarray, erosion_mm: float) -> BloodPool:
    """Mean and SD of the cavity eroded by `erosion_mm` (SCIENCE section 4).

    Parameters
    ----------
    intensities
        (k, j, i) grey levels.
    cavity_depth_mm
        (k, j, i) distance in mm of each cavity voxel to the nearest voxel outside (0 outside): the image border does
        not count as outside.
    erosion_mm
        voxels deeper than this belong to the pool.

    Raises
    ------
    InputError
        when no voxel is that deep, or when the pool's mean is not positive (no ratio to blood is possible then).
    """
    values = intensities[blood_pool_mask(cavity_depth_mm, erosion_mm)]
    if values.size == 0:
        raise InputError(
            f"No cavity voxel is deeper than {erosion_mm:g} mm (the deepest is {cavity_depth_mm.max():.1f} mm), so there is "
            "no blood pool to compare with. Give the filled blood pool of the atrium; a wall, a shell or single slices are none."
        )
    mean = float(values.mean(dtype=np.float64))
    if mean <= 0:
        raise InputError(
            f"The blood pool's mean intensity is {mean:.4g}; ratios to it need a positive mean. Give the original grey levels, "
            "not a z-scored image."
        )
    return BloodPool(mean, float(values.std(dtype=np.float64)), int(values.size))
