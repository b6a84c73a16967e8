"""Focal Tversky loss of msws_b2p (Khan et al. 2022, eqs 1–2; after Abraham & Khan 2019)."""

import torch
from torch import nn

from .precision import at_least_32_bits

GAMMA = 0.75
"""γ of both networks (section 4.1)."""
CAVITY_WEIGHTS, SCAR_WEIGHTS = (0.3, 0.7), (0.4, 0.6)
"""(α, β) of the two networks (section 4.1)."""
EPSILON = 1e-4
"""ε of eq 1: that of the authors' public code."""
LEAST_MISS = 1e-7
"""Below this 1 − TI counts as no error: a power below 1 has an infinite slope at 0."""


class FocalTversky(nn.Module):
    """(1 − TI)^exponent, TI = (Σpy + ε)/(Σpy + βΣ(1 − p)y + αΣp(1 − y) + ε), sums over the whole batch.

    logits (B, 1, k, j, i), of which p is the sigmoid; target (B, 1, k, j, i). α weighs false positives, β false negatives. Eq 2 sums over
    classes; a network of one output has one, as in the public code.

    Parameters
    ----------
    exponent
        1/γ as eq 2 prints it: above 1, what is nearly right counts less. The public code and Abraham & Khan's takes γ itself: below 1,
        what is nearly right counts more.
    """

    def __init__(self, alpha: float, beta: float, exponent: float = 1 / GAMMA) -> None:
        super().__init__()
        self.alpha, self.beta, self.exponent = alpha, beta, exponent

    def forward(self, logits: torch.Tensor, target: torch.Tensor, region: torch.Tensor | None = None) -> torch.Tensor:
        predicted, true = torch.sigmoid(at_least_32_bits(logits)), at_least_32_bits(target)
        right = (predicted * true).sum()
        missed = self.beta * ((1 - predicted) * true).sum() + self.alpha * (predicted * (1 - true)).sum()
        # 1 − TI without the difference of two numbers near 1.
        return (missed / (right + missed + EPSILON)).clamp_min(LEAST_MISS) ** self.exponent
