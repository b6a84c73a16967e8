"""A training from its settings to its weights: prepare once, then train, or continue."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..datasets.layouts import listed
from ..datasets.patients import by_patient, read_patients
from ..datasets.training_cases import TrainingCase, find_training_cases
from ..errors import AtriumNotFound, Cancelled, InputError, ProcessingError
from ..support.progress import Progress
from ..support.whole_folder import check_folder, whole_folder
from ..systems import Sampler, Stage
from ..volumes.volume import Volume
from .cavities import choose_cavity_models, open_cavity_model, predict_cavity
from .hardware import Hardware, lightning_options
from .preparation import (
    CavityOf, PreparedCase, Split, check_cases, learned_from, not_simulated_together, prepare, split, split_by_name,
)  # fmt: skip
from .run_folder import PREPARED, RUN, TrainingRun, check_same, is_run, read_run
from .settings import BEST, LAST, TrainingSettings
from .start import StartingPoint, open_start

if TYPE_CHECKING:
    import lightning
    from torch.utils.data import DataLoader

    from .module import TrainingModule

ADVICE = ".*does not have many workers.*|.*srun.*|.*LeafSpec.*|.*dataloader is not resumable.*"
"""Of Lightning's, to be kept off the terminal."""
MOST_WORKERS = 8
"""More processes that cut patches don't make one graphics card faster."""
CHECKING_SHARE = 0.3
"""Of the preparation: every file is read once to be checked, and once to be prepared."""
WAIT_HOURS, WAIT_SECONDS = 12.0, 2.0
"""How long, and how often, another process looks whether the first one has prepared the cases."""


def start_run(settings: TrainingSettings, folder: str | Path, force: bool = False, progress: Progress | None = None) -> TrainingRun:
    """Check and prepare the cases; `folder` appears when all of them are.

    Raises
    ------
    InputError
        cases or labels that can't be used (see `find_training_cases`, `check_cases`, `split`), or a folder that is in use.
    """
    progress = progress or Progress()
    check_folder(folder, force, RUN)
    described = settings.described
    begun = _start_of(settings)
    cases = find_training_cases(settings.data, described.labels, settings.exclude)
    patients = read_patients(settings.patients) if settings.patients else {}
    cases = by_patient(cases, patients) if patients else cases
    predicted = settings.uses_predictions or settings.crops_around_predictions
    sources = [open_cavity_model(path) for path in settings.cavities] if predicted else []
    hashes, notes = check_cases(cases, described.labels, progress.part(0.0, CHECKING_SHARE))
    used = [case for case in cases if case.name in hashes]
    cut = _cut(used, settings)
    notes += _notes_of_patients(used, cut, settings, patients)
    chosen = choose_cavity_models(hashes, sources) if sources else {}
    cavity_of = (lambda sha256, scan: predict_cavity(chosen[sha256], scan)) if sources else None
    if settings.crops_around_predictions:
        cavity_of = _or_the_middle(cavity_of, {sha256: name for name, sha256 in hashes.items()}, notes)
    elif sources and settings.manual_where_not_found:
        cavity_of = _or_the_manual(cavity_of, {hashes[case.name]: case for case in used}, notes)
    with whole_folder(Path(folder), force, RUN) as partial:
        (partial / PREPARED).mkdir()
        prepared = _prepare_all(used, hashes, settings, partial / PREPARED, cavity_of, progress.part(CHECKING_SHARE, 1.0))
        simulated = not_simulated_together(prepared)
        if begun is not None:
            notes += _notes_of_start(begun, {name: hashes[name] for name in cut.validation}, simulated)
        learned = learned_from(described, [case for case in prepared if case.name in cut.training], partial / PREPARED)
        seen = begun.trained_on if begun else frozenset()
        run = TrainingRun(Path(folder), settings, prepared, cut, simulated, tuple(notes), seen, learned)
        run.write(partial)
    return read_run(folder)


def _cut(cases: Sequence[TrainingCase], settings: TrainingSettings) -> Split:
    if settings.validation:
        return split_by_name((case.name for case in cases), settings.validation)
    return split({case.name: case.group for case in cases}, settings.fold, settings.folds, settings.seed)


def _notes_of_patients(cases: Sequence[TrainingCase], cut: Split, settings: TrainingSettings, patients: Mapping[str, str]) -> list[str]:
    """Who is trained on although another scan of theirs is left out; `InputError` for a named validation that divides a patient."""
    if not patients:
        return []
    learned = {case.group for case in cases if case.name in cut.training}
    divided = [case.name for case in cases if case.name in cut.validation and case.group in learned]
    if divided:
        raise InputError(
            f"{listed(divided)}: to be validated on, but other scans of the same patients are trained on. Name all of a patient's scans."
        )
    known = learned | {patients.get(name) for name in cut.training}
    seen = [name for name in settings.exclude if patients.get(name) in known - {None}]
    return [f"{listed(seen)}: left out, but other scans of the same patients are trained on."] if seen else []


