"""The flat map and the regions: time, triangles face down, distortion and the way back.

    python Benchmarks/flat_map.py phantoms
    python Benchmarks/flat_map.py real [--data FOLDER] [--numbers 51 52 …] [--pictures FOLDER] [--json FILE]
    python Benchmarks/flat_map.py mesh [--data FOLDER] [--pictures FOLDER]

Phantoms have their true planes. `real` takes cavities of la2018 as they were drawn and `mesh` the example of LA_flattening (FOLDER is by
default LASCARSEG_TEST_DATA, else ../shared/data), with the planes that `find_planes` finds, unsure ones too. Times are processor seconds
of one core; that of the bar is on a phantom's surface of about 50,000 vertices. `--pictures` draws each map with its regions and its
areas, for a person to judge. Writes only the files that are named.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "Benchmarks"))

from common.timing import Bar, judge, print_table
from openings import NOT_TUNED_WITH

from LAScarSegLib.errors import InputError
from LAScarSegLib.phantom import HEART_FIELD_OF_VIEW, PhantomSettings, make_phantom
from LAScarSegLib.surface.flat_map import FlatMap, flatten
from LAScarSegLib.surface.mesh import cavity_surface
from LAScarSegLib.surface.mesh_files import read_surface_file
from LAScarSegLib.surface.openings import find_planes
from LAScarSegLib.surface.planes import label_regions
from LAScarSegLib.surface.surface import REGION_BODY, Surface
from LAScarSegLib.surface.wall_regions import label_walls
from LAScarSegLib.volumes.files import read_volume

CASES = ((21, "typical"), (5, "left_common"), (6, "right_middle"), (1, None), (2, None), (3, None))
"""Seeds and vein variants; None is what the seed draws."""
EDGE_MM, FINE_EDGE_MM = 1.0, 0.72
"""The pipeline's edge length, and one that makes 50,000 vertices of the first phantom."""
FLAT_SECONDS, REGION_SECONDS, FLIPPED_PCT, BACK_MM, HARD_SECONDS = 2.0, 0.5, 0.1, 0.5, 5.0
MESH = "surfaces/la_flattening_mesh.vtk"


def surface_of(seed: int, variant: str | None, edge_mm: float) -> Surface:
    phantom = make_phantom(PhantomSettings(seed=seed, vein_variant=variant, size=HEART_FIELD_OF_VIEW))
    surface = cavity_surface(phantom.cavity.array > 0, phantom.cavity.geometry, edge_mm)
    return surface.with_arrays(region=label_regions(surface, phantom.planes))


def way_back_mm(flat: FlatMap) -> float:
    """The farthest that the middle of a triangle comes back from itself."""
    middles = flat.surface_points[flat.triangles].mean(axis=1)
    return float(np.linalg.norm(flat.to_surface(flat.to_disk(middles)) - middles, axis=1).max())


def row_of(name: str, surface: Surface, flat: FlatMap) -> list[str]:
    low, middle, high = np.percentile(flat.area_distortion, (5, 50, 95))
    on_map = 100 * len(flat.vertex) / np.count_nonzero(surface.region == REGION_BODY)
    return [name, f"{len(flat.points)}", f"{flat.flipped_pct:.3f}", f"{low:.2f}, {middle:.2f}, {high:.2f}", f"{on_map:.1f}"]


def phantoms() -> int:
    rows, flipped, back = [], 0.0, 0.0
    for seed, variant in CASES:
        surface = surface_of(seed, variant, EDGE_MM)
        flat = flatten(surface)
        rows.append(row_of(f"phantom {seed} {variant or ''}", surface, flat))
        flipped, back = max(flipped, flat.flipped_pct), max(back, way_back_mm(flat))
    print_table(["case", "vertices", "face down, %", "area ratio 5th, median, 95th", "of the body, %"], rows)
    fine = surface_of(*CASES[0], FINE_EDGE_MM)
    start = time.process_time()
    flat = flatten(fine)
    flattened = time.process_time()
    label_walls(fine, flat_map=flat)
    return judge(
        [
            Bar("triangles face down, worst phantom", flipped, FLIPPED_PCT, "%"),
            Bar("way to the disk and back, worst", back, BACK_MM, "mm"),
            Bar(f"flat map of {len(fine.points)} vertices", flattened - start, FLAT_SECONDS, "s"),
            Bar("regions with the map at hand", time.process_time() - flattened, REGION_SECONDS, "s"),
        ]
    )


