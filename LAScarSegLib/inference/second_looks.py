"""A network asked again about one atrium, a little differently each time: a sound answer does not depend on how it is asked.

Each look is one tile, smaller than the network's own, around the atrium that was found: the scan scaled, moved or turned before the network
sees it, and the answer brought back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..systems import Output

if TYPE_CHECKING:
    import torch
    from torch import nn

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Look:
    """How the scan is changed before the network sees it; axes are the network's, (k, j, i) = (S, P, L).

    zoom
        voxels of the tile in the network's own; the training scaled by 0.7…1.4.
    turn_deg
        about k and about i; the training turned by up to 30°.
    move_mm
        along k, j, i.
    """

    zoom: float = 4.0 / 3.0
    turn_deg: tuple[float, float] = (0.0, 0.0)
    move_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def matrix(self) -> np.ndarray:
        """3×3, from places in the tile (mm from its middle) to places in the scan (mm from the atrium's middle)."""
        about_k, about_i = np.radians(self.turn_deg)
        first = np.array([[1, 0, 0], [0, np.cos(about_k), -np.sin(about_k)], [0, np.sin(about_k), np.cos(about_k)]])
        second = np.array([[np.cos(about_i), -np.sin(about_i), 0], [np.sin(about_i), np.cos(about_i), 0], [0, 0, 1]])
        return second @ first


def look_again(
    run: Callable[[torch.Tensor], torch.Tensor],
    grey: np.ndarray,
    spacing_mm: Sequence[float],
    centre_mm: np.ndarray,
    looks: Sequence[Look],
    tile_mm: Sequence[float],
    tile: Triple,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """What the network finds when it sees `grey` as each of `looks` says; all at once, which is faster than one by one.

    Parameters
    ----------
    run
        tiles (N, 1, k, j, i) to logits of the foreground less the background (N, k, j, i).
    grey
        (k, j, i) normalised grey levels with voxels of `spacing_mm`.
    centre_mm
        (3,) the atrium's middle, from the array's first voxel's centre.
    tile_mm, tile
        the network's own voxel, which `look.zoom` multiplies, and how many of them the tile has.

    Returns
    -------
    for each look the probability (k, j, i) float32 on the voxels of `grey`, and a bool mask of those that the tile covers.
    """
    import torch

    spacing, half = np.asarray(spacing_mm, dtype=float), (np.array(tile) - 1) / 2.0
    whole, tiles, ways_back = torch.from_numpy(grey)[None, None], [], []
    for look in looks:
        # Tile index t to scan index: (middle + M (t − half) voxel) / spacing.
        forward = look.matrix * (np.asarray(tile_mm, dtype=float) * look.zoom) / spacing[:, None]
        middle = (np.asarray(centre_mm, dtype=float) + look.move_mm) / spacing
        tiles.append(_sample(whole, forward, middle - forward @ half, tile))
        backward = np.linalg.inv(forward)
        ways_back.append((backward, half - backward @ middle))
    answers = []
    for logits, (backward, start) in zip(run(torch.cat(tiles)), ways_back):
        found = _sample(logits[None, None], backward, start, grey.shape)[0, 0]
        answers.append((torch.sigmoid(found).numpy(), _covered(backward, start, np.array(grey.shape), tile)))
    return answers


def network_runner(network: nn.Module, device: str, output: Output) -> Callable[[torch.Tensor], torch.Tensor]:
    """`run` of `look_again` for a network that is on `device` already, of one of its outputs: of background and foreground, or a sigmoid."""
    import torch

    def run(tiles: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode(), torch.autocast("cuda", enabled=device.startswith("cuda")):
            logits = network(tiles.to(device)).float().to("cpu")
        found = [logits[:, channel] for channel in output.channels]
        return found[1] - found[0] if output.activation == "softmax" else found[0]

    return run


def _sample(values: torch.Tensor, matrix: np.ndarray, start: np.ndarray, shape: Triple) -> torch.Tensor:
    """(1, 1, *shape) linear interpolation of `values` at the indices `start + matrix · index`; 0 beyond."""
    import torch

    size = np.maximum(np.array(values.shape[2:]) - 1, 1)
    # grid_sample's coordinates run from −1 to 1 over the voxels' centres, last axis first.
    scaled, origin = matrix * (2.0 / size[:, None]), start * 2.0 / size - 1.0
    axes = [torch.arange(n, dtype=torch.float32) for n in shape]
    rows = []
    for row, first in zip(scaled[::-1], origin[::-1]):
        k, j, i = (float(step) * axis for step, axis in zip(row, axes))
        rows.append(k[:, None, None] + j[:, None] + i + float(first))
    grid = torch.stack(rows, dim=-1)[None]
    return torch.nn.functional.grid_sample(values.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=True)


def _covered(matrix: np.ndarray, start: np.ndarray, shape: np.ndarray, tile: Triple) -> np.ndarray:
    covered = np.ones(tuple(shape), dtype=bool)
    for row, first, n in zip(matrix, start, tile):
        k, j, i = (step * np.arange(m) for step, m in zip(row, shape))
        place = k[:, None, None] + j[:, None] + i + first
        covered &= (place >= 0) & (place <= n - 1)
    return covered
