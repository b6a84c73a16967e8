"""What somebody asks to be reproduced, and the folder that keeps it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ... import __version__
from ...errors import InputError
from ...support.one_at_a_time import LOCK
from ...support.whole_folder import PROGRAM, FolderKind, check_folder, marked_by_program, marker_content, whole_folder
from ...systems import SYSTEMS, System, find_system
from ...systems.reproduction import Reproduction

CARD, RUNS, MODELS, SCORES, TABLES, REPORT = "reproduction.json", "runs", "models", "scores", "tables", "report.html"
FORMAT = 1
REPRODUCTION = FolderKind("reproduction", frozenset({CARD}), marked_by_program((RUNS, MODELS, SCORES, TABLES, REPORT, LOCK)))


@dataclass(frozen=True)
class ReproductionRequest:
    """One paper on one data set. Everything here changes the numbers, so a folder is gone on with the same only.

    Raises
    ------
    InputError
        from the constructor, for a system that can't be reproduced, a preset that one of its stages lacks, or a number that can't be.
    """

    paper: str
    data: str
    preset: str = "paper"
    by_scan_hash: bool = False
    """Keep the copies of a scan on one side of every cut; else each file counts as a scan, as in the papers."""
    seed: int = 0
    epochs: int | None = None
    """Of each phase of every training; None: the preset's."""
    steps_per_epoch: int | None = None

    def __post_init__(self) -> None:
        for training in self.description.trainings:
            system = find_system(training.system) if training.system else self.system
            system.stage(training.stage, training.variant).preset(training.preset or self.preset)
        for name in ("epochs", "steps_per_epoch"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} is {value}; it must be at least 1.")

    @property
    def system(self) -> System:
        """The paper's system."""
        return find_system(self.paper)

    @property
    def description(self) -> Reproduction:
        """What the paper's tables need."""
        if self.system.reproduction is None:
            known = ", ".join(key for key, system in SYSTEMS.items() if system.reproduction is not None)
            raise InputError(f"Nothing says what the tables of {self.paper} need; choose one of {known}.")
        return self.system.reproduction


@dataclass(frozen=True)
class Begun:
    """A reproduction on disk: what was asked, and the voxel hashes of the scans, by task and case."""

    folder: Path
    request: ReproductionRequest
    hashes: Mapping[str, Mapping[str, str]]


def write_begun(folder: Path, request: ReproductionRequest, hashes: Mapping[str, Mapping[str, str]]) -> Begun:
    """Make the folder; `InputError` when it holds something else, `ProcessingError` when the disk doesn't take it."""
    content = {"program": PROGRAM, "version": __version__, "format": FORMAT, "request": asdict(request), "scans": hashes}
    with whole_folder(folder, False, REPRODUCTION) as partial:
        for name in (RUNS, MODELS, SCORES, TABLES):
            (partial / name).mkdir()
        (partial / CARD).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return Begun(Path(folder), request, hashes)


def read_begun(folder: Path, request: ReproductionRequest) -> Begun | None:
    """What is in `folder` already; None for a folder that is still to be made.

    Raises
    ------
    InputError
        another program's folder, another version's, another paper's or one with other settings; nothing is changed.
    """
    if not (folder / CARD).exists():
        check_folder(folder, False, REPRODUCTION)
        return None
    content: dict[str, Any] = marker_content(folder / CARD) or {}
    if content.get("program") != PROGRAM:
        raise InputError(f"{folder / CARD} is not LAScarSeg's, so the folder is left alone. Give another one.")
    if content.get("version") != __version__ or content.get("format") != FORMAT:
        raise InputError(
            f"{folder} was begun by LAScarSeg {content.get('version')}, this is {__version__}: what both train would be mixed in a table. "
            "Finish it with that version, or give another folder; nothing in it was changed."
        )
    try:
        before, hashes = ReproductionRequest(**content["request"]), {task: dict(cases) for task, cases in content["scans"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder / CARD} is damaged ({type(error).__name__}: {error}). Give another folder.") from error
    mine, theirs = asdict(request), asdict(before)
    if changed := [key for key in mine if mine[key] != theirs[key]]:
        words = "; ".join(f"{key} was {theirs[key]!r}, now {mine[key]!r}" for key in changed)
        raise InputError(f"{folder} is a reproduction with other settings ({words}). Give the same to go on, or another folder.")
    return Begun(folder, before, hashes)
