"""A network of whole scans for `inference.py`: la-cavity's, trained further on whole fields of view of phantoms.

    python Benchmarks/cavity_model/whole_scans.py --out DIR [--steps 500]
    python Benchmarks/inference.py --bundle DIR/model

la-cavity's fine network knows the atrium's surroundings only; what it makes of the rest of a thorax says nothing about region first. An
nnU-Net sees whole scans, z-scored over all of their voxels, and so does this one. Phantoms only, and for this measurement only.

Needs la-cavity's terms accepted (`lascarseg models accept la-cavity`). What was trained is left, what was interrupted goes on.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import replace
from pathlib import Path

from LAScarSegLib.phantom import PhantomSettings, make_phantom
from LAScarSegLib.phantom.settings import FULL_FIELD_OF_VIEW, LGE_SPACING_MM
from LAScarSegLib.systems import find_system
from LAScarSegLib.training.export import ExportRequest, export_runs
from LAScarSegLib.training.run_folder import is_run, read_run
from LAScarSegLib.training.settings import TrainingSettings
from LAScarSegLib.training.start import open_start
from LAScarSegLib.training.train import Hardware, start_run, train
from LAScarSegLib.volumes.files import write_volume

SYSTEM, STAGE, START = "two_stage_sdm", "cavity", "la-cavity"
FIRST_SEED = 4100
"""`inference.py` measures on the phantom of seed 4021."""
GRIDS = ((FULL_FIELD_OF_VIEW, LGE_SPACING_MM), ((640, 640, 88), (0.625, 0.625, 1.25)))
"""Taken in turn: the usual protocol, and what `inference.py` measures on."""
FOLDS = 9
"""16 phantoms of 18 to train on."""
STEPS_PER_EPOCH = 50
LEARNING_RATE = 0.005
DATA = "simulated LGE-MRI: whole fields of view of LAScarSeg's phantoms"
USE = "A measurement of speed only: it has never seen a patient's whole scan."


def write_phantoms(folder: Path, count: int) -> Path:
    """The manifest of `count` phantoms, made where they are missing."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = folder / "phantoms.csv"
    rows = []
    for number in range(count):
        name = f"phantom-{FIRST_SEED + number}"
        image, cavity = folder / f"{name}.nrrd", folder / f"{name}-cavity.nrrd"
        if not cavity.exists():
            size, spacing = GRIDS[number % len(GRIDS)]
            phantom = make_phantom(PhantomSettings(seed=FIRST_SEED + number, size=size, spacing=spacing))
            write_volume(phantom.image, image)
            write_volume(phantom.cavity, cavity)
        rows.append([name, image.name, cavity.name])
    with manifest.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["name", "image", "cavity"], *rows])
    return manifest


def main(out: Path, count: int, steps: int) -> None:
    open_start(START)  # its terms, before minutes of phantoms
    manifest = write_phantoms(out / "phantoms", count)
    small = find_system(SYSTEM).stage(STAGE).preset("small")
    size = replace(small, statistics="image", strong_augmentation=False, epochs=-(-steps // STEPS_PER_EPOCH))
    settings = TrainingSettings(
        system=SYSTEM, stage=STAGE, preset="small", data=str(manifest), size=size, folds=FOLDS, steps_per_epoch=STEPS_PER_EPOCH,
        start_from=START, learning_rate=LEARNING_RATE,
    )  # fmt: skip
    folder = out / "run"
    run = read_run(folder) if is_run(folder) else start_run(settings, folder)
    run = train(run, Hardware(validate_every=size.epochs))
    print(f"Validation Dice on whole phantoms: {run.scores()['best']['dice']:.3f}")
    export_runs([folder], out / "model", ExportRequest(name="whole-scans", data=DATA, intended_use=USE, half=True), force=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the phantoms, the run and the model")
    parser.add_argument("--phantoms", type=int, default=18)
    parser.add_argument("--steps", type=int, default=500)
    arguments = parser.parse_args()
    main(arguments.out.resolve(), arguments.phantoms, arguments.steps)
