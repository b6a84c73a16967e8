"""What a reproduction consists of: every training with its cases, in order, and every row that is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...datasets.parts import Parts, cut
from ...errors import InputError
from ...systems import Preset, Stage, System, find_system
from ...systems.reproduction import Row, Table, Training
from ...training.settings import TrainingSettings
from .request import MODELS, RUNS, ReproductionRequest

Units = Mapping[str, Mapping[str, str]]
"""By task and case what stays together, or the hash of its voxels."""


@dataclass(frozen=True)
class PlannedTraining:
    """One run: `name` of its folder and bundle, how it is trained, and the run of the coarse network that its bundle holds."""

    name: str
    training: Training
    settings: TrainingSettings
    coarse: str = ""
    validated: tuple[str, ...] = ()
    """The cases that it validates on, as far as they are known before."""


@dataclass(frozen=True)
class PlannedEnsemble:
    """A bundle of several runs, or of one: what is measured."""

    name: str
    runs: tuple[str, ...]
    coarse: str = ""


@dataclass(frozen=True)
class Measurement:
    """One row's masks on the scans of one fold: `cavity` and `scar` are bundles' names, `cavity` may be the manual one."""

    name: str
    row: Row
    structure: str
    task: str
    cases: tuple[str, ...]
    cavity: str = ""
    scar: str = ""


@dataclass(frozen=True)
class Steps:
    """All of it. `measured`: by table and row label the measurements of each fold."""

    trainings: tuple[PlannedTraining, ...]
    ensembles: Mapping[str, PlannedEnsemble]
    measured: Mapping[tuple[str, str], tuple[Measurement, ...]]
    parts: tuple[Mapping[str, Parts], ...]

    @property
    def measurements(self) -> list[Measurement]:
        """Each once: two tables may show the same."""
        return list({m.name: m for row in self.measured.values() for m in row}.values())


def with_coarse(request: ReproductionRequest) -> tuple[Training, ...]:
    """The trainings, with a coarse network before those that know an atrium's surroundings only and have nothing that finds them."""
    found: list[Training] = []
    for training in request.description.trainings:
        stage = stage_of(training, request)
        size = stage.preset(training.preset or request.preset)
        knows_a_box = not stage.takes_cavity and size.statistics == "region" and size.crop_kji is None
        if knows_a_box and not training.coarse and "coarse" in stage.presets:
            own = _system(training, request).stage(training.stage).variant
            coarse = replace(training, key=f"coarse_{training.task}", preset="coarse", variant=own, checkpoint="best")
            if all(before.key != coarse.key for before in found):
                found.append(coarse)
            training = replace(training, coarse=coarse.key)
        found.append(training)
    return tuple(found)


def _system(training: Training, request: ReproductionRequest) -> System:
    return find_system(training.system) if training.system else request.system


def stage_of(training: Training, request: ReproductionRequest) -> Stage:
    """The network's description."""
    return _system(training, request).stage(training.stage, training.variant)


def plan_steps(request: ReproductionRequest, hashes: Units, output: Path) -> Steps:
    """Every step, from the names and hashes of the scans; nothing is read.

    Raises
    ------
    InputError
        too few scans for the paper's cut.
    """
    description = request.description
    units = hashes if request.by_scan_hash else {task: {name: f"{task}/{name}" for name in cases} for task, cases in hashes.items()}
    least = min(len(set(cases.values())) for cases in units.values())
    outer = min(description.split.folds, least) if description.split.folds > 1 else 1
    shares = (description.split.validation, description.split.test, outer)
    parts = tuple(cut(units, *shares, fold=fold, seed=request.seed) for fold in range(outer))
    planner = _Planner(request, hashes, output, parts)
    return planner.steps()


