"""How sure a probability map is, voxel by voxel."""

from __future__ import annotations

import numpy as np

from ..systems import uncertainty
from ..volume import Volume


def entropy(probability: Volume) -> Volume:
    """Shannon entropy of a foreground probability in bits: 0 where it is 0 or 1, 1 where it is one half; float32, same grid."""
    return probability.like(uncertainty.entropy(probability.array) / np.float32(np.log(2.0)))
