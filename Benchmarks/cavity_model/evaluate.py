"""The cavity model on scans that it has never seen: Dice, ASSD, HD95, and what it looks like.

    python Benchmarks/cavity_model/evaluate.py BUNDLE HOLDOUT.csv OUT [--carma FOLDER] [--thoraces N]

HOLDOUT.csv is split.py's. Each scan is taken as it is, in a black frame, and pasted into the thorax of one of N phantoms that
no network was trained on; in the last two the coarse network has to find the atrium. --carma adds the CARMA toolkit's
example, compared within the slices that its label covers. OUT gets scores.csv, scores.json, and overlays.png: every scan with
the reference (green) and the prediction (red), the worst first; worst.png: the surfaces of the worst three, for the documentation.
"""

from __future__ import annotations

import argparse
import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from surfaces import draw_surfaces
from views import BACKGROUNDS, background, framed, pasted

from LAScarSegLib.analysis.network_runs import find_cavity
from LAScarSegLib.errors import InputError
from LAScarSegLib.evaluation.scores import score_masks
from LAScarSegLib.evaluation.statistics import summarise
from LAScarSegLib.inference.options import InferenceOptions
from LAScarSegLib.models.bundle import Bundle, read_bundle
from LAScarSegLib.volumes.files import read_volume
from LAScarSegLib.volumes.volume import Box, Volume

KEYS = ("dice", "assd_mm", "hd95_mm", "surface_dice", "centroid_error_mm")
PLACES = (0.25, 0.5, 0.75)
"""Of the label's extent along k: the slices that are drawn."""
WORST = 3
SEED = 1
"""Of the frames' widths."""


@dataclass(frozen=True, eq=False)
class Result:
    """One scan in one view; `scores` is empty where the atrium was not found."""

    name: str
    view: str
    scan: Volume
    reference: np.ndarray
    prediction: np.ndarray
    scores: dict[str, float]
    seconds: float
    problem: str = ""


def segment(bundle: Bundle, name: str, view: str, scan: Volume, reference: Volume) -> Result:
    """Run the model as `lascarseg run` does, and compare."""
    from time import perf_counter

    begin = perf_counter()
    truth = reference.array > 0
    try:
        mask = find_cavity(scan, bundle, InferenceOptions()).mask.whole()
    except InputError as error:
        return Result(name, view, scan, truth, np.zeros_like(truth), {}, perf_counter() - begin, str(error))
    seconds = perf_counter() - begin
    k = np.flatnonzero(truth.any(axis=(1, 2)))
    if view == "carma":
        # Beyond its slices the label says nothing.
        box = Box((int(k[0]), 0, 0), (int(k[-1]) + 1, *truth.shape[1:]))
    else:
        box = Box((0, 0, 0), truth.shape)
    scores, _ = score_masks(mask[box.slices], truth[box.slices], scan.geometry.crop(box))
    return Result(name, view, scan, truth, mask, {key: float(scores[key]) for key in KEYS}, seconds)


def views_of(name: str, scan: Volume, cavity: Volume, thoraces: list[tuple[Volume, Volume]]):
    """(view, scan, cavity): the scan as it is, framed, pasted."""
    random = np.random.default_rng([SEED, *name.encode("ascii")])
    yield "crop", scan, cavity
    yield "frame", *framed(scan, cavity, random)
    if thoraces:
        yield "thorax", *pasted(scan, cavity, *thoraces[int(random.integers(len(thoraces)))])


def draw(results: list[Result], path: Path) -> None:
    """Three slices of every scan, the worst Dice first."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(results), len(PLACES), figsize=(9, 2.6 * len(results)), squeeze=False)
    for row, result in zip(axes, results):
        k = np.flatnonzero(result.reference.any(axis=(1, 2)))
        box = Box.around(result.reference | result.prediction, 12.0, result.scan.geometry.spacing_kji).slices[1:]
        for panel, place in zip(row, PLACES):
            n = int(round(k[0] + place * (k[-1] - k[0])))
            grey = result.scan.array[n][box]
            panel.imshow(grey, cmap="gray", vmax=np.percentile(grey, 99.5), aspect="equal")
            for mask, colour in ((result.reference, "#00e676"), (result.prediction, "#ff1744")):
                if mask[n][box].any():
                    panel.contour(mask[n][box], levels=[0.5], colors=colour, linewidths=0.9)
            panel.axis("off")
        row[0].set_title(f"{result.name} ({result.view}): Dice {result.scores.get('dice', 0):.3f}", fontsize=8, loc="left")
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("holdout", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--carma", type=Path)
    parser.add_argument("--thoraces", type=int, default=2)
    options = parser.parse_args()
    bundle = read_bundle(options.bundle)
    with options.holdout.open(newline="", encoding="utf-8") as file:
        cases = [(row["name"], Path(row["image"]), Path(row["cavity"])) for row in csv.DictReader(file)]
    # Beyond the numbers that the training's backgrounds have.
    thoraces = [background(2 * BACKGROUNDS + number) for number in range(options.thoraces)]
    results = []
    for name, image, label in cases:
        for view, scan, cavity in views_of(name, read_volume(image), read_volume(label), thoraces):
            results.append(segment(bundle, name, view, scan, cavity))
            tell(results[-1])
    if options.carma:
        image, label = (read_volume(options.carma / f"autoscar-{part}.nrrd") for part in ("data", "endo"))
        results.append(segment(bundle, "autoscar", "carma", image, label))
        tell(results[-1])
    write(results, options.out)


def tell(result: Result) -> None:
    values = ", ".join(f"{key} {value:.3f}" for key, value in result.scores.items()) or result.problem
    print(f"{result.name} {result.view}: {values} ({result.seconds:.1f} s)", flush=True)


def write(results: list[Result], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with (out / "scores.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["scan", "view", *KEYS, "seconds", "problem"])
        for r in results:
            writer.writerow([r.name, r.view, *(f"{r.scores[k]:.4f}" if r.scores else "" for k in KEYS), f"{r.seconds:.1f}", r.problem])
    summary = {}
    for view in dict.fromkeys(r.view for r in results):
        of_view = [r for r in results if r.view == view]
        found = [r for r in of_view if r.scores]
        summary[view] = {"scans": len(of_view), "found": len(found)}
        for key in KEYS if found else ():
            values = np.array([r.scores[key] for r in found])
            low, high = summarise(list(values)).low, summarise(list(values)).high
            summary[view][key] = {"mean": values.mean(), "sd": values.std(ddof=1) if len(values) > 1 else None, "min": values.min(),
                                  "max": values.max(), "low": low, "high": high}  # fmt: skip
        print(view, json.dumps(summary[view]))
    (out / "scores.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    draw(sorted((r for r in results if r.view in ("crop", "carma")), key=lambda r: r.scores.get("dice", 0.0)), out / "overlays.png")
    worst = sorted((r for r in results if r.view == "crop"), key=lambda r: r.scores.get("dice", 0.0))[:WORST]
    draw_surfaces(
        [(f"{r.name}: Dice {r.scores['dice']:.3f}", r.prediction, r.reference, r.scan.geometry) for r in worst if r.scores],
        out / "worst.png",
    )
    if any(r.view == "thorax" for r in results):
        draw(sorted((r for r in results if r.view == "thorax"), key=lambda r: r.scores.get("dice", 0.0)), out / "overlays_thorax.png")


if __name__ == "__main__":
    main()
