"""Losses that look at more than one mask, or at how far the training is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Moment:
    """Where a phase of a training is: `step` optimiser steps and `epoch` epochs are done, of at most `epochs`."""

    step: int
    epoch: int
    epochs: int

    @property
    def done(self) -> float:
        """0 at the start of the phase … 1 at its end."""
        return self.epoch / self.epochs


class Objective(nn.Module):
    """What a phase minimises when one mask does not say it all.

    It is called with what the network gives (logits (B, O, k, j, i), or a list of them with deep supervision), the sample and the moment.
    A sample holds `channels` (B, C, k, j, i), `target` (B, P, k, j, i) of 0 and 1 in the order of the stage's products, `region`
    (B, 1, k, j, i) where the stage has one, and each of the stage's targets by its name (B, n, k, j, i).
    """

    @abstractmethod
    def forward(
        self, outputs: torch.Tensor | list[torch.Tensor], sample: Mapping[str, torch.Tensor], moment: Moment
    ) -> torch.Tensor:
        """A scalar float32."""


def minimised(
    loss: nn.Module, outputs: torch.Tensor | list[torch.Tensor], sample: Mapping[str, torch.Tensor], moment: Callable[[], Moment]
) -> torch.Tensor:
    """What `loss`, an `Objective` or a loss of one mask, says of a batch."""
    if isinstance(loss, Objective):
        return loss(outputs, sample, moment())
    return loss(outputs, sample["target"], sample.get("region"))
