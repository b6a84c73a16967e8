"""Small bundles and networks whose answers can be worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import torch

from LAScarSegLib.inference.looking import Looking
from LAScarSegLib.inference.preparation import OrientedScan
from LAScarSegLib.inference.region import REGION_MARGIN_MM
from LAScarSegLib.inference.resampling import resample_mask, true_spacing
from LAScarSegLib.inference.tiles import predict_maps
from LAScarSegLib.models.card import Channel, ModelCard, NetworkSpec, Preprocessing
from LAScarSegLib.networks import NetworkPlan, build
from LAScarSegLib.networks.architectures import spacing_in_scan
from LAScarSegLib.networks.weights import pack_tensors
from LAScarSegLib.systems import SYSTEMS, Output, PreparedArrays
from LAScarSegLib.systems.targets import distance_probabilities
from LAScarSegLib.training.settings import TrainingSettings
from LAScarSegLib.volumes.volume import Box, Geometry, Volume

CUBE = ((1, 1, 1), (2, 2, 2), (2, 2, 2))
OBLIQUE = (0.36, 0.48, -0.8, -0.8, 0.6, 0.0, 0.48, 0.64, 0.6)
"""A rotation by none of the axes (the columns are unit vectors at right angles)."""
BALL_RADIUS_MM = 18.0
"""24 mL: a small left atrium."""
COARSE_MM, SLICES_MM = 2.5, 2.5
"""Of the networks that are fitted: their grid, and what slices are apart where a network takes them as they are."""
NEAR = 0.3
"""exp(−mm): a little more than a millimetre away."""
RIDGE, STEEPNESS = 1e-9, 8.0
"""Of the least squares, and what a wanted ±1 becomes as a logit."""
BACKGROUND_WEIGHT = 2.0
"""All of the background against all of the foreground: with less the networks see scar everywhere, with more no atrium."""


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


def tiny_card(system: str, stage: str) -> ModelCard:
    """Of the smallest preset of a published system's network, on a grid of 2.5 mm where it is finer: seconds become fractions of one."""
    described = SYSTEMS[system].stage(stage)
    tiny = described.preset("tiny")
    spacing = tuple(max(mm, COARSE_MM) for mm in tiny.spacing_kji)
    crop = tiny.crop_kji
    if crop is not None:
        fine_mm, coarse_mm = (spacing_in_scan(mm, (SLICES_MM,) * 3) for mm in (tiny.spacing_kji, spacing))
        crop = tuple(round(n * a / b) for n, a, b in zip(crop, fine_mm, coarse_mm))
    # Some systems begin with another one's weights; these here begin with a seed.
    size = replace(tiny, spacing_kji=spacing, crop_kji=crop)
    settings = TrainingSettings(system, stage, "nowhere", size, preset="tiny", anatomy="truth", start_from="a seed")
    return settings.card(name=f"{system}-{stage}".replace("_", "-"), simulated=True)


def fitted(card: ModelCard, image: Volume, drawn: Mapping[str, np.ndarray]) -> tuple[ModelCard, dict[str, bytes]]:
    """A card and weights that see something in a scan, whatever the architecture: random ones, but for the last convolutions, which are
    fitted by least squares to the masks (k, j, i) bool of `cavity` and `scar`. No training, and the same numbers each time."""
    stage = SYSTEMS[card.system].stage(card.stage, card.variant)
    looking, scan = Looking(card, stage), OrientedScan.of(image, card.preprocessing)
    masks = {name: scan.orientation.apply(mask) for name, mask in drawn.items()}
    around = looking.with_room(Box.around(masks["cavity"], REGION_MARGIN_MM, scan.spacing), scan)
    box = looking.crop(scan) or (around if stage.takes_cavity else Box((0, 0, 0), scan.array.shape))
    seen = looking.all_of(box, scan, masks["cavity"] if stage.takes_cavity else None)
    shape = seen.channels.shape[1:]
    small = {name: resample_mask(np.ascontiguousarray(mask[box.slices]), shape) for name, mask in masks.items()}
    spacing = true_spacing(box.shape, scan.spacing, shape)
    learned = {}
    if stage.learn is not None:
        targets = {target.name: target.of(small, spacing) for target in stage.targets}
        learned = dict(stage.learn([PreparedArrays(seen.channels, small, targets)]))
    network = LeastSquares(build(card.fine.plan, seed=0), len(seen.channels))
    wanted = np.concatenate([wanted_of(output, small, spacing) for output in stage.outputs])

    def given(tile: np.ndarray) -> np.ndarray:
        own = tile[: len(seen.channels)]
        return np.concatenate([own if stage.patch_inputs is None else stage.patch_inputs(own, learned), tile[len(seen.channels) :]])

    padding = [*stage.padding, *(0.0 for _ in wanted)]
    both = np.concatenate([seen.channels, wanted]).astype(np.float32)
    predict_maps(
        network.eval(), both, card.fine.patch_kji, stage.outputs, padding=padding, corners=seen.corners, room=seen.room, seen_as=given
    )
    name = card.fine.weights[0]
    return replace(card, learned={name: learned} if learned else {}), {name: pack_tensors(network.solved().state_dict())}