def _or_the_middle(cavity_of: CavityOf, names: Mapping[str, str], notes: list[str]) -> CavityOf:
    """`cavity_of`, empty where no atrium was found: a crop lies around the scan's middle there, and `notes` say so."""

    def found(sha256: str, scan: Volume) -> np.ndarray:
        try:
            return cavity_of(sha256, scan)
        except AtriumNotFound:
            notes.append(f"{names[sha256]}: the given model found no left atrium, so the network sees the middle of the scan.")
            return np.zeros(scan.array.shape, dtype=bool)

    return found


def _or_the_manual(cavity_of: CavityOf, cases: Mapping[str, TrainingCase], notes: list[str]) -> CavityOf:
    """`cavity_of`, the manual cavity where no atrium was found, and `notes` say so."""

    def found(sha256: str, scan: Volume) -> np.ndarray:
        try:
            return cavity_of(sha256, scan)
        except AtriumNotFound:
            notes.append(f"{cases[sha256].name}: the given model found no left atrium, so the manual cavity was taken.")
            return cases[sha256].labels["cavity"].read().array

    return found


def _start_of(settings: TrainingSettings) -> StartingPoint | None:
    """What the training starts from; `InputError` when it can't."""
    if not settings.start_from:
        return None
    start = open_start(settings.start_from)
    start.check(settings.size.plan, settings.described)
    return start


def _notes_of_start(start: StartingPoint, validation: dict[str, str], simulated: bool) -> list[str]:
    """What whoever reads the scores must know; `InputError` for real weights of simulated scans."""
    if start.simulated and not simulated:
        raise InputError(
            f"{start.title} was trained on simulated scans, these are real. Start from random weights, or from a model of real scans."
        )
    notes = [f"Started from {start.title}: its terms hold for what comes out, too."]
    seen = [name for name, sha256 in validation.items() if sha256 in start.trained_on]
    if seen:
        notes.append(f"{start.title} was trained on {listed(seen)}: the validation scores are too good there.")
    return notes


def _prepare_all(
    cases: list[TrainingCase],
    hashes: dict[str, str],
    settings: TrainingSettings,
    folder: Path,
    cavity_of: CavityOf | None,
    progress: Progress,
) -> tuple[PreparedCase, ...]:
    prepared = []
    for number, case in enumerate(cases):
        progress.report("prepare", number / len(cases), f"Preparing {case.name} ({number + 1} of {len(cases)})")
        try:
            prepared.append(prepare(case, hashes[case.name], settings.card(), settings.described, folder, cavity_of))
        except InputError as error:
            if case.name in str(error):
                raise
            raise InputError(f"{case.name}: {error}") from error
    return tuple(prepared)


def open_run(settings: TrainingSettings, folder: str | Path, resume: bool, force: bool, progress: Progress) -> TrainingRun:
    """A run to train in: a new one, or with `resume` the one in `folder`, if it has the same settings.

    Of several processes the first prepares, the others wait for it.
    """
    from lightning.pytorch.utilities import rank_zero_only

    if rank_zero_only.rank:
        return _waited_for(settings, Path(folder))
    if not resume:
        return start_run(settings, folder, force, progress)
    run = read_run(folder)
    check_same(run, settings)
    return run


def train(run: TrainingRun, machine: Hardware = Hardware(), progress: Progress | None = None) -> TrainingRun:
    """Train from the run's last checkpoint on, or from the start; the weights, curves and scores are in its folder.

    Raises
    ------
    ProcessingError
        the loss became infinite, or memory ran out; the last checkpoint stays.
    Cancelled
        the last checkpoint stays.
    """
    # Before it is told to be quiet: its own settings come with the import.
    import lightning  # noqa: F401

    total, progress = min(run.total_steps, machine.max_steps or run.total_steps), progress or Progress()
    with _quiet():
        reached = _where(run)
        if reached.finished:
            return run
        for number in range(reached.phase, len(run.settings.described.phases)):
            done = run.settings.steps_before(number)
            if total > done or number == 0:
                _train_phase(run, number, reached if number == reached.phase else _where(run), machine, total, progress)
    return run


@dataclass(frozen=True)
class _Reached:
    """How far a run's last checkpoint is: in which phase, and the epochs before; `file` is what goes on from there, if anything does."""

    phase: int = 0
    file: Path | None = None
    rows: tuple[Mapping[str, Any], ...] = ()
    finished: bool = False


def _where(run: TrainingRun) -> _Reached:
    import torch

    from .module import PHASE, PHASE_DONE

    last = run.folder / LAST
    if not last.is_file():
        return _Reached()
    state = torch.load(last, map_location="cpu", weights_only=True)
    phase, rows = state.get(PHASE, 0), ()
    for kept in state["callbacks"].values():
        rows = tuple(kept.get("rows", rows))
    if not state.get(PHASE_DONE, False):
        return _Reached(phase, last, rows)
    # A phase that a rule has stopped has steps left, which are not for it.
    return _Reached(phase + 1, None, rows, finished=phase + 1 == len(run.settings.described.phases))


