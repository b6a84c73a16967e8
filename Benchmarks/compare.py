"""How well one LA surface is laid onto another, and what tells a patient's second scan from somebody else's (Docs/compare.md).

    python Benchmarks/compare.py [--data FOLDER] [--others 2] [--json FILE]

FOLDER (default: LASCARSEG_TEST_DATA, else ../shared/data) has la2018 and patients.csv; without them nothing is measured. Two parts:
a known motion (5°, 5 mm) of cavities' surfaces is undone, on the same mesh, on one of a third of its triangles, and on one made anew from the
mask with longer edges (which is smoothed to another shape), with scar that is marked at the vertices and with values that tell it; and every
pair of scans of one patient is registered, as are others. Prints the errors and the distributions of the residual, writes only the file that is
named; the exit code is 1 where a bar is broken.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path

import numpy as np
from common.timing import Bar, judge, print_table

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "Testing" / "Python")]

from surface_pairs import by_a_threshold, decimated, known_motion, left_of, moved  # noqa: E402

from LAScarSegLib.analysis.comparison import LARGEST_RESIDUAL_MM, SurfaceComparison, compare_surfaces  # noqa: E402
from LAScarSegLib.surface.mesh import cavity_surface  # noqa: E402
from LAScarSegLib.surface.registration import register  # noqa: E402
from LAScarSegLib.surface.surface import Surface  # noqa: E402
from LAScarSegLib.volumes.files import read_volume  # noqa: E402

EDGE_MM, COARSE_EDGE_MM = 1.0, 1.6
ANGLE_BAR_DEG, SHIFT_BAR_MM = 0.5, 0.5
OVERLAP_BAR_PCT, MARKED_BARS_PCT = 2.0, {"same mesh": 2.0, "a third": 3.0}
"""What motion and registration do to the overlap, by values that tell scar; and where it is marked at the vertices alone: of a third of the
triangles its border is off by this much, without any motion. A mesh made anew is another shape, with an overlap of its own."""
KNOWN_SCANS, SCARS = 8, 8
SAME_LABEL = frozenset({"0RZDK210BSMWAA6467LU", "CMPXO4J23G58J53Q98SZ"})
"""Two scans with one label: their residual says nothing."""
SEED = 0


def folder_of(options: argparse.Namespace) -> Path:
    return Path(options.data or os.environ.get("LASCARSEG_TEST_DATA", ROOT.parent / "shared" / "data"))


def surface_of(data: Path, scan: str, edge_mm: float = EDGE_MM) -> Surface:
    cavity = read_volume(data / "la2018" / scan / "cavity.nii.gz")
    return cavity_surface(cavity.array > 0, cavity.geometry, edge_mm)


def groups(data: Path) -> tuple[dict[str, list[str]], dict[str, str]]:
    """The scans of each patient who has several in la2018; whether a scan's belonging is clear."""
    found, evidence = defaultdict(list), {}
    with open(data / "patients.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["set"] == "la2018":
                found[row["patient_group"]].append(row["id"])
                evidence[row["id"]] = row["evidence"]
    return dict(found), evidence


def known_motions(data: Path, scans: list[str]) -> list[dict[str, float]]:
    """What is left of a known motion, and what it does to the overlap of the same scar with itself."""
    random, rows = np.random.default_rng(SEED), []
    for scan in scans:
        fixed = surface_of(data, scan)
        axis, way = random.normal(size=(2, 3))
        turn, shift = known_motion(axis=axis, way=way)
        # About the atrium's middle, so that the shift is what it says.
        shift = shift + (np.eye(3) - turn) @ fixed.points.mean(axis=0)
        places = [tuple(place) for place in fixed.points[random.choice(len(fixed.points), SCARS, replace=False)]]
        for name, mesh in (("same mesh", fixed), ("a third", decimated(fixed)), ("made anew", surface_of(data, scan, COARSE_EDGE_MM))):
            told = by_a_threshold(mesh, *places)
            by_values, marked = (
                compare_surfaces(by_a_threshold(fixed, *places), moved(surface, turn, shift)) for surface in (told, told.with_arrays(lge=None))
            )
            # What the other mesh alone does to the overlap, without any motion.
            unmoved = compare_surfaces(by_a_threshold(fixed, *places), told, same_scan=True)
            angle, way_mm = left_of(marked.registration.motion, mesh, turn, shift)
            rows.append({
                "scan": scan, "mesh": name, "angle_deg": angle, "mean_mm": way_mm, "apart_mm": marked.residual.mean_mm,
                "off_by_values_pct": _off_pct(by_values), "off_unmoved_pct": _off_pct(unmoved), "off_marked_pct": _off_pct(marked),
            })  # fmt: skip
            print_table(list(rows[-1]), [[f"{v:.3f}" if isinstance(v, float) else v for v in rows[-1].values()]])
    return rows


def _off_pct(compared: SurfaceComparison) -> float:
    """How far the overlap of scar with itself is from whole: the worse of Dice and share kept."""
    return max(100.0 * (1.0 - compared.numbers["dice"]), 100.0 - compared.numbers["kept_pct"])


def pairs_of(data: Path, others: int) -> list[tuple[str, str, str]]:
    """(kind, scan, scan): `clear`, `probable` of one patient, and `others` of somebody else for each scan."""
    found, evidence = groups(data)
    patient = {scan: group for group, scans in found.items() for scan in scans}
    scans = sorted(path.name for path in (data / "la2018").iterdir() if path.is_dir())
    pairs = []
    for group in found.values():
        for one, other in itertools.combinations(group, 2):
            if {one, other} != SAME_LABEL:
                pairs.append(("clear" if evidence[one] == evidence[other] == "clear" else "probable", one, other))
    random = np.random.default_rng(SEED)
    for one in scans:
        strangers = [scan for scan in scans if scan != one and patient.get(scan, scan) != patient.get(one, one)]
        pairs += [("other", one, str(other)) for other in random.choice(strangers, others, replace=False)]
    return pairs


def residuals(data: Path, pairs: list[tuple[str, str, str]]) -> list[dict[str, object]]:
    surfaces = cache(lambda scan: surface_of(data, scan))
    rows = []
    for kind, one, other in pairs:
        found = register(surfaces(other), surfaces(one), bend=True)
        rows.append({
            "kind": kind, "one": one, "other": other, "angle_deg": found.motion.angle_deg, "shift_mm": found.motion.shift_mm,
            **found.residual.to_json(), **{f"bent_{key}": value for key, value in found.bent_residual.to_json().items()},
            "bent_by_mm": found.bent_by_mm,
        })  # fmt: skip
        print(f"{len(rows)}/{len(pairs)} {kind} {one[:6]} {other[:6]}", *(f"{v:.2f}" for v in list(rows[-1].values())[3:]), flush=True)
    return rows


def print_distribution(rows: list[dict[str, object]]) -> None:
    keys = [key for key in rows[0] if key.endswith(("mm", "deg"))]
    for key in keys:
        table = []
        for kind in ("clear", "probable", "other"):
            values = np.array([row[key] for row in rows if row["kind"] == kind], dtype=float)
            if values.size:
                table.append([kind, values.size, *(f"{value:.2f}" for value in np.percentile(values, [0, 5, 50, 95, 100]))])
        print(f"\n{key}")
        print_table(["pairs", "n", "least", "5 %", "half", "95 %", "most"], table)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--others", type=int, default=2, help="pairs with other patients for each scan")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    data = folder_of(options)
    if not (data / "patients.csv").is_file() or not (data / "la2018").is_dir():
        print(f"{data} holds no la2018 with patients.csv: nothing to measure.")
        return 0
    scans = sorted(path.name for path in (data / "la2018").iterdir() if path.is_dir())
    known = known_motions(data, scans[:: len(scans) // KNOWN_SCANS][:KNOWN_SCANS])
    rows = residuals(data, pairs_of(data, options.others))
    print_distribution(rows)
    if options.json:
        options.json.write_text(json.dumps({"known": known, "pairs": rows}, indent=1), encoding="utf-8")
    refused = {kind: [row["trimmed_mean_mm"] > LARGEST_RESIDUAL_MM for row in rows if row["kind"] == kind] for kind in ("clear", "other")}
    return judge([
        Bar("known motion, angle", max(row["angle_deg"] for row in known), ANGLE_BAR_DEG, "°"),
        Bar("known motion, mean way", max(row["mean_mm"] for row in known), SHIFT_BAR_MM, "mm"),
        Bar("known motion, overlap", max(row["off_by_values_pct"] - row["off_unmoved_pct"] for row in known), OVERLAP_BAR_PCT, "points"),
        *(
            Bar(f"known motion, overlap as marked, {mesh}", max(row["off_marked_pct"] for row in known if row["mesh"] == mesh), bar, "points")
            for mesh, bar in MARKED_BARS_PCT.items()
        ),
        Bar("one patient's scans refused", 100.0 * np.mean(refused["clear"]), 5.0, "%"),
        Bar("other patients' scans refused", 100.0 * np.mean(refused["other"]), 90.0, "%", at_least=True),
    ])  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
