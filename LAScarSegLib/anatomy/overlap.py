"""How far two masks are the same voxels."""

import numpy as np


def dice(prediction: np.ndarray, reference: np.ndarray) -> float:
    """2·|A ∩ B| / (|A| + |B|) of two bool masks of one shape, in 0…1; two empty masks agree: 1 (medpy gives 0)."""
    both = int(np.count_nonzero(prediction)) + int(np.count_nonzero(reference))
    return 2.0 * int(np.count_nonzero(prediction & reference)) / both if both else 1.0
