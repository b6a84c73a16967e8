"""The cavity model on a 640×640×88 scan against nnU-Net's own predictor: the same weights, the same scan, mirroring off.

The bundle's fine network (its first fold) is written out as a finished nnU-Net training, and that is imported again: nnUNetPredictor
and our whole scan then do the same, nnU-Net's preprocessing included. Region first adds the bundle's coarse network to the imported
bundle. The last row is the bundle as it is, with its own preprocessing and all its folds. `--bundle` takes another model: a network of
whole scans, such as that of `cavity_model/whole_scans.py`, is needed to compare what region first finds with the whole scan, since
la-cavity's knows the atrium's surroundings only; its Dice is shown and not judged.

Each run is a process of its own; the sides take turns. Start is Python, imports and, for nnU-Net, building its network; inference is
from the scan's file to the mask on the scan's grid; the first tile is counted from the start of the process. Dice is between
nnU-Net's mask and ours in the box around the atrium and 15 mm. nnU-Net may live in an environment of its own (--nnunet-python).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from common.children import Measured, apart, has_nnunet, measure
from common.scans import SIZE_88, SPACING_88
from common.timing import Bar, judge, print_table, ratio

REPOSITORY = Path(__file__).resolve().parents[1]
BUNDLE = REPOSITORY / "Resources" / "Models" / "la-cavity-1.1"
SEED = 4021
"""Of the phantom; no model was trained on it."""
SPEED_BAR, WHOLE_SCAN_BAR, DICE_BAR, MEMORY_BAR, START_BAR_S = 5.0, 1.0, 0.995, 0.5, 8.0
NNUNET, WHOLE, REGION, SHIPPED = "nnUNetPredictor", "here, whole scan", "here, region first", "here, the bundle as it is"


@dataclass(frozen=True)
class Files:
    """What all sides share, and where they leave their masks."""

    folder: Path
    bundle: Path
    knows_whole_scans: bool
    """Whether the network was trained on whole scans: another one errs where region first doesn't look."""
    image: Path
    cavity: Path

    def commands(self, nnunet_python: str | None) -> dict[str, list[str]]:
        """By the name of the row; those of nnU-Net and of region first only where they can be run."""
        ours, theirs = (str(Path(__file__).parent / "common" / f"predict_{side}.py") for side in ("ours", "nnunet"))
        commands = {}
        if nnunet_python:
            commands[NNUNET] = [nnunet_python, theirs, str(self.folder / "results")]
        commands[WHOLE] = [sys.executable, ours, str(self.folder / "imported")]
        if (self.folder / "with_coarse").exists():
            commands[REGION] = [sys.executable, ours, str(self.folder / "with_coarse")]
        commands[SHIPPED] = [sys.executable, ours, str(self.bundle)]
        flags = {WHOLE: ["--whole-scan"]}
        return {name: [*command, str(self.image), str(self.mask(name)), *flags.get(name, [])] for name, command in commands.items()}

    def mask(self, name: str) -> Path:
        return self.folder / f"{name}.npy"


def make_scan(image: Path, cavity: Path) -> None:
    """A phantom's thorax, 400 × 400 × 110 mm, and its true cavity."""
    from LAScarSegLib.phantom import PhantomSettings, make_phantom
    from LAScarSegLib.volumes.files import write_volume

    phantom = make_phantom(PhantomSettings(seed=SEED, size=SIZE_88, spacing=SPACING_88))
    write_volume(phantom.image, image)
    write_volume(phantom.cavity, cavity)


def make_models(path: Path, coarse_path: Path, folder: Path) -> None:
    """The bundle's fine network as an nnU-Net training, as a bundle that was imported from it, and that with the coarse network."""
    from common.nnunet_results import write_results

    from LAScarSegLib.models.bundle import read_bundle, write_bundle
    from LAScarSegLib.training.nnunet_import import ImportRequest, convert_results

    bundle = read_bundle(path, stage="cavity")
    results = folder / "results"
    results.mkdir()
    write_results(bundle, results)
    request = ImportRequest(name="imported", system=bundle.card.system, variant=bundle.card.variant)
    card, files = convert_results(results, request)
    card = replace(card, threshold=bundle.card.threshold)
    write_bundle(card, files, folder / "imported")
    finder = bundle if bundle.card.coarse is not None else read_bundle(coarse_path, stage="cavity")
    coarse = finder.card.coarse
    if coarse is not None:
        files = files | {name: finder.read(name) for name in coarse.weights}
        write_bundle(replace(card, coarse=coarse), files, folder / "with_coarse")


def knows_whole_scans(path: Path) -> bool:
    from LAScarSegLib.models.bundle import read_bundle

    return read_bundle(path, stage="cavity").card.preprocessing.statistics == "image"


def measure_in_turn(commands: dict[str, list[str]], repetitions: int) -> dict[str, list[Measured]]:
    """Every command's runs; they take turns, so that a busy moment of the machine meets all of them."""
    runs: dict[str, list[Measured]] = {name: [] for name in commands}
    for _ in range(repetitions):
        for name, command in commands.items():
            runs[name].append(measure(command))
    return runs


