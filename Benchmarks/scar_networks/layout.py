"""Where the steps of this benchmark leave what the next ones need, and how they call the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SYSTEMS = ("two_stage_sdm", "boundary_focused")
PRESETS = ("tiny", "small")
STAGES = ("cavity", "scar")
COARSE_SYSTEM = "two_stage_sdm"
"""Whose recipe trains the coarse network; neither paper has one."""


@dataclass(frozen=True)
class Layout:
    """The folder that every script of this benchmark is given with `--out`."""

    out: Path

    @property
    def training(self) -> Path:
        """LAScarQS's layout, `task1/train_data/train_N`."""
        return self.out / "training"

    @property
    def heldout(self) -> Path:
        """As `training`; never seen by a network, nor by the choice of a rule."""
        return self.out / "heldout"

    def run(self, preset: str, system: str, stage: str) -> Path:
        """A training."""
        return self.out / "runs" / f"{preset}-{system}-{stage}"

    @property
    def coarse(self) -> Path:
        """The training of the network that finds the atrium, for the cavity networks of both systems."""
        return self.out / "runs" / "coarse"

    def bundle(self, preset: str, system: str, stage: str) -> Path:
        """A model; the folder's name is the model's, too."""
        return self.out / "bundles" / f"{system}-{stage}-{preset}-phantom"

    @property
    def rules(self) -> Path:
        return self.out / "rules.json"

    @property
    def ablation(self) -> Path:
        return self.out / "ablation"


def case_folders(cohort: Path) -> list[Path]:
    """The cases of a cohort, by number."""
    found = (cohort / "task1" / "train_data").glob("train_*")
    return sorted(found, key=lambda path: int(path.name.rpartition("_")[2]))


def lascarseg(*arguments: object) -> None:
    """`lascarseg ARGUMENTS` in a process of its own; its output is shown, and its failure ends this one."""
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
    command = [sys.executable, "-c", "from LAScarSegLib.cli.main import main; main()", *map(str, arguments)]
    print("lascarseg", *arguments, flush=True)
    code = subprocess.run(command, env=os.environ | {"PYTHONPATH": paths}, check=False).returncode
    if code:
        raise SystemExit(code)


def lascarseg_train(system: str, stage: str, data: Path, folder: Path, *options: object) -> None:
    """`lascarseg train` into `folder`: from the start, on from where it stopped, or nothing when every step is done."""
    if not is_finished(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        resume = ["--resume"] if (folder / "run.json").is_file() else []
        lascarseg("train", system, stage, "--data", data, "-o", folder, *options, *resume)


def is_finished(folder: Path) -> bool:
    """Whether every planned step of a training is done."""
    file = folder / "scores.json"
    if not file.is_file():
        return False
    scores = json.loads(file.read_text(encoding="utf-8"))
    return scores["last"]["step"] >= scores["total_steps"]
