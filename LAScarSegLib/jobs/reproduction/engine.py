"""A reproduction from its request to its tables. What is on disk is what is done: after any kill the same call goes on where it was."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...datasets.lascarqs import LascarqsFolder, Scan, duplicates, hash_scans, open_lascarqs, said_of_duplicates
from ...datasets.layouts import CAVITY, SCAR, listed
from ...errors import Cancelled, InputError
from ...evaluation.as_published import CaseResult, FoundCavity, find_cavity, find_scar, read_as, scar_by_rule, score_as_published
from ...evaluation.published_tables import ReproducedTable, reproduce_table
from ...models.bundle import Bundle, read_bundle
from ...output.report import require_jinja2
from ...output.reproduction_report import write_tables
from ...support.one_at_a_time import alone_in
from ...support.progress import Progress
from ...support.whole_folder import disk_error
from ...systems.reproduction import MANUAL, Reproduction
from ...training.export import ExportRequest, export_runs
from ...training.run_folder import PREPARED, is_run, write_whole
from ...training.train import Hardware, open_run, train
from ...volumes.volume import Volume
from .estimate import check_room
from .request import MODELS, RUNS, SCORES, Begun, ReproductionRequest, read_begun, write_begun
from .steps import Measurement, PlannedEnsemble, PlannedTraining, Steps, plan_steps

HASHING_SHARE, TRAINING_SHARE = 0.02, 0.93
"""Where they end in the progress; the rest is measuring."""
PREPARATION_SHARE = 0.05
"""Of a training's."""


@dataclass(frozen=True)
class Reproduced:
    """What came out: the folder with the tables, what a reader should know, and the tables."""

    folder: Path
    remarks: tuple[str, ...]
    tables: tuple[ReproducedTable, ...]


def reproduce(
    request: ReproductionRequest, output: str | Path, machine: Hardware = Hardware(), progress: Progress | None = None
) -> Reproduced:
    """Train, measure and write the tables of a paper, or go on with what is in `output`.

    Raises
    ------
    InputError
        data that are not LAScarQS's or can't be cut as the paper's, a folder of something else or in which another process works, too little
        room on the disk.
    ProcessingError
        a training failed, or the disk is full; what was done stays.
    Cancelled
        what was done stays.
    """
    output, progress = Path(output).expanduser().resolve(), progress or Progress()
    # Not after weeks.
    require_jinja2()
    begun = read_begun(output, request)
    folder = open_lascarqs(request.data, request.description.tasks)
    if begun is None:
        hashes = hash_scans(folder, progress.part(0.0, HASHING_SHARE))
        # What can't be cut is said before anything is written.
        check_room(plan_steps(request, hashes, output), folder, output.parent)
        begun = write_begun(output, request, hashes)
    _check_scans(begun, folder)
    steps = plan_steps(request, begun.hashes, output)
    work = _Work(begun, folder, replace(machine, validate_every=request.description.validate_every))
    try:
        with alone_in(output):
            _train_all(work, steps, progress.part(HASHING_SHARE, TRAINING_SHARE))
            return _write(work, steps, _measure_all(work, steps, progress.part(TRAINING_SHARE, 1.0)))
    except Cancelled as error:
        raise Cancelled(f"Stopped. What was done is in {output}; the same command goes on there.") from error
    except OSError as error:
        raise disk_error(error, output) from error


@dataclass(frozen=True)
class _Work:
    """What every step needs, and the cavities that were found in this process, packed: by bundle, variant and case."""

    begun: Begun
    folder: LascarqsFolder
    machine: Hardware
    cavities: dict[tuple[str, str, str], tuple[np.ndarray, np.ndarray | None, str]] = field(default_factory=dict)

    @property
    def description(self) -> Reproduction:
        return self.begun.request.description

    def path(self, *names: str) -> Path:
        return self.begun.folder.joinpath(*names)

    def bundle(self, name: str) -> Bundle:
        return read_bundle(self.path(MODELS, f"{name}.zip"))

    def scan(self, task: str, name: str) -> Scan:
        return next(scan for scan in self.folder.tasks[task] if scan.case.name == name)


def _check_scans(begun: Begun, folder: LascarqsFolder) -> None:
    changed = [f"{task}/{name}" for task, cases in begun.hashes.items() for name in set(cases) ^ set(folder.names(task))]
    if changed:
        raise InputError(
            f"{folder.root} has other scans than when {begun.folder} was begun: {listed(sorted(changed))}. Put them back, or give another "
            "folder."
        )


def _train_all(work: _Work, steps: Steps, progress: Progress) -> None:
    total = sum(run.settings.total_epochs * run.settings.steps_per_epoch for run in steps.trainings)
    done = 0
    for run in steps.trainings:
        share = run.settings.total_epochs * run.settings.steps_per_epoch
        part = progress.part(done / total, (done + share) / total)
        if not work.path(MODELS, f"{run.name}.zip").is_file():
            _train(work, run, part)
        done += share
    for name, ensemble in steps.ensembles.items():
        if not work.path(MODELS, f"{name}.zip").is_file():
            _export(work, ensemble, steps)


def _train(work: _Work, run: PlannedTraining, progress: Progress) -> None:
    """One run from nothing or from its last checkpoint, and its bundle, with which it is done; what was prepared for it is removed then."""
    folder = work.path(RUNS, run.name)
    progress.report("training", 0.0, f"Training {run.name}")
    opened = open_run(run.settings, folder, is_run(folder), False, progress.part(0.0, PREPARATION_SHARE))
    train(opened, work.machine, progress.part(PREPARATION_SHARE, 1.0))
    _export_runs(work, (run.name,), run.name, run.training.checkpoint, run.coarse)
    shutil.rmtree(folder / PREPARED, ignore_errors=True)


