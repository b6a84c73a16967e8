"""Scores on whole prepared scans, tile by tile, as a model runs in use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..anatomy.overlap import dice
from ..inference.boundary import boundary_tiles
from ..inference.resampling import working_geometry
from ..inference.tiles import predict_maps
from ..networks.architectures import in_scan
from ..systems import Output, Preset, Stage
from ..systems.targets import wall_and_scar
from ..systems.uncertainty import uncertainty_mm
from ..volumes.volume import Volume
from .preparation import PreparedCase

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class ValidationScore:
    """One validation case: Dice on the working grid, and how unsure the network is at the edge where the stage asks for it.

    Of a network of both masks `dice` is the mean of those that the phase watches, and `products` has each. Scar that such a network marks on
    the surface is compared there.
    """

    name: str
    dice: float
    uncertainty_mm: float | None = None
    products: Mapping[str, float] | None = None


def score_case(
    network: nn.Module, case: PreparedCase, folder: Path, stage: Stage, size: Preset, device: str, report: Callable[[float], None],
    watched: Sequence[str] = (), learned: Mapping[str, Any] = MappingProxyType({}),
) -> ValidationScore:  # fmt: skip
    """Run `network`, which is on `device` and in evaluation mode, over one case."""
    channels, labels = case.channels(folder).astype(np.float32), case.labels(folder) > 0
    patch = in_scan(size.patch_kji)
    corners, room = (None, (0, 0, 0)) if stage.sampler.kind != "boundary" else boundary_tiles(case.boundary(folder), patch)
    maps = predict_maps(
        network, channels, patch, stage.outputs, padding=stage.padding, device=device, report=report, corners=corners, room=room,
        seen_as=stage.patch_inputs and partial(stage.patch_inputs, learned=learned),
    )
    unsure, dices, found, first = None, {}, {}, 0
    for product, output in enumerate(stage.outputs):
        probability = output.probability(maps[first : first + output.maps])
        first += output.maps
        if output.product == "scar" and "cavity" in found:
            probability = output.from_surface(probability, found["cavity"], case.spacing_kji)
        if stage.mask_prediction and output.product == "scar":
            probability = probability * labels[stage.region_row]
        if stage.uncertain_threshold is not None and product == 0:
            unsure = uncertainty_mm(Volume(probability, working_geometry(probability.shape, case.spacing_kji)))
        found[output.product] = output.filtered(probability, case.spacing_kji) > output.threshold
        dices[output.product] = _dice(output, found[output.product], dict(zip(stage.produces, labels)), case.spacing_kji)
    mean = fmean(dices[name] for name in watched or stage.produces)
    return ValidationScore(case.name, mean, unsure, dices if len(dices) > 1 else None)


def _dice(output: Output, found: np.ndarray, labels: Mapping[str, np.ndarray], spacing_kji: tuple[float, float, float]) -> float:
    """Of the voxels; of a network that marks the surface, on the manual cavity's surface voxels, to which the label is projected too."""
    if output.surface_mm is None or "cavity" not in labels:
        return dice(found, labels[output.product])
    wall, scar = wall_and_scar(labels, spacing_kji)
    return dice(found & (wall | scar), scar)


def score_cases(
    network: nn.Module,
    cases: Sequence[PreparedCase],
    folder: Path,
    stage: Stage,
    size: Preset,
    device: str,
    report: Callable[[float, str], None],
    watched: Sequence[str] = (),
    learned: Mapping[str, Any] = MappingProxyType({}),
) -> list[ValidationScore]:
    """Every case; the network comes back in training mode. `report(fraction, case)` may raise to stop."""
    network.eval()
    try:
        return [
            score_case(
                network, case, folder, stage, size, device, lambda done, n=n, case=case: report((n + done) / len(cases), case.name), watched,
                learned,
            )  # fmt: skip
            for n, case in enumerate(cases)
        ]
    finally:
        network.train()
