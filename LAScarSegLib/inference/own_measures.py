"""What a cavity, its probability and the picture around it say by themselves, on a network's own grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..systems.uncertainty import uncertainty_mm
from ..volumes.volume import Volume
from .resampling import working_geometry

DEEPER_MM = 3.0
"""Blood well inside: no partial volume, no edge drawn a voxel off."""
LEAST_VOXELS = 50
"""Fewer have no mean worth the name: the whole mask then."""
EDGE_MM = 2.5
"""Half the thickness of what counts as edge: a voxel of the network on either side."""
SMOOTH_MM = 1.5
"""Noise is no edge."""
MOST_SHELL_MM = 20.0
"""Of a shell that is no shell any more."""
TINY = 1e-6


@dataclass(frozen=True, eq=False)
class Found:
    """A cavity and what is around it, on a network's grid of `spacing_mm`; all (k, j, i).

    grey
        normalised.
    probability, mask
        of the cavity that was found; the mask is bool.
    """

    grey: np.ndarray
    probability: np.ndarray
    mask: np.ndarray
    spacing_mm: tuple[float, ...]

    @property
    def middle_mm(self) -> np.ndarray:
        """(3,) of the cavity's box, from the centre of the first voxel; of the array where the mask is empty."""
        points = np.argwhere(self.mask) if self.mask.any() else np.array([[0, 0, 0], np.array(self.mask.shape) - 1])
        return (points.min(axis=0) + points.max(axis=0)) / 2.0 * self.spacing_mm


def overlap(found: Found, other: np.ndarray, covered: np.ndarray) -> float:
    """Dice of two probabilities where both are known, without a threshold: 2 Σ min / Σ sum; 1 for the same ones."""
    p, q = found.probability[covered], other[covered]
    return float(2.0 * np.minimum(p, q).sum() / max(float(p.sum() + q.sum()), 1.0))


def shell_mm(probability: np.ndarray, spacing_mm: tuple[float, ...]) -> float:
    """`uncertainty_mm` of an array, `MOST_SHELL_MM` where nothing was found."""
    return min(uncertainty_mm(Volume(probability.astype(np.float32), working_geometry(probability.shape, spacing_mm))), MOST_SHELL_MM)


def sureness_measures(found: Found) -> dict[str, float]:
    """How sure the network was."""
    return {
        "unsure_mm": shell_mm(found.probability, found.spacing_mm),
        "sureness": float(found.probability[found.mask].mean()) if found.mask.any() else 0.0,
    }


def edge_measures(found: Found) -> dict[str, float]:
    """Whether the cavity is where the picture has an even body with an edge around it.

    The edge agrees as far as grey levels change across it rather than along it, in whichever sense: 0.5 where they change at random.
    """
    mask, grey, spacing = found.mask, found.grey, found.spacing_mm
    inside = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
    outside = ndimage.distance_transform_edt(~mask, sampling=spacing)
    deep = inside > DEEPER_MM
    core = deep if np.count_nonzero(deep) >= LEAST_VOXELS else mask
    if not core.any() or min(grey.shape) < 2:
        return {}
    sigma = [SMOOTH_MM / s for s in spacing]
    smooth, signed = ndimage.gaussian_filter(grey, sigma), ndimage.gaussian_filter(np.where(mask, inside, -outside), sigma)
    slope, normal = (np.stack(np.gradient(values, *spacing)) for values in (smooth, signed))
    normal = normal / (np.linalg.norm(normal, axis=0) + TINY)
    edge = np.abs(np.where(mask, inside, -outside)) <= EDGE_MM
    along, size = (slope * normal).sum(axis=0)[edge], np.linalg.norm(slope, axis=0)[edge]
    return {
        "edge_agreement": float(np.abs(along).sum() / (size.sum() + TINY)),
        "uneven_blood": float(smooth[core].std()),
    }