def _export(work: _Work, ensemble: PlannedEnsemble, steps: Steps) -> None:
    run = next(run for run in steps.trainings if run.name == ensemble.runs[0])
    _export_runs(work, ensemble.runs, ensemble.name, run.training.checkpoint, ensemble.coarse)


def _export_runs(work: _Work, runs: Sequence[str], name: str, checkpoint: str, coarse: str) -> None:
    called = f"{work.begun.request.paper}-{name}".replace("_", "-")
    asked = ExportRequest(name=called, checkpoint=checkpoint, coarse=work.path(RUNS, coarse) if coarse else None)
    export_runs([work.path(RUNS, run) for run in runs], work.path(MODELS, f"{name}.zip"), asked)


def _measure_all(work: _Work, steps: Steps, progress: Progress) -> dict[str, list[CaseResult]]:
    measurements, results = steps.measurements, {}
    for number, measurement in enumerate(measurements):
        file = work.path(SCORES, f"{measurement.name}.json")
        if not file.is_file():
            part = progress.part(number / len(measurements), (number + 1) / len(measurements))
            found = _measure(work, measurement, part)
            write_whole(file, json.dumps([result.to_json() for result in found], indent=1, allow_nan=False) + "\n")
        # Read back, so that a run that was stopped and one that wasn't show the same.
        results[measurement.name] = [CaseResult.from_json(entry) for entry in json.loads(file.read_text(encoding="utf-8"))]
    return results


def _measure(work: _Work, measurement: Measurement, progress: Progress) -> list[CaseResult]:
    found = []
    for number, name in enumerate(measurement.cases):
        progress.report("measuring", number / len(measurement.cases), f"Measuring {measurement.row.label}: {measurement.task}, {name}")
        found.append(_measure_case(work, measurement, work.scan(measurement.task, name)))
    return found


def _measure_case(work: _Work, measurement: Measurement, scan: Scan) -> CaseResult:
    case, row = scan.case, measurement.row
    image = case.read_image()
    manual = case.labels[CAVITY].read()
    cavity = FoundCavity.manual(manual) if measurement.cavity == MANUAL else _cavity(work, measurement, scan, image)
    if measurement.structure == CAVITY:
        return score_as_published(case.name, cavity.scored, manual, note=cavity.note)
    if row.rule:
        mask, note = scar_by_rule(row.rule, image, cavity)
    else:
        bundle = read_as(work.bundle(measurement.scar), row.scar_variant)
        mask, note = find_scar(bundle, image, cavity, work.machine.device, work.description.mask_prediction)
    return score_as_published(case.name, mask, case.labels[SCAR].read(), manual, note)


def _cavity(work: _Work, measurement: Measurement, scan: Scan, image: Volume) -> FoundCavity:
    """Found once for all rows that measure on it."""
    key = (measurement.cavity, measurement.row.cavity_variant, f"{measurement.task}/{scan.case.name}")
    if key not in work.cavities:
        bundle = read_as(work.bundle(measurement.cavity), measurement.row.cavity_variant)
        found = find_cavity(bundle, image, work.machine.device, work.description.largest_part)
        used = None if found.used is None else np.packbits(found.used.array > 0)
        work.cavities[key] = np.packbits(found.scored), used, found.note
    scored, used, note = work.cavities[key]

    def unpacked(bits: np.ndarray) -> np.ndarray:
        return np.unpackbits(bits, count=image.array.size).reshape(image.array.shape)

    return FoundCavity(unpacked(scored) > 0, None if used is None else Volume(unpacked(used), image.geometry), note)


def _write(work: _Work, steps: Steps, results: Mapping[str, list[CaseResult]]) -> Reproduced:
    request = work.begun.request
    tables = tuple(
        reproduce_table(table, {row.label: [results[m.name] for m in steps.measured.get((table.key, row.label), ())] for row in table.rows})
        for table in work.description.tables
    )
    remarks = remarks_of(request, work.folder, work.begun.hashes)
    about: dict[str, Any] = {"cut": cut_in_words(steps), "simulated": work.folder.simulated, "remarks": remarks}
    write_tables(work.begun.folder, request.system, request.preset, tables, about)
    return Reproduced(work.begun.folder, tuple(remarks), tables)


def remarks_of(request: ReproductionRequest, folder: LascarqsFolder, hashes: Mapping[str, Mapping[str, str]] | None) -> list[str]:
    """What a reader must know beside the tables: duplicates (None: not looked for yet), preset, shortened trainings."""
    lines = ["Duplicates are looked for when it runs."] if hashes is None else said_of_duplicates(duplicates(hashes))
    kept = "copies of one scan are kept on one side" if request.by_scan_hash else "each file counts as a scan, as in the paper"
    lines.append(f"The cut: {kept}.")
    if request.preset != "paper":
        lines.append(f"Trained with the preset {request.preset}: not the paper's networks, and no comparison with its numbers.")
    if request.epochs is not None or request.steps_per_epoch is not None:
        asked_for = (("epochs", request.epochs), ("steps an epoch", request.steps_per_epoch))
        asked = ", ".join(f"{value} {name}" for name, value in asked_for if value)
        lines.append(f"Trained for another time than the preset's: {asked}.")
    return lines


def cut_in_words(steps: Steps) -> list[str]:
    """How many scans of each task are in each part; of several folds the first one's."""
    lines = []
    for task, parts in steps.parts[0].items():
        said = ", ".join(f"{len(parts.part(part))} {part}" for part in ("training", "validation", "test") if parts.part(part))
        lines.append(f"{task}: {said}" + (f", in each of {len(steps.parts)} folds" if len(steps.parts) > 1 else ""))
    return lines
