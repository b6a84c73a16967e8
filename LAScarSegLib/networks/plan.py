"""nnU-Net's network as plain numbers: what a bundle's `model.json` holds, and what builds the torch module."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import InputError
from .plan_json import check_plan_keys, plan_to_json

Triple = tuple[int, int, int]

DYNUNET = "dynunet"
"""nnU-Net v2's PlainConvUNet; the name is that of the MONAI network which it was once built from, and whose weights' names it has."""
MINIMUM_STAGES = 3
"""An input block, a stage and a bottleneck."""
MOST_STAGES = 10
"""A patch of 1024 voxels is halved to one voxel in ten."""
LARGEST_CHANNELS = 1024
"""Twice nnU-Net's widest stage (512 in two dimensions): a plan beyond it is a mistake, and would exhaust the memory before it failed."""


@dataclass(frozen=True)
class NetworkPlan:
    """One network. Every per-stage tuple runs from full resolution to the bottleneck; triples are in the order (k, j, i).

    Raises
    ------
    InputError
        from the constructor, naming the value that can't be.
    """

    in_channels: int
    out_channels: int
    """Background and foreground: 2 for a network of one mask."""
    features: tuple[int, ...]
    """Channels of each stage."""
    strides: tuple[Triple, ...]
    """Of each stage's first convolution; (1, 1, 1) for the first stage."""
    kernel_sizes: tuple[Triple, ...]
    """Of each stage's convolutions, odd; the decoder uses those of the stage whose skip it takes in."""
    deep_supervision: bool = True
    """In training mode, logits at every decoder level but the bottleneck's; never in evaluation mode."""
    architecture: str = DYNUNET

    training_only = ("deep_supervision_heads.",)

    def __post_init__(self) -> None:
        if self.architecture != DYNUNET:
            raise InputError(f"The network architecture is {self.architecture!r}; known are {DYNUNET}.")
        if not isinstance(self.deep_supervision, bool):
            raise InputError(f"deep_supervision is {self.deep_supervision!r}; it must be true or false.")
        for name in ("in_channels", "out_channels"):
            require_count(name, getattr(self, name), LARGEST_CHANNELS)
        if len(self.features) < MINIMUM_STAGES:
            raise InputError(f"The network plan has {len(self.features)} stages; at least {MINIMUM_STAGES} are needed.")
        if len(self.features) > MOST_STAGES:
            raise InputError(f"The network plan has {len(self.features)} stages; at most {MOST_STAGES} are possible.")
        if not len(self.features) == len(self.strides) == len(self.kernel_sizes):
            counts = f"{len(self.features)} features, {len(self.strides)} strides, {len(self.kernel_sizes)} kernel sizes"
            raise InputError(f"The network plan has {counts}; there must be one of each per stage.")
        for channels in self.features:
            require_count("features", channels, LARGEST_CHANNELS)
        for name, allowed in (("strides", (1, 2)), ("kernel_sizes", (1, 3, 5, 7))):
            for triple in getattr(self, name):
                if not isinstance(triple, tuple) or len(triple) != 3 or any(isinstance(n, bool) or n not in allowed for n in triple):
                    choices = ", ".join(map(str, allowed))
                    raise InputError(f"{name} of the network plan holds {triple!r}; it must be three of {choices}.")
        if any(step != 1 for step in self.strides[0]):
            raise InputError(f"The first stride is {self.strides[0]}; it must be (1, 1, 1), or the output is smaller than the input.")

    @property
    def divisor(self) -> Triple:
        """A patch's size (k, j, i) must be a multiple of this: the product of the strides."""
        return tuple(math.prod(steps) for steps in zip(*self.strides))

    @property
    def parameters(self) -> int:
        """How many weights the network has at least: its convolutions', without those used in training only."""
        inputs, kernels = (self.in_channels, *self.features), [math.prod(kernel) for kernel in self.kernel_sizes]
        encoder = sum(kernel * f * (before + f) for kernel, before, f in zip(kernels, inputs, self.features))
        decoder = sum(kernel * f * (2 * f + f) for kernel, f in zip(kernels, self.features[:-1]))
        upwards = sum(math.prod(s) * f * below for s, f, below in zip(self.strides[1:], self.features, self.features[1:]))
        return encoder + decoder + upwards

    def activations(self, patch: Triple) -> int:
        """How many numbers the encoder's stages give for one patch (k, j, i), each stage once: what memory grows with."""
        total, voxels = 0, math.prod(patch)
        for steps, channels in zip(self.strides, self.features):
            voxels //= math.prod(steps)
            total += voxels * channels
        return total

    def for_training(self) -> NetworkPlan:
        """The network as it is trained: with logits at every level."""
        return dataclasses.replace(self, deep_supervision=True)

    def for_use(self) -> NetworkPlan:
        """The network as a bundle holds it."""
        return dataclasses.replace(self, deep_supervision=False)

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary (lists, no tuples) that `from_json` reads back to an equal plan."""
        return plan_to_json(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> NetworkPlan:
        """From a dictionary; `InputError` for a missing or unknown key and for values that can't be."""
        check_plan_keys(cls, data)
        try:
            stages = {name: tuple(tuple(triple) for triple in data[name]) for name in ("strides", "kernel_sizes")}
            return cls(**(dict(data) | stages | {"features": tuple(data["features"])}))
        except TypeError:
            raise InputError("The network plan can't be used: features, strides and kernel_sizes must be lists.") from None


def require_count(name: str, value: object, largest: int) -> None:
    """`InputError` unless a plan's `value` is a whole number from 1 to `largest`."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= largest:
        raise InputError(f"{name} of the network plan holds {value!r}; it must be a whole number from 1 to {largest}.")