class _Planner:
    """Names and settings of every step; state only while they are put together."""

    def __init__(self, request: ReproductionRequest, hashes: Units, output: Path, parts: Sequence[Mapping[str, Parts]]) -> None:
        self.request, self.hashes, self.output, self.parts = request, hashes, output, tuple(parts)
        self.trainings = with_coarse(request)
        self.inner: dict[tuple[str, int], int] = {}

    def steps(self) -> Steps:
        planned: list[PlannedTraining] = []
        ensembles: dict[str, PlannedEnsemble] = {}
        for fold in range(len(self.parts)):
            for training in self.trainings:
                runs = self._runs(training, fold)
                planned += runs
                name = self._name(training.key, fold)
                ensembles[name] = PlannedEnsemble(name, tuple(run.name for run in runs), runs[0].coarse)
        measured = {}
        for table in self.request.description.tables:
            for row in table.rows:
                if not row.absent:
                    measured[table.key, row.label] = tuple(self._measurement(table, row, fold) for fold in range(len(self.parts)))
        return Steps(tuple(planned), ensembles, measured, self.parts)

    def _name(self, key: str, fold: int, inner: int | None = None) -> str:
        of_fold = f"_fold{fold + 1}" if len(self.parts) > 1 else ""
        return f"{key}{of_fold}" + ("" if inner is None else f"_part{inner + 1}")

    def _run_names(self, key: str, fold: int) -> list[str]:
        count = self.inner[key, fold]
        return [self._name(key, fold, n if count > 1 else None) for n in range(count)]

    def _cases(self, training: Training, fold: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of those to validate on (none: a cross-validation of the rest), and of those that are left out."""
        parts = self.parts[fold][training.task]
        if training.all_scans:
            others = {task: p for task, p in self.parts[fold].items() if task != training.task}
            held = {self.hashes[task][name] for task, p in others.items() for name in (*p.validation, *p.test)}
            same = tuple(name for name, sha256 in sorted(self.hashes[training.task].items()) if sha256 in held)
            return (), same if self.request.by_scan_hash else ()
        if training.folds > 1:
            return (), tuple(sorted((*parts.validation, *parts.test)))
        # Where the paper has no validation the measured scans are watched; its last weights are taken, so they choose nothing.
        return (parts.validation, parts.test) if parts.validation else (parts.test, ())

    def _runs(self, training: Training, fold: int) -> list[PlannedTraining]:
        validation, exclude = self._cases(training, fold)
        # A scan that comes twice is used once.
        used = {sha256 for name, sha256 in self.hashes[training.task].items() if name not in exclude}
        self.inner[training.key, fold] = inner = 1 if validation else min(max(2, training.folds), len(used))
        coarse = self._run_names(training.coarse, fold) if training.coarse else []
        rest = tuple(name for name in self.hashes[training.task] if name not in exclude)
        runs = []
        for number, name in enumerate(self._run_names(training.key, fold)):
            settings = self._settings(training, fold, validation, exclude, number, inner)
            watched = validation or rest[number::inner]
            runs.append(PlannedTraining(name, training, settings, coarse[number % len(coarse)] if coarse else "", watched))
        return runs

    def _settings(
        self, training: Training, fold: int, validation: tuple[str, ...], exclude: tuple[str, ...], number: int, inner: int
    ) -> TrainingSettings:
        request, stage = self.request, stage_of(training, self.request)
        size: Preset = stage.preset(training.preset or request.preset)
        predicting = self._run_names(training.cavities, fold) if training.cavities else []
        cavities = tuple(str(self.output / MODELS / f"{name}.zip") for name in predicting)
        start = str(self.output / RUNS / self._name(training.start_from, fold)) if training.start_from else ""
        steps = stage.phases[0].optimiser.iterations_per_epoch if request.steps_per_epoch is None else request.steps_per_epoch
        return TrainingSettings(
            system=training.system or request.paper, stage=training.stage, variant=training.variant,
            preset=training.preset or request.preset, data=str(Path(request.data) / training.task),
            size=size if request.epochs is None else replace(size, epochs=request.epochs), steps_per_epoch=steps, fold=number,
            folds=max(2, inner), seed=request.seed, exclude=exclude, cavities=cavities, start_from=start,
            anatomy="predicted" if cavities else "truth", validation=validation, manual_where_not_found=True,
        )  # fmt: skip

    def _measurement(self, table: Table, row: Row, fold: int) -> Measurement:
        known = {training.key for training in self.trainings}
        cavity, scar = (self._name(key, fold) if key in known else key for key in (row.cavity, row.scar))
        said = "-".join(filter(None, (cavity, row.cavity_variant, scar, row.scar_variant, row.rule)))
        name = f"{table.structure}-{table.task}-{table.part}-{said}" + (f"_of_fold{fold + 1}" if len(self.parts) > 1 else "")
        cases = self.parts[fold][table.task].part(table.part)
        if not cases:
            raise InputError(f"{table.title}: no scan of {table.task} is left to measure. Add cases.")
        return Measurement(name, row, table.structure, table.task, cases, cavity, scar)