def _train_phase(run: TrainingRun, number: int, reached: _Reached, machine: Hardware, total: int, progress: Progress) -> None:
    """One phase, from its last checkpoint on or from its start; raises as `train`."""
    import lightning

    from .module import TrainingModule, put_channels_last
    from .recorder import Recorder, stopped_text

    module = TrainingModule(run.settings, number)
    recorder = Recorder(run, progress, total, machine.validate_every, reached.rows)
    planned = module.epochs * run.settings.steps_per_epoch
    # Steps alone end a training: Lightning would count an epoch that was stopped half-way as a whole one.
    trainer = lightning.Trainer(
        **lightning_options(machine), max_steps=min(planned, total - module.steps_before), max_epochs=-1,
        gradient_clip_val=module.recipe.gradient_clip, accumulate_grad_batches=module.recipe.accumulate, callbacks=[recorder],
        use_distributed_sampler=False, logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        default_root_dir=run.folder,
    )  # fmt: skip
    if reached.file is None:
        _hand_on(run, module)
    if machine.channels_last:
        put_channels_last(module.network)
    try:
        trainer.fit(module, _loader(run, module, trainer, machine), ckpt_path=None if reached.file is None else str(reached.file))
    except (SystemExit, KeyboardInterrupt):
        # Lightning ends the program on Ctrl-C.
        raise Cancelled(stopped_text(run)) from None
    except Exception as error:
        if progress.is_cancelled:
            # Ctrl-C reaches the processes that cut patches as well, and may end them first.
            raise Cancelled(stopped_text(run)) from None
        raise _explained(error, run) from error


def _hand_on(run: TrainingRun, module: TrainingModule) -> None:
    """The weights that a phase begins with: those of the one before, or what the training starts from."""
    if module.number > 0:
        before = module.stage.phases[module.number - 1]
        module.network.load_state_dict(run.weights(BEST if before.hands_on == "best" else LAST))
    elif (start := _start_of(run.settings)) is not None:
        start.load_into(module.network, module.stage)


def _loader(run: TrainingRun, module: TrainingModule, trainer: lightning.Trainer, machine: Hardware) -> DataLoader:
    from torch.utils.data import DataLoader

    from .device_augmentation import DeviceAugmentation, collate
    from .patches import PatchDataset, SampleStream

    size, sampler = run.settings.size, module.phase.sampler or module.stage.sampler
    on_card = trainer.strategy.root_device.type != "cpu"
    on_device = _augments_on_device(machine, module.stage, sampler, on_card)
    dataset = PatchDataset(
        run.part(run.split.training), run.prepared, run.settings.described, size, run.settings.seed, sampler, run.learned, on_device
    )
    if on_device:
        module.augmentation = DeviceAugmentation(module.stage, dataset.transforms, dataset.patch)
    workers = min(MOST_WORKERS, (os.cpu_count() or 1) // 2) if machine.workers is None else machine.workers
    stream = SampleStream(
        size.batch_size * module.recipe.accumulate, run.settings.steps_per_epoch, lambda: module.steps_before + trainer.global_step,
        lambda: trainer.global_rank, lambda: trainer.world_size,
    )  # fmt: skip
    return DataLoader(
        dataset, size.batch_size, sampler=stream, num_workers=workers, persistent_workers=workers > 0,
        collate_fn=collate if on_device else None, pin_memory=on_device and on_card,
    )  # fmt: skip


def _augments_on_device(machine: Hardware, stage: Stage, sampler: Sampler, on_card: bool) -> bool:
    from .device_augmentation import can_augment

    possible = can_augment(stage, sampler)
    if machine.augment_on == "device" and not possible:
        raise InputError(f"The augmentation of the {stage.key} network can't be done on the device. Leave out --augment-on, or give cpu.")
    return possible and (machine.augment_on == "device" or (machine.augment_on == "auto" and on_card))


def _waited_for(settings: TrainingSettings, folder: Path) -> TrainingRun:
    until = time.monotonic() + WAIT_HOURS * 3600
    while time.monotonic() < until:
        if is_run(folder) and not (run := read_run(folder)).settings.differences(settings):
            return run
        time.sleep(WAIT_SECONDS)
    raise ProcessingError(f"The first process has not prepared {folder} within {WAIT_HOURS:g} hours. Look at what it says.")


def _explained(error: Exception, run: TrainingRun) -> Exception:
    """Out of memory in words; everything else as it is."""
    import torch

    if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error):
        patch = " × ".join(map(str, run.settings.size.patch_kji))
        return ProcessingError(
            f"There is not enough memory for {run.settings.size.batch_size} patches of {patch} voxels. Use a larger device, close other "
            "programs, or train the preset 'small'."
        )
    return error


@contextmanager
def _quiet() -> Iterator[None]:
    """Lightning's advertisements and advice stay off the terminal; its warnings about errors don't."""
    logger = logging.getLogger("lightning.pytorch")
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            # Samples follow from the step (`patches.SampleStream`): a training can be resumed anywhere in an epoch.
            warnings.filterwarnings("ignore", message=ADVICE)
            yield
    finally:
        logger.setLevel(before)
