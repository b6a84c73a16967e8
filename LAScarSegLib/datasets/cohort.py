"""The scans of a cohort with the masks of their cavities: pairs of files, or one folder a scan."""

from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from .layouts import LASCARQS_CAVITY, LASCARQS_IMAGE, case_folders, require_distinct, volume_files, volume_stem

CAVITY_SUFFIX = "-cavity"


@dataclass(frozen=True)
class CohortScan:
    """One scan; `cavity` is None when no mask lies where it should."""

    name: str
    image: Path
    cavity: Path | None


def find_cohort(folder: Path, image: str = LASCARQS_IMAGE, cavity: str = LASCARQS_CAVITY) -> list[CohortScan]:
    """The scans in a folder: pairs `X.nrrd` beside `X-cavity.nrrd`, and folders that hold the file (or DICOM folder) `image`.

    Raises
    ------
    InputError
        there is none, or two have one name.
    """
    scans = [*_pairs(folder), *_folders(folder, image, cavity)]
    if not scans:
        raise InputError(
            f"{folder} holds neither pairs X.nrrd, X{CAVITY_SUFFIX}.nrrd nor folders with a file {image}. "
            "Give the file names with --image and --cavity."
        )
    require_distinct((scan.name for scan in scans), folder, "Results would overwrite each other. Rename one.")
    return scans


def _pairs(folder: Path) -> list[CohortScan]:
    volumes = {volume_stem(file): file for file in volume_files(folder)}
    return [CohortScan(name, file, volumes.get(name + CAVITY_SUFFIX)) for name, file in volumes.items() if not name.endswith(CAVITY_SUFFIX)]


def _folders(folder: Path, image: str, cavity: str) -> list[CohortScan]:
    found = [sub for sub in case_folders(folder) if (sub / image).exists()]
    return [CohortScan(sub.name, sub / image, sub / cavity if (sub / cavity).is_file() else None) for sub in found]
