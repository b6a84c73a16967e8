"""A stage of a published system on the phantom cohort, and its bundle.

    python Benchmarks/scar_networks/train.py --out DIR --system boundary_focused --stage cavity
    python Benchmarks/scar_networks/train.py --out DIR --system boundary_focused --stage scar
    ... [--preset tiny] [--epochs 75] [--max-steps N]

Everything goes through `lascarseg train` and `lascarseg models export`; a scar network is trained on the true cavities. What is trained
whole is left, what was interrupted goes on: run the same command again. `--max-steps` stops earlier, for this time. Needs `cohort.py`
before.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from layout import PRESETS, STAGES, SYSTEMS, Layout, lascarseg, lascarseg_train

FOLDS = 6
"""20 phantoms of 24 to train on, 4 to validate with."""
STEPS_PER_EPOCH = 20
"""A checkpoint every minute or so on a busy processor."""
EPOCHS = {"cavity": 30, "scar": 75}
"""A few minutes on a processor; both papers train some hundred times longer."""
DATA = "simulated LGE-MRI: post-ablation phantoms of LAScarSeg"
USE = "Tests and demonstrations only: it has never seen a patient."


def main(layout: Layout, preset: str, system: str, stage: str, epochs: int, max_steps: int | None) -> None:
    run, bundle = layout.run(preset, system, stage), layout.bundle(preset, system, stage)
    options = ["--preset", preset, "--epochs", epochs, "--steps-per-epoch", STEPS_PER_EPOCH, "--folds", FOLDS, "--validate-every", epochs]
    options += ["--anatomy", "truth"] if stage == "scar" else []
    options += [] if max_steps is None else ["--max-steps", max_steps]
    lascarseg_train(system, stage, layout.training, run, *options)
    bundle.parent.mkdir(parents=True, exist_ok=True)
    words = ["--name", bundle.name, "--data", DATA, "--intended-use", USE, "--licence", "MIT"]
    lascarseg("models", "export", run, "-o", bundle, *words, "--half", "--force")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of this benchmark")
    parser.add_argument("--system", choices=SYSTEMS, required=True)
    parser.add_argument("--stage", choices=STAGES, required=True)
    parser.add_argument("--preset", choices=PRESETS, default="tiny")
    parser.add_argument("--epochs", type=int, help=f"{STEPS_PER_EPOCH} steps each")
    parser.add_argument("--max-steps", type=int, help="stop after so many steps, to go on another time")
    a = parser.parse_args()
    main(Layout(a.out.resolve()), a.preset, a.system, a.stage, a.epochs or EPOCHS[a.stage], a.max_steps)
