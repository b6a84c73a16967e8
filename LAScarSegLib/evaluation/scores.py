"""One comparison from files to numbers."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ..anatomy.labels import chosen_segments, has_negative, positive_values, said_of_fractions, wanted_labels
from ..anatomy.overlap import dice
from ..datasets.layouts import SCAR
from ..datasets.pairs import Pair
from ..errors import InputError
from ..measure.quality import MAX_FIELD_OF_VIEW_MM
from ..support.checks import require_number
from ..support.flags import QualityFlag
from ..support.progress import Progress
from ..volumes.segmentations import read_labels
from ..volumes.volume import Box, Geometry, Volume
from .metrics import DEFAULT_TOLERANCE_MM, SCAR_METRICS
from .scar_agreement import anatomy_errors, challenge_agreement, mesh_agreement
from .voxel import border_distances, centroid_error_mm, surface_dice

MAX_TOLERANCE_MM = 50.0
CROP_MARGIN_MM = 12.0
"""Kept around the masks: more than any band or ray reaches (10 mm), so that the box changes no number."""
LISTED_LABELS = 8
OTHER_LABEL = "cavity_label_not_1"


@dataclass(frozen=True)
class CaseScore:
    """The numbers of one comparison: `values` by `Metric.key`, None where undefined; `notes` say why."""

    case: str
    structure: str
    simulated: bool
    values: dict[str, float | None]
    notes: tuple[str, ...] = ()


def score_pairs(
    pairs: Sequence[Pair], tolerance_mm: float = DEFAULT_TOLERANCE_MM, label: int | None = None, progress: Progress | None = None
) -> list[CaseScore]:
    """The scores of all pairs, in their order.

    Parameters
    ----------
    tolerance_mm
        of the surface Dice.
    label
        which value of the compared masks counts; None: any above 0, and a mask with several is refused.

    Raises
    ------
    InputError
        unreadable files, several labels or a label that is nowhere, probability maps, other grids.
    """
    require_number("tolerance_mm", tolerance_mm, 0.0, MAX_TOLERANCE_MM)
    progress, scores = progress or Progress(), []
    for number, pair in enumerate(pairs):
        progress.report("evaluation", number / len(pairs), f"{pair.case}: {pair.structure}")
        scores.append(score_pair(pair, tolerance_mm, label))
    # Two empty masks agree; all of them empty is a label that these files don't use.
    if label is not None and all(score.values["hd_mm"] is None and score.values["dice"] == 1.0 for score in scores):
        raise InputError(f"No mask has the label {label}, so there is nothing to score. Check the label.")
    progress.report("evaluation", 1.0, f"{len(pairs)} comparisons")
    return scores


def score_pair(pair: Pair, tolerance_mm: float, label: int | None) -> CaseScore:
    """The scores of one pair of files (see `score_pairs`)."""
    paths = (pair.reference, pair.prediction)
    reference, prediction = (read_mask(path, label) for path in paths)
    # A scar may be empty, a cavity is not: where one file has the label, the other one has it under another value.
    if pair.structure != SCAR and reference.array.any() != prediction.array.any():
        reference, prediction = (read_mask(path, label, is_there=True) for path in paths)
    masks = {"prediction": prediction, "reference": reference}
    if pair.structure == SCAR and pair.cavity is not None:
        masks["cavity"] = read_mask(pair.cavity)
    masks, geometry = _on_one_grid(masks, pair.case)
    values, notes = score_masks(**masks, geometry=geometry, tolerance_mm=tolerance_mm)
    if pair.structure == SCAR and pair.cavity is None:
        notes += ("There is no reference cavity, so the metrics on the surface are missing. Give it with --cavity.",)
    header = [flag.message for flag in reference.flags + tuple(flag for flag in prediction.flags if flag.code == OTHER_LABEL)]
    if max(reference.geometry.extent_mm) > MAX_FIELD_OF_VIEW_MM:
        header.append(f"The header claims {_grid(reference.geometry)}, wider than any heart scan: every distance in mm is wrong.")
    return CaseScore(pair.case, pair.structure, pair.simulated, values, (*header, *notes))


def _on_one_grid(masks: Mapping[str, Volume], case: str) -> tuple[dict[str, np.ndarray], Geometry]:
    """Masks whose voxels coincide, as bool arrays on the smallest grid that holds them all: some may have been cropped.

    Headers that differ by rounding (`Geometry.same_grid`) are the reference's.

    Raises
    ------
    InputError
        voxels that don't coincide with the reference's.
    """
    grid, boxes = masks["reference"].geometry, {}
    for name, mask in masks.items():
        start, is_size_equal = grid.start_of(mask.geometry), mask.geometry.size == grid.size
        # As many voxels under another header were not cropped: the header was lost.
        if start is None or (is_size_equal and any(start)):
            raise InputError(
                f"Case {case}: the {name} ({_grid(mask.geometry)}) is on another grid than the reference ({_grid(grid)}). "
                + (
                    "Both have as many voxels: where they are of one scan, copy the reference's header to it (SimpleITK: mask.CopyInformation(reference)). "
                    if is_size_equal
                    else ""
                )
                + "Scores of resampled masks would measure the resampling: bring it to that grid first."
            )
        boxes[name] = Box(start, tuple(a + n for a, n in zip(start, mask.array.shape)))
    whole = functools.reduce(Box.around_both, boxes.values())
    if any(box != whole for box in boxes.values()):
        # Cropped masks end where they end; what is scored around them doesn't.
        margins = [int(np.ceil(CROP_MARGIN_MM / spacing)) for spacing in grid.spacing_kji]
        whole = Box(tuple(a - m for a, m in zip(whole.start, margins)), tuple(b + m for b, m in zip(whole.stop, margins)))
    return {name: boxes[name].of_values(mask.array, whole) for name, mask in masks.items()}, grid.crop(whole)


def score_masks(
    prediction: np.ndarray,
    reference: np.ndarray,
    geometry: Geometry,
    cavity: np.ndarray | None = None,
    tolerance_mm: float = DEFAULT_TOLERANCE_MM,
) -> tuple[dict[str, float | None], tuple[str, ...]]:
    """Every metric of two bool masks (k, j, i) on `geometry`, by `Metric.key`, and why some are None.

    With the reference `cavity` the masks are scar and the metrics of `SCAR_METRICS` are there, too.
    """
    known = prediction | reference | (False if cavity is None else cavity)
    notes = tuple(_notes(prediction, reference, cavity))
    if known.any():
        box = Box.around(known, CROP_MARGIN_MM, geometry.spacing_kji)
        geometry, prediction, reference = geometry.crop(box), prediction[box.slices], reference[box.slices]
        cavity = None if cavity is None else cavity[box.slices]
    values = _voxel_values(prediction, reference, geometry.spacing_kji, tolerance_mm)
    if cavity is not None:
        values |= _scar_values(prediction, reference, cavity, geometry)
    return {key: None if value is None or np.isnan(value) else float(value) for key, value in values.items()}, notes


def read_mask(path: Path, label: int | None = None, is_there: bool = False) -> Volume:
    """A file's mask as a bool volume: the voxels of `label`, else those above 0. It may be empty.

    `is_there`: what is looked for can't be absent, so a file without the label that holds one other value only is a mask of it.

    Raises `InputError`: unreadable; fractions (a probability map); several labels and none chosen.
    """
    file = read_labels(path)
    # Of a segmentation, too, a label that is not there is an empty mask.
    if file.segments and (label is None or any(segment.label == label for segment in file.segments)):
        return file.together(chosen_segments(file, str(path), "to compare", wanted_labels(label), "--label NUMBER"))
    volume = file.layers[0]
    if label is not None:
        found = volume.array == label
        if is_there and not found.any() and (values := positive_values(volume.array)).size == 1:
            message = f"{path.name} has no label {label}, only the value {values[0]:g}, which was taken."
            return Volume(volume.array > 0, volume.geometry, (*volume.flags, QualityFlag(OTHER_LABEL, message)))
        return Volume(found, volume.geometry, volume.flags)
    mask = volume.array > 0
    values = np.unique(volume.array[mask])
    if said := said_of_fractions(values, has_negative(volume.array)):
        raise InputError(f"{path} {said}")
    if values.size > 1:
        listed = ", ".join(f"{v:g}" for v in values[:LISTED_LABELS]) + (" …" if values.size > LISTED_LABELS else "")
        raise InputError(f"{path} has several labels: {listed}. Say which one to compare with --label, or write a mask of that one only.")
    return Volume(mask, volume.geometry, volume.flags)


def _voxel_values(prediction: np.ndarray, reference: np.ndarray, spacing_kji: Sequence[float], tolerance_mm: float) -> dict[str, float]:
    distances = border_distances(prediction, reference, spacing_kji)
    return {
        "dice": dice(prediction, reference),
        "hd_mm": distances.hd_mm,
        "hd95_mm": distances.hd95_mm,
        "assd_mm": distances.assd_mm,
        "surface_dice": surface_dice(prediction, reference, spacing_kji, tolerance_mm),
        "centroid_error_mm": centroid_error_mm(prediction, reference, spacing_kji),
    }


def _scar_values(prediction: np.ndarray, reference: np.ndarray, cavity: np.ndarray, geometry: Geometry) -> dict[str, float | None]:
    if not cavity.any():
        return dict.fromkeys((metric.key for metric in SCAR_METRICS), None)
    errors = anatomy_errors(prediction, reference, cavity, geometry.spacing_kji)
    challenge = challenge_agreement(prediction, reference, cavity, geometry.spacing_kji)
    mesh = mesh_agreement(prediction, reference, cavity, geometry)
    return asdict(errors) | {
        "challenge_accuracy": challenge.accuracy,
        "challenge_sensitivity": challenge.sensitivity,
        "challenge_specificity": challenge.specificity,
        "challenge_dice": challenge.dice,
        "challenge_gdice": challenge.generalized_dice,
        "mesh_dice": mesh.dice,
        "scar_area_difference_pct": 100.0 * (mesh.predicted_scar - mesh.reference_scar) / mesh.total,
    }


def _notes(prediction: np.ndarray, reference: np.ndarray, cavity: np.ndarray | None) -> list[str]:
    empty = [name for name, mask in (("prediction", prediction), ("reference", reference)) if not mask.any()]
    notes = []
    if len(empty) == 2:
        notes.append("Prediction and reference are both empty: they agree (Dice 1), there are no distances.")
    elif empty:
        notes.append(f"The {empty[0]} is empty, the other one is not: Dice 0, there are no distances.")
    elif np.array_equal(prediction, reference):
        notes.append("Prediction and reference are the same voxels: was the reference given to the method?")
    if cavity is not None and not cavity.any():
        notes.append("The reference cavity is empty: there is no surface to compare scar on.")
    return notes


def _grid(geometry: Geometry) -> str:
    size, spacing = (" × ".join(f"{n:g}" for n in numbers) for numbers in (geometry.size, geometry.spacing))
    origin = ", ".join(f"{value:g}" for value in geometry.origin)
    return f"{size} voxels of {spacing} mm, origin {origin}"
