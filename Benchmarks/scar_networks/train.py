"""A stage of a published system on the phantom cohort, and its bundle.

    python Benchmarks/scar_networks/train.py --out DIR --system boundary_focused --stage cavity
    python Benchmarks/scar_networks/train.py --out DIR --system boundary_focused --stage scar
    ... [--preset tiny] [--epochs 75] [--max-steps N] [--coarse]

Everything goes through `lascarseg train` and `lascarseg models export`; a scar network is trained on the true cavities. Cavity networks
know the atrium's surroundings only: they want a region of interest or, with `--coarse`, the coarse network that finds it in a whole field
of view (one training for both systems). What is trained whole is left, what was interrupted goes on: run the same command again.
`--max-steps` stops earlier, for this time. Needs `cohort.py` before.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from layout import COARSE_SYSTEM, PRESETS, STAGES, SYSTEMS, Layout, lascarseg, lascarseg_train

FOLDS = 6
"""20 phantoms of 24 to train on, 4 to validate with."""
STEPS_PER_EPOCH = 20
"""A checkpoint every minute or so on a busy processor."""
EPOCHS = {
    ("two_stage_sdm", "cavity"): 30, ("boundary_focused", "cavity"): 60, ("two_stage_sdm", "scar"): 75, ("boundary_focused", "scar"): 75,
}  # fmt: skip
"""A few minutes on a processor; both papers train some hundred times longer. boundary_focused's cavity wants another patch than `tiny`'s
(README.md)."""
COARSE_EPOCHS = 20
"""Of the network that only tells where the atrium is; its loss was still falling after 160 steps, with nothing found yet."""
DATA = "simulated LGE-MRI: post-ablation phantoms of LAScarSeg"
USE = "Tests and demonstrations only: it has never seen a patient."


def main(layout: Layout, preset: str, system: str, stage: str, epochs: int, max_steps: int | None, coarse: bool) -> None:
    run, bundle = layout.run(preset, system, stage), layout.bundle(preset, system, stage)
    words = ["--name", bundle.name, "--data", DATA, "--intended-use", USE, "--licence", "MIT"]
    options = ["--anatomy", "truth"] if stage == "scar" else []
    options += [] if max_steps is None else ["--max-steps", max_steps]
    if coarse:
        lascarseg_train(COARSE_SYSTEM, "cavity", layout.training, layout.coarse, *length("coarse", COARSE_EPOCHS))
        words += ["--coarse", layout.coarse]
    lascarseg_train(system, stage, layout.training, run, *length(preset, epochs), *options)
    bundle.parent.mkdir(parents=True, exist_ok=True)
    lascarseg("models", "export", run, "-o", bundle, *words, "--half", "--force")


def length(preset: str, epochs: int) -> list[object]:
    """Options for a training of so many epochs, validated once: at its end."""
    return ["--preset", preset, "--epochs", epochs, "--steps-per-epoch", STEPS_PER_EPOCH, "--folds", FOLDS, "--validate-every", epochs]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of this benchmark")
    parser.add_argument("--system", choices=SYSTEMS, required=True)
    parser.add_argument("--stage", choices=STAGES, required=True)
    parser.add_argument("--preset", choices=PRESETS, default="tiny")
    parser.add_argument("--epochs", type=int, help=f"{STEPS_PER_EPOCH} steps each")
    parser.add_argument("--max-steps", type=int, help="stop after so many steps, to go on another time")
    parser.add_argument("--coarse", action="store_true", help="of a cavity: with the network that finds the atrium")
    a = parser.parse_args()
    if a.coarse and a.stage != "cavity":
        parser.error("--coarse is for --stage cavity: only a cavity has to be found in a whole field of view.")
    main(Layout(a.out.resolve()), a.preset, a.system, a.stage, a.epochs or EPOCHS[a.system, a.stage], a.max_steps, a.coarse)
