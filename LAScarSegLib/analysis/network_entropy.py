"""How unsure the networks are, on the surface: what of their probabilities' entropy a vertex shows, whatever a person changed since."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..surface.projection import indices_along_normals
from ..systems.uncertainty import entropy_bits
from ..volumes.volume import Box
from .measured_cavity import MeasuredCavity
from .sources import Probability

STEP_MM = 0.5
"""Of the samples along a normal: below the smallest voxel edge in use (0.625 mm)."""


def scar_entropy_at_surface(probability: np.ndarray | None, cavity: MeasuredCavity) -> np.ndarray | None:
    """(N,) float32 bits: the entropy of `ScarProbability`, (N,) 0…1, the greatest of the wall along the normal; NaN where no wall is.

    Of the greatest probability, not the greatest entropy: a vertex is scar as soon as one voxel is, so that voxel's doubt is its own. The
    edges of sure scar, inside and outside, are doubtful voxels as well, and a maximum or mean of their entropy would call it unsure.
    """
    if probability is None:
        return None
    return np.where(np.isneginf(cavity.sample.surface_value), np.float32(np.nan), entropy_bits(probability))


def cavity_entropy_at_surface(probability: Probability | None, box: Box, cavity: MeasuredCavity, reach_mm: float) -> np.ndarray | None:
    """(N,) float32 bits: the mean entropy within ±`reach_mm` along the normal.

    The mean: at its edge every network says one half; where it is sure of the edge that is a moment, where it is not the probability
    falls slowly. Probability that falls evenly over w mm gives w / (2 reach) times 1 / (2 ln 2) bits; between voxels it falls over one of them at
    least.
    """
    if probability is None:
        return None
    away_mm = np.linspace(-reach_mm, reach_mm, 2 * int(np.ceil(reach_mm / STEP_MM)) + 1)
    places = indices_along_normals(cavity.geometry, cavity.surface, away_mm)
    along = ndimage.map_coordinates(probability.within(box), places, order=1, mode="nearest", output=np.float32)
    return entropy_bits(along).reshape(-1, len(away_mm)).mean(axis=1)
