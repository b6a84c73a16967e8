"""Spatial encoding (SE) of mtl_sesa (Li et al. 2020, sections 2.1 and 2.2): how far a voxel is from what it is taken for.

Voxel means; the paper prints sums, which over the 3.5 million voxels of its crop would diverge at its learning rate.
"""

import torch

from .precision import at_least_32_bits


def signed_distance_encoding(logits: torch.Tensor, outside_mm: torch.Tensor) -> torch.Tensor:
    """Mean of (ŷ − 0.5) · φ (eq 3): a false voxel costs as much as it is far from the cavity's surface.

    logits (B, 1, k, j, i), ŷ their sigmoid; outside_mm (B, 1, k, j, i) φ in mm, positive outside (eq 1); a scalar float32, negative for a
    good prediction.
    """
    return ((torch.sigmoid(at_least_32_bits(logits)) - 0.5) * at_least_32_bits(outside_mm)).mean()


def distance_probability_encoding(logits: torch.Tensor, probabilities: torch.Tensor) -> torch.Tensor:
    """Mean of (p̂ − p)² over voxels and both channels (eq 4); a scalar float32.

    logits (B, 2, k, j, i), p̂ their sigmoids; probabilities (B, 2, k, j, i) p = exp(−distance) to normal wall and to scar.
    """
    return (torch.sigmoid(at_least_32_bits(logits)) - at_least_32_bits(probabilities)).square().mean()
