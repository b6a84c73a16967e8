"""How sure a probability map is, voxel by voxel."""

from __future__ import annotations

import numpy as np

from ..volume import Volume


def entropy(probability: Volume) -> Volume:
    """Shannon entropy of a foreground probability in bits: 0 where it is 0 or 1, 1 where it is one half; float32, same grid."""
    p = np.clip(probability.array.astype(np.float32), 0.0, 1.0)
    bits = np.zeros_like(p)
    for part in (p, 1.0 - p):
        inside = part > 0
        bits[inside] -= part[inside] * np.log2(part[inside])
    return probability.like(bits)
