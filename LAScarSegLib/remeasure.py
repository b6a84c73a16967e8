"""Measure a result folder again, after its masks were corrected or with another method: the numbers follow the edit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .analysis import Analysis
from .errors import InputError
from .flags import simulated_model
from .intensity.rules import RULES
from .output.files import check_output, write_results
from .output.reading import StoredResult, read_result
from .pipeline import analyse
from .progress import Progress
from .provenance import describe_file, mask_digest
from .request import choose_scar, read_plane_files
from .settings import Settings
from .volume import Volume
from .volume_files import read_volume


@dataclass(frozen=True)
class Changes:
    """What shall be different: None or empty keeps what the result was made with.

    `scar` is a rule's name or a mask file; `threshold` a number or a preset's key, for that rule or else for the rule the
    result was made with; `native` may only be added.
    """

    image: Path | None = None
    scar: str | None = None
    threshold: str | None = None
    planes: tuple[Path, ...] = ()
    native: bool = False
    staging: str | None = None


def remeasure(folder: Path, changes: Changes, output: Path | None, force: bool, progress: Progress) -> Analysis:
    """Measure the result in `folder` again, and write a new one to `output` if given.

    A cavity that was edited gets a new wall and, from a rule, new scar; a wall or scar that was edited is kept as it is,
    until `changes.scar` asks for another method.

    Raises
    ------
    InputError
        no result folder, the scan is gone or another one, or what `analyse` refuses.
    """
    if output is not None:
        check_output(output, force)
    stored = read_result(folder)
    progress.report("read", 0.0, "Reading the result")
    image_path = changes.image or stored.image_path
    image = _read_same_scan(image_path, stored)
    scar, settings = _scar_and_settings(stored, changes)
    analysis = analyse(
        image, settings, cavity=stored.cavity, wall=stored.wall if stored.method.wall_given or _was_edited(stored, "wall") else None, scar=scar,
        planes=read_plane_files(changes.planes) or stored.planes, progress=progress.part(0.1, 1.0 if output is None else 0.5),
    )  # fmt: skip
    kept = ("cavity", "scar") if scar is stored.scar else ("cavity",)
    origin = _origin(stored, kept)
    origin["inputs"]["image"] = describe_file(image_path)
    if "scar" in kept and not _was_edited(stored, "scar"):
        analysis = replace(analysis, method=replace(stored.method, wall_given=analysis.method.wall_given))
    flags = dict.fromkeys(simulated_model(model["name"]) for model in origin.get("models", {}).values() if model["simulated"])
    provenance = analysis.provenance | origin | {"remeasured": str(folder.resolve())}
    analysis = replace(analysis, flags=(*analysis.flags, *flags), provenance=provenance)
    if output is not None:
        write_results(analysis, output, force=force, progress=progress.part(0.5, 1.0))
    return analysis


def _scar_and_settings(stored: StoredResult, changes: Changes) -> tuple[Volume | None, Settings]:
    """The scar mask (None: a rule finds it) and the settings, with the changes made."""
    settings = replace(stored.settings, native=stored.settings.native or changes.native, staging=changes.staging or stored.settings.staging)
    # A mask that was given, or a model's: neither is found again by a rule.
    if changes.scar is None and (stored.method.name not in RULES or _was_edited(stored, "scar")):
        if changes.threshold is not None:
            raise InputError(
                f"The scar of this result is a mask, or was edited; a threshold ({changes.threshold}) would replace it. Name "
                "the rule with --scar to do so."
            )
        return stored.scar, settings
    if changes.scar is None and changes.threshold is None:
        return None, settings
    method, threshold = choose_scar(stored.method.name if changes.scar is None else changes.scar, changes.threshold)
    if isinstance(method, Path):
        return read_volume(method), settings
    return None, replace(settings, rule=method, threshold=threshold)


def _origin(stored: StoredResult, kept: tuple[str, ...]) -> dict[str, Any]:
    """What the new provenance has of the old one: the models or files that the masks named in `kept` came from, and which a person changed."""
    origin: dict[str, Any] = {"inputs": {}}
    for entry in ("inputs", "models"):
        if found := {name: value for name, value in stored.provenance.get(entry, {}).items() if name in kept}:
            origin[entry] = found
    if edited := [name for name in kept if name in stored.provenance.get("edited", ()) or _was_edited(stored, name)]:
        origin["edited"] = edited
    return origin


def _was_edited(stored: StoredResult, name: str) -> bool:
    mask: Volume = getattr(stored, name)
    return mask_digest(mask.array > 0) != stored.digests[name]


def _read_same_scan(path: Path, stored: StoredResult) -> Volume:
    if not path.exists():
        raise InputError(f"The scan {path} is no longer there. Say where it is with --image.")
    if describe_file(path)["sha256"] != stored.image_sha256:
        raise InputError(f"{path} is not the scan this result was made from (its content differs). Give the original with --image.")
    return read_volume(path)
