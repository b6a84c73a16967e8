"""Phantoms on disk: one with its truth, or a cohort in LAScarQS's folder layout. A folder that exists is whole."""

import json
from dataclasses import replace
from pathlib import Path

from ..errors import InputError
from ..phantom import Phantom, PhantomSettings, make_phantom
from ..support.checks import require_choice
from ..support.progress import Progress
from ..support.whole_folder import FolderKind, marker_content, whole_folder
from ..volumes.files import write_volume
from .layouts import LASCARQS_CAVITY, LASCARQS_IMAGE, LASCARQS_PART, LASCARQS_SCAR, LASCARQS_TASKS, TRUTH

VOLUMES = ("image", "cavity", "wall", "scar", "regions")


def _phantoms_files(truth: Path) -> tuple[str, ...] | None:
    """What lies beside a phantom's or a cohort's truth; None for another file of that name."""
    content = marker_content(truth) or {}
    if "vein_variant" in content:
        return (*(f"{name}.nii.gz" for name in VOLUMES), "planes.json")
    is_cohort = content and all(isinstance(case, dict) and "vein_variant" in case for case in content.values())
    files = (LASCARQS_IMAGE, LASCARQS_CAVITY, LASCARQS_SCAR)
    return tuple(f"{task}/{LASCARQS_PART}/{case}/{file}" for task in LASCARQS_TASKS for case in content for file in files) if is_cohort else None


PHANTOM = FolderKind(title="LAScarSeg phantom", markers=frozenset({TRUTH}), ours=_phantoms_files)
"""One phantom, or a cohort of them."""


def write_phantom(phantom: Phantom, folder: str | Path, *, force: bool = False) -> Path:
    """Write image, masks, planes and truth (`PHANTOM`) and return the folder.

    Raises `InputError` when the folder exists and `force` is False, or it holds something else than a phantom;
    `ProcessingError` when the disk doesn't take it; nothing is left behind.
    """
    folder = Path(folder)
    with whole_folder(folder, force, PHANTOM) as partial:
        for name in VOLUMES:
            write_volume(getattr(phantom, name), partial / f"{name}.nii.gz")
        planes = {"coordinateSystem": "LPS", "planes": [plane.to_json() for plane in phantom.planes]}
        _write_json(planes, partial / "planes.json")
        _write_json(phantom.truth.to_json() | {"settings": phantom.settings.to_json()}, partial / TRUTH)
    return folder


def write_lascarqs_cohort(
    folder: str | Path,
    count: int,
    *,
    seed: int = 1,
    task: str = "task1",
    settings: PhantomSettings | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write `count` phantoms as `task1/train_data/train_{n}/…` or `task2/…`, exactly as LAScarQS lays out its scans.

    Case n has the seed `seed + n − 1`. The truth of all of them goes into `truth.json` beside the task's folder, where no
    reader of the challenge's layout looks.

    Raises `InputError`: unknown task, a count below 1, an existing folder (see `write_phantom`).
    """
    require_choice("task", task, LASCARQS_TASKS)
    if count < 1:
        raise InputError(f"count is {count}; a cohort needs at least 1 case.")
    folder, settings, progress = Path(folder), settings or PhantomSettings(), progress or Progress()
    truths = {}
    with whole_folder(folder, force, PHANTOM) as partial:
        for n in range(1, count + 1):
            progress.report("phantom", (n - 1) / count, f"Case {n} of {count}")
            phantom = make_phantom(replace(settings, seed=seed + n - 1))
            case = partial / task / LASCARQS_PART / f"train_{n}"
            case.mkdir(parents=True)
            write_volume(phantom.image, case / LASCARQS_IMAGE)
            write_volume(phantom.cavity, case / LASCARQS_CAVITY)
            if task == "task1":
                write_volume(phantom.scar, case / LASCARQS_SCAR)
            truths[f"train_{n}"] = phantom.truth.to_json()
        _write_json(truths, partial / TRUTH)
        progress.report("phantom", 1.0, f"{count} cases written")
    return folder


def _write_json(content: object, path: Path) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
