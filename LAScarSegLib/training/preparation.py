"""One pass over the cases: checked, deduplicated, cut into folds, resampled, normalised, and kept in the run's folder.

The channels come from the function that makes them when a model runs (`inference.preparation.channels_at`), so a network sees
in use what it saw in training.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets.layouts import listed
from ..datasets.training_cases import LABELS_OF_STAGE, TrainingCase, voxel_hash
from ..errors import InputError
from ..inference.boundary import points_to_look_around
from ..inference.preparation import Normalisation, anatomy_at, channels_at
from ..inference.region import REGION_MARGIN_MM, crop_around, middle_of, widened
from ..inference.resampling import resample_mask, shape_at, true_spacing
from ..models.card import ModelCard
from ..support.progress import Progress
from ..systems import PreparedArrays, Stage, Target
from ..volumes.files import SIMULATED
from ..volumes.orientation import Orientation
from ..volumes.volume import Box, Volume
from . import FOLDS
from .scar_labels import ScarPlacement, notes_of

FOREGROUND_POINTS = 10_000
"""Voxels of the foreground kept for oversampling; nnU-Net keeps as many."""
SURROUNDINGS_MM = 30.0
"""Kept beyond the box that a cavity network will see: the one that a coarse pass finds is another, and a whole scan may be asked for."""
TARGETS = "targets"
"""Folder of the prepared cases' targets, by their content's hash: what is there is never computed again."""

CavityOf = Callable[[str, Volume], np.ndarray]
"""(voxel hash, scan) → the predicted cavity (k, j, i) bool on the scan's grid."""


@dataclass(frozen=True)
class PreparedCase:
    """A case in the run's folder, as arrays that are read patch by patch.

    Files beside each other in `folder`: `NAME.channels.npy` (C, k, j, i) float16, `NAME.labels.npy` (P, k, j, i) uint8 (the masks that the
    stage produces; then the region, where it has one), `NAME.foreground.npy` (N, 3) int32 voxels of the last mask, and
    `NAME.foreground_PRODUCT.npy` of another; `NAME.boundary.npy` (N, 3) int32 points along the cavity's outline, where patches are drawn
    there; and below it `targets/HASH.npy` (n, k, j, i) float16, a target of the stage's losses.
    """

    name: str
    sha256: str
    """Of the scan's voxels."""
    group: str
    spacing_kji: tuple[float, float, float]
    """True spacing of the prepared arrays in mm; it differs from the preset's by the rounding to whole voxels."""
    simulated: bool = False
    targets: Mapping[str, str] = field(default_factory=dict)
    """By the targets' names, the hashes that they are kept under."""

    def channels(self, folder: Path) -> np.ndarray:
        return np.load(folder / f"{self.name}.channels.npy", mmap_mode="r")

    def labels(self, folder: Path) -> np.ndarray:
        return np.load(folder / f"{self.name}.labels.npy", mmap_mode="r")

    def target(self, folder: Path, name: str) -> np.ndarray:
        return np.load(folder / TARGETS / f"{self.targets[name]}.npy", mmap_mode="r")

    def foreground(self, folder: Path, product: str = "") -> np.ndarray:
        return np.load(folder / _foreground_file(self.name, product))

    def boundary(self, folder: Path) -> np.ndarray:
        return np.load(folder / f"{self.name}.boundary.npy")


@dataclass(frozen=True)
class Split:
    """Names of the cases on either side."""

    training: tuple[str, ...]
    validation: tuple[str, ...]


def check_cases(cases: Sequence[TrainingCase], stage: str, progress: Progress) -> tuple[dict[str, str], list[str]]:
    """The voxel hash of every different scan by its case's name, and notes about those left out and about odd scars; reads every file once.

    A scan that comes twice with equal labels (LAScarQS's task 1 lies in task 2 as well) is used once.

    Raises
    ------
    InputError
        a cavity is empty, a label lies on another grid; one scan has two different labels.
    """
    hashes: dict[str, str] = {}
    first: dict[str, tuple[str, str]] = {}
    placements: dict[str, ScarPlacement] = {}
    notes = []
    for number, case in enumerate(cases):
        progress.report("check", number / len(cases), f"Checking {case.name}")
        image = case.read_image()
        masks = {key: _label(case, key, image) for key in LABELS_OF_STAGE[stage]}
        scan, labels = voxel_hash(image.array), "".join(voxel_hash(mask) for mask in masks.values())
        if scan not in first:
            first[scan] = case.name, labels
            hashes[case.name] = scan
            if "scar" in masks:
                placements[case.name] = ScarPlacement.of(masks["scar"], masks["cavity"], image.geometry.spacing_kji)
            continue
        twin, theirs = first[scan]
        if labels != theirs:
            raise InputError(f"{case.name} and {twin} are the same scan with different labels. Leave one of them out (--exclude).")
        notes.append(f"{case.name} is the same scan as {twin}, with the same labels: used once.")
    return hashes, notes + notes_of(placements)


