"""A result folder read back: its masks, which a person may have corrected, and how it was made."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..analysis import ScarMethod
from ..errors import InputError
from ..settings import Settings
from ..surface.planes import CutPlane
from ..volume import Volume
from ..volume_files import read_volume
from .folder import MARKER


@dataclass(frozen=True, eq=False)
class StoredResult:
    """`cavity`, `wall` and `scar` as they are on disk now; `digests` of the masks as they were written, by name."""

    cavity: Volume
    wall: Volume
    scar: Volume
    settings: Settings
    method: ScarMethod
    planes: tuple[CutPlane, ...]
    image_path: Path
    image_sha256: str
    digests: dict[str, str]
    provenance: dict[str, Any]


def read_result(folder: str | Path) -> StoredResult:
    """Read what `write_results` wrote. `InputError` when `folder` is not such a result or lacks a file."""
    folder = Path(folder)
    if not (folder / MARKER).is_file():
        raise InputError(f"{folder} is not a result of LAScarSeg (it has no {MARKER}). Give a folder that `lascarseg run` made.")
    try:
        provenance = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        method = ScarMethod(**json.loads((folder / "measurements.json").read_text(encoding="utf-8"))["method"])
        image = provenance["inputs"]["image"]
        return StoredResult(
            *(read_volume(folder / f"{name}.nii.gz") for name in ("cavity", "wall", "scar")),
            settings=Settings.from_json(provenance["settings"]),
            method=method,
            planes=tuple(map(CutPlane.from_json, provenance["planes"])),
            image_path=Path(image["path"]),
            image_sha256=image["sha256"],
            digests=provenance["masks"],
            provenance=provenance,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"The result {folder} is damaged or of another version ({error!r}). Run the analysis again.") from error
