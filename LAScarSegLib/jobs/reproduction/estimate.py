"""What a reproduction would take: hours on this machine's device, and room on the disk."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...datasets.lascarqs import LascarqsFolder
from ...errors import InputError
from ...networks.architectures import in_scan, spacing_in_scan
from ...training.pace import operations_per_second, training_seconds
from .steps import PlannedTraining, Steps

CHECKPOINT_BYTES = 28
"""Of each weight: two checkpoints with up to two moments of the optimiser, and the bundle; 4 bytes each."""
MEASURE_SECONDS = 30.0
"""Of a scan in a row, about: reading, surfaces and distances of 40 million voxels, beside the network."""


@dataclass(frozen=True)
class Estimate:
    """Hours of each training by its name, of measuring, and the bytes that are needed."""

    training_hours: dict[str, float]
    measuring_hours: float
    room_bytes: int

    @property
    def hours(self) -> float:
        """Of everything."""
        return sum(self.training_hours.values()) + self.measuring_hours


def estimate(steps: Steps, folder: LascarqsFolder, device: str, validate_every: int) -> Estimate:
    """Measures the device for a second; trainings as if none stopped early. Imports torch."""
    per_second = operations_per_second(device)
    hours = {}
    for run in steps.trainings:
        extents = [tuple(reversed(scan.geometry.extent_mm)) for scan in folder.tasks[run.training.task] if scan.case.name in run.validated]
        hours[run.name] = training_seconds(run.settings, extents, validate_every, per_second) / 3600
    measured = sum(len(m.cases) for m in steps.measurements)
    return Estimate(hours, measured * MEASURE_SECONDS / 3600, room_needed(steps, folder))


def room_needed(steps: Steps, folder: LascarqsFolder) -> int:
    """Bytes: what the largest training prepares (it is removed when that is done), and the weights of all."""
    weights = sum(run.settings.size.plan.parameters * CHECKPOINT_BYTES for run in steps.trainings)
    return weights + max(_prepared_bytes(run, folder) for run in steps.trainings)


def _prepared_bytes(run: PlannedTraining, folder: LascarqsFolder) -> int:
    size, stage = run.settings.size, run.settings.described
    each = 2 * len(stage.channels) + len(stage.produces) + 1 + 2 * sum(max(1, len(target.padding)) for target in stage.targets)
    total = 0
    for scan in folder.tasks[run.training.task]:
        spacing = spacing_in_scan(size.spacing_kji, scan.geometry.spacing_kji)
        seen: Sequence[float] = [mm / s for mm, s in zip(reversed(scan.geometry.extent_mm), spacing)]
        if size.crop_kji is not None:
            seen = [min(n, crop) for n, crop in zip(seen, in_scan(size.crop_kji))]
        total += math.ceil(math.prod(seen)) * each
    return total


def check_room(steps: Steps, folder: LascarqsFolder, place: Path) -> None:
    """`InputError` when the disk of `place` has less room than the reproduction takes: it would stop after days."""
    if not place.is_dir():
        # `check_folder` has words for it.
        return
    needed, free = room_needed(steps, folder), shutil.disk_usage(place).free
    if free < needed:
        raise InputError(
            f"The disk of {place} has {free / 1e9:.1f} GB left; the trainings need about {needed / 1e9:.1f} GB. Nothing was begun. Free "
            "some space, or give an output folder on another disk."
        )
