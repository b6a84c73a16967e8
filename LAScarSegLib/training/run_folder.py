"""The folder of a training: what it was asked to do, its prepared cases, its checkpoints and curves."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..errors import InputError
from ..support.whole_folder import FolderKind, marker_content
from .preparation import PreparedCase, Split
from .settings import BEST, LAST, TrainingSettings

if TYPE_CHECKING:
    import torch

RUN_CARD, PREPARED, CURVES, PICTURE, SCORES = "run.json", "prepared", "curves.csv", "curves.png", "scores.json"


def _runs_files(card: Path) -> tuple[str, ...] | None:
    """What a training makes beside its card; None for another file of that name."""
    content = marker_content(card) or {}
    return (PREPARED, CURVES, PICTURE, SCORES, BEST, LAST) if {"format", "settings", "split", "cases"} <= content.keys() else None


RUN = FolderKind("training run", frozenset({RUN_CARD}), _runs_files)
FORMAT = 1
NETWORK_PREFIX, AVERAGE_PREFIX = "network.", "average.network."
"""Of the network's weights in a checkpoint of `module.TrainingModule`, and of their moving average where there is one."""


@dataclass(frozen=True)
class TrainingRun:
    """A training run on disk; `read_run` makes it from its folder."""

    folder: Path
    settings: TrainingSettings
    cases: tuple[PreparedCase, ...]
    split: Split
    simulated: bool
    notes: tuple[str, ...] = ()
    seen_before: frozenset[str] = frozenset()
    """Voxel hashes of what the weights that it started from were trained on."""
    learned: Mapping[str, Any] = field(default_factory=dict)
    """What the stage's `learn` found in the training cases."""

    @property
    def prepared(self) -> Path:
        """Where the prepared cases are."""
        return self.folder / PREPARED

    @property
    def total_steps(self) -> int:
        """Optimiser steps of the whole training."""
        return self.settings.total_epochs * self.settings.steps_per_epoch

    def part(self, names: Sequence[str]) -> tuple[PreparedCase, ...]:
        """The cases of these names."""
        return tuple(case for case in self.cases if case.name in names)

    @property
    def trained_on(self) -> frozenset[str]:
        """Voxel hashes of every scan that the weights come from."""
        return self.seen_before | frozenset(case.sha256 for case in self.part(self.split.training))

    def write(self, folder: Path) -> None:
        """Write `run.json` into `folder`."""
        content = {
            "format": FORMAT, "program": __version__, "settings": self.settings.to_json(), "split": asdict(self.split),
            "simulated": self.simulated, "notes": list(self.notes), "cases": [asdict(case) for case in self.cases],
            "seen_before": sorted(self.seen_before), "learned": dict(self.learned),
        }  # fmt: skip
        (folder / RUN_CARD).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def scores(self) -> dict[str, Any]:
        """The last and the best validation: step, Dice, and the score of each case; `InputError` when there was none yet."""
        try:
            return json.loads((self.folder / SCORES).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise InputError(
                f"{self.folder} has no validation yet. Continue the training: lascarseg train ... -o {self.folder} --resume."
            ) from error

    def weights(self, which: str = BEST) -> dict[str, torch.Tensor]:
        """The network's weights in a checkpoint, averaged where the training does so, on the CPU, by name. Imports torch; nothing in the file
        is executed."""
        import torch

        path = self.folder / which
        if not path.is_file():
            raise InputError(f"{self.folder} has no {which}: nothing was trained in it yet.")
        state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
        prefix = NETWORK_PREFIX if self.settings.ema is None else AVERAGE_PREFIX
        return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def is_run(folder: str | Path) -> bool:
    """Whether a folder is a training run."""
    return (Path(folder) / RUN_CARD).is_file()


def read_run(folder: str | Path) -> TrainingRun:
    """The run in `folder`; `InputError` when it is none, or of a later version."""
    folder = Path(folder).expanduser().absolute()
    if not is_run(folder):
        raise InputError(f"{folder} is no training run: it has no {RUN_CARD}.")
    try:
        data = json.loads((folder / RUN_CARD).read_text(encoding="utf-8"))
        if data["format"] > FORMAT:
            raise InputError(f"{folder} was made by a later version of LAScarSeg ({data['program']}). Update to continue it.")
        cases = tuple(PreparedCase(**(case | {"spacing_kji": tuple(case["spacing_kji"])})) for case in data["cases"])
        settings, seen = TrainingSettings.from_json(data["settings"]), frozenset(data.get("seen_before", ()))
        split = Split(tuple(data["split"]["training"]), tuple(data["split"]["validation"]))
        return TrainingRun(folder, settings, cases, split, data["simulated"], tuple(data["notes"]), seen, data.get("learned", {}))
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{folder / RUN_CARD} is damaged ({type(error).__name__}: {error}). Start the training again with --force."
        ) from error


def check_same(run: TrainingRun, settings: TrainingSettings) -> None:
    """`InputError` with the differing keys unless `settings` are those of the run."""
    differences = run.settings.differences(settings)
    if differences:
        changes = "; ".join(f"{key} was {before!r}, now {now!r}" for key, (before, now) in differences.items())
        raise InputError(f"{run.folder} is a training with other settings ({changes}). Give the same to continue it, or another folder.")


def write_whole(path: Path, text: str) -> None:
    """Replace a text file in one step: a reader sees the old or the new one."""
    scratch = path.with_name(f".{path.name}.partial")
    scratch.write_text(text, encoding="utf-8")
    os.replace(scratch, path)
