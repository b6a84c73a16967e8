"""A stage of a published system on the phantom cohort, and its bundle.

    python Benchmarks/scar_networks/train.py --out DIR --system boundary_focused --stage cavity
    python Benchmarks/scar_networks/train.py --out DIR --system boundary_focused --stage scar --anatomy truth
    ... [--preset tiny] [--epochs 75] [--max-steps N]

Everything goes through `lascarseg train` and `lascarseg models export`. A cavity is two networks, each trained on one half of the
phantoms; a scar network with `--anatomy predicted` needs them, and sees of each half what the other one's network found. What is
trained whole is left, what was interrupted goes on: run the same command again. `--max-steps` stops earlier, for this time. Needs
`cohort.py` before.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from layout import ANATOMIES, PRESETS, SYSTEMS, Layout, lascarseg, lascarseg_train

CAVITY_FOLDS = 2
"""The fewest trainings that find the cavity of every phantom without having seen it."""
SCAR_FOLDS = 6
"""20 phantoms of 24 to train on, 4 to choose the checkpoint with."""
STEPS_PER_EPOCH = 20
"""A checkpoint every minute or so on a processor."""
EPOCHS = {"cavity": 40, "scar": 75}
"""A few minutes on a processor; both papers train some hundred times longer."""
DATA = "simulated LGE-MRI: post-ablation phantoms of LAScarSeg"
USE = "Tests and demonstrations only: it has never seen a patient."


@dataclass(frozen=True)
class Plan:
    """Which system is trained, how large, how long."""

    layout: Layout
    preset: str
    system: str
    max_steps: int | None

    def train(
        self, stage: str, detail: str, epochs: int, folds: int, fold: int = 0, anatomy: str = "", cavities: Sequence[Path] = ()
    ) -> Path | None:
        """Train, or go on; returns the run's folder, None when there is nothing yet that could be used."""
        folder = self.layout.run(self.preset, self.system, stage, detail)
        options = ["--preset", self.preset, "--epochs", epochs, "--steps-per-epoch", STEPS_PER_EPOCH, "--folds", folds, "--fold", fold]
        options += ["--validate-every", epochs]
        options += ["--anatomy", anatomy] if anatomy else []
        options += [argument for cavity in cavities for argument in ("--cavity", cavity)]
        options += [] if self.max_steps is None else ["--max-steps", self.max_steps]
        lascarseg_train(self.system, stage, self.layout.training, folder, *options)
        return folder if (folder / "best.ckpt").is_file() else None

    def export(self, runs: list[Path], stage: str, detail: str = "") -> None:
        """The runs as one bundle, 16 bits, named after its folder."""
        bundle = self.layout.bundle(self.preset, self.system, stage, detail)
        bundle.parent.mkdir(parents=True, exist_ok=True)
        folds = [argument for run in runs[1:] for argument in ("--fold", run)]
        words = ["--name", bundle.name, "--data", DATA, "--intended-use", USE, "--licence", "MIT"]
        lascarseg("models", "export", runs[0], *folds, "-o", bundle, *words, "--half", "--force")


def main(plan: Plan, stage: str, anatomy: str, epochs: int) -> None:
    if stage == "cavity":
        trained = [plan.train("cavity", fold_name(fold), epochs, CAVITY_FOLDS, fold) for fold in range(CAVITY_FOLDS)]
        runs, detail = [run for run in trained if run], ""
    else:
        cavities = [plan.layout.run(plan.preset, plan.system, "cavity", fold_name(fold)) for fold in range(CAVITY_FOLDS)]
        run = plan.train("scar", anatomy, epochs, SCAR_FOLDS, anatomy=anatomy, cavities=cavities if anatomy == "predicted" else [])
        runs, detail = [run] if run else [], anatomy
    if runs:
        plan.export(runs, stage, detail)


def fold_name(fold: int) -> str:
    return f"fold_{fold}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of this benchmark")
    parser.add_argument("--system", choices=SYSTEMS, required=True)
    parser.add_argument("--stage", choices=("cavity", "scar"), required=True)
    parser.add_argument("--anatomy", choices=ANATOMIES, default="truth", help="whose cavities a scar network is trained on")
    parser.add_argument("--preset", choices=PRESETS, default="tiny")
    parser.add_argument("--epochs", type=int, help=f"of each network, {STEPS_PER_EPOCH} steps each")
    parser.add_argument("--max-steps", type=int, help="stop each training after so many steps, to go on another time")
    a = parser.parse_args()
    main(Plan(Layout(a.out.resolve()), a.preset, a.system, a.max_steps), a.stage, a.anatomy, a.epochs or EPOCHS[a.stage])