def split(groups: Mapping[str, str], fold: int, folds: int = FOLDS, seed: int = 0) -> Split:
    """Fold `fold` of `folds`: validation on every `folds`-th group of a seeded shuffle, training on the rest; a group on one side.

    Parameters
    ----------
    groups
        each case's group, by the case's name; their order doesn't matter.

    Raises
    ------
    InputError
        one group only, more folds than groups, or no such fold.
    """
    names = sorted(set(groups.values()))
    if len(names) < 2:
        raise InputError(f"There is {len(names)} case or patient to train on; at least 2 are needed, one of them to validate with.")
    if not 2 <= folds <= len(names):
        raise InputError(f"{len(names)} cases or patients can't be cut into {folds} folds. Give --folds from 2 to {len(names)}.")
    if not 0 <= fold < folds:
        raise InputError(f"There is no fold {fold} of {folds}; choose one from 0 to {folds - 1}.")
    shuffled = [names[n] for n in np.random.default_rng(seed).permutation(len(names))]
    held = set(shuffled[fold::folds])
    cases = sorted(groups)
    return Split(tuple(c for c in cases if groups[c] not in held), tuple(c for c in cases if groups[c] in held))


def split_by_name(names: Iterable[str], validation: Iterable[str]) -> Split:
    """Validation on the cases that are named, training on the rest; a name that isn't among them (a scan's second copy) is left out.

    Raises
    ------
    InputError
        nothing is left on one of both sides.
    """
    cases, held = sorted(names), set(validation)
    cut = Split(tuple(c for c in cases if c not in held), tuple(c for c in cases if c in held))
    if not cut.training or not cut.validation:
        side = "validate with" if cut.training else "train on"
        raise InputError(f"Of {listed(cases)} none is left to {side}, when {listed(sorted(held))} are kept for the validation. Add cases.")
    return cut


def prepare(
    case: TrainingCase, sha256: str, card: ModelCard, stage: Stage, folder: Path, cavity_of: CavityOf | None = None
) -> PreparedCase:
    """Write one case's arrays to `folder`.

    Parameters
    ----------
    cavity_of
        predicts the cavities of a scar stage; None: the manual ones. For a stage that finds the cavity: says where a crop around the atrium
        lies, the scan's middle for an empty one.
    """
    image = case.read_image()
    turned = Orientation.towards_lps(image.geometry)
    drawn = {name: turned.apply(_label(case, name, image)) for name in _masks_needed(stage, cavity_of is None)}
    scan, spacing = turned.apply(image.array), turned.of_axes(image.geometry.spacing_kji)
    cavity = None
    predicted = None if cavity_of is None else turned.apply(cavity_of(sha256, image))
    if stage.takes_cavity:
        cavity = drawn["cavity"] if predicted is None else predicted
    box = _box(card, stage, scan, drawn["cavity"] if cavity is None else cavity, spacing, predicted if cavity is None else cavity)
    normalisation = Normalisation.of(scan, card.preprocessing.statistics, box)
    if not stage.takes_cavity and card.preprocessing.crop is None:
        box = box.grown(SURROUNDINGS_MM, spacing, scan.shape)
    channels = channels_at(card, stage, scan, cavity, spacing, normalisation, box)
    shape = channels.shape[1:]
    voxel = true_spacing(box.shape, spacing, shape)
    small = {name: _small(mask, box, shape, case, card, name) for name, mask in drawn.items()}
    labels = [small[product] for product in stage.produces]
    if stage.region is not None:
        labels.append(stage.region(anatomy_at((drawn["cavity"] if cavity is None else cavity)[box.slices], shape, spacing)))
    _write(folder, case.name, channels, np.stack(labels), stage.produces)
    if steps := {sampler.step_px for phase in stage.phases if (sampler := phase.sampler or stage.sampler).kind == "boundary"}:
        seen = small["cavity"] if cavity is None else resample_mask(_contiguous(cavity[box.slices]), shape)
        np.save(folder / f"{case.name}.boundary.npy", points_to_look_around(seen, min(steps), voxel))
    targets = {target.name: keep_target(folder / TARGETS, target, small, voxel) for target in stage.targets}
    return PreparedCase(case.name, sha256, case.group, voxel, SIMULATED in image.flags, targets)


def _masks_needed(stage: Stage, manual_cavity: bool) -> list[str]:
    """The labels that a case is prepared with."""
    needed = set(stage.produces)
    if stage.targets or (stage.takes_cavity and manual_cavity):
        needed.add("cavity")
    return [name for name in ("cavity", "scar") if name in needed or (name == "scar" and stage.targets_need_scar)]


def learned_from(stage: Stage, cases: Sequence[PreparedCase], folder: Path) -> dict[str, Any]:
    """What the stage learns from its training cases before any training, as plain numbers and lists; nothing for most stages."""
    if stage.learn is None:
        return {}
    return json.loads(json.dumps(dict(stage.learn(_arrays(stage, case, folder) for case in cases))))


