"""How a network's numbers become the probability of a mask."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.special import expit

from ..errors import InputError
from ..support.checks import require_choice

ACTIVATIONS = {"softmax": 2, "sigmoid": 1, "distance_pair": 2}
"""Names, and how many of the network's channels each takes.

`softmax`: background and foreground; `sigmoid`: the foreground alone; `distance_pair`: the sigmoids p of normal wall and of scar, each
exp(−distance) to it (Li et al. 2020): the probability is p_scar / (p_normal + p_scar), so that a half is where both are equally near, and 0
where neither passes `NO_WALL`."""
NO_WALL = 0.1
"""Both of `distance_pair` below it: no wall (public code of Li et al. 2022)."""
IN_SLICE = np.array([[[0, 0, 0], [0, 0, 0], [0, 0, 0]], [[0, 1, 0], [1, 1, 1], [0, 1, 0]], [[0, 0, 0], [0, 0, 0], [0, 0, 0]]], dtype=bool)
"""4-connected within a slice."""


@dataclass(frozen=True)
class ComponentFilter:
    """Keeps the parts of a mask, 4-connected within a slice, whose area is in this range; in mm²."""

    least_mm2: float
    most_mm2: float

    def __post_init__(self) -> None:
        if not 0 <= self.least_mm2 < self.most_mm2:
            raise InputError(f"A component filter keeps {self.least_mm2:g} to {self.most_mm2:g} mm²; the first must be less, and not below 0.")

    def of(self, mask: np.ndarray, spacing_kji: tuple[float, float, float]) -> np.ndarray:
        """(k, j, i) bool: what is kept of `mask`."""
        labels, count = ndimage.label(mask, IN_SLICE)
        area = np.bincount(labels.ravel(), minlength=count + 1) * (spacing_kji[1] * spacing_kji[2])
        kept = (area >= self.least_mm2) & (area <= self.most_mm2)
        kept[0] = False
        return kept[labels]


@dataclass(frozen=True)
class Output:
    """One mask that a network gives.

    `product` is `cavity` or `scar`; `channels` those of the network's outputs that `activation` takes; `threshold` the probability above
    which a voxel is foreground; `components` what is kept of it (the probability of the rest becomes 0); `surface_mm` carries what the
    cavity's surface voxels have to all voxels that are nearest to them, up to this far away: for a network that marks the surface. None: the
    voxels are taken as they are.
    """

    product: str
    channels: tuple[int, ...] = (0, 1)
    activation: str = "softmax"
    threshold: float = 0.5
    components: ComponentFilter | None = None
    surface_mm: float | None = None

    def __post_init__(self) -> None:
        require_choice("activation", self.activation, tuple(ACTIVATIONS))
        if len(self.channels) != ACTIVATIONS[self.activation]:
            wanted = ACTIVATIONS[self.activation]
            raise InputError(f"The output {self.product!r} takes the channels {self.channels}; {self.activation} needs {wanted}.")
        if not 0 < self.threshold < 1:
            raise InputError(f"The threshold of the output {self.product!r} is {self.threshold!r}; it must be between 0 and 1.")

    @property
    def maps(self) -> int:
        """How many arrays of logits are kept of a scan for it."""
        return 2 if self.activation == "distance_pair" else 1

    def probability(self, logits: np.ndarray) -> np.ndarray:
        """(k, j, i) float32 in 0…1 of logits (maps, k, j, i), which are used up: of `softmax` foreground minus background."""
        values = expit(logits, out=logits)
        if self.activation != "distance_pair":
            return values[0]
        normal, scar = values
        total = normal + scar
        return np.divide(scar, total, out=np.zeros_like(scar), where=(normal > NO_WALL) | (scar > NO_WALL))

    def filtered(self, probability: np.ndarray, spacing_kji: tuple[float, float, float]) -> np.ndarray:
        """The probability (k, j, i), 0 in the parts above the threshold that are not kept."""
        if self.components is None:
            return probability
        found = probability > self.threshold
        return np.where(found & ~self.components.of(found, spacing_kji), np.float32(0), probability)

    def from_surface(self, probability: np.ndarray, cavity: np.ndarray, spacing_kji: tuple[float, float, float]) -> np.ndarray:
        """The probability (k, j, i) of the nearest voxel on the surface of `cavity` (k, j, i) bool, 0 farther than `surface_mm`."""
        if self.surface_mm is None or not cavity.any():
            return probability
        surface = cavity & ~ndimage.binary_erosion(cavity)
        distance, nearest = ndimage.distance_transform_edt(~surface, spacing_kji, return_indices=True)
        return np.where(distance <= self.surface_mm, probability[tuple(nearest)], np.float32(0)).astype(np.float32)
