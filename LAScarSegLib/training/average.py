"""A moving average of a network's weights, which follows the steps of a training more calmly than the weights themselves."""

from __future__ import annotations

import copy

import torch
from torch import nn

RAMP = 10.0
"""The average of few steps is that of these steps: after n of them the decay is at most n / (10 + n), as TensorFlow's
ExponentialMovingAverage with `num_updates`."""


class WeightAverage(nn.Module):
    """`network` after every step: average ← decay · average + (1 − decay) · weights (Polyak & Juditsky 1992; exponential).

    Counts of a batch norm and other buffers are the last ones. State of its own, so a checkpoint that holds it goes on.

    Parameters
    ----------
    decay
        how much of the average stays at each step, below 1; 0.999 remembers about a thousand steps.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__()
        self.network, self.decay = copy.deepcopy(network).requires_grad_(False), decay
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        # Read once a step on the processor: the buffer may lie on a graphics card, which would have to be waited for.
        self._counted: int | None = None

    @property
    def counted(self) -> int:
        """How many steps are in it."""
        if self._counted is None:
            self._counted = int(self.steps)
        return self._counted

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take in the weights after one more step."""
        done = self.counted
        share = 1.0 - min(self.decay, done / (RAMP + done))
        mine, theirs = list(self.network.parameters()), [weight.detach() for weight in network.parameters()]
        torch._foreach_lerp_(mine, theirs, share)
        for kept, value in zip(self.network.buffers(), network.buffers()):
            kept.copy_(value)
        self.steps += 1
        self._counted = done + 1

    def _load_from_state_dict(self, *arguments, **options) -> None:
        super()._load_from_state_dict(*arguments, **options)
        self._counted = None
