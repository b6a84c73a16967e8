"""How much longer a cavity model of the preset `fine` looks than one of `small`: processor seconds of one thread, side by side.

    python Benchmarks/fine_preset.py [SCAN …]

The two networks have the same weights' shapes, so `fine` is given la-cavity's: its mask is not a good one, but one of an atrium, which the
search for the largest part and its holes depends on. Without SCANs: three simulated ones. Both look at the region that la-cavity's coarse network finds, or at a whole cropped
scan, on the processor and without the doubt.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from common.timing import Bar, judge, print_table

REPOSITORY = Path(__file__).resolve().parents[1]
BUNDLE = REPOSITORY / "Resources" / "Models" / "la-cavity-1.1"
REPETITIONS = 5
SEEDS = (4021, 4022, 4023)
"""Of phantoms that no model was trained on."""
RATIO_BAR = 2.0


def fine_bundle(folder: Path):
    """la-cavity's two networks, the fine one on the grid and in the patches of the preset `fine`."""
    from LAScarSegLib.models.bundle import read_bundle, write_bundle
    from LAScarSegLib.systems import find_system

    bundle = read_bundle(BUNDLE)
    preset = find_system("two_stage_sdm").cavity.preset("fine")
    spec = replace(bundle.card.fine, spacing_mm=preset.spacing_kji, patch=preset.patch_kji)
    if preset.plan.for_use() != spec.plan:
        raise SystemExit("The preset `fine` is another network than la-cavity's: its weights don't fit.")
    card = replace(bundle.card, name="fine", fine=spec, doubt=None, files={})
    return bundle, write_bundle(card, {name: bundle.weights(name) for name in bundle.card.files if name.endswith(".safetensors")}, folder)


def simulated():
    from LAScarSegLib.phantom import HEART_FIELD_OF_VIEW, PhantomSettings, make_phantom

    return [make_phantom(PhantomSettings(seed=seed, size=HEART_FIELD_OF_VIEW)).image for seed in SEEDS]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("scans", type=Path, nargs="*")
    options = parser.parse_args()
    import torch

    from LAScarSegLib.inference.bundle_models import BundleCavityModel
    from LAScarSegLib.inference.options import InferenceOptions
    from LAScarSegLib.volumes.files import read_volume

    torch.set_num_threads(1)
    rows, ratios = [], []
    with tempfile.TemporaryDirectory() as work:
        quiet = InferenceOptions(device="cpu", doubt=False)
        small, fine = (BundleCavityModel.from_bundle(bundle, quiet) for bundle in fine_bundle(Path(work) / "fine"))
        for scan in map(read_volume, options.scans) if options.scans else simulated():
            seconds: dict[str, list[float]] = {"small": [], "fine": []}
            for _ in range(REPETITIONS):
                for name, model in (("small", small), ("fine", fine)):
                    begin = time.process_time()
                    model.predict(scan)
                    seconds[name].append(time.process_time() - begin)
            taken = {name: statistics.median(values) for name, values in seconds.items()}
            ratios.append(taken["fine"] / taken["small"])
            rows.append(("×".join(map(str, scan.array.shape)), f"{taken['small']:.2f}", f"{taken['fine']:.2f}", f"{ratios[-1]:.2f}"))
    print_table(("scan", "small, s", "fine, s", "ratio"), rows)
    return judge([Bar("fine over small, median of the scans", statistics.median(ratios), RATIO_BAR, "×")])


if __name__ == "__main__":
    raise SystemExit(main())
