"""A model bundle from finished runs, one for each fold."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from .. import __version__
from ..errors import InputError
from ..models.bundle import Bundle, check_target, write_bundle
from ..models.card import ModelCard, NetworkSpec
from ..models.store import ModelStore
from ..networks.weights import pack_tensors
from ..systems.uncertainty import MINIMUM_CASES, SCORE, UncertaintyReference
from .cavities import TRAINED_ON
from .run_folder import TrainingRun, is_run, read_run
from .settings import BEST, LAST

COARSE_WEIGHTS = "coarse.safetensors"
CHECKPOINTS = {"best": BEST, "last": LAST}


@dataclass(frozen=True)
class ExportRequest:
    """What a bundle says beyond its runs; None: the card's own words."""

    name: str | None = None
    version: str = "1.0"
    licence: str | None = None
    intended_use: str | None = None
    terms: str | None = None
    data: str | None = None
    """What it was trained on, in words; None: the name of the data's folder."""
    checkpoint: str = "best"
    half: bool = False
    """Weights in 16 bits: half the size."""
    coarse: Path | None = None
    """A run of a cavity stage's coarse preset, whose network finds the atrium first; or a model or bundle to take that network from."""
    measured: Path | None = None
    """A JSON file with scores on scans that were never used; the card keeps it as `measured` beside the validation's."""
    extra: tuple[Path, ...] = ()
    """Files that lie beside the weights: LICENSE.txt, README.md."""

    def __post_init__(self) -> None:
        if self.checkpoint not in CHECKPOINTS:
            raise InputError(f"There is no checkpoint {self.checkpoint!r}; choose one of {', '.join(CHECKPOINTS)}.")


def export_runs(folders: Sequence[str | Path], target: str | Path, request: ExportRequest = ExportRequest(), force: bool = False) -> Bundle:
    """Write the networks of `folders`, runs of one training that differ in their fold, as one bundle: an ensemble.

    Raises
    ------
    InputError
        no run, runs of different trainings, one fold twice, nothing trained, or `target` in use.
    """
    runs = sorted((read_run(folder) for folder in folders), key=lambda run: run.settings.fold)
    check_target(Path(target).expanduser().absolute(), force)
    _check_together(runs)
    names = tuple(f"fold_{run.settings.fold}.safetensors" for run in runs)
    files = {path.name: path.read_bytes() for path in request.extra}
    files |= {name: _packed(run, request) for name, run in zip(names, runs)}
    card = _card(runs, names, request)
    if request.coarse is not None:
        coarse = _coarse_network(request.coarse, runs[0], request)
        files[COARSE_WEIGHTS] = coarse.weights
        card = _with_coarse(card, coarse)
    return write_bundle(card, files, target, force=force)


def _check_together(runs: Sequence[TrainingRun]) -> None:
    for run in runs[1:]:
        keys = [key for key in runs[0].settings.differences(run.settings) if key != "fold"]
        if keys:
            raise InputError(
                f"{runs[0].folder} and {run.folder} are different trainings (they differ in {', '.join(keys)}). Export them apart."
            )
        if run.simulated != runs[0].simulated:
            raise InputError(f"Only one of {runs[0].folder} and {run.folder} was trained on simulated scans. Export them apart.")
    folds = [run.settings.fold for run in runs]
    if len(set(folds)) < len(folds):
        raise InputError(f"The runs are of the folds {', '.join(map(str, folds))}: give each fold once.")


@dataclass(frozen=True, eq=False)
class _CoarseNetwork:
    """What a bundle keeps of the network that finds the atrium first; `trained_on`: voxel hashes."""

    spec: NetworkSpec
    weights: bytes
    about: Mapping[str, Any]
    trained_on: frozenset[str]


def _coarse_network(path: Path, fine: TrainingRun, request: ExportRequest) -> _CoarseNetwork:
    """Of a run of the coarse preset, or of a bundle that has one."""
    if fine.settings.described.takes_cavity:
        raise InputError(f"{fine.folder} is a {fine.settings.stage} stage; the network that the region is found for must be of a cavity stage.")
    if is_run(path):
        return _coarse_of_run(read_run(path), fine, request)
    store = ModelStore()
    bundle = store.open(str(path))
    store.require_terms(bundle)
    card = bundle.card
    if card.coarse is None:
        raise InputError(f"{path} has no coarse network. Give a run of a coarse preset, or a model that has one.")
    _require_real(path, card.simulated, fine)
    spec = replace(card.coarse, weights=(COARSE_WEIGHTS,))
    about = dict(card.training.get("coarse", {})) | {"taken_from": card.reference}
    return _CoarseNetwork(spec, bundle.weights(card.coarse.weights[0]), about, frozenset(card.training.get(TRAINED_ON, ())))


