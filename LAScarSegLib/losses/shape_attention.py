"""Shape attention (SA) of mtl_sesa (Li et al. 2020, section 2.3): normal wall against scar where the cavity's boundary is."""

import torch

from .precision import at_least_32_bits

BOUNDARY = (0.1, 0.8)
"""A voxel is on the predicted boundary when the cavity's probability lies between these (public code of Li et al. 2022)."""


def shape_attention(logits: torch.Tensor, probabilities: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean over the mask of (Δp̂ − Δp)², Δ = normal wall − scar (eq 5); a scalar float32, 0 for an empty mask.

    Over all voxels, most of which are on no boundary, it would be a hundredth of that, and do nothing beside the other terms. logits and
    probabilities (B, 2, k, j, i) of normal wall and scar, mask (B, 1, k, j, i) of 0 and 1.
    """
    found, true = torch.sigmoid(at_least_32_bits(logits)), at_least_32_bits(probabilities)
    difference = (found[:, :1] - found[:, 1:]) - (true[:, :1] - true[:, 1:])
    inside = at_least_32_bits(mask)
    return (inside * difference.square()).sum() / inside.sum().clamp_min(1.0)


def predicted_boundary(cavity_logits: torch.Tensor) -> torch.Tensor:
    """M2 (B, 1, k, j, i) of 0 and 1: the boundary of the predicted cavity, through which no gradient goes back.

    Else the network could lower the loss by drawing the cavity where wall and scar are easy to tell apart.
    """
    cavity = torch.sigmoid(at_least_32_bits(cavity_logits.detach()))
    return ((cavity > BOUNDARY[0]) & (cavity < BOUNDARY[1])).float()