def wanted_of(output: Output, masks: Mapping[str, np.ndarray], spacing_kji: Sequence[float]) -> np.ndarray:
    """(channels, k, j, i) of −1 and 1: which logits of an output shall be low and high."""
    mask = masks[output.product]
    if output.activation == "distance_pair":
        return np.where(distance_probabilities(masks, spacing_kji) > NEAR, 1.0, -1.0)
    signs = np.where(mask, 1.0, -1.0)[None]
    return np.concatenate([-signs, signs]) if output.activation == "softmax" else signs


class LeastSquares(torch.nn.Module):
    """A network whose last convolutions are fitted to what it is shown: the input's further channels are the logits' wanted signs."""

    def __init__(self, network: torch.nn.Module, channels: int) -> None:
        super().__init__()
        self.network, self.channels = network, channels
        self.calls: list[tuple[torch.nn.Module, torch.Tensor, torch.Tensor]] = []
        self.sums: dict[torch.nn.Module, torch.Tensor] = {}
        for module in network.modules():
            if isinstance(module, (torch.nn.Conv2d, torch.nn.Conv3d)):
                module.register_forward_hook(lambda module, given, found: self.calls.append((module, given[0], found)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls.clear()
        logits, wanted = self.network(x[:, : self.channels]), x[:, self.channels :]
        for module, given, found in self.calls:
            given, found = (values if values.ndim == 5 else values[:, :, None] for values in (given, found))
            for first in range(logits.shape[1] - found.shape[1] + 1):
                # The convolution that gave these logits; 0 is the padding, where nothing is wanted.
                if torch.equal(found, logits[:, first : first + found.shape[1]]):
                    self._add(module, given, wanted[:, first : first + found.shape[1]])
        return logits

    def _add(self, module: torch.nn.Module, given: torch.Tensor, wanted: torch.Tensor) -> None:
        features = torch.cat([given, torch.ones_like(given[:, :1])], dim=1).transpose(0, 1).flatten(1).double()
        targets = wanted.transpose(0, 1).flatten(1)
        sums = self.sums.setdefault(module, torch.zeros((len(targets), 2, len(features), len(features)), dtype=torch.float64))
        for row, sign in product(range(len(targets)), (0, 1)):
            chosen = features[:, targets[row] == 2 * sign - 1]
            sums[row, sign] += chosen @ chosen.T

    def solved(self) -> torch.nn.Module:
        """The network with its fitted last convolutions: what a background voxel counts has nothing to do with how many there are."""
        for module, sums in self.sums.items():
            for row, both in enumerate(sums):
                # The last feature is 1: its square sums are the numbers of voxels, its products the sums.
                low, high = (part / part[-1, -1].clamp_min(1.0) for part in both)
                square, right = BACKGROUND_WEIGHT * low + high, high[-1] - BACKGROUND_WEIGHT * low[-1]
                solution = torch.linalg.lstsq(square, right, driver="gelsd", rcond=RIDGE).solution
                with torch.no_grad():
                    module.weight[row] = (STEEPNESS * solution[:-1]).reshape(module.weight[row].shape)
                    module.bias[row] = STEEPNESS * solution[-1]
        return self.network
