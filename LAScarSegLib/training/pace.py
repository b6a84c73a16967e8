"""How long a training takes here, about: what its steps compute, over what this machine computes in a second."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from functools import lru_cache

from ..networks import Plan, build_unfilled
from ..networks.architectures import in_scan
from .settings import TrainingSettings

FEATURES, ROUNDS = 32, 3
"""The convolution that is timed: that of the finer levels of these networks."""
SIDE, SIDE_OF_CARDS = 32, 128
"""Of its patch; a graphics card is busy with a large one only."""
PASSES = 3.0
"""A step's forward and backward pass, in forward passes."""
LEAST_STEP_SECONDS = 0.02
"""Patches are cut, gradients clipped and weights moved as well."""
OVERLAP = 0.5
"""Of the tiles of a whole scan."""


def operations_per_second(device: str) -> float:
    """Floating-point operations per second of a 3 × 3 × 3 convolution with its gradients on `device` (torch's name). Imports torch."""
    import torch

    layer = torch.nn.Conv3d(FEATURES, FEATURES, 3, padding=1).to(device)
    side = SIDE if device == "cpu" else SIDE_OF_CARDS
    patch = torch.ones(1, FEATURES, side, side, side, device=device, requires_grad=True)
    times = []
    for _ in range(ROUNDS + 1):
        begin = time.perf_counter()
        # The number is read on the processor, so a graphics card has finished.
        layer(patch).sum().backward()
        float(patch.grad[0, 0, 0, 0, 0])
        times.append(time.perf_counter() - begin)
    # The first round finds its algorithm.
    return PASSES * 2.0 * FEATURES**2 * 27 * side**3 / min(times[1:])


@lru_cache
def forward_operations(plan: Plan, patch_kji: tuple[int, ...]) -> float:
    """Floating-point operations of one patch's forward pass, counted without computing anything. Imports torch."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    network = build_unfilled(plan.for_training()).eval()
    patch = torch.empty(1, plan.in_channels, *in_scan(patch_kji), device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(patch)
    return float(counter.get_total_flops())


def training_seconds(
    settings: TrainingSettings, validated: Sequence[tuple[float, float, float]], validate_every: int, per_second: float
) -> float:
    """About how long a training takes that computes `per_second` operations; `validated` are the extents (k, j, i) in mm of the scans that
    it validates on."""
    size, phases = settings.size, settings.described.phases
    forward = forward_operations(size.plan, size.patch_kji)
    seconds = 0.0
    for number in range(len(phases)):
        steps = settings.epochs(number) * settings.steps_per_epoch
        patches = size.batch_size * settings.recipe(number).accumulate
        seconds += steps * max(LEAST_STEP_SECONDS, PASSES * forward * patches / per_second)
        validations = math.ceil(settings.epochs(number) / validate_every)
        seconds += validations * sum(tiles(extent, settings) for extent in validated) * forward / per_second
    return seconds


def tiles(extent_mm: tuple[float, float, float], settings: TrainingSettings) -> int:
    """How many tiles a scan of this extent (k, j, i) is seen in."""
    size = settings.size
    patch = in_scan(size.patch_kji)
    spacing = size.spacing_kji if len(size.spacing_kji) == 3 else (1.0, *size.spacing_kji)
    seen = [mm / s for mm, s in zip(extent_mm, spacing)]
    if size.crop_kji is not None:
        seen = [min(n, crop) for n, crop in zip(seen, size.crop_kji)]
    return math.prod(max(1, math.ceil((n - p) / (p * OVERLAP)) + 1 if p > 1 else math.ceil(n)) for n, p in zip(seen, patch))
