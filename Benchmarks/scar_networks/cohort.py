"""The phantoms to train on, and those to measure with, in LAScarQS's layout.

    python Benchmarks/scar_networks/cohort.py --out DIR [--training 24] [--heldout 8]

Post-ablation phantoms with a field of view that shows little more than the atrium. A cohort that is there is left as it is.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from layout import Layout, lascarseg

TRAINING_SEED, HELDOUT_SEED = 101, 201
"""Of the first phantom; Docs/phantom.md's own numbers come from the seeds 1 to 12."""
MOST_TRAINING = HELDOUT_SEED - TRAINING_SEED


def main(layout: Layout, training: int, heldout: int) -> None:
    if training > MOST_TRAINING:
        raise SystemExit(f"--training is {training}; more than {MOST_TRAINING} would be the held-out phantoms again.")
    for folder, count, seed in ((layout.training, training, TRAINING_SEED), (layout.heldout, heldout, HELDOUT_SEED)):
        if folder.is_dir():
            print(f"There: {folder}")
        else:
            lascarseg("phantom", folder, "--layout", "lascarqs", "--small", "--count", count, "--seed", seed)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of this benchmark")
    parser.add_argument("--training", type=int, default=24, help="phantoms to train on")
    parser.add_argument("--heldout", type=int, default=8, help="phantoms to measure with")
    arguments = parser.parse_args()
    main(Layout(arguments.out.resolve()), arguments.training, arguments.heldout)
