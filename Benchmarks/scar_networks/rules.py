"""The best intensity rule there is for these phantoms: every rule, its presets and a range of its number, on the training phantoms.

    python Benchmarks/scar_networks/rules.py --out DIR

Uses the true cavities. Writes DIR/rules.json: for each measure the rule with the best mean, chosen without the held-out phantoms.
It is a rule that no clinic has, tuned to the scans: what a network must beat. Stopped at any time, the same command goes on. Needs
`cohort.py` before.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from layout import ROOT, Layout, case_folders

sys.path.insert(0, str(ROOT))

from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.anatomy.anatomy import build_anatomy
from LAScarSegLib.evaluation.metrics import DEFAULT_TOLERANCE_MM
from LAScarSegLib.evaluation.scar_agreement import surface_agreement
from LAScarSegLib.evaluation.voxel import surface_dice
from LAScarSegLib.intensity.blood_pool import measure_blood_pool
from LAScarSegLib.intensity.rules import RULES, Intensities
from LAScarSegLib.surface.mesh import cavity_surface
from LAScarSegLib.surface.projection import VoxelsAlongNormals
from LAScarSegLib.volumes.files import read_volume
from LAScarSegLib.volumes.volume import Box

RANGES = {
    "iir": np.arange(0.85, 1.701, 0.05), "nsd": np.arange(0.5, 5.01, 0.25), "wall_nsd": np.arange(0.0, 3.51, 0.25),
    "percentile": np.arange(50.0, 97.6, 2.5),
}  # fmt: skip
"""Tried beside the presets."""
MARGIN_MM = 12.0
"""As in an analysis: nothing that is measured lies farther from the cavity."""
MEASURES = ("surface_dice", "mesh_dice")
"""As `lascarseg evaluate` calls them."""

Candidate = tuple[str, float | None]


def candidates() -> list[Candidate]:
    """Every rule with every number that is tried, None where it has none."""
    found: list[Candidate] = []
    for name, rule in RULES.items():
        numbers = {round(float(value), 4) for value in RANGES.get(name, ())} | {preset.value for preset in rule.presets}
        found += [(name, number) for number in sorted(numbers)] or [(name, None)]
    return found


def score_case(folder: Path) -> dict[Candidate, tuple[float, float]]:
    """Surface Dice and mesh Dice of every candidate on one phantom, with its true cavity."""
    image, cavity, scar = (read_volume(folder / f"{name}.nii.gz") for name in ("enhanced", "atriumSegImgMO", "scarSegImgM"))
    geometry = image.geometry
    box = Box.around(cavity.array > 0, MARGIN_MM, geometry.spacing_kji)
    image, cavity, scar, geometry = image.array[box.slices], cavity.array[box.slices] > 0, scar.array[box.slices] > 0, geometry.crop(box)
    anatomy = build_anatomy(cavity, geometry, Settings.wall_outside_mm)
    surface = cavity_surface(cavity, geometry, Settings.mesh_edge_mm)
    probe = VoxelsAlongNormals.along(geometry, surface, Settings.scar_reach_mm)
    blood = measure_blood_pool(image, anatomy.depth_mm, Settings.blood_pool_erosion_mm)
    tissue, truth = Intensities(blood, image[anatomy.wall], image[cavity]), probe.any(scar)
    scores = {}
    for name, number in candidates():
        found = anatomy.wall & (image > RULES[name].grey_level(tissue, number))
        on_mesh = surface_agreement(surface, probe.any(found), truth).dice
        scores[name, number] = surface_dice(found, scar, geometry.spacing_kji, DEFAULT_TOLERANCE_MM), on_mesh
    return scores


def kept_scores(folder: Path, kept: Path) -> dict[Candidate, tuple[float, float]]:
    """`score_case`, calculated once."""
    file = kept / f"{folder.name}.json"
    if not file.is_file():
        rows = [[name, number, *values] for (name, number), values in score_case(folder).items()]
        kept.mkdir(exist_ok=True)
        file.write_text(json.dumps(rows) + "\n", encoding="utf-8")
        print(folder.name, flush=True)
    return {(name, number): (dice, on_mesh) for name, number, dice, on_mesh in json.loads(file.read_text(encoding="utf-8"))}


def main(layout: Layout) -> None:
    if layout.rules.is_file():
        print(f"There: {layout.rules}")
        return
    folders = case_folders(layout.training)
    scores = [kept_scores(folder, layout.out / "rules") for folder in folders]
    means = {candidate: np.mean([case[candidate] for case in scores], axis=0) for candidate in candidates()}
    best = {}
    for column, measure in enumerate(MEASURES):
        rule, number = max(means, key=lambda candidate: means[candidate][column])
        best[measure] = {"rule": rule, "threshold": number, "mean": round(float(means[rule, number][column]), 4)}
        print(measure, best[measure])
    table = [
        {"rule": rule, "threshold": number} | {m: round(float(v), 4) for m, v in zip(MEASURES, value)}
        for (rule, number), value in means.items()
    ]
    content = {"simulated": True, "phantoms": len(folders), "tolerance_mm": DEFAULT_TOLERANCE_MM, "best": best, "all": table}
    layout.rules.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of this benchmark")
    main(Layout(parser.parse_args().out.resolve()))
