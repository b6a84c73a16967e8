"""A network over an array larger than its patch: overlapping tiles, weighted by a Gaussian (Isensee et al. 2021).

Tiles lie on a product grid and the Gaussian is a product of three, so the sum of all weights is a product as well: no second
array is needed to divide by. With two classes only the difference of the logits matters, so one array holds each mask.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain, combinations, product
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ..systems import Output
from .options import STANDARD_STEP

if TYPE_CHECKING:
    import torch
    from torch import nn

SIGMA_SHARE = 1 / 8
"""The Gaussian's sigma as a part of the tile (nnU-Net, MONAI)."""
MIN_TILE_WEIGHT = 0.2
"""A tile that has no larger part of the weights at any voxel that is wanted is left out."""
PAIRED_VOXELS = 1 << 18
"""Tiles up to this size are run two at a time on the processor. For one tile of few voxels and channels torch takes its plain convolution
instead of oneDNN's (`use_mkldnn` in ATen's Convolution.cpp counts N·C·D·H), which is three times as slow; larger ones get oneDNN's anyway,
and two of them would take twice the memory. A graphics card is given as many at a time as have so many voxels together: small patches one
by one would leave most of it idle."""
BACKGROUND = -20.0
"""The logit of what no tile has looked at: a probability of 2e-9."""

ONE_MASK = (Output("cavity"),)
"""A network of background and foreground, whatever it finds."""

Corner = tuple[int, int, int]


def tile_starts(length: int, tile: int, step: float) -> list[int]:
    """Where tiles start along an axis of `length` ≥ `tile`: evenly, at most `step` tiles apart (nnU-Net's rule)."""
    # No nearer than a voxel: slices are taken once each.
    count = int(np.ceil((length - tile) / max(tile * step, 1.0))) + 1
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


def contributing_tiles(points: np.ndarray, shape: Sequence[int], patch: Sequence[int], step: float = STANDARD_STEP) -> list[Corner]:
    """The tiles of a whole scan that decide what comes out at some of its voxels.

    Parameters
    ----------
    points
        (N, 3) voxels (k, j, i) of the scan that are wanted.
    shape
        of the whole scan; where it is smaller than `patch`, a tile starts at 0.

    Returns
    -------
    where tiles start: of all that `predict_tiles` would take, those with the most, or more than `MIN_TILE_WEIGHT`, of the weights at one of
    `points`.
    """
    starts, say = [], []
    for axis, (n, tile) in enumerate(zip(shape, patch)):
        starts.append(tile_starts(max(n, tile), tile, step))
        whole = _weights_along(max(n, tile), tile, starts[-1])
        before = (max(n, tile) - n) // 2
        say.append((whole / whole.sum(axis=0))[:, points[:, axis] + before])
    # Where many tiles share the weights none may have enough: the one with the most is always taken.
    nearest = set(zip(*(part.argmax(axis=0).tolist() for part in say)))
    corners = []
    for numbers in product(*(range(len(begins)) for begins in starts)):
        along_k, along_j, along_i = (part[number] for part, number in zip(say, numbers))
        if numbers in nearest or (along_k * along_j * along_i).max() > MIN_TILE_WEIGHT:
            corners.append(tuple(begins[number] for begins, number in zip(starts, numbers)))
    return corners


def predict_tiles(
    network: nn.Module, channels: np.ndarray, patch: Sequence[int], *, padding: Sequence[float], **options: Any
) -> np.ndarray:
    """Foreground minus background logit, (k, j, i) float32, of a network of one mask; arguments as of `predict_maps`."""
    return predict_maps(network, channels, patch, ONE_MASK, padding=padding, **options)[0]