def cavities(data: Path, numbers: Sequence[int]) -> Iterator[tuple[str, Surface]]:
    folders = sorted(path for path in (data / "la2018").iterdir() if path.is_dir())
    for number in numbers:
        cavity = read_volume(folders[number] / "cavity.nii.gz")
        yield str(number), cavity_surface(cavity.array > 0, cavity.geometry, EDGE_MM)


def measured(name: str, surface: Surface, pictures: Path | None) -> dict[str, Any]:
    """What becomes of one surface with the planes found on it; `refused` says why there is no map."""
    found = find_planes(surface)
    surface = surface.with_arrays(region=label_regions(surface, found.planes))
    start = time.process_time()
    try:
        flat = flatten(surface)
    except InputError as error:
        return {"name": name, "refused": str(error), "seconds": time.process_time() - start}
    seconds = time.process_time() - start
    if pictures is not None:
        draw(surface, flat, pictures / f"{name}.png")
    low, middle, high = np.percentile(flat.area_distortion, (5, 50, 95))
    return {
        "name": name,
        "planes": [plane.name + ("?" if plane.name in found.unsure else "") for plane in found.planes],
        "openings": list(flat.holes),
        "vertices": len(flat.points),
        "flipped_pct": flat.flipped_pct,
        "back_mm": way_back_mm(flat),
        "seconds": seconds,
        "area_ratio": [round(float(value), 2) for value in (low, middle, high)],
        "remarks": list(flat.remarks),
    }


def real(surfaces: Iterator[tuple[str, Surface]], pictures: Path | None, path: Path | None) -> int:
    results = []
    for name, surface in surfaces:
        results.append(measured(name, surface, pictures))
        print(json.dumps(results[-1], ensure_ascii=False), flush=True)
    made = [result for result in results if "refused" not in result]
    numbers = [[f"{r['vertices']}", f"{r['flipped_pct']:.3f}", f"{r['back_mm']:.2f}", f"{r['seconds']:.1f}"] for r in made]
    rows = [[r["name"], *cells, f"{r['area_ratio']}"[1:-1], " ".join(r["openings"])] for r, cells in zip(made, numbers)]
    print_table(["case", "vertices", "face down, %", "way back, mm", "seconds", "area ratio 5th, median, 95th", "openings"], rows)
    print(f"\n{len(made)} of {len(results)} have a map")
    if path is not None:
        path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return judge(
        [
            Bar("triangles face down, worst", max(result["flipped_pct"] for result in made), FLIPPED_PCT, "%"),
            Bar("way to the disk and back, worst", max(result["back_mm"] for result in made), BACK_MM, "mm"),
            Bar("slowest", max(result["seconds"] for result in results), HARD_SECONDS, "s"),
        ]
    )


def draw(surface: Surface, flat: FlatMap, path: Path) -> None:
    """The regions with the triangles; the areas (red: larger on the disk) with lines of equal x, y and z, 8 mm apart."""
    from matplotlib.figure import Figure
    from matplotlib.tri import Triangulation

    figure = Figure(figsize=(12, 6), layout="constrained")
    left, right = figure.subplots(1, 2)
    mesh = Triangulation(*flat.points.T, flat.triangles)
    regions = label_walls(surface, flat_map=flat).labels[flat.vertex]
    left.tripcolor(mesh, regions.astype(float), cmap="tab20", shading="gouraud")
    left.triplot(mesh, linewidth=0.1, color="black")
    right.tripcolor(mesh, np.log2(np.maximum(flat.area_distortion, 1e-9)), cmap="RdBu_r", vmin=-4, vmax=4)
    for axis, colour in enumerate(("green", "black", "magenta")):
        places = flat.surface_points[:, axis] - flat.surface_points[:, axis].mean()
        right.tricontour(mesh, places, levels=np.arange(-48, 49, 8), colors=colour, linewidths=0.6)
    for axes in (left, right):
        axes.set_aspect("equal")
        axes.axis("off")
        for name, (centre, _) in flat.holes.items():
            axes.text(*centre, name, ha="center", va="center", fontsize=6)
    figure.savefig(path, dpi=100)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("phantoms", "real", "mesh"), nargs="?", default="phantoms")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("LASCARSEG_TEST_DATA", ROOT.parent / "shared" / "data")))
    parser.add_argument("--numbers", type=int, nargs="+", default=NOT_TUNED_WITH)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.what == "phantoms":
        return phantoms()
    surfaces = cavities(options.data, options.numbers)
    if options.what == "mesh":
        surfaces = iter([(Path(MESH).stem, read_surface_file(options.data / MESH).surface)])
    return real(surfaces, options.pictures, options.json)


if __name__ == "__main__":
    sys.exit(main())
