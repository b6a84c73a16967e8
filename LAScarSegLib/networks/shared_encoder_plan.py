"""A U-Net whose encoder is shared by one or more decoders, as plain numbers: the network of mtl_sesa (Li et al. 2020, figure 1)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import InputError
from .plan import LARGEST_CHANNELS, MOST_STAGES, Triple, require_count
from .plan_json import check_plan_keys, plan_to_json

SHARED_ENCODER = "shared_encoder_unet"
"""Its name in `architectures.ARCHITECTURES`."""
KERNEL = 3
"""Width of every convolution but the heads'."""
MOST_DECODERS = 8
"""A decoder for each of some structures; more is a mistake."""


@dataclass(frozen=True)
class SharedEncoderPlan:
    """One network. `features` run from full resolution to the bottleneck, each level half as fine as the one before.

    Raises
    ------
    InputError
        from the constructor, naming the value that can't be.
    """

    in_channels: int
    heads: tuple[int, ...]
    """Outputs of each decoder; the network gives them one after the other."""
    features: tuple[int, ...]
    architecture: str = SHARED_ENCODER

    training_only = ()

    def __post_init__(self) -> None:
        if self.architecture != SHARED_ENCODER:
            raise InputError(f"The network architecture is {self.architecture!r}; it must be {SHARED_ENCODER}.")
        require_count("in_channels", self.in_channels, LARGEST_CHANNELS)
        for name, least, most, what in (("features", 2, MOST_STAGES, "stages"), ("heads", 1, MOST_DECODERS, "decoders")):
            values = getattr(self, name)
            if not isinstance(values, tuple) or not least <= len(values) <= most:
                raise InputError(f"{name} of the network plan is {values!r}; it must have a number for each of {least} to {most} {what}.")
            for value in values:
                require_count(name, value, LARGEST_CHANNELS)

    @property
    def out_channels(self) -> int:
        """Of all decoders together."""
        return sum(self.heads)

    @property
    def divisor(self) -> Triple:
        """A patch's size (k, j, i) must be a multiple of this: halved once a level."""
        return (2 ** (len(self.features) - 1),) * 3

    @property
    def parameters(self) -> int:
        """How many weights the network has at least: its convolutions'."""
        kernel, before = KERNEL**3, (self.in_channels, *self.features)
        encoder = sum(kernel * f * (b + f) for b, f in zip(before, self.features))
        decoder = sum(8 * below * f + kernel * f * 3 * f for f, below in zip(self.features, self.features[1:]))
        return encoder + len(self.heads) * decoder + self.features[0] * self.out_channels

    def activations(self, patch: Triple) -> int:
        """How many numbers encoder and decoders give for one patch (k, j, i), each level once: what memory grows with."""
        voxels = [math.prod(patch) // 8**level for level in range(len(self.features))]
        encoder = sum(n * f for n, f in zip(voxels, self.features))
        return encoder + len(self.heads) * (encoder - voxels[-1] * self.features[-1])

    def for_training(self) -> SharedEncoderPlan:
        """The network as it is trained: the same."""
        return self

    def for_use(self) -> SharedEncoderPlan:
        """The network as a bundle holds it: the same."""
        return self

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary (lists, no tuples) that `from_json` reads back to an equal plan."""
        return plan_to_json(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SharedEncoderPlan:
        """From a dictionary; `InputError` for a missing or unknown key and for values that can't be."""
        check_plan_keys(cls, data)
        try:
            return cls(**(dict(data) | {name: tuple(data[name]) for name in ("heads", "features")}))
        except TypeError:
            raise InputError("The network plan can't be used: heads and features must be lists.") from None
