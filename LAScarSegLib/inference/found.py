"""What a network found in a scan, read from its logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_fill_holes

from ..systems import Output
from ..volumes.volume import Box, Volume
from .region import largest_component


@dataclass(frozen=True, eq=False)
class FoundMasks:
    """What a network found in a scan, on its grid: the cavity's probability and mask (0/1, uint8), and the scar's probability."""

    probability: Volume
    mask: Volume
    scar: Volume | None


def filled(found: np.ndarray) -> np.ndarray:
    """The largest part of a mask (k, j, i) bool without its holes, which would be measured as wall; uint8."""
    box = Box.around(found, 0.0, (1.0, 1.0, 1.0)).slices
    mask = np.zeros(found.shape, dtype=np.uint8)
    mask[box] = binary_fill_holes(largest_component(found[box]))
    return mask


def probabilities_of(outputs: Sequence[Output], maps: np.ndarray, back: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The probability of each output (outputs, k, j, i) on the scan's own voxels, of logits (maps, k, j, i) at the network's spacing."""
    first, found = 0, []
    for output in outputs:
        own = [back(part) for part in maps[first : first + output.maps]]
        found.append(output.probability(own[0][None] if len(own) == 1 else np.stack(own)))
        first += output.maps
    return found[0][None] if len(found) == 1 else np.stack(found)
