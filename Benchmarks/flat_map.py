"""The flat map and the regions: time, triangles face down, distortion and the way back, on phantoms and on planes found elsewhere.

Times are processor seconds of one core on a surface of about 50,000 vertices.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
from common.timing import Bar, judge, print_table

from LAScarSegLib.phantom import HEART_FIELD_OF_VIEW, PhantomSettings, make_phantom
from LAScarSegLib.surface.flat_map import FlatMap, flatten
from LAScarSegLib.surface.mesh import cavity_surface
from LAScarSegLib.surface.planes import label_regions
from LAScarSegLib.surface.surface import REGION_BODY, Surface
from LAScarSegLib.surface.wall_regions import label_walls

CASES = ((21, "typical"), (5, "left_common"), (6, "right_middle"), (1, None), (2, None), (3, None))
"""Seeds and vein variants; None is what the seed draws."""
EDGE_MM, FINE_EDGE_MM = 1.0, 0.72
"""The pipeline's edge length, and one that makes 50,000 vertices of the first phantom."""
FLAT_SECONDS, REGION_SECONDS, FLIPPED_PCT, BACK_MM = 2.0, 0.5, 0.1, 0.5


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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
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


if __name__ == "__main__":
    sys.exit(main())
