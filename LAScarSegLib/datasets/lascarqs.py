"""LAScarQS 2022 as a whole: both tasks, checked before anything is done with them, and which scans come more than once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..measure.quality import MAX_FIELD_OF_VIEW_MM, check_header
from ..support.progress import Progress
from ..volumes.files import SIMULATED, header_flags, read_header
from ..volumes.volume import Geometry
from .layouts import LASCARQS_PART, LASCARQS_TASKS, lascarqs_tasks, listed
from .training_cases import TrainingCase, find_training_cases, voxel_hash

LABELS_OF_TASK = {"task1": "scar", "task2": "cavity"}
"""What each task's labels can train, by `training_cases.LABELS_OF_STAGE`."""
LEAST_CASES = 2


@dataclass(frozen=True)
class Scan:
    """One case of a task: its files, the grid that its header claims, and whether it is a phantom."""

    case: TrainingCase
    geometry: Geometry
    simulated: bool


@dataclass(frozen=True)
class LascarqsFolder:
    """The scans of each task, by name."""

    root: Path
    tasks: Mapping[str, tuple[Scan, ...]]

    @property
    def simulated(self) -> bool:
        """Whether any scan is a phantom."""
        return any(scan.simulated for scans in self.tasks.values() for scan in scans)

    def names(self, task: str) -> tuple[str, ...]:
        """The cases of a task."""
        return tuple(scan.case.name for scan in self.tasks[task])


def open_lascarqs(root: str | Path, tasks: Iterable[str]) -> LascarqsFolder:
    """The scans of `tasks` under `root`; headers are read, voxels are not.

    Raises
    ------
    InputError
        no such folder, another layout, a task or a label that is not there, a single case, a header that lost its geometry.
    """
    root = Path(root).expanduser()
    if not root.is_dir():
        raise InputError(f"{root} is no folder. Give the one that holds LAScarQS's {' and '.join(LASCARQS_TASKS)}.")
    tasks, there = tuple(tasks), {folder.name for folder in lascarqs_tasks(root)}
    if not there:
        layout = ", ".join(f"{task}/{LASCARQS_PART}" for task in LASCARQS_TASKS)
        raise InputError(f"{root} does not hold LAScarQS's folders ({layout}, with one folder a case). Give the folder above them.")
    if lacking := [task for task in tasks if task not in there]:
        raise InputError(f"{root} lacks {' and '.join(lacking)}; this paper needs {' and '.join(tasks)} of LAScarQS 2022. Add it.")
    return LascarqsFolder(root, {task: _scans(root / task, LABELS_OF_TASK[task]) for task in tasks})


def _scans(folder: Path, labels: str) -> tuple[Scan, ...]:
    cases = find_training_cases(folder, labels)
    if len(cases) < LEAST_CASES:
        raise InputError(f"{folder} holds {len(cases)} case; at least {LEAST_CASES} are needed, one of them to measure. Add cases.")
    scans = tuple(Scan(case, _geometry(case), case.simulated or SIMULATED in header_flags(case.image)) for case in cases)
    lost = [scan for scan in scans if max(scan.geometry.extent_mm) > MAX_FIELD_OF_VIEW_MM or check_header(scan.geometry)]
    if lost:
        first = lost[0].geometry
        size, spacing = (" × ".join(f"{n:g}" for n in numbers) for numbers in (first.size, first.spacing))
        raise InputError(
            f"{folder}: the header of {listed(scan.case.name for scan in lost)} looks lost: {size} voxels of {spacing} mm. LAScarQS's scans "
            "have 0.625 × 0.625 × 2.5 mm, and every length would be wrong. Get the files again, or write the right spacing into scans and "
            "labels."
        )
    return scans


def _geometry(case: TrainingCase) -> Geometry:
    header = read_header(case.image)
    if header is None:
        # Its words for what is wrong.
        return case.read_image().geometry
    if header.GetDimension() != 3:
        raise InputError(f"{case.image} has {header.GetDimension()} dimensions; a scan has three. Correct the file.")
    return Geometry(header.GetSize(), header.GetSpacing(), header.GetOrigin(), header.GetDirection())


def hash_scans(folder: LascarqsFolder, progress: Progress | None = None) -> dict[str, dict[str, str]]:
    """By task and case the hash of each scan's voxels; reads every scan."""
    progress, total = progress or Progress(), sum(map(len, folder.tasks.values()))
    found: dict[str, dict[str, str]] = {}
    done = 0
    for task, scans in folder.tasks.items():
        found[task] = {}
        for scan in scans:
            progress.report("duplicates", done / total, f"Looking for duplicates: {task}, {scan.case.name}")
            found[task][scan.case.name] = voxel_hash(scan.case.read_image().array)
            done += 1
    return found


def duplicates(hashes: Mapping[str, Mapping[str, str]]) -> list[list[str]]:
    """The groups of cases, as `task1/train_3`, that are one scan; sorted."""
    groups: dict[str, list[str]] = {}
    for task, cases in hashes.items():
        for name, sha256 in cases.items():
            groups.setdefault(sha256, []).append(f"{task}/{name}")
    return sorted(sorted(group) for group in groups.values() if len(group) > 1)


def said_of_duplicates(groups: Sequence[Sequence[str]]) -> list[str]:
    """What a reader should know of them, one line each for those within a task and those between tasks."""
    within = [group for group in groups if len({name.partition("/")[0] for name in group}) < len(group)]
    between = [group for group in groups if len({name.partition("/")[0] for name in group}) > 1]
    lines = []
    if between:
        example = " is ".join(between[0][:2])
        lines.append(f"{_scans_said(between)} in both tasks: {example}{_more(between)}.")
    if within:
        example = " is ".join(within[0][:2])
        lines.append(f"{_scans_said(within)} in one task more than once: {example}{_more(within)}; each training uses one of the copies.")
    return lines


def _scans_said(groups: Sequence[Sequence[str]]) -> str:
    return "1 scan is" if len(groups) == 1 else f"{len(groups)} scans are"


def _more(groups: Sequence[Sequence[str]]) -> str:
    return "" if len(groups) == 1 else f" and {len(groups) - 1} more"
