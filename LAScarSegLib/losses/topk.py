"""TopK (Wu et al. 2016): cross-entropy where the prediction is worst, which is at the boundary."""

import torch
from torch import nn

from .cross_entropy import voxel_cross_entropy

BOUNDARY_FOCUSED_SHARE = 0.1
"""k = 10 %: the best of those tried (Zhang Y. et al. 2022, table 1)."""


class TopK(nn.Module):
    """Mean cross-entropy of the worst voxels of the whole batch (boundary_focused eq 1, as nnU-Net computes it).

    The printed formula divides by the number of all voxels; nnU-Net, which the authors used, by the number of the worst ones.
    """

    def __init__(self, share: float = BOUNDARY_FOCUSED_SHARE) -> None:
        super().__init__()
        self.share = share

    def forward(self, logits: torch.Tensor, target: torch.Tensor, region: torch.Tensor | None = None) -> torch.Tensor:
        losses = voxel_cross_entropy(logits, target).flatten()
        # At least one: the coarsest level of deep supervision may have fewer than ten voxels.
        count = max(1, int(losses.numel() * self.share))
        return torch.topk(losses, count, sorted=False).values.mean()
