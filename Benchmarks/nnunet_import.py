"""A real nnU-Net v2 training, short and on phantoms, imported: does it predict what `nnUNetPredictor` does?

    python Benchmarks/nnunet_import.py --nnunet-python PYTHON [--work DIR] [--trainer NAME] [--checkpoint NAME] [--keep BUNDLE]

nnU-Net plans, preprocesses and trains with its own commands; only the plan's network, patch and spacing are made small enough for a
processor. Its fold 0 is then imported, and both predict a phantom that neither has seen, as nnU-Net is released (it adds tiles up in half
precision) and in float32. The bar is ARCHITECTURE's: probabilities within 1e-3 on 99.9 % of voxels, Dice 0.999. What is done in DIR is
left: the same command goes on. `--keep` writes the imported model, with which `inference.py --bundle` compares speed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from common.children import has_nnunet
from common.nnunet_results import CONFIGURATION, DATASET, plans_of
from common.timing import Bar, judge, print_table

NAME = "Dataset001_LA"
TRAINING, FIRST_SEED, UNSEEN_SEED = 5, 7100, 7200
"""Four whole fields of view to train on; the fifth, little more than the heart, is nnU-Net's validation."""
STEPS = ((1, 1, 1), (1, 2, 2), (2, 2, 2), (2, 2, 2))
KERNELS = ((1, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3))
FEATURES = (8, 16, 32, 64)
SPACING_MM, PATCH = (2.5, 1.5, 1.5), (32, 80, 80)
"""80 × 120 × 120 mm."""
CLOSE, SHARE_BAR, DICE_BAR = 1e-3, 0.999, 0.999


def make_dataset(raw: Path) -> None:
    """The phantoms as an nnU-Net raw dataset, and the unseen one beside it."""
    from LAScarSegLib.phantom import PhantomSettings, make_phantom
    from LAScarSegLib.phantom.settings import FULL_FIELD_OF_VIEW, HEART_FIELD_OF_VIEW
    from LAScarSegLib.volumes.files import write_volume

    for part in ("imagesTr", "labelsTr", "imagesTs", "labelsTs"):
        (raw / part).mkdir(parents=True, exist_ok=True)
    for number in range(TRAINING):
        size = FULL_FIELD_OF_VIEW if number < TRAINING - 1 else HEART_FIELD_OF_VIEW
        phantom = make_phantom(PhantomSettings(FIRST_SEED + number, size=size))
        write_volume(phantom.image, raw / "imagesTr" / f"la_{number}_0000.nii.gz")
        write_volume(phantom.cavity, raw / "labelsTr" / f"la_{number}.nii.gz")
    unseen = make_phantom(PhantomSettings(UNSEEN_SEED, size=HEART_FIELD_OF_VIEW))
    write_volume(unseen.image, raw / "imagesTs" / "la_0000.nii.gz")
    write_volume(unseen.cavity, raw / "labelsTs" / "la.nii.gz")
    (raw / "dataset.json").write_text(json.dumps(DATASET | {"numTraining": TRAINING}))


def train(work: Path, python: str, trainer: str, checkpoint: str) -> Path:
    """nnU-Net's own training; its results folder."""
    folders = {key: str(work / key) for key in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}
    environment = os.environ | folders | {"nnUNet_n_proc_DA": "1", "nnUNet_compile": "f"}
    commands = Path(python).parent

    def nnunet(command: str, *arguments: str) -> None:
        subprocess.run([str(commands / f"nnUNetv2_{command}"), *arguments], env=environment, check=True)

    results = work / "nnUNet_results" / NAME / f"{trainer}__nnUNetPlans__{CONFIGURATION}"
    if (results / "fold_0" / checkpoint).is_file():
        return results
    prepared = work / "nnUNet_preprocessed" / NAME
    if not (prepared / "splits_final.json").is_file():
        make_dataset(work / "nnUNet_raw" / NAME)
        nnunet("extract_fingerprint", "-d", "1", "-np", "1")
        nnunet("plan_experiment", "-d", "1")
        plans = json.loads((prepared / "nnUNetPlans.json").read_text())
        plans["configurations"][CONFIGURATION] |= smaller()
        (prepared / "nnUNetPlans.json").write_text(json.dumps(plans))
        nnunet("preprocess", "-d", "1", "-c", CONFIGURATION, "-np", "1")
        last = f"la_{TRAINING - 1}"
        split = {"train": [f"la_{n}" for n in range(TRAINING - 1)], "val": [last]}
        (prepared / "splits_final.json").write_text(json.dumps([split]))
    goes_on = ["--c"] if (results / "fold_0" / "checkpoint_latest.pth").is_file() else []
    nnunet("train", "1", CONFIGURATION, "0", "-tr", trainer, "-device", "cpu", *goes_on)
    return results


