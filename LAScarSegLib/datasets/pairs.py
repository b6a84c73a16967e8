"""What belongs together in files and folders: predictions and references of an evaluation, scans and cavities of a cohort."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..volumes.files import EXTENSIONS
from .layouts import (
    CAVITY, KNOWN_NAMES, LASCARQS_CAVITY, LASCARQS_IMAGE, MASK, SCAR, STRUCTURES, case_folders, case_name, inside_task, is_simulated,
    labelled_files, lascarqs_tasks, listed, require_distinct, volume_files, volume_stem,
)  # fmt: skip

NNUNET_IMAGES = ("imagesTr", "imagesTs")
"""nnU-Net's folders of scans; their labels lie beside, in labelsTr and labelsTs."""
COHORT_CAVITY = "-cavity"
"""A cohort's mask is called after its scan and this, in whatever capitals."""


@dataclass(frozen=True)
class CaseFiles:
    """One case in one folder: its name, the file of each structure, and whether it is a simulation."""

    name: str
    files: dict[str, Path]
    simulated: bool


@dataclass(frozen=True)
class CaseSet:
    """The cases found under one path, by name, sorted; `one` when the path itself is the case, so that its name means little."""

    cases: dict[str, CaseFiles]
    one: bool


@dataclass(frozen=True)
class Pair:
    """One comparison: two files of one structure, the case's reference cavity where there is one."""

    case: str
    structure: str
    prediction: Path
    reference: Path
    cavity: Path | None
    simulated: bool


def find_cases(root: str | Path, structure: str = MASK) -> CaseSet:
    """The cases in a file or folder.

    A file is one case. A folder with files of known names (`KNOWN_NAMES`) is one case: a result of `lascarseg run`, a
    phantom, a case of LAScarQS. A folder of such folders is many; LAScarQS's `task1/train_data` may be given from any level.
    Any other folder holds one file per case, named after it. What files of unknown names show is the `structure`, one of
    `STRUCTURES`.

    Raises
    ------
    InputError
        missing path, nothing to compare in it, both tasks of LAScarQS, one name twice.
    """
    root = Path(root)
    if not root.exists():
        raise InputError(f"{root} does not exist. Check the path.")
    one = True
    if root.is_file():
        cases = [_file_case(root, structure)]
    elif known := labelled_files(folder := _task_folder(root)):
        cases = [CaseFiles(folder.resolve().name, known, is_simulated(folder))]
    else:
        one = False
        cases = [CaseFiles(path.name, files, is_simulated(path)) for path in case_folders(folder) if (files := labelled_files(path))]
        cases = cases or [_file_case(path, structure) for path in volume_files(folder)]
    if not cases:
        raise InputError(
            f"{root} holds nothing to compare: neither volume files, nor folders with {listed(f'{name}.nii.gz' for name in KNOWN_NAMES)}."
        )
    return CaseSet(_by_name(cases, root), one)


def pair_cases(
    predictions: CaseSet, references: CaseSet, cavities: CaseSet | None = None, *, structure: str | None = None, subset: bool = False
) -> list[Pair]:
    """What to compare with what: cases of the same name; two single cases whatever their names.

    Compared is every structure that both sides have. A structure that is only in some of the cases is an error: a method
    must not be judged without those in which it failed.

    Parameters
    ----------
    cavities
        reference cavities of another place, for references that come without.
    structure
        compare this one only.
    subset
        allow references without a prediction (a held-out part of a data set).

    Raises
    ------
    InputError
        partners are missing; nothing in common; simulated and real cases together.
    """
    if predictions.one and references.one:
        both = [(*predictions.cases.values(), *references.cases.values())]
    else:
        names = _common_names(predictions.cases, references.cases, subset)
        both = [(predictions.cases[name], references.cases[name]) for name in names]
    sides = [{s for pair in both for s in pair[side].files} for side in (0, 1)]
    common = [s for s in STRUCTURES if s in sides[0] & sides[1] and structure in (None, s)]
    if not common:
        shown = [", ".join(s for s in STRUCTURES if s in side) for side in sides]
        raise InputError(
            f"The predictions have {shown[0]}, the references {shown[1]}: nothing to compare{f' as {structure}' if structure else ''}. "
            "Say with --structure what files show whose names don't tell."
        )
    pairs = [_pair(s, p, r, cavities) for s in common for p, r in both]
    simulated = sum(pair.simulated for pair in pairs)
    if 0 < simulated < len(pairs):
        raise InputError(
            f"{simulated} of {len(pairs)} comparisons are of simulated scans, which are never averaged with real ones. "
            "Evaluate them separately."
        )
    return pairs


def _pair(structure: str, prediction: CaseFiles, reference: CaseFiles, cavities: CaseSet | None) -> Pair:
    for side, case in (("prediction", prediction), ("reference", reference)):
        if structure not in case.files:
            raise InputError(
                f"Case {case.name}: the {side} has no {structure}, others have one. Add it, or take the case out on both sides."
            )
    cavity = reference.files.get(CAVITY)
    if cavities is not None and structure == SCAR:
        given = next(iter(cavities.cases.values())) if cavities.one else cavities.cases.get(reference.name)
        if given is None or CAVITY not in given.files:
            raise InputError(f"Case {reference.name}: there is no reference cavity of this name. Add it to what --cavity gives.")
        cavity = given.files[CAVITY]
    files = prediction.files[structure], reference.files[structure]
    return Pair(reference.name, structure, *files, cavity, prediction.simulated or reference.simulated)