def _arrays(stage: Stage, case: PreparedCase, folder: Path) -> PreparedArrays:
    labels = case.labels(folder) > 0
    targets = {name: case.target(folder, name).astype(np.float32) for name in case.targets}
    return PreparedArrays(case.channels(folder).astype(np.float32), dict(zip(stage.produces, labels)), targets)


def keep_target(folder: Path, target: Target, masks: Mapping[str, np.ndarray], spacing_kji: Sequence[float]) -> str:
    """Compute a target unless it is there already; the hash that it is kept under in `folder`."""
    spacing = tuple(round(float(s), 6) for s in spacing_kji)
    digest = target.digest(masks, spacing)
    path = folder / f"{digest}.npy"
    if not path.is_file():
        folder.mkdir(exist_ok=True)
        np.save(path, target.of(masks, spacing).astype(np.float16))
    return digest


def _label(case: TrainingCase, key: str, image: Volume) -> np.ndarray:
    mask = case.labels[key].read()
    if not mask.geometry.same_grid(image.geometry):
        grids = [
            f"{' × '.join(map(str, g.size))} voxels of {' × '.join(f'{s:g}' for s in g.spacing)} mm"
            for g in (mask.geometry, image.geometry)
        ]
        same = " at another place" if grids[0] == grids[1] else ""
        raise InputError(
            f"{case.name}: the {key} ({grids[0]}) does not lie on the scan's grid ({grids[1]}{same}). Resample it to the scan."
        )
    # There are atria without scar.
    if key != "scar" and not mask.array.any():
        raise InputError(
            f"{case.name}: the {key} in {case.labels[key].path} is empty. Correct the label, or leave the case out (--exclude)."
        )
    return mask.array


def _box(
    card: ModelCard, stage: Stage, scan: np.ndarray, cavity: np.ndarray, spacing: Sequence[float], told: np.ndarray | None
) -> Box:  # fmt: skip
    """What the network sees when it runs: the box of the cavity, or the whole scan where a cavity has to be found in it; or its crop.

    `told` is the cavity as the network will know it, predicted where it finds the cavity itself: there a crop never follows the label.
    """
    how = card.preprocessing
    if how.crop is not None:
        size = shape_at(how.crop, card.fine.spacing_in(spacing), spacing)
        if how.crop_around == "atrium" and told is not None and told.any():
            return crop_around(Box.around(told, 0.0, spacing), scan.shape, size)
        return middle_of(scan.shape, size)
    if not stage.takes_cavity and card.preprocessing.statistics != "region":
        return Box((0, 0, 0), scan.shape)
    least = shape_at(card.fine.patch_kji, card.fine.spacing_in(spacing), spacing)
    return widened(Box.around(cavity, REGION_MARGIN_MM, spacing), scan.shape, least)


def _contiguous(mask: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(mask)


def _small(whole: np.ndarray, box: Box, shape: Sequence[int], case: TrainingCase, card: ModelCard, name: str) -> np.ndarray:
    small = resample_mask(_contiguous(whole[box.slices]), tuple(shape))
    if not small.any() and whole.any():
        grid, crop = " × ".join(f"{s:g}" for s in card.fine.spacing_mm), card.preprocessing.crop
        where = "near the cavity" if crop is None else f"in the {' × '.join(map(str, crop))} voxels that the network sees"
        raise InputError(f"{case.name}: nothing of the {name} is left at {grid} mm {where}. Correct the label, or leave the case out.")
    return small


def _foreground_file(name: str, product: str) -> str:
    return f"{name}.foreground{f'_{product}' if product else ''}.npy"


def _write(folder: Path, name: str, channels: np.ndarray, labels: np.ndarray, products: Sequence[str]) -> None:
    for row, product in enumerate(products):
        points = np.argwhere(labels[row]).astype(np.int32)
        if len(points) > FOREGROUND_POINTS:
            # Evenly through the structure: the same case gives the same points.
            points = points[np.linspace(0, len(points) - 1, FOREGROUND_POINTS).astype(int)]
        np.save(folder / _foreground_file(name, product if row < len(products) - 1 else ""), points)
    largest = np.finfo(np.float16).max
    np.save(folder / f"{name}.channels.npy", np.clip(channels, -largest, largest).astype(np.float16))
    np.save(folder / f"{name}.labels.npy", labels.astype(np.uint8))


def not_simulated_together(cases: Sequence[PreparedCase]) -> bool:
    """Whether the cases are simulated; `InputError` when only some are: their numbers are never put together."""
    simulated = [case.name for case in cases if case.simulated]
    if 0 < len(simulated) < len(cases):
        raise InputError(f"{len(simulated)} of {len(cases)} scans are simulated ({listed(simulated)}). Train on either kind alone.")
    return bool(simulated)
