"""A result folder read back: its masks, which a person may have corrected, and what it follows from."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..analysis.description import DAMAGE, Stored, on_described_grid, read_description
from ..analysis.legacy import LegacyResult
from ..analysis.provenance import NODE, describe_file, name_only
from ..analysis.sources import CAVITY, MASKS, SCAR, Given, Probability
from ..analysis.surface_alone import MADE_FROM
from ..anatomy.labels import FEWEST_GREY_LEVELS, SEGMENT_NAMES, chosen_voxels
from ..errors import InputError
from ..support.flags import QualityFlag
from ..support.json_text import parse_json
from ..support.printable import printable
from ..surface.filled_mesh import MESH_EXTENSIONS, is_mesh_file
from ..volumes.files import EXTENSIONS, read_volume
from ..volumes.segmentations import SegmentedFile, read_labels
from ..volumes.volume import Geometry, Volume
from .writing import MARKER, SOURCES

LARGEST_JSON_BYTES = 32 << 20
"""provenance.json holds the masks that were given, packed: some hundred kB each."""
WRITTEN = ".nii.gz"
"""The extension of every mask of a result."""
CORRECTED = (".seg.nrrd", *(extension for extension in EXTENSIONS if extension != WRITTEN))
"""Where else a program may have saved a correction; Slicer proposes the first."""
MAPS_BEGIN, MAPS_END = "sdm_", ("_probability", "_entropy")
"""How the maps of a result are called, which say "cavity", "wall" and "scar", too (ARCHITECTURE, "Results on disk")."""


def read_result(folder: str | Path, image: Path | None = None) -> Stored:
    """Read what `write_results` wrote, and the scan it was made from.

    Parameters
    ----------
    image
        where the scan is now; None: where it lay, seen from the result's parent folder.

    Raises
    ------
    InputError
        `folder` is not such a result, or lacks a file; the scan is gone, or is another one.
    """
    folder = Path(folder)
    if not (folder / MARKER).is_file():
        raise InputError(f"{folder} is not a result of LAScarSeg (it has no {MARKER}). Give a folder that `lascarseg run` made.")
    try:
        provenance, measured = _json(folder / MARKER), _json(folder / "measurements.json")
        if provenance.get("made_from") == MADE_FROM:
            raise InputError(f"{folder} was made from a surface, without a scan. To measure it otherwise, give its mesh to `lascarseg surface` again.")
        made_from = provenance["inputs"]["image"]
        scan_path, sha256 = _where_it_was(folder, str(made_from["path"])), str(made_from["sha256"])
        description, digests = provenance.get(SOURCES), {name: str(provenance["masks"][name]) for name in MASKS}
    except OSError as error:
        name = Path(error.filename).name
        raise InputError(f"The result {folder} is damaged: {name} can't be read ({error.strerror}). Run the analysis again.") from error
    except DAMAGE as error:
        raise _damaged(folder, error) from error
    scan = _read_same_scan(image or scan_path, sha256)
    probabilities = {name: _probability(folder / f"{name}_probability.nii.gz", scan) for name in (CAVITY, SCAR)}
    held = {name: _mask_now(folder, name, scan.geometry, digests[name]) for name in MASKS}
    known = {str(file) for file in provenance.get("files", ())} | {Path(image or scan_path or "").name, "surface.vtp"}
    _refuse_unknown_masks(folder, known, scan.geometry, set(digests.values()))
    now, remarks = ({name: getattr(given, part) for name, given in held.items()} for part in ("mask", "flags"))
    probabilities = {name: found for name, found in probabilities.items() if found is not None}
    try:
        if description is None:
            scan = on_described_grid(scan, provenance["geometry"])
            settings, sources = LegacyResult(provenance, measured, now, probabilities).sources()
        else:
            scan, settings, sources = read_description(description, scan, probabilities)
    except DAMAGE as error:
        raise _damaged(folder, error) from error
    return Stored(scan, settings, sources, now, digests, provenance, remarks)


def _mask_now(folder: Path, name: str, grid: Geometry, digest: str) -> Given:
    """A mask of the result as its file holds it now, or a correction that was saved beside it under another extension.

    `digest` is that of the mask that was measured. Raises `InputError` when nobody can say which file is meant.
    """
    written = folder / f"{name}{WRITTEN}"
    beside = _beside(folder, name)
    if not beside and not written.is_file():
        raise InputError(
            f"The result {folder} lacks {written.name}, and holds no corrected {name} instead ({name}{CORRECTED[0]}, {name}{CORRECTED[1]}). "
            "Put the mask there, or run the analysis again."
        )
    found = {path: _given(path, name, grid) for path in ([written] if written.is_file() or not beside else []) + beside}
    changed = {path: given for path, given in found.items() if given.mask.digest != digest}
    if not changed:
        return next(iter(found.values()))
    first = next(iter(changed))
    if len({given.mask.digest for given in changed.values()}) > 1 or _is_old(first, written):
        names = " and ".join(path.name for path in (changed if len(changed) > 1 else (written, first)))
        raise InputError(
            f"{folder} holds {names}, and they differ: which one is the corrected {name}? Remove the other, or rename it, and measure again."
        )
    if first == written:
        return changed[first]
    message = f"{first.name} differs from the {name} that was measured before, so it was taken as the corrected {name}."
    return replace(changed[first], flags=(*changed[first].flags, QualityFlag("corrected_mask_taken", message)))


def _beside(folder: Path, name: str) -> list[Path]:
    """What may be a corrected mask beside the written one, in the order of `CORRECTED`: `cavity.seg.nrrd`, in whatever capitals."""
    files = [path for path in sorted(folder.iterdir()) if path.name != f"{name}{WRITTEN}" and path.is_file()]
    return [path for extension in (*CORRECTED, WRITTEN) for path in files if path.name.lower() == f"{name}{extension}"]


def _refuse_unknown_masks(folder: Path, known: Collection[str], grid: Geometry, digests: Collection[str]) -> None:
    """`InputError` for what may be a correction under a name that means nothing here: the old numbers would come out as if measured again.

    A result is written whole, so whatever else than the `known` files lies in its folder came later. Copies of masks with one of the `digests`
    are no corrections.
    """
    called = [path for path in sorted(folder.iterdir()) if path.name not in known and _may_be_mask(path.name) and path.is_file()]
    unknown = [path.name for path in called if not _is_no_correction(path, grid, digests)]
    if unknown:
        raise InputError(
            f"{folder} holds {', '.join(map(printable, unknown))}, which is not read under this name. If it is a corrected mask, call it "
            f"{' or '.join(f'{name}{CORRECTED[0]}' for name in MASKS)} (or .nrrd, .nii.gz; a mesh is given to `lascarseg run` as --cavity); if it is not, put it elsewhere. Then measure again."
        )


def _may_be_mask(file: str) -> bool:
    lower = file.lower()
    stem = next((lower.removesuffix(extension) for extension in (*CORRECTED, WRITTEN, *MESH_EXTENSIONS) if lower.endswith(extension)), "")
    if not stem or stem.startswith((".", MAPS_BEGIN)) or stem.endswith(MAPS_END):
        return False
    # Masks of these names are read, meshes are not.
    return stem not in MASKS or lower.endswith(MESH_EXTENSIONS)


def _is_no_correction(path: Path, grid: Geometry, digests: Collection[str]) -> bool:
    """Whether a file is a scan, or holds what was measured, as a copy from before a correction does: all of it, where it names our segments."""
    if is_mesh_file(path):
        return False
    try:
        file = read_labels(path)
        if not file.segments and np.unique(file.layers[0].array).size > FEWEST_GREY_LEVELS:
            return True
        named = [name for name in MASKS if any(segment.name == SEGMENT_NAMES[name] for segment in file.filled)]
        return (all if named else any)(_chosen(file, name, grid).mask.digest in digests for name in named or MASKS)
    except InputError:
        return False


def _is_old(path: Path, written: Path) -> bool:
    """Whether a file beside what was written is older than it: then it is no correction of that."""
    return path != written and written.is_file() and path.stat().st_mtime < written.stat().st_mtime


def _given(path: Path, name: str, grid: Geometry) -> Given:
    return _chosen(read_labels(path), name, grid)


def _chosen(file: SegmentedFile, name: str, grid: Geometry) -> Given:
    ours = [segment.name for segment in file.filled if segment.name == SEGMENT_NAMES[name]]
    # Who saves the segmentation of our scene saves all of it.
    return Given.of(chosen_voxels(file, name, ours, option=""), grid, name)


def _json(path: Path) -> Any:
    return parse_json(path.read_bytes(), LARGEST_JSON_BYTES)


def _damaged(folder: Path, error: Exception) -> InputError:
    return InputError(f"The result {folder} is damaged or of another version ({error!r}). Run the analysis again.")


def _probability(path: Path, scan: Volume) -> Probability | None:
    if not path.is_file():
        return None
    volume = read_volume(path)
    if not volume.geometry.same_grid(scan.geometry):
        raise InputError(f"{path} is on another grid than the scan. Run the analysis again.")
    return Probability.of(volume.array)


def _where_it_was(folder: Path, path: str) -> Path:
    """The scan's place by what the result says: from the result's parent folder on. Earlier versions wrote an absolute path."""
    if path.startswith(NODE) and not (folder.resolve().parent / path).exists():
        raise InputError(f"The result {printable(folder)} was made in Slicer, from the volume {printable(path)}. Give its file with --image.")
    parent = folder.resolve().parent
    # A network path of Windows would make the computer log on to whichever server it names.
    if Path(path).is_absolute() and not path.startswith(("\\\\", "//")):
        return Path(path)
    place = parent / name_only(path)
    # A result may lie in the folder of its DICOM series.
    return parent if not place.exists() and path == parent.name else place


def _read_same_scan(path: Path, sha256: str) -> Volume:
    if not path.exists():
        raise InputError(f"The scan {printable(path.name)} is not where the result looks for it ({printable(path.parent)}). Say where it is with --image.")
    if not path.is_file() and not path.is_dir():
        raise InputError(f"{printable(path)} is no scan. Say where the scan is with --image.")
    if describe_file(path)["sha256"] != sha256:
        raise InputError(f"{path} is not the scan this result was made from (its content differs). Give the original with --image.")
    return read_volume(path)