def smaller() -> dict:
    """What the plan has of ours: network, patch and spacing."""
    from LAScarSegLib.models.card import NetworkSpec
    from LAScarSegLib.networks.plan import NetworkPlan

    spec = NetworkSpec(NetworkPlan(1, 2, FEATURES, STEPS, KERNELS), SPACING_MM, PATCH, ("fold_0.safetensors",))
    planned = plans_of(spec)["configurations"][CONFIGURATION]
    return {key: planned[key] for key in ("spacing", "patch_size", "batch_size", "architecture")}


def bring(results: Path, checkpoint: str, folder: Path) -> None:
    """Import fold 0 as a bundle."""
    from LAScarSegLib.models.bundle import write_bundle
    from LAScarSegLib.training.nnunet_import import ImportRequest, convert_results

    write_bundle(*convert_results(results, ImportRequest(name="nnunet-phantoms", simulated=True, checkpoint=checkpoint)), folder)


def ours(bundle: Path, scan: Path, mirror: bool) -> np.ndarray:
    """Our probability (k, j, i) of the imported model, whole scan."""
    from LAScarSegLib.inference.bundle_models import BundleCavityModel
    from LAScarSegLib.inference.options import InferenceOptions
    from LAScarSegLib.models.bundle import read_bundle
    from LAScarSegLib.volumes.files import read_volume

    options = InferenceOptions(device="cpu", region_first=False, mirror=mirror)
    return BundleCavityModel.from_bundle(read_bundle(bundle), options).predict(read_volume(scan)).array


def theirs(python: str, results: Path, checkpoint: str, scan: Path, mirror: bool, single: bool, out: Path) -> np.ndarray:
    """nnUNetPredictor's probability of the foreground (k, j, i)."""
    script = Path(__file__).parent / "common" / "predict_nnunet.py"
    flags = ["--probability", f"--checkpoint={checkpoint}"] + ["--mirror"] * mirror + ["--float32"] * single
    subprocess.run([python, str(script), str(results), str(scan), str(out), *flags], check=True, stdout=subprocess.DEVNULL)
    return np.load(out)


def main(work: Path, python: str, trainer: str, checkpoint: str, keep: Path | None) -> int:
    from LAScarSegLib.anatomy.overlap import dice
    from LAScarSegLib.volumes.files import read_volume

    results = train(work, python, trainer, checkpoint)
    bundle = keep or work / "imported"
    if not bundle.exists():
        bring(results, checkpoint, bundle)
    raw = work / "nnUNet_raw" / NAME
    scan, truth = raw / "imagesTs" / "la_0000.nii.gz", read_volume(raw / "labelsTs" / "la.nii.gz").array > 0
    rows, bars = [], []
    for mirror in (False, True):
        mine = ours(bundle, scan, mirror)
        for single in (True, False):
            other = theirs(python, results, checkpoint, scan, mirror, single, work / "theirs.npy")
            difference = np.abs(mine - other)
            share, alike = float((difference <= CLOSE).mean()), dice(mine > 0.5, other > 0.5)
            what = f"{'mirrored' if mirror else 'not mirrored'}, nnU-Net sums in {'float32' if single else 'float16'}"
            rows.append([what, f"{difference.max():.1e}", f"{share:.4%}", f"{alike:.5f}", f"{dice(mine > 0.5, truth):.3f}"])
            bars.append(Bar(f"{what}: probabilities within {CLOSE:g}", share, SHARE_BAR, "of voxels", at_least=True))
            bars.append(Bar(f"{what}: Dice", alike, DICE_BAR, "", at_least=True))
    print_table(["", "largest difference", f"≤ {CLOSE:g}", "Dice", "Dice with the truth"], rows)
    return judge(bars)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nnunet-python", default=sys.executable, help="the Python that has nnunetv2")
    parser.add_argument("--work", type=Path, help="keeps the training there")
    parser.add_argument("--trainer", default="nnUNetTrainer_1epoch", help="of nnU-Net's; an epoch is 250 steps")
    parser.add_argument("--checkpoint", default="checkpoint_final.pth", help="checkpoint_best.pth takes a training that was stopped")
    parser.add_argument("--keep", type=Path, help="where to write the imported model")
    a = parser.parse_args()
    if not has_nnunet(a.nnunet_python):
        print(f"{a.nnunet_python} has no nnunetv2: nothing to compare with (see --nnunet-python).")
        sys.exit(0)
    with tempfile.TemporaryDirectory() as temporary:
        sys.exit(main((a.work or Path(temporary)).resolve(), a.nnunet_python, a.trainer, a.checkpoint, a.keep))
