"""How scans and masks lie on disk, by the names people use: LAScarQS, our results and phantoms, one folder or one file a case."""

from collections.abc import Iterable
from pathlib import Path

from ..errors import InputError
from ..support.json_text import parse_json
from ..volumes.files import EXTENSIONS

CAVITY, SCAR, MASK = "cavity", "scar", "mask"
STRUCTURES = (CAVITY, SCAR, MASK)
"""What a file shows: the cavity, scar, or something that its name doesn't tell."""
LASCARQS_TASKS, LASCARQS_PART = ("task1", "task2"), "train_data"
"""LAScarQS 2022: task 1 has cavity and scar, task 2 the cavity alone; cases lie in TASK/train_data/CASE."""
LASCARQS_IMAGE, LASCARQS_CAVITY, LASCARQS_SCAR = "enhanced.nii.gz", "atriumSegImgMO.nii.gz", "scarSegImgM.nii.gz"
IMAGE_STEMS = ("enhanced", "image", "lge")
"""Names of a case's scan: LAScarQS's, our phantoms', la2018's."""
LABEL_STEMS = {CAVITY: ("atriumSegImgMO", "cavity"), SCAR: ("scarSegImgM", "scar")}
"""Names of a case's labels: LAScarQS's references, ours."""
KNOWN_NAMES = {stem: structure for structure, stems in LABEL_STEMS.items() for stem in stems} | {"LA_predict": CAVITY, "scar_predict": SCAR}
"""What a file shows by its name without extension: `LABEL_STEMS`, and LAScarQS's submissions."""
TRUTH, PROVENANCE = "truth.json", "provenance.json"
LARGEST_JSON_BYTES = 32 << 20
"""A result's provenance holds the masks that were given, packed."""
LISTED = 5
"""Names in one message."""


def volume_stem(path: Path) -> str:
    """The name without its volume extension (`.nii.gz` is one); empty for other files."""
    extension = max((e for e in EXTENSIONS if path.name.lower().endswith(e)), key=len, default="")
    return path.name[: -len(extension)] if extension else ""


def case_name(path: Path) -> str:
    """What a scan is called after its path: the file's name without extension, a folder's own name."""
    return volume_stem(path) or path.name


def volume_files(folder: Path) -> list[Path]:
    """The folder's volumes, by name; .hidden files are what file managers and our own partial folders leave."""
    return sorted(path for path in folder.iterdir() if path.is_file() and volume_stem(path) and not path.name.startswith("."))


def case_folders(folder: Path) -> list[Path]:
    """The folders that may be cases, by name."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def labelled_files(folder: Path) -> dict[str, Path]:
    """The folder's masks by what they show; `InputError` when two files show the same."""
    files: dict[str, Path] = {}
    for path in volume_files(folder):
        structure = KNOWN_NAMES.get(volume_stem(path))
        if structure in files:
            raise InputError(f"{folder} has two files for the {structure}: {files[structure].name} and {path.name}. Take one out.")
        if structure is not None:
            files[structure] = path
    return files


def first_volume(folder: Path, stems: Iterable[str]) -> Path | None:
    """The first of the names, with any volume extension, that the folder holds."""
    candidates = (folder / (stem + extension) for stem in stems for extension in EXTENSIONS)
    return next((path for path in candidates if path.is_file()), None)


def lascarqs_tasks(root: Path) -> list[Path]:
    """LAScarQS's task folders in `root`."""
    return [root / task for task in LASCARQS_TASKS if (root / task / LASCARQS_PART).is_dir()]


def inside_task(folder: Path) -> Path:
    """Where a task's cases lie; any other folder is itself."""
    return folder / LASCARQS_PART if (folder / LASCARQS_PART).is_dir() else folder


def is_simulated(folder: Path) -> bool:
    """Whether a result says so, or the phantom's truth lies beside the case or beside its cohort."""
    if _json(folder / PROVENANCE).get("simulated") or "vein_variant" in _json(folder / TRUTH):
        return True
    # phantoms.write_lascarqs_cohort: COHORT/truth.json names the cases of COHORT/task1/train_data/CASE.
    folder = folder.resolve()
    return len(folder.parents) > 2 and folder.name in _json(folder.parents[2] / TRUTH)


def listed(names: Iterable[str]) -> str:
    """Some names for a message, the first five and how many more."""
    names = list(names)
    return ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")


def require_distinct(names: Iterable[str], place: Path, remedy: str) -> None:
    """`InputError` when a name comes twice under `place`."""
    names = list(names)
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise InputError(f"{place} has more than one case called {listed(doubled)}. {remedy}")


def _json(path: Path) -> dict:
    try:
        content = parse_json(path.read_bytes(), LARGEST_JSON_BYTES)
    except (OSError, ValueError):
        # Not there, or somebody else's file of that name: it says nothing about a simulation.
        return {}
    return content if isinstance(content, dict) else {}
