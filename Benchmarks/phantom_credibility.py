"""Are phantoms as hard as patients? The list of SCIENCE section 7, measured with the pipeline itself.

    python Benchmarks/phantom_credibility.py [--count 12] [--json FILE]
    python Benchmarks/phantom_credibility.py --figure Docs/images/phantom_beside_real.png

Prints one line a phantom and a table of medians with ranges. Writes only the files that are named. The figure puts the
default phantom beside the CARMA scan, which is looked for in LASCARSEG_TEST_DATA (default ../shared/data).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from LAScarSegLib.analysis import Analysis, ByRule, Change, analyse, revise
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.phantom import HEART_FIELD_OF_VIEW, Phantom, PhantomSettings, make_phantom
from LAScarSegLib.volumes.files import read_volume
from LAScarSegLib.volumes.volume import Volume

CARMA_SIZE = (166, 214)
"""Rows and columns of the CARMA scan, 104 × 134 mm."""

METHODS = (("iir", 0.97), ("iir", 1.16), ("iir", 1.20), ("iir", 1.32), ("nsd", 2.0), ("nsd", 3.0), ("nsd", 4.0), ("percentile", 70.0),
           ("otsu", None), ("gmm", None), ("kmeans", None))  # fmt: skip
TARGETS = {
    "native: surface maximum > IIR 1.2 (%)": "about 30",
    "native: surface maximum > mean + 3 SD (%)": "about 8",
    "scar volume (mL)": "median about 3.2 (0.9-8.3)",
    "blood CV": "about 0.12",
    "scar, share of the LA wall (%)": "13.9 ± 5.9",
    "image: healthy wall over blood": "0.75-0.90",
    "image: fibrosis over blood (native)": "1.14 ± 0.15",
    "image: scar over blood (post-ablation)": "1.25 ± 0.25",
    "true mask measured - truth: scar area (points)": "0: the pipeline's own error",
    "true mask measured - truth: wall share (points)": "0: the pipeline's own error",
    "measured - truth: LA volume (%)": "0: the pipeline's own error",
}


@dataclass(frozen=True)
class Measured:
    """What one phantom gave: `values` by target's name, `dice` on the surface by method."""

    kind: str
    values: dict[str, float]
    dice: dict[str, float]


def main(count: int, json_path: Path | None) -> None:
    results = []
    for kind in ("native", "post_ablation"):
        for seed in range(1, count + 1):
            phantom = make_phantom(PhantomSettings(seed=seed, kind=kind, size=HEART_FIELD_OF_VIEW))
            result = measure(phantom)
            results.append(result)
            dice = result.dice["iir 1.2"]
            print(f"{kind:14s} seed {seed:2d}  {phantom.truth.vein_variant:13s} LA {phantom.truth.la_volume_ml:4.0f} mL  "
                  f"scar {phantom.truth.scar_volume_ml:4.1f} mL  surface Dice at IIR 1.2: {dice:.2f}", flush=True)  # fmt: skip
    print_table(results)
    if json_path is not None:
        json_path.write_text(json.dumps([r.__dict__ for r in results], indent=1), encoding="utf-8")


def measure(phantom: Phantom) -> Measured:
    """Run the pipeline with the true scar, then with every method, on the same surface."""
    analysis = analyse(phantom.image, Settings(perturbation=False), cavity=phantom.cavity, scar=phantom.scar, planes=phantom.planes)
    truth, area = analysis.surface.scar, analysis.surface.vertex_area_mm2
    dice = {}
    for rule, threshold in METHODS:
        found = revise(analysis, Change(scar=ByRule(rule, threshold))).surface.scar
        dice[rule if threshold is None else f"{rule} {threshold:g}"] = surface_dice(found, truth, area)
    return Measured(phantom.settings.kind, look(phantom, analysis), dice)


