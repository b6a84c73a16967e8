"""Veins, appendage and mitral valve found on a surface: against the true planes of phantoms, and on real cavities to be looked at.

    python Benchmarks/openings.py phantoms [--count 60] [--seed 2000] [--json FILE]
    python Benchmarks/openings.py real [--data FOLDER] [--numbers 51 52 …] [--pictures FOLDER] [--json FILE]

The phantoms' cavities are masks of 0.625 × 0.625 × 2.5 mm, their vein variants take turns. The bars: 95 % of the veins have the right
name and their ostium within 4 mm of the true one; the mitral plane lies within 5 mm and 15° of the true one; 1.5 s for each surface. Nobody knows
the true planes of real cavities (la2018 in FOLDER, by default LASCARSEG_TEST_DATA, else ../shared/data, in the order of their names):
`--pictures` draws each with its regions and names, for a person to judge. Writes only the files that are named.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "Benchmarks"))

from common.timing import Bar, judge, print_table  # noqa: E402

from LAScarSegLib.phantom.atrium import cavity_mask, draw_atrium  # noqa: E402
from LAScarSegLib.phantom.settings import VEIN_VARIANTS, PhantomSettings  # noqa: E402
from LAScarSegLib.surface.mesh import cavity_surface  # noqa: E402
from LAScarSegLib.surface.openings import FoundPlanes, find_planes  # noqa: E402
from LAScarSegLib.surface.planes import CutPlane, label_regions  # noqa: E402
from LAScarSegLib.surface.surface import REGION_BODY, REGION_EXCLUDED, REGION_LABELS, Surface  # noqa: E402
from LAScarSegLib.volumes.files import read_volume  # noqa: E402

EDGE_MM = 1.0
RIGHT_SHARE_PCT, OSTIUM_MM, MITRAL_MM, MITRAL_DEG, SECONDS = 95.0, 4.0, 5.0, 15.0, 1.5
NOT_TUNED_WITH = (51, 52, 53, 54, 55, 58, 60, 61, 62, 63, 64, 65, 67, 68, 69, 70, 71, 72, 73, 74)
"""Scans of la2018 of patients whose scans (20–49) were not looked at while the method was made."""
COLOURS = {
    11: "#e41a1c", 12: "#ff9f9f", 13: "#ff7f00", 14: "#b00060", 15: "#377eb8", 16: "#00a0a0", 17: "#4daf4a", 18: "#4040ff",
    19: "#c050e0", REGION_EXCLUDED: "#606060",
}  # fmt: skip


def timed(surface: Surface) -> tuple[FoundPlanes, float]:
    """What is found, and the processor's seconds for it: other jobs of the machine don't count."""
    start = time.process_time()
    found = find_planes(surface)
    return found, time.process_time() - start


def compare(seed: int) -> dict[str, Any]:
    """One phantom: distance in mm and angle in degrees of each true plane from the found one of the same name, null where there is none."""
    settings = PhantomSettings(seed=seed, vein_variant=VEIN_VARIANTS[seed % len(VEIN_VARIANTS)])
    atrium = draw_atrium(settings, np.random.default_rng(seed))
    cavity = cavity_mask(atrium)
    surface = cavity_surface(cavity.array, cavity.geometry, EDGE_MM)
    found, seconds = timed(surface)
    by_name = {plane.name: plane for plane in found.planes}
    true = {plane.name: plane for plane in atrium.planes()}
    return {
        "seed": seed,
        "variant": atrium.variant,
        "vertices": len(surface.points),
        "seconds": round(seconds, 3),
        "planes": {name: _apart(plane, by_name.get(name)) for name, plane in true.items()},
        "too_many": sorted(by_name.keys() - true.keys()),
        "unsure": dict(found.unsure),
    }


def _apart(true: CutPlane, found: CutPlane | None) -> dict[str, float] | None:
    if found is None:
        return None
    offset = np.array(found.origin) - true.origin
    cosine = min(1.0, abs(float(np.dot(true.normal, found.normal))))
    return {
        "centre_mm": round(float(np.linalg.norm(offset)), 2),
        "plane_mm": round(abs(float(offset @ np.array(true.normal))), 2),
        "angle_deg": round(float(np.degrees(np.arccos(cosine))), 1),
    }


def phantoms(count: int, first: int) -> tuple[list[dict[str, Any]], int]:
    results = [compare(seed) for seed in range(first, first + count)]
    by_name: dict[str, list[dict[str, float] | None]] = defaultdict(list)
    for result in results:
        for name, apart in result["planes"].items():
            by_name[name].append(apart)
    rows = []
    for name, all_of_it in sorted(by_name.items()):
        known = [apart for apart in all_of_it if apart]
        columns = [np.array([apart[key] for apart in known]) for key in ("centre_mm", "plane_mm", "angle_deg")]
        rows.append([name, len(all_of_it), len(known), *(f"{np.median(column):.1f} ({column.max():.1f})" for column in columns)])
    print_table(["name", "true", "found", "centre, mm: median (max)", "plane, mm", "angle, °"], rows)
    veins = [apart for name, found in by_name.items() if name not in ("MV", "LAA") for apart in found]
    right = [apart for apart in veins if apart and apart["centre_mm"] <= OSTIUM_MM]
    mitral = [apart or {"plane_mm": np.inf, "angle_deg": np.inf} for apart in by_name["MV"]]
    print(f"\n{len(right)} of {len(veins)} veins right; planes of other names: {sum(len(result['too_many']) for result in results)}")
    exit_code = judge(
        [
            Bar("veins right", 100 * len(right) / len(veins), RIGHT_SHARE_PCT, "%", at_least=True),
            Bar("mitral plane, distance", max(apart["plane_mm"] for apart in mitral), MITRAL_MM, "mm"),
            Bar("mitral plane, angle", max(apart["angle_deg"] for apart in mitral), MITRAL_DEG, "°"),
            Bar("slowest surface", max(result["seconds"] for result in results), SECONDS, "s"),
        ]
    )
    return results, exit_code


def real(data: Path, numbers: Sequence[int], pictures: Path | None) -> list[dict[str, Any]]:
    folders = sorted(path for path in (data / "la2018").iterdir() if path.is_dir())
    results = []
    for number in numbers:
        folder = folders[number]
        cavity = read_volume(folder / "cavity.nii.gz")
        surface = cavity_surface(cavity.array > 0, cavity.geometry, EDGE_MM)
        found, seconds = timed(surface)
        if pictures is not None:
            draw(surface, found, pictures / f"{number:02d}.png", str(number))
        names = [plane.name for plane in found.planes]
        results.append(
            {
                "number": number,
                "scan": folder.name,
                "vertices": len(surface.points),
                "seconds": round(seconds, 3),
                "found": names,
                "unsure": dict(found.unsure),
            }
        )
        print(f"{number:02d}  {seconds:.2f} s  {' '.join(name + ('?' if name in found.unsure else '') for name in names)}", flush=True)
        for name, why in found.unsure.items():
            print(f"      {name}: {why}", flush=True)
    return results


def draw(surface: Surface, found: FoundPlanes, path: Path, head: str) -> None:
    """The six views with the regions in colour and the planes' names at their origins; a question mark where it is unsure."""
    from LAScarSegLib.output.figures.surface_views import VIEWS, class_actors, draw_views

    region = label_regions(surface, found.planes) if found.planes else np.full(len(surface.points), REGION_BODY)
    layers = [(region == label, COLOURS[label]) for label in (*REGION_LABELS.values(), REGION_EXCLUDED) if (region == label).any()]
    figure = draw_views(surface, class_actors(surface, layers, "#d9c8b8"), head, "", 0.1)
    centre = (surface.points.min(axis=0) + surface.points.max(axis=0)) / 2
    for view, axes in zip(VIEWS, figure.axes):
        for plane in found.planes:
            x, y = (np.array(plane.origin) - centre) @ np.stack([view.right, np.array(view.up)], axis=1)
            axes.text(
                x,
                y,
                plane.name + ("?" if plane.name in found.unsure else ""),
                fontsize=8,
                ha="center",
                bbox={"facecolor": "white", "alpha": 0.6, "pad": 1, "linewidth": 0},
            )
    figure.savefig(path, dpi=70)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("phantoms", "real"), nargs="?", default="phantoms")
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=2000)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("LASCARSEG_TEST_DATA", ROOT.parent / "shared" / "data")))
    parser.add_argument("--numbers", type=int, nargs="+", default=NOT_TUNED_WITH)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.what == "phantoms":
        results, exit_code = phantoms(options.count, options.seed)
    else:
        results, exit_code = real(options.data, options.numbers, options.pictures), 0
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return exit_code


if __name__ == "__main__":
    raise SystemExit(main())
