"""What an LGE-MRI's anatomy, reconstruction and acquisition vary in: the eight augmentations of Zhang J. et al. 2026, table 1, in order.

MONAI's transforms where they compute what the table says. The scan is z-scored; a sample is as in `augmentation`.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from math import atan2, ceil, cos, radians, sin

import numpy as np
import torch
from monai.transforms import (
    Compose, RandBiasFieldd, RandGaussianNoised, RandGaussianSmoothd, RandScaleIntensityFixedMeand, RandShiftIntensityd,
)  # fmt: skip
from scipy.ndimage import gaussian_filter
from torch.nn import functional

from .augmentation import LABELS, MAPS, SCAN, Augmentation, RandomAffine

BIAS_SHARE, BIAS_COEFFICIENTS, BIAS_DEGREE = 0.15, (0.02, 0.06), 3
"""Range of the coefficients of Legendre polynomials, whose sum is the logarithm of the gain; their degree is MONAI's."""
ELASTIC_SHARE, ELASTIC_SIGMA = 0.10, (3.0, 5.0)
"""How smooth the displacement is: the Gaussian's SD, in voxels."""
ELASTIC_ACROSS, ELASTIC_IN_PLANE = (2.0, 5.0), (3.0, 6.0)
"""Range of the largest displacement along an axis, in voxels: Δz, and Δx and Δy."""
ROTATION_SHARE, ROTATION = 0.50, radians(15.0)
"""To either side about the slices' normal; the table names no axis."""
ZOOM_SHARE, ZOOM = 0.30, (0.9, 1.1)
BLUR_SHARE, BLUR_SIGMA = 0.20, (0.5, 1.5)
"""Voxels, along each axis by itself."""
CONTRAST_SHARE, CONTRAST = 0.30, (-0.2, 0.3)
"""The factor 0.8–1.3, less 1, about the patch's mean."""
SHIFT_SHARE, SHIFT = 0.50, 0.1
"""To either side, in SDs of what was z-scored."""
NOISE_SHARE, NOISE_SD = 0.20, 0.02


def room_for(patch: Sequence[int]) -> tuple[int, int, int]:
    """The size (k, j, i) to cut out of a scan, so that a patch that was turned and made smaller has no empty corners."""
    k, j, i = patch
    turned = (k, _reach(j, i), _reach(i, j))
    return tuple(ceil(n / ZOOM[0] - 1e-9) for n in turned)


def _reach(along: float, across: float) -> float:
    """The extent of a rectangle along the first of its axes, turned by at most `ROTATION`: largest where its diagonal lies in that axis."""
    angle = min(ROTATION, atan2(across, along))
    return cos(angle) * along + sin(angle) * across


def lge_transforms(patch: Sequence[int]) -> Compose:
    """All eight, for what `room_for` cuts out; a patch (k, j, i) comes out. `set_random_state` before each sample makes it repeatable."""
    everything = (SCAN, MAPS, LABELS)
    # A single slice has no neighbours to be blurred with.
    across = BLUR_SIGMA if patch[0] > 1 else (1e-3, 1e-3)
    return Compose(
        [
            RandBiasFieldd(SCAN, degree=BIAS_DEGREE, coeff_range=BIAS_COEFFICIENTS, prob=BIAS_SHARE),
            RandomElastic(everything),
            RotationAndZoom(everything, patch),
            RandGaussianSmoothd(SCAN, across, BLUR_SIGMA, BLUR_SIGMA, prob=BLUR_SHARE),
            RandScaleIntensityFixedMeand(SCAN, factors=CONTRAST, prob=CONTRAST_SHARE),
            RandShiftIntensityd(SCAN, offsets=SHIFT, prob=SHIFT_SHARE),
            RandGaussianNoised(SCAN, prob=NOISE_SHARE, std=NOISE_SD, sample_std=False),
        ]
    )


class RandomElastic(Augmentation):
    """Another shape of the anatomy: smooth random displacements, the largest along each axis as drawn, with probability 0.1.

    MONAI's Rand3DElastic multiplies noise with the magnitude and smooths it afterwards: with these numbers displacements would have
    an SD of a tenth of a voxel or less.
    """

    def __call__(self, data: Mapping[Hashable, torch.Tensor]) -> dict[Hashable, torch.Tensor]:
        self.randomize(next(iter(data.values())).shape[1:])
        return dict(data) | {key: self.changed(data, key) for key in self.key_iterator(data)}

    def randomize(self, data: Sequence[int] | None = None) -> None:
        """`data`: the size (k, j, i) of what will be moved."""
        self.grid: torch.Tensor | None = None
        if self.R.random() >= ELASTIC_SHARE:
            return
        sigma = self.R.uniform(*ELASTIC_SIGMA)
        shifts = []
        for size, largest in zip(data, (ELASTIC_ACROSS, ELASTIC_IN_PLANE, ELASTIC_IN_PLANE)):
            noise = gaussian_filter(self.R.uniform(-1.0, 1.0, tuple(data)).astype(np.float32), sigma)
            voxels = noise * (self.R.uniform(*largest) / max(float(np.abs(noise).max()), 1e-8))
            # grid_sample's coordinates: an axis is 2 long from the middle of its first voxel to that of its last.
            shifts.append(torch.from_numpy(voxels * (2.0 / max(size - 1, 1))))
        same = functional.affine_grid(torch.eye(3, 4)[None], [1, 1, *data], align_corners=True)
        self.grid = same + torch.stack(shifts[::-1], dim=-1)[None]

    def changed(self, sample: Mapping[Hashable, torch.Tensor], key: Hashable) -> torch.Tensor:
        if self.grid is None:
            return sample[key]
        array = torch.as_tensor(sample[key]).float()[None]
        return functional.grid_sample(array, self.grid, mode="nearest" if key == LABELS else "bilinear", align_corners=True)[0]


class RotationAndZoom(RandomAffine):
    """A rotation of up to 15° about the slices' normal with probability 0.5, and a zoom of all axes with 0.3, in one interpolation; then
    the middle. One follows the other in either order: they commute."""

    def randomize(self, data: object = None) -> None:
        self.angles, self.scales = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
        if self.R.random() < ROTATION_SHARE:
            self.angles = (float(self.R.uniform(-ROTATION, ROTATION)), 0.0, 0.0)
        if self.R.random() < ZOOM_SHARE:
            # MONAI's Affine says where a voxel comes from: of an image zoomed by 1.1 from 1 / 1.1 as far away.
            self.scales = (1.0 / float(self.R.uniform(*ZOOM)),) * 3
