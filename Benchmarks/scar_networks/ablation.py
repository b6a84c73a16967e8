"""The ablation of two_stage_sdm (its table I) on phantoms: plain nnU-Net, + distance maps, + losses in the wall, + uncertainty band.

    python Benchmarks/scar_networks/ablation.py --out DIR [--epochs 8] [--seeds 3]

Networks of the preset `tiny`, all trained equally long on the same phantoms (true cavities), each with every seed; measured on the held-out
phantoms with their true cavities. `plain` and `full` come first, and what is done is left: stopped at any time, the same command goes on.
Writes ablation.json beside this script, from which `document.py` makes Docs/ablation.md. Needs `cohort.py` before.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
from layout import ROOT, Layout, case_folders, lascarseg_train

sys.path.insert(0, str(ROOT))

from LAScarSegLib.evaluation.scores import score_masks
from LAScarSegLib.evaluation.statistics import compare, summarise
from LAScarSegLib.inference.bundle_models import BundleScarModel
from LAScarSegLib.inference.options import InferenceOptions
from LAScarSegLib.systems import find_system
from LAScarSegLib.training.cavities import card_of, run_networks
from LAScarSegLib.training.run_folder import TrainingRun, read_run
from LAScarSegLib.volumes.files import read_volume, write_volume
from LAScarSegLib.volumes.volume import Box, Geometry, Volume

SYSTEM, PRESET = "two_stage_sdm", "tiny"
VARIANTS = ("plain", "sdm", "sdm_roi", "full")
"""As table I adds them."""
ROUNDS = (("plain", "full"), ("sdm", "sdm_roi"))
"""What is trained first: the ends, then what is between them."""
STEPS_PER_EPOCH = 20
FOLDS = 6
"""Five sixths of the phantoms are trained on, the rest is predicted once, at the end."""
IN_PLANE_MM, MARGIN_MM = 1.25, 25.0
"""The voxel size that phantoms are acquired with and networks work at; what a network sees around the cavity."""
METRICS = (
    "dice", "assd_mm", "centroid_error_mm", "surface_dice", "mesh_dice", "fp_in_cavity_pct", "fp_outside_wall_pct", "fn_inside_wall_pct",
)  # fmt: skip
RESULT = Path(__file__).with_name("ablation.json")
FILES = {"enhanced": False, "atriumSegImgMO": True, "scarSegImgM": True}
"""Of a case, and whether it holds labels."""


def main(layout: Layout, epochs: int, seeds: int) -> None:
    training, heldout = (reduced(folder, layout.ablation / folder.name) for folder in (layout.training, layout.heldout))
    scores: dict[str, dict[str, list]] = {}
    about = {"training": len(case_folders(training)), "heldout": len(case_folders(heldout)), "steps": epochs * STEPS_PER_EPOCH}
    for variant, seed in [(variant, seed) for together in ROUNDS for seed in range(seeds) for variant in together]:
        name = f"{variant}-{seed}-{epochs}"
        file = layout.ablation / f"scores-{name}.json"
        if not file.is_file():
            run = train(layout.ablation / "runs" / name, training, variant, seed, epochs)
            file.write_text(json.dumps(score_run(run, heldout)) + "\n", encoding="utf-8")
        scores.setdefault(variant, {})[str(seed)] = json.loads(file.read_text(encoding="utf-8"))
        in_order = {variant: scores[variant] for variant in VARIANTS if variant in scores}
        RESULT.write_text(json.dumps(content(in_order, about), indent=1) + "\n", encoding="utf-8")


def train(folder: Path, data: Path, variant: str, seed: int, epochs: int) -> TrainingRun:
    """One network, validated once: at its end."""
    options = ["--preset", PRESET, "--variant", variant, "--seed", seed, "--folds", FOLDS, "--anatomy", "truth"]
    options += ["--epochs", epochs, "--steps-per-epoch", STEPS_PER_EPOCH, "--validate-every", epochs]
    lascarseg_train(SYSTEM, "scar", data, folder, *options)
    return read_run(folder)


def reduced(cohort: Path, folder: Path) -> Path:
    """The cohort at 1.25 mm in the plane, cut to a box around the atrium: what takes a processor no time to prepare again and again."""
    if folder.is_dir():
        return folder
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for case in case_folders(cohort):
        target = partial / case.relative_to(cohort)
        target.mkdir(parents=True)
        grid = reduced_grid(read_volume(case / "atriumSegImgMO.nii.gz"))
        for name, labels in FILES.items():
            volume = read_volume(case / f"{name}.nii.gz").resample(grid, labels=labels)
            array = np.rint(volume.array).astype(np.uint8 if labels else np.int16)
            write_volume(Volume(array, grid, volume.flags), target / f"{name}.nii.gz")
    # Says that these are simulated, here as there.
    shutil.copy(cohort / "truth.json", partial)
    return partial.rename(folder)


def reduced_grid(cavity: Volume) -> Geometry:
    """The box around the cavity, voxels of 1.25 mm in the plane, slices as they are."""
    box = cavity.geometry.crop(Box.around(cavity.array > 0, MARGIN_MM, cavity.geometry.spacing_kji))
    spacing = (IN_PLANE_MM, IN_PLANE_MM, box.spacing[2])
    size = tuple(int(n * old / new) for n, old, new in zip(box.size, box.spacing, spacing))
    return Geometry(size, spacing, box.origin, box.direction)


def score_run(run: TrainingRun, heldout: Path) -> list[dict[str, float | None]]:
    """The metrics of one network on every held-out phantom, with its true cavity."""
    model = BundleScarModel(card_of(run), run_networks(run), InferenceOptions(device="cpu"))
    scores = []
    for case in case_folders(heldout):
        image, cavity, scar = (read_volume(case / f"{name}.nii.gz") for name in FILES)
        found = model.predict(image, cavity).array > model.card.threshold
        values, _ = score_masks(found, scar.array > 0, image.geometry, cavity.array > 0)
        scores.append({key: values[key] for key in METRICS})
    return scores


def content(scores: dict[str, dict[str, list]], about: dict[str, int]) -> dict:
    """What the document shows: seeds are averaged within a phantom, intervals are over phantoms."""
    mean = {variant: {key: _mean_of_seeds(runs, key) for key in METRICS} for variant, runs in scores.items()}
    size = find_system(SYSTEM).stage("scar").preset(PRESET)
    network = {
        "features": size.plan.features, "patch_kji": size.patch_kji, "spacing_kji_mm": size.spacing_kji, "batch": size.batch_size,
    }  # fmt: skip
    return {
        "simulated": True, "system": SYSTEM, **about, "network": network, "seeds": {v: sorted(runs) for v, runs in scores.items()},
        "summary": {v: {key: asdict(summarise(values)) for key, values in columns.items()} for v, columns in mean.items()},
        "seed_means": {v: {s: {k: _mean([c[k] for c in cases]) for k in METRICS} for s, cases in r.items()} for v, r in scores.items()},
        "minus_plain": {
            v: {key: asdict(compare(mean[v][key], mean["plain"][key])) for key in METRICS} for v in mean if v != "plain" and "plain" in mean
        },
        "cases": scores,
    }  # fmt: skip


def _mean_of_seeds(runs: dict[str, list], key: str) -> list[float | None]:
    return [_mean([case[key] for case in cases]) for cases in zip(*runs.values())]


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of this benchmark")
    parser.add_argument("--epochs", type=int, default=8, help=f"of every network, {STEPS_PER_EPOCH} steps each")
    parser.add_argument("--seeds", type=int, default=3)
    a = parser.parse_args()
    main(Layout(a.out.resolve()), a.epochs, a.seeds)