def look(phantom: Phantom, analysis: Analysis) -> dict[str, float]:
    """The values of `TARGETS` that one phantom has."""
    blood, area = analysis.blood_pool, analysis.surface.vertex_area_mm2
    over_blood = phantom.image.array / blood.mean
    scar, wall = phantom.scar.array > 0, phantom.wall.array > 0
    truth, measured = phantom.truth, {name: quantity.value for name, quantity in analysis.measurements.items()}
    native = phantom.settings.kind == "native"
    values = {
        "scar volume (mL)": truth.scar_volume_ml,
        "blood CV": blood.coefficient_of_variation,
        "scar, share of the LA wall (%)": truth.scar_area_pct_wall,
        "image: healthy wall over blood": float(np.median(over_blood[wall & ~scar])),
        f"image: {'fibrosis over blood (native)' if native else 'scar over blood (post-ablation)'}": float(over_blood[scar].mean()),
        "true mask measured - truth: scar area (points)": measured["scar_area_pct"] - truth.scar_area_pct,
        "true mask measured - truth: wall share (points)": measured["scar_area_pct_wall"] - truth.scar_area_pct_wall,
        "measured - truth: LA volume (%)": 100 * (measured["la_volume_ml"] / truth.la_volume_ml - 1),
    }
    if native:
        lge = analysis.surface.lge
        values["native: surface maximum > IIR 1.2 (%)"] = 100 * float(area[lge > 1.2 * blood.mean].sum() / area.sum())
        values["native: surface maximum > mean + 3 SD (%)"] = 100 * float(area[lge > blood.mean + 3 * blood.sd].sum() / area.sum())
    return values


def surface_dice(a: np.ndarray, b: np.ndarray, area: np.ndarray) -> float:
    """Dice of two sets of vertices, weighted by area."""
    return float(2 * area[a & b].sum() / max(area[a].sum() + area[b].sum(), 1e-9))


def print_table(results: list[Measured]) -> None:
    print(f"\n{'':50s}{'median':>8s}{'low':>8s}{'high':>8s}   wanted")
    for name, wanted in TARGETS.items():
        print_row(name, [r.values[name] for r in results if name in r.values], wanted)
    for kind in ("native", "post_ablation"):
        for method in results[0].dice:
            wanted = "0.35-0.50, never above 0.7"
            print_row(f"surface Dice, {kind.replace('_', '-')}: {method}", [r.dice[method] for r in results if r.kind == kind], wanted)


def print_row(name: str, values: list[float], wanted: str) -> None:
    print(f"{name:50s}{np.median(values):8.2f}{min(values):8.2f}{max(values):8.2f}   {wanted}")


def draw_figure(path: Path) -> None:
    """Slices of the CARMA scan above slices of the default phantom, grey levels over blood, the same scale."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    folder = Path(os.environ.get("LASCARSEG_TEST_DATA", ROOT.parent / "shared" / "data")) / "carma"
    scan, cavity = read_volume(folder / "autoscar-data.nrrd"), read_volume(folder / "autoscar-endo.nrrd")
    phantom = make_phantom()
    rows = [
        ("Patient after ablation (CARMA Cardiac MRI Toolkit, University of Utah)", scan, cavity, (5, 9, 12, 15)),
        (f"Phantom, seed {phantom.settings.seed}", phantom.image, phantom.cavity, (14, 18, 22, 26)),
    ]
    figure, axes = plt.subplots(2, 4, figsize=(14, 6.1), facecolor="black")
    for (title, volume, mask, slices), row in zip(rows, axes):
        blood = analyse(volume, Settings(perturbation=False), cavity=mask).blood_pool.mean
        for axis, k in zip(row, slices):
            axis.imshow(heart_window(volume, mask)[k] / blood, cmap="gray", vmin=0.0, vmax=1.7, interpolation="bilinear")
            axis.axis("off")
        row[0].set_title(title, color="white", loc="left", fontsize=12)
    figure.subplots_adjust(left=0.005, right=0.995, top=0.955, bottom=0.005, wspace=0.015, hspace=0.09)
    figure.savefig(path, dpi=100, facecolor="black")


def heart_window(volume: Volume, cavity: Volume) -> np.ndarray:
    """The stack cropped in plane to the CARMA scan's size, with the cavity where it lies in that scan."""
    rows, columns = CARMA_SIZE
    used = np.argwhere(cavity.array.any(axis=0))
    top, left = (used.min(axis=0) + used.max(axis=0)) // 2 - [int(0.54 * rows), columns // 2]
    top = int(np.clip(top, 0, volume.array.shape[1] - rows))
    left = int(np.clip(left, 0, volume.array.shape[2] - columns))
    return volume.array[:, top : top + rows, left : left + columns]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=12, help="phantoms of each kind")
    parser.add_argument("--json", type=Path, help="also write every number to this file")
    parser.add_argument("--figure", type=Path, help="draw the figure of Docs/phantom.md instead")
    arguments = parser.parse_args()
    if arguments.figure is not None:
        draw_figure(arguments.figure)
    else:
        main(arguments.count, arguments.json)