def median_of(runs: list[Measured], first: str, second: str) -> float:
    return statistics.median(run.between(first, second) for run in runs)


def box_dice(files: Files, name: str) -> float:
    """Dice between a side's mask and nnU-Net's, in the box around the true atrium."""
    from LAScarSegLib.anatomy.overlap import dice
    from LAScarSegLib.inference.region import REGION_MARGIN_MM
    from LAScarSegLib.volumes.files import read_volume
    from LAScarSegLib.volumes.volume import Box

    cavity = read_volume(files.cavity)
    box = Box.around(cavity.array > 0, REGION_MARGIN_MM, cavity.geometry.spacing_kji).slices
    ours, theirs = (np.load(files.mask(n), mmap_mode="r")[box] > 0 for n in (name, NNUNET))
    return dice(ours, theirs)


def row(files: Files, name: str, runs: dict[str, list[Measured]]) -> list[str]:
    mine = runs[name]
    inference = median_of(mine, "ready", "done")
    tiles = [run.moments["tile"] for run in mine if "tile" in run.moments]
    compared = [ratio(median_of(runs[NNUNET], "ready", "done"), inference), f"{box_dice(files, name):.4f}"] if NNUNET in runs else ["", ""]
    return [
        name,
        f"{statistics.median(run.seconds for run in mine):.1f}",
        f"{inference:.1f}",
        f"{min(run.between('ready', 'done') for run in mine):.1f}",
        f"{statistics.median(run.cpu_seconds for run in mine):.1f}",
        f"{max(run.peak_gb for run in mine):.2f}",
        f"{statistics.median(tiles):.1f}" if tiles else "",
        *compared,
    ]


def bars(files: Files, runs: dict[str, list[Measured]]) -> list[Bar]:
    """What the measured rows promise."""
    start = statistics.median(run.moments["tile"] for run in runs[SHIPPED])
    promises = [Bar("from the start of the process to the first tile", start, START_BAR_S, "s")]
    if NNUNET not in runs:
        return promises
    theirs, their_peak = median_of(runs[NNUNET], "ready", "done"), max(run.peak_gb for run in runs[NNUNET])
    promises.append(Bar("whole scan, time over nnU-Net's", median_of(runs[WHOLE], "ready", "done") / theirs, WHOLE_SCAN_BAR, "times"))
    if REGION in runs:
        ours, our_peak = median_of(runs[REGION], "ready", "done"), max(run.peak_gb for run in runs[REGION])
        promises += [
            Bar("region first, faster than nnU-Net", theirs / ours, SPEED_BAR, "times", at_least=True),
            Bar("region first, peak memory over nnU-Net's", our_peak / their_peak, MEMORY_BAR, "times"),
        ]
        if files.knows_whole_scans:
            words = "region first, Dice with nnU-Net in the atrium's box"
            promises.append(Bar(words, box_dice(files, REGION), DICE_BAR, "", at_least=True))
    return promises


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=BUNDLE, help="a cavity model's folder or zip")
    parser.add_argument("--coarse", type=Path, default=BUNDLE, help="the model whose coarse network goes first where that one has none")
    parser.add_argument("--image", type=Path, help="a scan instead of the simulated one, with --cavity")
    parser.add_argument("--cavity", type=Path)
    parser.add_argument("--nnunet-python", default=sys.executable, help="the Python that has nnunetv2")
    parser.add_argument("--repetitions", type=int, default=3)
    arguments = parser.parse_args()
    if not arguments.bundle.exists():
        parser.error(f"There is no bundle {arguments.bundle}; name one with --bundle.")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given = arguments.image is not None and arguments.cavity is not None
        scan = (arguments.image, arguments.cavity) if given else (folder / "image.nii.gz", folder / "cavity.nii.gz")
        files = Files(folder, arguments.bundle, knows_whole_scans(arguments.bundle), *scan)
        if not given:
            apart(make_scan, files.image, files.cavity)
        apart(make_models, files.bundle, arguments.coarse, folder)
        commands = files.commands(arguments.nnunet_python if has_nnunet(arguments.nnunet_python) else None)
        if NNUNET not in commands:
            print(f"{arguments.nnunet_python} has no nnunetv2: nothing is compared with nnU-Net (see --nnunet-python).")
        if REGION not in commands:
            print(f"{arguments.bundle} has no coarse network: region first is not measured.")
        elif not files.knows_whole_scans:
            print(f"{arguments.bundle} was trained on regions: its Dice is not judged (see cavity_model/whole_scans.py).")
        runs = measure_in_turn(commands, arguments.repetitions)
        headings = ["", "all, s", "inference, s", "best, s", "processor s", "peak, GB", "first tile, s", "faster", "Dice"]
        print_table(headings, [row(files, name, runs) for name in runs])
        return judge(bars(files, runs))


if __name__ == "__main__":
    sys.exit(main())
