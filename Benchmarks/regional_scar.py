"""Scar by region on phantoms whose cavity is given, against the truth: how much is the surface's, the planes', and the scar rule's.

    python Benchmarks/regional_scar.py [--phantoms 8] [--first 0] [--true-scar-only]

Truth: true planes and scar on a surface made of the cavity in voxels of 0.5 mm, divided by the same scheme. Against it, region by region in
points of % scar: the surface made of the scan's cavity mask, with true planes and true scar; the same with found planes; with true planes
and the scar that the default rule measures in the scan; and found planes with measured scar, which is what a user gets. Without a scan
the first two alone.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common.timing import Bar, judge, print_table

from LAScarSegLib.analysis import analyse
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.errors import InputError
from LAScarSegLib.phantom import HEART_FIELD_OF_VIEW, PhantomSettings, make_phantom
from LAScarSegLib.phantom.atrium import Atrium, cavity_extent, cavity_mask, draw_atrium
from LAScarSegLib.phantom.phantom import MARGIN_MM, _image_geometry
from LAScarSegLib.phantom.scar import ScarPattern, draw_scar
from LAScarSegLib.phantom.wall import frame_around, make_nodes, zero_level
from LAScarSegLib.surface.mesh import cavity_surface
from LAScarSegLib.surface.openings import find_planes
from LAScarSegLib.surface.planes import CutPlane, label_regions
from LAScarSegLib.surface.surface import Surface
from LAScarSegLib.surface.wall_regions import RegionScar, label_walls, region_table

CASES = ("true planes, true scar", "found planes, true scar", "true planes, measured scar", "found planes, measured scar")
ALLOWED_POINTS = 3.0
FINE_MM = (0.5, 0.5, 0.5)
EDGE_MM = 1.0
SMALL_CM2 = 5.0
Table = dict[str, RegionScar]


def drawn(settings: PhantomSettings) -> tuple[Atrium, Surface, ScarPattern]:
    """The anatomy, true surface and scar of the phantom that `make_phantom` scans."""
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(settings.seed).spawn(4)]
    atrium = draw_atrium(settings, streams[0])
    low, high = cavity_extent(atrium)
    _, frame = frame_around(low, high, _image_geometry(settings, low, high), MARGIN_MM)
    nodes = make_nodes(atrium, frame)
    mesh = zero_level(np.maximum(nodes.distance, nodes.beyond), frame)
    # The mesh of the nodes has slivers, with which a flat map folds.
    fine = cavity_mask(atrium, FINE_MM)
    return atrium, cavity_surface(fine.array > 0, fine.geometry, EDGE_MM), draw_scar(settings, atrium, nodes, mesh, streams[1])


def table_of(surface: Surface, planes: tuple[CutPlane, ...], scar: np.ndarray) -> Table:
    """Regions by name; none where the surface can't be laid flat."""
    try:
        labelled = surface.with_arrays(region=label_regions(surface, planes), scar=scar, scar_class=None)
        return {row.region: row for row in region_table(labelled, label_walls(labelled))}
    except InputError as error:
        print(f"no regions: {error}")
        return {}


def tables(seed: int, scanned: bool) -> tuple[Table, dict[str, Table]]:
    """The truth, and each of `CASES`, the last two where the phantom is scanned."""
    settings = PhantomSettings(seed=seed, size=HEART_FIELD_OF_VIEW)
    atrium, true_surface, pattern = drawn(settings)
    if scanned:
        phantom = make_phantom(settings)
        surface = analyse(phantom.image, Settings(perturbation=False), cavity=phantom.cavity, ranges=False).surface
        scars = (pattern.signed_mm(surface.points) > 0, surface.scar)
    else:
        mask = cavity_mask(atrium)
        surface = cavity_surface(mask.array > 0, mask.geometry, EDGE_MM)
        scars = (pattern.signed_mm(surface.points) > 0,)
    each = [(planes, scar) for scar in scars for planes in (atrium.planes(), find_planes(surface.with_arrays(region=None)).planes)]
    truth = table_of(true_surface, atrium.planes(), pattern.signed_mm(true_surface.points) > 0)
    return truth, {name: table_of(surface, *of) for name, of in zip(CASES, each)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phantoms", type=int, default=8)
    parser.add_argument("--first", type=int, default=0, help="seed of the first")
    parser.add_argument("--true-scar-only", action="store_true", help="without scanning the phantoms")
    arguments = parser.parse_args()
    errors: dict[tuple[str, str], list[float]] = defaultdict(list)
    by_size: dict[tuple[str, str], list[float]] = defaultdict(list)
    off_cm2: dict[str, list[float]] = defaultdict(list)
    for seed in range(arguments.first, arguments.first + arguments.phantoms):
        truth, cases = tables(seed, not arguments.true_scar_only)
        cases = {name: cases.get(name, {}) for name in CASES}
        rows = []
        for region, true in truth.items():
            got = [cases[name].get(region) for name in CASES]
            for name, row in zip(CASES, got):
                if row is not None and row.scar_pct is not None:
                    errors[name, region].append(row.scar_pct - true.scar_pct)
                    by_size[name, "large" if true.area_cm2 >= SMALL_CM2 else "small"].append(row.scar_pct - true.scar_pct)
                    off_cm2[name].append(abs(row.scar_area_cm2 - true.scar_area_cm2))
            seen = [f"{row.scar_pct:.1f} ({row.area_cm2:.1f})" if row and row.scar_pct is not None else "" for row in got]
            rows.append([region, f"{true.scar_pct:.1f} ({true.area_cm2:.1f})", *seen])
        print(f"\nPhantom {seed}: % scar (area, cm²)")
        print_table(["region", "truth", *CASES], rows)
        sys.stdout.flush()
    regions = dict.fromkeys(region for _, region in errors)
    print("\nFound - true, points: mean of the absolute, largest, how many of how many are within 3")
    summary = [[region, *(_summary(errors[name, region]) for name in CASES)] for region in regions]
    print_table(["region", *CASES], summary)
    print(f"\nThe same by size: regions of at least {SMALL_CM2:g} cm² in truth, smaller ones; and cm² of scar off")
    print_table(["regions", *CASES], [[size, *(_summary(by_size[name, size]) for name in CASES)] for size in ("large", "small")])
    off = [f"{np.mean(off_cm2[name]):.2f}, {max(off_cm2[name]):.2f}" if off_cm2[name] else "" for name in CASES]
    print_table(["", *CASES], [["cm² off, mean, largest", *off]])
    worst = {size: float(np.abs(by_size[CASES[0], size]).max()) for size in ("large", "small")}
    return judge([Bar(f"true scar and planes, {size} regions, worst", off, ALLOWED_POINTS, "points") for size, off in worst.items()])


def _summary(values: list[float]) -> str:
    off = np.abs(values)
    return f"{off.mean():.1f}, {off.max():.1f}, {(off <= ALLOWED_POINTS).sum()} of {len(off)}" if len(off) else ""


if __name__ == "__main__":
    sys.exit(main())
