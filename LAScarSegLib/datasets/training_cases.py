"""The scans and labels to train on: LAScarQS's folders, a CSV manifest, or nnU-Net's raw folders."""

import csv
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..support.json_text import parse_json
from ..volumes.files import SIMULATED, read_volume
from ..volumes.volume import Volume
from .layouts import (
    IMAGE_STEMS, LABEL_STEMS, case_folders, case_name, first_volume, inside_task, is_simulated, lascarqs_tasks, listed,
    require_distinct, volume_stem,
)  # fmt: skip

LABELS_OF_STAGE = {"cavity": ("cavity",), "scar": ("cavity", "scar")}
"""A scar network needs the cavity too: for its region, and for its distance maps."""
NNUNET_IMAGES, NNUNET_LABELS, NNUNET_CARD = "imagesTr", "labelsTr", "dataset.json"
NNUNET_FIRST_CHANNEL = "_0000"
"""nnU-Net's file name of a case's first (here the only) channel."""
MANIFEST_COLUMNS = ("image", "cavity", "scar", "name", "group")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
"""What is replaced, so that a case's name is a file's as well."""


@dataclass(frozen=True)
class LabelFile:
    """A label map; `value` is the label meant, None: any value above 0."""

    path: Path
    value: int | None = None

    def read(self) -> Volume:
        """The mask, bool, on its own grid; `InputError` when the file can't be read."""
        volume = read_volume(self.path)
        return Volume(volume.array > 0 if self.value is None else volume.array == self.value, volume.geometry, volume.flags)


@dataclass(frozen=True)
class TrainingCase:
    """One scan with its labels. Cases of one `group` (a patient scanned twice) never lie on both sides of a split."""

    name: str
    image: Path
    labels: Mapping[str, LabelFile]
    """`cavity`, and for a scar stage `scar`."""
    group: str
    simulated: bool = False

    def read_image(self) -> Volume:
        """The scan, flagged when it is simulated."""
        volume = read_volume(self.image)
        if self.simulated and SIMULATED not in volume.flags:
            return Volume(volume.array, volume.geometry, (*volume.flags, SIMULATED))
        return volume


def find_training_cases(data: str | Path, stage: str, exclude: Iterable[str] = ()) -> list[TrainingCase]:
    """Every case under `data` with what `stage` (`cavity` or `scar`) needs, by name.

    Parameters
    ----------
    data
        a CSV manifest (columns image, cavity, scar, and optionally name, group; paths relative to it); a folder with
        `imagesTr`, `labelsTr` and `dataset.json`; LAScarQS's folders from any level, or any folder with one folder per case.
    exclude
        names of cases to leave out.

    Raises
    ------
    InputError
        nothing there, labels or files missing, one name twice, an excluded name that does not exist.
    """
    data = Path(data).expanduser()
    if not data.exists():
        raise InputError(f"{data} does not exist. Check the path.")
    if data.is_file():
        cases = _manifest_cases(data, stage)
    elif (data / NNUNET_CARD).is_file():
        cases = _nnunet_cases(data, stage)
    else:
        cases = _folder_cases(data, stage)
    require_distinct((case.name for case in cases), data, "Rename one (the column `name` of a manifest).")
    cases, excluded = sorted(cases, key=lambda case: case.name), set(exclude)
    unknown = sorted(excluded - {case.name for case in cases})
    if unknown:
        raise InputError(
            f"{data} has no case {listed(unknown)}, which should be excluded. Its cases are {listed(case.name for case in cases)}."
        )
    return [case for case in cases if case.name not in excluded]


def _manifest_cases(path: Path, stage: str) -> list[TrainingCase]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        columns = reader.fieldnames or []
        rows = list(reader)
    needed = ("image", *LABELS_OF_STAGE[stage])
    problems = {
        "lacks the column": [name for name in needed if name not in columns],
        "has the unknown column": [name for name in columns if name not in MANIFEST_COLUMNS],
    }
    words = [f"{problem} {', '.join(names)}" for problem, names in problems.items() if names]
    if words:
        raise InputError(
            f"{path} {' and '.join(words)}. A manifest has the columns {', '.join(MANIFEST_COLUMNS)} (name and group may be left out)."
        )
    return [_manifest_case(path, number, row, needed) for number, row in enumerate(rows, start=2)]


