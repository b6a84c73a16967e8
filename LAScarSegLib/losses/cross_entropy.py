"""Cross-entropy."""

import torch
from torch import nn
from torch.nn import functional


class CrossEntropy(nn.Module):
    """Mean cross-entropy over all voxels of the batch."""

    def forward(self, logits: torch.Tensor, target: torch.Tensor, region: torch.Tensor | None = None) -> torch.Tensor:
        return voxel_cross_entropy(logits, target).mean()


def voxel_cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """(B, k, j, i) float32: the cross-entropy of each voxel, in nats."""
    # Half precision would round small losses to 0 and sum millions of voxels to infinity.
    return functional.cross_entropy(logits.float(), target[:, 0].long(), reduction="none")
