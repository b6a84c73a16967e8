"""Binary cross-entropy of one logit a voxel."""

import torch
from torch.nn import functional

from .precision import at_least_32_bits


def binary_cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """−mean of y log ŷ + (1 − y) log(1 − ŷ), ŷ the logits' sigmoid (Li et al. 2020, eq 2; printed without its minus sign, and as a sum).

    logits and target (B, 1, k, j, i); a scalar float32.
    """
    return functional.binary_cross_entropy_with_logits(at_least_32_bits(logits), at_least_32_bits(target))