def _manifest_case(path: Path, line: int, row: Mapping[str, str | None], needed: tuple[str, ...]) -> TrainingCase:
    files = {}
    for column in needed:
        if not row.get(column):
            raise InputError(f"{path}, line {line}: there is no {column}. Fill it in, or take the line out.")
        files[column] = path.parent / row[column]
        if not files[column].exists():
            raise InputError(f"{path}, line {line}: the {column} {files[column]} does not exist. Correct the path.")
    image = files.pop("image")
    name = row.get("name") or (image.parent.name if volume_stem(image) in IMAGE_STEMS else case_name(image))
    return TrainingCase(_UNSAFE.sub("_", name), image, {key: LabelFile(file) for key, file in files.items()}, row.get("group") or name)


def _nnunet_cases(folder: Path, stage: str) -> list[TrainingCase]:
    try:
        card = parse_json((folder / NNUNET_CARD).read_bytes())
        ending, values = card["file_ending"], _nnunet_values(card, stage)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{folder / NNUNET_CARD} can't be used ({type(error).__name__}: {error}). Write it as nnU-Net v2 describes."
        ) from error
    images, labels = folder / NNUNET_IMAGES, folder / NNUNET_LABELS
    names = sorted(path.name[: -len(NNUNET_FIRST_CHANNEL + ending)] for path in images.glob(f"*{NNUNET_FIRST_CHANNEL}{ending}"))
    if not names:
        raise InputError(f"{images} holds no file that ends with {NNUNET_FIRST_CHANNEL}{ending}.")
    _all_there([name for name in names if not (labels / (name + ending)).is_file()], labels)
    cases = []
    for name in names:
        files = {key: LabelFile(labels / (name + ending), value) for key, value in values.items()}
        cases.append(TrainingCase(_UNSAFE.sub("_", name), images / f"{name}{NNUNET_FIRST_CHANNEL}{ending}", files, group=name))
    return cases


def _nnunet_values(card: Mapping[str, Any], stage: str) -> dict[str, int | None]:
    """The label value of each structure; the only foreground label of a cavity's data set may have any name."""
    labels = {name.lower(): value for name, value in card["labels"].items() if value != 0}
    if stage == "cavity" and len(labels) == 1:
        return {"cavity": int(next(iter(labels.values())))}
    lacking = [name for name in LABELS_OF_STAGE[stage] if name not in labels]
    if lacking:
        raise InputError(
            f"{NNUNET_CARD} has the labels {', '.join(labels)}; a {stage} network needs a label called {' and one called '.join(lacking)}."
        )
    return {name: int(labels[name]) for name in LABELS_OF_STAGE[stage]}


def _folder_cases(root: Path, stage: str) -> list[TrainingCase]:
    """LAScarQS's cases, those of both tasks together when `root` has both; or one folder per case."""
    # Task 2 has no scars.
    tasks = lascarqs_tasks(root)[: 1 if stage == "scar" else None]
    cases = []
    for folder in tasks or [root]:
        prefix = f"{folder.name}_" if len(tasks) > 1 else ""
        cases += _cases_in(inside_task(folder), stage, prefix)
    if not cases:
        raise InputError(
            f"{root} holds no cases to train on: neither {NNUNET_CARD}, nor LAScarQS's folders, nor folders with one of "
            f"{', '.join(f'{stem}.nii.gz' for stem in IMAGE_STEMS)}."
        )
    return cases


def _cases_in(folder: Path, stage: str, prefix: str) -> list[TrainingCase]:
    found, lacking = [], []
    for case in case_folders(folder):
        image = first_volume(case, IMAGE_STEMS)
        if image is None:
            continue
        labels = {key: first_volume(case, LABEL_STEMS[key]) for key in LABELS_OF_STAGE[stage]}
        lacking += [f"{case.name} ({key})" for key, path in labels.items() if path is None]
        if None not in labels.values():
            name = _UNSAFE.sub("_", prefix + case.name)
            found.append(TrainingCase(name, image, {key: LabelFile(path) for key, path in labels.items()}, name, is_simulated(case)))
    _all_there(lacking, folder)
    return found


def _all_there(lacking: list[str], folder: Path) -> None:
    if lacking:
        raise InputError(f"{folder}: there is no label for {listed(lacking)}. Add the labels, or leave the cases out (--exclude).")


def voxel_hash(array: np.ndarray) -> str:
    """A name for a scan's voxels: the same for the same values in another voxel type or with another header."""
    digest = hashlib.sha256(repr(array.shape).encode("ascii"))
    digest.update(np.ascontiguousarray(array, dtype="<f4").tobytes())
    return digest.hexdigest()
