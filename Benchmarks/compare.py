"""How well one LA surface is laid onto another, and what tells a patient's second scan from somebody else's (Docs/compare.md).

    python Benchmarks/compare.py [--data FOLDER] [--others 2] [--json FILE]

FOLDER (default: LASCARSEG_TEST_DATA, else ../shared/data) has la2018 and patients.csv; without them nothing is measured. Two parts:
a known motion (5°, 5 mm) of cavities' surfaces is undone, on the same mesh, on one of a third of its triangles, and on one made anew from the
mask with longer edges (which is smoothed to another shape, so that no bar is on it); and every pair of scans of one patient is registered, as are others. Prints the errors and the distributions of the residual, writes only the file that
is named; the exit code is 1 where a bar is broken.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import sys
from collections import defaultdict
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from common.timing import Bar, judge, print_table
from scipy.spatial.transform import Rotation
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkFiltersCore import vtkQuadricDecimation

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from LAScarSegLib.analysis.comparison import LARGEST_RESIDUAL_MM, compare_surfaces  # noqa: E402
from LAScarSegLib.surface.mesh import cavity_surface, oriented_surface  # noqa: E402
from LAScarSegLib.surface.polydata import mesh_polydata  # noqa: E402
from LAScarSegLib.surface.registration import register  # noqa: E402
from LAScarSegLib.surface.surface import Surface  # noqa: E402
from LAScarSegLib.volumes.files import read_volume  # noqa: E402

EDGE_MM, COARSE_EDGE_MM = 1.0, 1.6
ANGLE_DEG, SHIFT_MM = 5.0, 5.0
ANGLE_BAR_DEG, SHIFT_BAR_MM = 0.5, 0.5
OVERLAP_BARS_PCT = {"same mesh": 2.0, "a third": 3.0}
"""Scar is marked at vertices: of a third of the triangles its border alone is off by this much, without any motion."""
KNOWN_SCANS = 8
MADE_ANEW = "made anew"
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


def marked(surface: Surface, at: np.ndarray) -> np.ndarray:
    """(N,) bool: scar within 14 mm of some places (n, 3), defined in space, so that any mesh can be asked."""
    return (np.linalg.norm(surface.points[:, None] - at[None], axis=2) < 14.0).any(axis=1)


def decimated(surface: Surface) -> Surface:
    """The same shape of a third of the triangles."""
    fewer = vtkQuadricDecimation()
    fewer.SetInputData(mesh_polydata(surface.points, surface.triangles))
    fewer.SetTargetReduction(0.67)
    fewer.Update()
    points, triangles = (vtk_to_numpy(data) for data in (fewer.GetOutput().GetPoints().GetData(), fewer.GetOutput().GetPolys().GetConnectivityArray()))
    return oriented_surface(points.astype(float), triangles.reshape(-1, 3).astype(np.int64))


def known_motion(data: Path, scans: list[str]) -> list[dict[str, float]]:
    """What is left of a known motion, and what it does to the overlap of the same scar with itself."""
    random, rows = np.random.default_rng(SEED), []
    for scan in scans:
        fixed = surface_of(data, scan)
        axis, way = (vector / np.linalg.norm(vector) for vector in random.normal(size=(2, 3)))
        turn, centre = Rotation.from_rotvec(np.deg2rad(ANGLE_DEG) * axis).as_matrix(), fixed.points.mean(axis=0)
        at = fixed.points[random.choice(len(fixed.points), 8, replace=False)]
        for name, mesh in (("same mesh", fixed), ("a third", decimated(fixed)), (MADE_ANEW, surface_of(data, scan, COARSE_EDGE_MM))):
            moved = replace(mesh, points=(mesh.points - centre) @ turn.T + centre + SHIFT_MM * way, normals=mesh.normals @ turn.T)
            compared = compare_surfaces(fixed.with_arrays(scar=marked(fixed, at)), moved.with_arrays(scar=marked(mesh, at)))
            motion = compared.registration.motion
            rows.append({
                "scan": scan, "mesh": name, "angle_deg": float(np.rad2deg(Rotation.from_matrix(motion.matrix[:3, :3] @ turn).magnitude())),
                "mean_mm": float(np.linalg.norm(motion.apply(moved.points) - mesh.points, axis=1).mean()),
                "dice_off_pct": 100.0 * (1.0 - compared.numbers["dice"]), "kept_off_pct": 100.0 - compared.numbers["kept_pct"],
            })  # fmt: skip
            print_table(list(rows[-1]), [[f"{v:.3f}" if isinstance(v, float) else v for v in rows[-1].values()]])
    return rows


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
    known = known_motion(data, scans[:: len(scans) // KNOWN_SCANS][:KNOWN_SCANS])
    rows = residuals(data, pairs_of(data, options.others))
    print_distribution(rows)
    if options.json:
        options.json.write_text(json.dumps({"known": known, "pairs": rows}, indent=1), encoding="utf-8")
    refused = {kind: [row["trimmed_mean_mm"] > LARGEST_RESIDUAL_MM for row in rows if row["kind"] == kind] for kind in ("clear", "other")}
    barred = [row for row in known if row["mesh"] != MADE_ANEW]
    return judge([
        Bar("known motion, angle", max(row["angle_deg"] for row in barred), ANGLE_BAR_DEG, "°"),
        Bar("known motion, mean way", max(row["mean_mm"] for row in barred), SHIFT_BAR_MM, "mm"),
        *(
            Bar(f"known motion, overlap, {mesh}", max(max(row["dice_off_pct"], row["kept_off_pct"]) for row in barred if row["mesh"] == mesh), bar, "points")
            for mesh, bar in OVERLAP_BARS_PCT.items()
        ),
        Bar("one patient's scans refused", 100.0 * np.mean(refused["clear"]), 5.0, "%"),
        Bar("other patients' scans refused", 100.0 * np.mean(refused["other"]), 90.0, "%", at_least=True),
    ])  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
