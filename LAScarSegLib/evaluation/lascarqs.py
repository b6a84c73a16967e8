"""The scar metrics of LAScarQS 2022 (Li et al.): both scars are carried to the manual cavity's surface and compared there.

Written from the description (SCIENCE section 6): the organisers' published Python fails on 3-D arrays and, patched
naively, counts the background (accuracy 0.9999). Here only surface voxels count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..volumes.volume import Box
from .scar import ScarAgreement
from .voxel import border

STEP_MM, REACH_MM = 0.5, 10.0
"""How scar is looked for from each surface voxel, outward and inward."""
BLUR_SIGMA_VOXELS = 4.0
"""Of the Gaussian on the cavity whose gradient is the direction (the organisers' `-gau 4`)."""


@dataclass(frozen=True, eq=False)
class ChallengeSurface:
    """The voxels of a manual cavity's surface, and what each of them sees.

    voxels
        (N, 3) array indices (k, j, i): the cavity minus its 6-connected erosion.
    rays
        (N, S, 3) array indices of the nearest voxel at each step within ±10 mm along the gradient.
    shape
        of the grid; a ray may leave it.
    """

    voxels: np.ndarray
    rays: np.ndarray
    shape: tuple[int, int, int]

    @classmethod
    def of(cls, cavity: np.ndarray, spacing_kji: Sequence[float]) -> ChallengeSurface:
        """Of a bool cavity (k, j, i) with spacing in mm; an empty cavity has no surface."""
        if not cavity.any():
            return cls(np.empty((0, 3), int), np.empty((0, 1, 3), np.int16), cavity.shape)
        spacing = np.asarray(spacing_kji, dtype=float)
        box = Box.around(cavity, 0.0, spacing)
        # Background is 0 for the blur wherever the box ends; one voxel more for the central differences.
        part = np.pad(cavity[box.slices], 1)
        inner = np.argwhere(border(part))
        steps = _inward(part, inner, spacing) / spacing
        distances = np.arange(-round(REACH_MM / STEP_MM), round(REACH_MM / STEP_MM) + 1) * STEP_MM
        voxels = inner - 1 + box.start
        rays = np.rint(voxels[:, None] + distances[None, :, None] * steps[:, None]).astype(np.int16)
        return cls(voxels, rays, cavity.shape)

    def carry(self, scar: np.ndarray) -> np.ndarray:
        """(N,) bool: which surface voxels see a voxel of `scar` (k, j, i) within reach."""
        inside = ((self.rays >= 0) & (self.rays < self.shape)).all(axis=-1)
        k, j, i = np.moveaxis(np.where(inside[..., None], self.rays, 0), -1, 0)
        return (scar[k, j, i] & inside).any(axis=1)


def challenge_agreement(prediction: np.ndarray, reference: np.ndarray, cavity: np.ndarray, spacing_kji: Sequence[float]) -> ScarAgreement:
    """Agreement of two scar masks on the surface voxels of the manual cavity; all (k, j, i) bool, spacing in mm.

    Its `accuracy`, `sensitivity`, `specificity`, `dice` and `generalized_dice` are the challenge's. An empty cavity has no
    surface: all of them are NaN but `dice`, which is 1 for two maps without scar.
    """
    surface = ChallengeSurface.of(cavity, spacing_kji)
    return ScarAgreement.of(surface.carry(prediction), surface.carry(reference))


def _inward(cavity: np.ndarray, voxels: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """(N, 3) unit vectors in mm along the gradient of the blurred cavity; 0 where it has none (only that voxel is looked at)."""
    blurred = ndimage.gaussian_filter(cavity.astype(np.float64), BLUR_SIGMA_VOXELS, mode="constant")
    gradient = np.stack([component[tuple(voxels.T)] for component in np.gradient(blurred, *spacing)], axis=1)
    length = np.linalg.norm(gradient, axis=1, keepdims=True)
    return np.divide(gradient, length, out=np.zeros_like(gradient), where=length > 0)