def _coarse_of_run(coarse: TrainingRun, fine: TrainingRun, request: ExportRequest) -> _CoarseNetwork:
    if coarse.settings.described.takes_cavity:
        raise InputError(f"{coarse.folder} is a {coarse.settings.stage} stage; the coarse network must be of a cavity stage.")
    if coarse.settings.size.statistics != "image":
        raise InputError(f"{coarse.folder} was trained on regions; a coarse network must know whole scans (--preset coarse).")
    _require_real(coarse.folder, coarse.simulated, fine)
    size, score = coarse.settings.size, coarse.scores()[request.checkpoint]
    about = {
        "data": Path(coarse.settings.data).name, "cases": len(coarse.cases), "steps": score["step"],
        "dice_mean": round(score["dice"], 4), "grid_mm": list(size.spacing_kji),
    }  # fmt: skip
    spec = NetworkSpec(size.plan.for_use(), size.spacing_kji, size.patch_kji, (COARSE_WEIGHTS,))
    return _CoarseNetwork(spec, _packed(coarse, request), about, coarse.trained_on)


def _require_real(path: Path, simulated: bool, fine: TrainingRun) -> None:
    if simulated and not fine.simulated:
        raise InputError(f"{path} was trained on simulated scans alone, {fine.folder} on real ones. Train both on real scans.")


def _with_coarse(card: ModelCard, coarse: _CoarseNetwork) -> ModelCard:
    hashes = sorted(frozenset(card.training.get(TRAINED_ON, ())) | coarse.trained_on)
    return replace(card, coarse=coarse.spec, training=card.training | {"coarse": dict(coarse.about), TRAINED_ON: hashes})


def _packed(run: TrainingRun, request: ExportRequest) -> bytes:
    weights = run.weights(CHECKPOINTS[request.checkpoint])
    left_out = run.settings.size.plan.training_only
    return pack_tensors({name: value for name, value in weights.items() if not name.startswith(left_out)}, half=request.half)


def _card(runs: Sequence[TrainingRun], names: tuple[str, ...], request: ExportRequest) -> ModelCard:
    about = {key: getattr(request, key) for key in ("name", "version", "licence", "intended_use", "terms")}
    said = {key: value for key, value in about.items() if value is not None}
    scores = [run.scores()[request.checkpoint] for run in runs]
    training = _training(runs, scores, request)
    found = _scores(runs, scores) | ({"measured": _measured(request.measured)} if request.measured else {})
    if runs[0].settings.described.learn is not None:
        said["learned"] = {name: dict(run.learned) for name, run in zip(names, runs)}
    return runs[0].settings.card(weights=names, training=training, scores=found, simulated=runs[0].simulated, **said)


def _measured(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"The measured scores {path} can't be read: {error}. Give a JSON file.") from error


def _training(runs: Sequence[TrainingRun], scores: Sequence[dict[str, Any]], request: ExportRequest) -> dict[str, Any]:
    settings = runs[0].settings
    about = {
        "data": request.data or Path(settings.data).name, "cases": len(runs[0].cases), "folds": settings.folds,
        "trained_folds": [run.settings.fold for run in runs], "steps": [score["step"] for score in scores],
        "planned_steps": runs[0].total_steps, "preset": settings.preset, "seed": settings.seed, "program": f"LAScarSeg {__version__}",
        "date": date.today().isoformat(), TRAINED_ON: sorted(frozenset().union(*(run.trained_on for run in runs))),
    }  # fmt: skip
    if settings.start_from:
        about["started_from"] = Path(settings.start_from).name
    if settings.ema is not None:
        about["ema"] = settings.ema
    return about | ({"anatomy": settings.anatomy} if settings.described.sees_cavity(settings.size) else {})


def _scores(runs: Sequence[TrainingRun], scores: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean and SD of the validation Dice over the cases of all folds, each scored by the network that hasn't trained on it."""
    cases = [case for score in scores for case in score["cases"]]
    values = [case["dice"] for case in cases]
    grid = " × ".join(f"{s:g}" for s in runs[0].settings.size.spacing_kji)
    found = {
        "data": f"validation cases of the trained folds, at {grid} mm; the checkpoint was chosen by this score",
        "cases": len(values), "dice_mean": round(fmean(values), 4),
    }  # fmt: skip
    if len(values) > 1:
        found["dice_sd"] = round(stdev(values), 4)
    unsure = [case["uncertainty_mm"] for case in cases if case["uncertainty_mm"] not in (None, float("inf"))]
    if len(unsure) >= MINIMUM_CASES:
        found[SCORE] = UncertaintyReference.of(unsure).to_json()
    return found
