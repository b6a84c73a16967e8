"""Networks of about a sixth of the preset `small`'s cost, for a processor that is shared: what an ablation of many trainings can afford."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from layout import ROOT

sys.path.insert(0, str(ROOT))

from LAScarSegLib.errors import InputError
from LAScarSegLib.networks.plan import NetworkPlan
from LAScarSegLib.progress import Progress, ProgressEvent
from LAScarSegLib.systems import Preset, find_system
from LAScarSegLib.training.run_folder import Run, is_run, read_run
from LAScarSegLib.training.settings import TrainingSettings
from LAScarSegLib.training.train import Machine, open_run, train

FEATURES = (8, 16, 32, 48)
SCAR_SPACING_KJI, SCAR_PATCH_KJI = (2.5, 1.25, 1.25), (16, 64, 64)
"""The preset `small`'s slices; 40 × 80 × 80 mm."""
CAVITY_SPACING_KJI, CAVITY_PATCH_KJI = (2.5, 2.5, 2.5), (32, 32, 32)
"""80 mm in every direction: most of an atrium."""
BATCH = 2
SAID_EVERY = 20
"""Events, most of them steps, between two lines on the screen."""


def tiny(channels: int, stage: str, epochs: int) -> Preset:
    """The preset for `channels` input channels; its z-score is over what the network sees, so that the field of view doesn't matter."""
    thick = stage == "scar"
    spacing, patch = (SCAR_SPACING_KJI, SCAR_PATCH_KJI) if thick else (CAVITY_SPACING_KJI, CAVITY_PATCH_KJI)
    strides = ((1, 1, 1), (1, 2, 2) if thick else (2, 2, 2), (2, 2, 2), (2, 2, 2))
    kernels = ((1, 3, 3) if thick else (3, 3, 3), *((3, 3, 3),) * 3)
    return Preset(NetworkPlan(channels, 2, FEATURES, strides, kernels), spacing, patch, BATCH, epochs, "region", mirror=False)


def train_tiny(
    folder: Path,
    data: Path,
    system: str,
    stage: str,
    epochs: int,
    *,
    variant: str = "full",
    validations: int = 3,
    max_steps: int | None = None,
    **choices: object,
) -> Run:
    """Train, or go on with, the run in `folder`; `choices` are those of `TrainingSettings`."""
    described = find_system(system).stage(stage, variant)
    size = tiny(len(described.channels), stage, epochs)
    settings = TrainingSettings(system=system, stage=stage, variant=variant, data=str(data), size=size, preset="tiny", **choices)
    print(f"{folder.name}: {epochs * settings.steps_per_epoch} steps", flush=True)
    progress = Progress(Screen())
    run = open_run(settings, folder, is_run(folder), False, progress)
    if not finished(run):
        every = max(1, epochs // validations)
        train(run, Machine(device="cpu", precision="32", workers=1, max_steps=max_steps, validate_every=every), progress)
    return read_run(folder)


def finished(run: Run) -> bool:
    """Whether every planned step is done."""
    try:
        return run.scores()["last"]["step"] >= run.total_steps
    except InputError:
        return False


class Screen:
    """Prints every twentieth thing that a training reports."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, event: ProgressEvent) -> None:
        if self.count % SAID_EVERY == 0:
            print(f"{100 * event.fraction:5.1f} %  {event.message}", flush=True)
        self.count += 1
