"""What would be done, for whoever asks before weeks of training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...datasets.lascarqs import open_lascarqs
from ...inference.device import choose_device
from .engine import cut_in_words, remarks_of
from .estimate import estimate
from .request import ReproductionRequest, read_begun
from .steps import plan_steps


@dataclass(frozen=True)
class PlannedLine:
    """One training."""

    name: str
    what: str
    steps: int
    hours: float


@dataclass(frozen=True)
class ReproductionPlan:
    """Everything that `--plan` says: the trainings, then lines."""

    title: str
    preset: str
    trainings: tuple[PlannedLine, ...]
    lines: tuple[str, ...]


def make_plan(request: ReproductionRequest, output: Path | None = None, device: str = "auto") -> ReproductionPlan:
    """Reads headers, no voxels, and measures the device for a second; what was begun in `output` counts, nothing is written.

    Raises `InputError` as `engine.reproduce`.
    """
    begun = read_begun(output.expanduser().resolve(), request) if output is not None else None
    folder = open_lascarqs(request.data, request.description.tasks)
    # Without the voxels every file is a scan of its own.
    hashes = begun.hashes if begun else {task: {name: f"{task}/{name}" for name in folder.names(task)} for task in folder.tasks}
    steps = plan_steps(request, hashes, output or Path("OUTPUT"))
    chosen = choose_device(device)
    expected = estimate(steps, folder, chosen.key, request.description.validate_every)
    trainings = tuple(
        PlannedLine(
            run.name, f"{run.settings.stage} {run.settings.variant}, {run.training.task}",
            run.settings.total_epochs * run.settings.steps_per_epoch, expected.training_hours[run.name],
        )
        for run in steps.trainings
    )  # fmt: skip
    tables = [f"{table.title} ({table.part} of {table.task})" for table in request.description.tables]
    lines = (
        *cut_in_words(steps),
        *remarks_of(request, folder, begun.hashes if begun else None),
        f"{len(steps.trainings)} trainings and {len(steps.measurements)} rows to measure: {'; '.join(tables)}.",
        f"About {_time(expected.hours)} on {chosen}, if no training stops early: what one convolution takes, times the operations. Right to a "
        "factor of two or three.",
        f"About {expected.room_bytes / 1e9:.1f} GB on the disk.",
        *request.description.differences,
    )
    return ReproductionPlan(request.system.title, request.preset, trainings, lines)


def _time(hours: float) -> str:
    if hours < 2:
        return f"{hours * 60:.0f} minutes"
    return f"{hours:,.0f} hours" + (f" ({hours / 24:,.0f} days)" if hours > 72 else "")