def _common_names(predictions: dict[str, CaseFiles], references: dict[str, CaseFiles], subset: bool) -> list[str]:
    predicted, known = predictions.keys(), references.keys()
    alone, waiting, common = (sorted(names, key=_natural) for names in (predicted - known, known - predicted, predicted & known))
    if not common:
        raise InputError(
            f"No prediction has the name of a reference: the predictions are {listed(predictions)}; the references {listed(references)}."
        )
    if alone:
        raise InputError(f"Predictions without a reference of the same name: {listed(alone)}. Add the references or take these out.")
    if waiting and not subset:
        raise InputError(
            f"References without a prediction of the same name: {listed(waiting)}. "
            "Add the predictions, or say --subset if only a part was meant."
        )
    return common


def _file_case(path: Path, structure: str) -> CaseFiles:
    stem = volume_stem(path)
    if not stem:
        raise InputError(f"{path} is not a volume file. Give one of {', '.join(EXTENSIONS)}, or a folder.")
    # scar_predict.nii.gz is named after what it shows, its folder after the case.
    name = path.resolve().parent.name if stem in KNOWN_NAMES else stem
    return CaseFiles(name, {KNOWN_NAMES.get(stem, structure): path}, is_simulated(path.parent))


def _task_folder(root: Path) -> Path:
    tasks = lascarqs_tasks(root)
    if len(tasks) > 1:
        raise InputError(
            f"{root} has {' and '.join(task.name for task in tasks)}, whose cases have the same names. Give one of the two folders."
        )
    return inside_task(tasks[0] if tasks else root)


def _by_name(cases: list[CaseFiles], root: Path) -> dict[str, CaseFiles]:
    found: dict[str, CaseFiles] = {}
    for case in sorted(cases, key=lambda c: _natural(c.name)):
        if case.name in found:
            raise InputError(f"{root} holds the case {case.name} twice, in different formats. Take one out.")
        found[case.name] = case
    return found


def _natural(name: str) -> list[str | int]:
    """Sorts train_2 before train_10; text and numbers alternate, so that like is compared with like."""
    return [int(part) if part.isdigit() else part for part in re.split(r"([0-9]+)", name)]


@dataclass(frozen=True)
class CohortScan:
    """One scan; `cavity` is None when no mask lies where it should."""

    name: str
    image: Path
    cavity: Path | None


def find_cohort(folder: Path, image: str = LASCARQS_IMAGE, cavity: str = LASCARQS_CAVITY) -> list[CohortScan]:
    """The scans in a folder: pairs `X.nrrd` beside `X-cavity.nrrd`, and folders that hold the file (or DICOM folder) `image`.

    LAScarQS's `task1/train_data` may be given from any level. Raises `InputError` when there is none, or two have one name.
    """
    folder = _task_folder(folder)
    found = volume_files(folder)
    _require_distinct_files(found, volume_stem, folder, "differ in their extension alone. Take one of each out.")
    masks = [file for file in found if volume_stem(file).casefold().endswith(COHORT_CAVITY)]
    _require_distinct_files(masks, lambda path: volume_stem(path).casefold(), folder, "differ in capitals alone. Take one of each out.")
    of_scan = {volume_stem(file).casefold().removesuffix(COHORT_CAVITY): file for file in masks}
    scans = [CohortScan(name := volume_stem(file), file, of_scan.get(name.casefold())) for file in found if file not in masks]
    for sub in case_folders(folder):
        if (sub / image).exists():
            scans.append(CohortScan(sub.name, sub / image, sub / cavity if (sub / cavity).is_file() else None))
    if not scans:
        raise InputError(
            f"{folder} holds neither pairs X.nrrd, X{COHORT_CAVITY}.nrrd nor folders with a file {image}. "
            f"{_as_nnunet(folder) or 'Give the file names with --image and --cavity.'}"
        )
    # Names that differ in capitals alone are one folder on Windows and macOS.
    cases = [scan.image if scan.image.parent == folder else folder / scan.name for scan in scans]
    _require_distinct_files(cases, lambda path: case_name(path).casefold(), folder, "would overwrite each other's results. Rename one.")
    return scans


def _require_distinct_files(files: Iterable[Path], called: Callable[[Path], str], folder: Path, remedy: str) -> None:
    """`InputError` when two files, or folders of cases, are called alike: it names them."""
    groups: dict[str, list[str]] = {}
    for file in files:
        groups.setdefault(called(file), []).append(file.name)
    doubled = [names for names in groups.values() if len(names) > 1]
    require_distinct((name for name, names in groups.items() for _ in names), folder, f"{listed(' and '.join(names) for names in doubled)} {remedy}")


def _as_nnunet(folder: Path) -> str:
    """What to do with nnU-Net's layout; empty for another folder."""
    images = [sub.name for sub in case_folders(folder) if sub.name in NNUNET_IMAGES]
    if not images:
        return ""
    return (
        f"{' and '.join(images)} is nnU-Net's layout: put each scan (X_0000.nii.gz) as X.nii.gz and its label as X{COHORT_CAVITY}.nii.gz into one "
        "folder, and give that; scans without labels as they are, and a model finds the cavities."
    )


def unused(folder: Path, scans: list[CohortScan]) -> list[str]:
    """The names of volumes and folders in a cohort's folder that are part of none of its scans: a mask without its scan, another layout."""
    folder, used = _task_folder(folder), {path for scan in scans for path in (scan.image, scan.cavity) if path is not None}
    loose = [path for path in volume_files(folder) if path not in used]
    return [path.name for path in (*loose, *case_folders(folder)) if not any(path == file or path in file.parents for file in used)]
