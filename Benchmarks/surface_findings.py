"""From a surface to an electrophysiologist's answer: veins, regions, gaps and flat map of about 50,000 vertices, and what a change costs.

    python Benchmarks/surface_findings.py [--seed 9]

The cavity of a phantom with four veins, meshed finely. Times are processor seconds of one core: other work on the machine does not count.
The share of each step, and the bars of the whole.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from common.timing import Bar, judge, print_table

from LAScarSegLib.analysis.steps import StepCache
from LAScarSegLib.phantom import HEART_FIELD_OF_VIEW, PhantomSettings, make_phantom
from LAScarSegLib.surface.findings import Landmarks
from LAScarSegLib.surface.flat_map import flatten
from LAScarSegLib.surface.gaps import Bands
from LAScarSegLib.surface.mesh import cavity_surface
from LAScarSegLib.surface.openings import find_planes
from LAScarSegLib.surface.planes import CutPlane, label_regions
from LAScarSegLib.surface.surface import Surface
from LAScarSegLib.surface.wall_regions import label_walls

EDGE_MM = 0.68
"""Makes some 50,000 vertices of the phantom."""
ALL_S, THRESHOLD_S, MOVED_S = 5.0, 1.0, 2.0
MOVED_MM = 2.0
SCAR_WAVES_MM = 9.0
"""Made-up scar: a pattern of this wavelength over the surface, so that every path has gaps."""


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.process_time()
    result = work()
    return time.process_time() - begun, result


def with_scar(surface: Surface, level: float) -> Surface:
    waves = np.sin(2 * np.pi * surface.points / SCAR_WAVES_MM).sum(axis=1)
    return surface.with_arrays(scar=waves > level)


def moved(planes: tuple[CutPlane, ...]) -> tuple[CutPlane, ...]:
    """The planes, a vein's further out."""
    number = next(n for n, plane in enumerate(planes) if plane.name == "LIPV")
    plane = planes[number]
    other = CutPlane(plane.name, tuple(np.add(plane.origin, MOVED_MM * np.array(plane.normal))), plane.normal)
    return (*planes[:number], other, *planes[number + 1 :])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=9, help="of the phantom")
    seed = parser.parse_args().seed
    phantom = make_phantom(PhantomSettings(seed=seed, vein_variant="typical", size=HEART_FIELD_OF_VIEW))
    mesh = cavity_surface(phantom.cavity.array > 0, phantom.cavity.geometry, EDGE_MM)
    steps: dict[str, float] = {}
    steps["veins and valve"], found = timed(lambda: find_planes(mesh))
    steps["what lies beyond them"], region = timed(lambda: label_regions(mesh, found.planes))
    surface = with_scar(mesh.with_arrays(region=region), 0.0)
    steps["flat map"], flat = timed(lambda: flatten(surface))
    steps["regions"], _ = timed(lambda: label_walls(surface, flat_map=flat))
    steps["bands"], bands = timed(lambda: Bands.of(surface))
    steps["paths and gaps"], paths = timed(lambda: bands.encirclements(surface.scar))
    total = sum(steps.values())
    threshold, _ = timed(lambda: bands.encirclements(with_scar(surface, 0.3).scar))
    other = moved(found.planes)

    earlier = StepCache()

    def all_of(planes: tuple[CutPlane, ...], steps: StepCache) -> None:
        Landmarks.of(mesh.with_arrays(region=label_regions(mesh, planes)), steps=steps).with_scar(surface, steps)

    all_of(found.planes, earlier)
    drag, _ = timed(lambda: all_of(other, StepCache(earlier)))
    print(f"{len(mesh.points)} vertices, {len(paths)} encirclements, flat map with {flat.flipped_pct:.2f} % of triangles face down")
    rows = [[name, f"{seconds:.2f}", f"{100 * seconds / total:.0f}"] for name, seconds in steps.items()]
    print_table(("step", "s", "% of all"), [*rows, ["all", f"{total:.2f}", "100"]])
    return judge(
        (
            Bar("veins, regions, gaps and flat map", total, ALL_S, "s"), Bar("gaps after a threshold change", threshold, THRESHOLD_S, "s"),
            Bar("everything after an ostium was moved", drag, MOVED_S, "s"),
        )
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
