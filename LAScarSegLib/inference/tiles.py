"""A network over an array larger than its patch: overlapping tiles, weighted by a Gaussian (Isensee et al. 2021).

Tiles lie on a product grid and the Gaussian is a product of three, so the sum of all weights is a product as well: no second
array is needed to divide by. With two classes only the difference of the logits matters, so one array holds the result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain, combinations, product
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter1d

from .options import STANDARD_STEP

if TYPE_CHECKING:
    import torch
    from torch import nn

SIGMA_SHARE = 1 / 8
"""The Gaussian's sigma as a part of the tile (nnU-Net, MONAI)."""


def tile_starts(length: int, tile: int, step: float) -> list[int]:
    """Where tiles start along an axis of `length` ≥ `tile`: evenly, at most `step` tiles apart (nnU-Net's rule)."""
    count = int(np.ceil((length - tile) / (tile * step))) + 1
    if count == 1:
        return [0]
    return [int(np.round((length - tile) / (count - 1) * n)) for n in range(count)]


def tile_weights(tile: int) -> np.ndarray:
    """The Gaussian along one axis: (tile,) float32, 1 in the middle, never 0."""
    middle = np.zeros(tile)
    middle[tile // 2] = 1.0
    weights = gaussian_filter1d(middle, tile * SIGMA_SHARE, mode="constant")
    weights /= weights.max()
    return np.maximum(weights, weights[weights > 0].min()).astype(np.float32)


def predict_tiles(
    network: nn.Module,
    channels: np.ndarray,
    patch: Sequence[int],
    *,
    padding: Sequence[float],
    device: str = "cpu",
    mirror_axes: Sequence[int] = (),
    step: float = STANDARD_STEP,
    report: Callable[[float], None] = lambda fraction: None,
) -> np.ndarray:
    """Foreground minus background logit, (k, j, i) float32.

    Parameters
    ----------
    network
        (1, C, k, j, i) → logits (1, 2, k, j, i); already on `device`, in evaluation mode.
    channels
        (C, k, j, i) float32; where it is smaller than `patch` it is padded on both sides, channel c with `padding[c]`.
    mirror_axes
        average over all mirrorings along these axes.
    report
        called with the fraction done before every tile; what it raises (a cancellation) ends the work.
    """
    import torch

    shape = channels.shape[1:]
    padded, before = _padded(channels, patch, padding)
    size = padded.shape[1:]
    starts = [tile_starts(n, tile, step) for n, tile in zip(size, patch)]
    weights = [tile_weights(tile) for tile in patch]
    window = torch.from_numpy(weights[0][:, None, None] * weights[1][:, None] * weights[2])
    total = torch.zeros(size, dtype=torch.float32)
    corners = list(product(*starts))
    with torch.inference_mode():
        for number, corner in enumerate(corners):
            report(number / len(corners))
            place = tuple(slice(a, a + tile) for a, tile in zip(corner, patch))
            tile = torch.from_numpy(np.ascontiguousarray(padded[(slice(None), *place)]))[None].to(device)
            total[place] += window * _margin(network, tile, mirror_axes).to("cpu", torch.float32)
    for axis, (begins, weight) in enumerate(zip(starts, weights)):
        total /= torch.from_numpy(_covered(size[axis], begins, weight)).reshape([-1 if a == axis else 1 for a in range(3)])
    inside = tuple(slice(b, b + n) for b, n in zip(before, shape))
    return total.numpy()[inside]


def _margin(network: nn.Module, tile: torch.Tensor, mirror_axes: Sequence[int]) -> torch.Tensor:
    """Foreground minus background of one tile (1, C, k, j, i), averaged over its mirrorings."""
    import torch

    flips = list(chain.from_iterable(combinations([a + 2 for a in mirror_axes], n) for n in range(len(mirror_axes) + 1)))
    total = None
    # Half precision where the graphics card has it, as nnU-Net does; the sums stay in float32.
    with torch.autocast("cuda", enabled=tile.device.type == "cuda"):
        for axes in flips:
            logits = torch.flip(network(torch.flip(tile, axes)), axes) if axes else network(tile)
            total = logits.float() if total is None else total + logits
    return (total[0, 1] - total[0, 0]) / len(flips)


def _padded(channels: np.ndarray, patch: Sequence[int], padding: Sequence[float]) -> tuple[np.ndarray, list[int]]:
    """`channels` at least as large as `patch`, and how much was put before it on each axis (nnU-Net: the smaller half)."""
    lacking = [max(0, tile - n) for tile, n in zip(patch, channels.shape[1:])]
    before = [n // 2 for n in lacking]
    if not any(lacking):
        return channels, before
    room = [(b, n - b) for b, n in zip(before, lacking)]
    return np.stack([np.pad(channel, room, constant_values=value) for channel, value in zip(channels, padding)]), before


def _covered(length: int, starts: Sequence[int], weights: np.ndarray) -> np.ndarray:
    """The sum of all tiles' weights along one axis."""
    covered = np.zeros(length, dtype=np.float32)
    for start in starts:
        covered[start : start + weights.size] += weights
    return covered
