"""Small bundles and networks whose answers can be worked out by hand."""

from __future__ import annotations

import numpy as np
import torch

from LAScarSegLib.models.card import Channel, ModelCard, NetworkSpec, Preprocessing
from LAScarSegLib.networks import NetworkPlan, build
from LAScarSegLib.networks.weights import pack_tensors
from LAScarSegLib.systems import SYSTEMS
from LAScarSegLib.volumes.volume import Geometry, Volume

CUBE = ((1, 1, 1), (2, 2, 2), (2, 2, 2))
OBLIQUE = (0.36, 0.48, -0.8, -0.8, 0.6, 0.0, 0.48, 0.64, 0.6)
"""A rotation by none of the axes (the columns are unit vectors at right angles)."""
BALL_RADIUS_MM = 18.0
"""24 mL: a small left atrium."""


class Contrast(torch.nn.Module):
    """Foreground where the first channel is above `level`: logits ± gain·(x − level)/2. Remembers the tiles it saw."""

    def __init__(self, level: float = 0.0, gain: float = 1.0) -> None:
        super().__init__()
        self.level, self.gain = level, gain
        self.seen: list[tuple[int, ...]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(tuple(x.shape[2:]))
        logit = self.gain * (x[:, :1] - self.level) / 2
        return torch.cat([-logit, logit], dim=1)


class Blur(torch.nn.Module):
    """The mean of 3×3×3 voxels of the first channel, 0 beyond the tile: a network with a receptive field."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logit = torch.nn.functional.avg_pool3d(x[:, :1], 3, stride=1, padding=1)
        return torch.cat([torch.zeros_like(logit), logit], dim=1)


def small_plan(in_channels: int = 1) -> NetworkPlan:
    """A network of some thousand weights."""
    return NetworkPlan(in_channels, 2, (4, 6, 8), CUBE, ((3, 3, 3),) * 3, deep_supervision=False)


def small_card(
    stage: str = "cavity",
    folds: int = 1,
    coarse: bool = False,
    patch: tuple[int, int, int] = (32, 32, 32),
    spacing_kji: tuple[float, float, float] = (2.0, 2.0, 2.0),
    **changes,
) -> ModelCard:
    """A card of two_stage_sdm with small networks, the coarse one at 4 mm."""
    described = SYSTEMS["two_stage_sdm"].stage(stage, changes.get("variant"))
    channels = tuple(Channel(c.name, "none" if n else "zscore", c.padding) for n, c in enumerate(described.channels))
    fine = NetworkSpec(small_plan(len(channels)), spacing_kji, patch, tuple(f"fold_{n}.safetensors" for n in range(folds)))
    rough = NetworkSpec(small_plan(), (4.0, 4.0, 4.0), (32, 32, 32), ("coarse.safetensors",)) if coarse else None
    values = {"name": "small", "version": "1.0", "system": "two_stage_sdm", "stage": stage,
              "fine": fine, "coarse": rough, "channels": channels,
              "intended_use": "Tests only.", "licence": "MIT", "preprocessing": Preprocessing()}  # fmt: skip
    return ModelCard(**(values | changes))


def weights_for(card: ModelCard) -> dict[str, bytes]:
    """Random weight files for every network of a card, fold n from seed n."""
    files = {name: pack_tensors(build(card.fine.plan, seed=n).state_dict()) for n, name in enumerate(card.fine.weights)}
    if card.coarse:
        files |= {name: pack_tensors(build(card.coarse.plan, seed=9).state_dict()) for name in card.coarse.weights}
    return files


def ball(spacing: tuple[float, float, float], size: tuple[int, int, int], direction: tuple[float, ...] = OBLIQUE,
         offset_mm: tuple[float, float, float] = (3.3, -4.1, 5.2)) -> tuple[Volume, np.ndarray]:  # fmt: skip
    """A bright ball with a soft edge in a grid (i, j, k), and its centre in LPS: off the middle of the grid by `offset_mm`."""
    geometry = Geometry(size, spacing, (12.0, -30.0, 55.0), direction)
    centre = geometry.index_to_lps(np.array([[(n - 1) / 2 for n in size]]))[0] + offset_mm
    k, j, i = np.indices(geometry.shape).reshape(3, -1)
    distance = np.linalg.norm(geometry.index_to_lps(np.stack([i, j, k], axis=1)) - centre, axis=1)
    return Volume((1000.0 / (1.0 + np.exp((distance - BALL_RADIUS_MM) / 2.0))).reshape(geometry.shape).astype(np.float32), geometry), centre


def centroid(volume: Volume) -> np.ndarray:
    """The centre of mass in LPS of what is above the volume's smallest value."""
    weights = (volume.array - volume.array.min()).astype(float)
    kji = np.array(
        [(np.moveaxis(weights, a, 0).reshape(weights.shape[a], -1).sum(1) * np.arange(weights.shape[a])).sum() for a in range(3)]
    )
    return volume.geometry.index_to_lps((kji / weights.sum())[None, ::-1])[0]
