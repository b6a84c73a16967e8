"""Scores on whole prepared scans, tile by tile, as a model runs in use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..anatomy.overlap import dice
from ..inference.bundle_models import sigmoid
from ..inference.resampling import working_geometry
from ..inference.tiles import predict_tiles
from ..systems import Preset, Stage
from ..systems.uncertainty import uncertainty_mm
from ..volumes.volume import Volume
from .preparation import REGION, TARGET, PreparedCase

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class ValidationScore:
    """One validation case: Dice on the working grid, and how unsure the network is at the edge where the stage asks for it."""

    name: str
    dice: float
    uncertainty_mm: float | None = None


def score_case(
    network: nn.Module, case: PreparedCase, folder: Path, stage: Stage, size: Preset, device: str, report: Callable[[float], None]
) -> ValidationScore:
    """Run `network`, which is on `device` and in evaluation mode, over one case."""
    channels, labels = case.channels(folder).astype(np.float32), case.labels(folder) > 0
    logits = predict_tiles(network, channels, size.patch_kji, padding=stage.padding, device=device, report=report)
    probability = sigmoid(logits)
    if stage.mask_prediction:
        probability = probability * labels[REGION]
    unsure = None
    if stage.uncertain_threshold is not None:
        unsure = uncertainty_mm(Volume(probability, working_geometry(probability.shape, case.spacing_kji)))
    return ValidationScore(case.name, dice(probability > stage.threshold, labels[TARGET]), unsure)


def score_cases(
    network: nn.Module,
    cases: Sequence[PreparedCase],
    folder: Path,
    stage: Stage,
    size: Preset,
    device: str,
    report: Callable[[float, str], None],
) -> list[ValidationScore]:
    """Every case; the network comes back in training mode. `report(fraction, case)` may raise to stop."""
    network.eval()
    try:
        return [
            score_case(network, case, folder, stage, size, device, lambda done, n=n, case=case: report((n + done) / len(cases), case.name))
            for n, case in enumerate(cases)
        ]
    finally:
        network.train()
