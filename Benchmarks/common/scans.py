"""A left atrium of usual size on a usual grid, made in a second: speed depends on sizes, not on realism.

For a realistic scan use `lascarseg phantom` and give its files to the benchmarks that take files.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from LAScarSegLib.volumes.volume import Box, Geometry, Volume

SIZE_88, SPACING_88 = (640, 640, 88), (0.625, 0.625, 1.25)
"""The largest usual reconstruction: 400 × 400 × 110 mm."""
SIZE_44, SPACING_44 = (576, 576, 44), (0.625, 0.625, 2.5)
"""A usual protocol: 360 × 360 × 110 mm (SCIENCE section 7)."""

BODY_MM = (31.0, 25.0, 34.5)
"""Semi-axes (left-right, front-back, up-down) of the LA body."""
VEINS = ((1, 1), (1, -1), (-1, 1), (-1, -1))
"""Left or right, upper or lower."""
VEIN_RADIUS_MM, VEIN_REACH_MM, VEIN_HEIGHT_MM = 7.5, 50.0, 14.0
"""With these the cavity's box measures 101 × 56 × 63 mm, as in patients: the median over 20 scans of the 2018 challenge is 101 × 56 × 69 mm."""
APPENDAGE_MM, APPENDAGE_RADIUS_MM = (30.0, -22.0, 8.0), 9.0

BLOOD, WALL, SCAR, TISSUE, NOISE = 230.0, 185.0, 310.0, 90.0, 24.0
"""Grey levels, and the noise's SD: a blood pool with a coefficient of variation of 0.1."""
WALL_MM = 2.4


def left_atrium(size: tuple[int, int, int], spacing: tuple[float, float, float]) -> Volume:
    """The cavity, bool (k, j, i), in the middle of the grid: a body, four veins, an appendage; about 100 mL."""
    geometry = Geometry(size, spacing)
    x, y, z = _from_centre(geometry)
    mask = (x / BODY_MM[0]) ** 2 + (y / BODY_MM[1]) ** 2 + (z / BODY_MM[2]) ** 2 < 1
    for side, height in VEINS:
        across = (y - 6.0) ** 2 + (z - height * (VEIN_HEIGHT_MM - 0.05 * np.abs(x))) ** 2
        mask |= (across < VEIN_RADIUS_MM**2) & (side * x > 0) & (side * x < VEIN_REACH_MM)
    mask |= (x - APPENDAGE_MM[0]) ** 2 + (y - APPENDAGE_MM[1]) ** 2 + (z - APPENDAGE_MM[2]) ** 2 < APPENDAGE_RADIUS_MM**2
    return Volume(mask, geometry)


def scan_of(cavity: Volume, seed: int = 0) -> Volume:
    """An LGE-MRI of that cavity, uint16: blood, a wall with patches of scar, other tissue, Rician noise everywhere."""
    geometry = cavity.geometry
    box = Box.around(cavity.array, 2 * WALL_MM, geometry.spacing_kji)
    inside = cavity.array[box.slices]
    outside_mm = ndimage.distance_transform_edt(~inside, sampling=geometry.spacing_kji)
    x, y, z = (np.broadcast_to(axis, geometry.shape)[box.slices] for axis in _from_centre(geometry))
    patches = np.sin(x / 9.0) + np.sin(y / 7.0) + np.sin(z / 8.0) > 1.2
    truth = np.full(geometry.shape, TISSUE, dtype=np.float32)
    truth[box.slices] = np.select([inside, outside_mm <= WALL_MM], [BLOOD, np.where(patches, SCAR, WALL)], TISSUE)
    rng = np.random.default_rng(seed)
    grey = np.hypot(
        truth + NOISE * rng.standard_normal(truth.shape, dtype=np.float32), NOISE * rng.standard_normal(truth.shape, dtype=np.float32)
    )
    return Volume(np.rint(grey).astype(np.uint16), geometry)


def _from_centre(geometry: Geometry) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y, z in mm from the grid's centre, shaped to broadcast to (k, j, i)."""
    axes = [(np.arange(n, dtype=np.float32) - n / 2) * s for n, s in zip(geometry.size, geometry.spacing)]
    return axes[0][None, None, :], axes[1][None, :, None], axes[2][:, None, None]