def predict_maps(
    network: nn.Module,
    channels: np.ndarray,
    patch: Sequence[int],
    outputs: Sequence[Output],
    *,
    padding: Sequence[float],
    device: str = "cpu",
    mirror_axes: Sequence[int] = (),
    step: float = STANDARD_STEP,
    corners: Sequence[Corner] | None = None,
    room: Sequence[int] = (0, 0, 0),
    seen_as: Callable[[np.ndarray], np.ndarray] | None = None,
    report: Callable[[float], None] = lambda fraction: None,
) -> np.ndarray:
    """The logits that the outputs take, one after the other: (Σ maps, k, j, i) float32 (`systems.decoding.Output.maps`).

    Parameters
    ----------
    network
        (N, C, k, j, i) → logits (N, O, k, j, i), each tile by itself; already on `device`, in evaluation mode.
    channels
        (C, k, j, i) float32; where it is smaller than `patch` it is padded on both sides, channel c with `padding[c]`.
    mirror_axes
        average over all mirrorings along these axes.
    corners
        where tiles start, of a part of a scan's tiles (`contributing_tiles`); what none of them covers becomes `BACKGROUND`.
        None: tiles all over, at most `step` of a tile apart.
    room
        voxels of padding on either side of each axis, for patches around points; `corners` count from there, and their mean is taken.
    seen_as
        makes of a tile (C, k, j, i) what the network is given; None: the tile as it is.
    report
        called with the fraction done before every tile; what it raises (a cancellation) ends the work.
    """
    import torch

    shape = channels.shape[1:]
    padded, before = _padded(channels, patch, padding, room)
    size = padded.shape[1:]
    starts = [tile_starts(n, tile, step) for n, tile in zip(size, patch)]
    along_k, along_j, along_i = map(tile_weights, patch)
    window = torch.from_numpy(along_k[:, None, None] * along_j[:, None] * along_i)
    if any(room):
        # Patches around points, as many here as there: their mean.
        window = torch.ones_like(window)
    total = torch.zeros((sum(output.maps for output in outputs), *size), dtype=torch.float32)
    chosen = None if corners is None else torch.zeros(size, dtype=torch.float32)
    corners = list(product(*starts)) if corners is None else corners
    with torch.inference_mode():
        fitting = max(1, PAIRED_VOXELS // int(np.prod(patch)))
        at_once = fitting if device != "cpu" else 2 if np.prod(patch) <= PAIRED_VOXELS else 1
        for number in range(0, len(corners), at_once):
            report(number / len(corners))
            places = [tuple(slice(a, a + tile) for a, tile in zip(corner, patch)) for corner in corners[number : number + at_once]]
            cut = [padded[(slice(None), *place)] for place in places]
            tiles = np.stack(cut if seen_as is None else [np.asarray(seen_as(tile), dtype=np.float32) for tile in cut])
            maps = _maps_of_tiles(network, torch.from_numpy(tiles).to(device), outputs, mirror_axes).to("cpu", torch.float32)
            for place, found in zip(places, maps):
                total[(slice(None), *place)] += window * found
                if chosen is not None:
                    chosen[place] += window
    if chosen is not None:
        total = torch.where(chosen > 0, total / chosen, BACKGROUND)
    else:
        for axis, (n, tile, begins) in enumerate(zip(size, patch, starts)):
            covered = torch.from_numpy(_weights_along(n, tile, begins).sum(axis=0))
            total /= covered.reshape([-1 if a == axis else 1 for a in range(3)])
    inside = tuple(slice(b, b + n) for b, n in zip(before, shape))
    return total.numpy()[(slice(None), *inside)]


def _maps_of_tiles(network: nn.Module, tiles: torch.Tensor, outputs: Sequence[Output], mirror_axes: Sequence[int]) -> torch.Tensor:
    """What the outputs take (N, maps, k, j, i) of tiles (N, C, k, j, i), averaged over their mirrorings."""
    import torch

    if len(tiles) == 1 and tiles.device.type == "cpu" and tiles[0, 0].numel() <= PAIRED_VOXELS:
        # A second time beside itself: faster than alone.
        return _maps_of_tiles(network, tiles.expand(2, -1, -1, -1, -1), outputs, mirror_axes)[:1]

    flips = list(chain.from_iterable(combinations([a + 2 for a in mirror_axes], n) for n in range(len(mirror_axes) + 1)))
    # Half precision where the graphics card has it, as nnU-Net does; the sums stay in float32.
    with torch.autocast("cuda", enabled=tiles.device.type == "cuda"):
        total = sum(torch.flip(network(torch.flip(tiles, axes)), axes).float() for axes in flips)
    taken = []
    for output in outputs:
        found = [total[:, channel] for channel in output.channels]
        # Of two classes only the difference matters.
        taken += [found[1] - found[0]] if output.activation == "softmax" else found
    return torch.stack(taken, dim=1) / len(flips)


def _padded(channels: np.ndarray, patch: Sequence[int], padding: Sequence[float], extra: Sequence[int]) -> tuple[np.ndarray, list[int]]:
    """`channels` at least as large as `patch`, and how much was put before it on each axis (nnU-Net: the smaller half)."""
    lacking = [max(2 * more, tile - n) for tile, n, more in zip(patch, channels.shape[1:], extra)]
    before = [n // 2 for n in lacking]
    if not any(lacking):
        return channels, before
    room = [(b, n - b) for b, n in zip(before, lacking)]
    return np.stack([np.pad(channel, room, constant_values=value) for channel, value in zip(channels, padding)]), before


def _weights_along(length: int, tile: int, starts: Sequence[int]) -> np.ndarray:
    """Each tile's weights along one axis, 0 where it isn't: (tiles, length) float32."""
    along, gaussian = np.zeros((len(starts), length), dtype=np.float32), tile_weights(tile)
    for row, start in zip(along, starts):
        row[start : start + tile] = gaussian
    return along
