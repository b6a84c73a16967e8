"""Both signed distance maps of a 640×640×88 cavity: ours in the cavity's box against SciPy on the whole grid.

Ours is what `analyse` and `Analysis` do: from the mask on the whole grid to the maps of cavity and wall on the whole grid, box,
crop and expansion included. SciPy's side gets the same mask and does `EDT(M) − EDT(¬M)`, clipped, for cavity and wall (the wall
itself is made outside the clock). SciPy runs on one core; ITK may use all.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import numpy as np
from common.scans import SIZE_88, SPACING_88, left_atrium
from common.timing import Bar, judge, median_seconds, print_table, ratio
from scipy.ndimage import distance_transform_edt

from LAScarSegLib.analysis.path import BOX_MARGIN_MM
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.anatomy.anatomy import SDM_CLIP_MM, build_anatomy
from LAScarSegLib.volumes.files import read_volume
from LAScarSegLib.volumes.volume import Box, Geometry, Volume

SPEED_BAR, AGREEMENT_BAR_MM = 100.0, 1e-4
DATA = Path(os.environ.get("LASCARSEG_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def ours(mask: np.ndarray, geometry: Geometry) -> tuple[np.ndarray, np.ndarray]:
    """Both maps (k, j, i), float32 mm."""
    box = Box.around(mask, BOX_MARGIN_MM + Settings().wall_outside_mm, geometry.spacing_kji)
    part = geometry.crop(box)
    anatomy = build_anatomy(np.ascontiguousarray(mask[box.slices]), part, Settings().wall_outside_mm)
    maps = anatomy.sdm_cavity_mm, anatomy.sdm_wall_mm
    return tuple(Volume(sdm, part).expand(box, geometry, -SDM_CLIP_MM).array for sdm in maps)


def scipys(masks: tuple[np.ndarray, np.ndarray], geometry: Geometry) -> tuple[np.ndarray, ...]:
    """The same of cavity and wall, on the whole grid."""
    sampling = geometry.spacing_kji
    return tuple(
        np.clip(distance_transform_edt(m, sampling=sampling) - distance_transform_edt(~m, sampling=sampling), -SDM_CLIP_MM, SDM_CLIP_MM)
        for m in masks
    )


def compare(name: str, cavity: Volume, repetitions: int, reference_repetitions: int) -> tuple[list[str], float, float]:
    """A row of the table, how many times faster, and the largest difference in mm."""
    mask, geometry = cavity.array > 0, cavity.geometry
    our_seconds, our_maps = median_seconds(lambda: ours(mask, geometry), repetitions)
    wall = our_maps[1] > 0
    their_seconds, their_maps = median_seconds(lambda: scipys((mask, wall), geometry), reference_repetitions)
    difference = max(float(np.abs(a - b).max()) for a, b in zip(our_maps, their_maps))
    row = [
        name,
        "×".join(map(str, geometry.size)),
        f"{our_seconds:.3f}",
        f"{their_seconds:.1f}",
        ratio(their_seconds, our_seconds),
        f"{difference:.1e}",
    ]
    return row, their_seconds / our_seconds, difference


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mask", type=Path, help="a cavity mask instead of the simulated one")
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--reference-repetitions", type=int, default=2)
    arguments = parser.parse_args()
    cavity = read_volume(arguments.mask) if arguments.mask else left_atrium(SIZE_88, SPACING_88)
    row, speed, difference = compare(arguments.mask or "simulated", cavity, arguments.repetitions, arguments.reference_repetitions)
    rows, real = [row], DATA / "carma" / "shrinkwrap-endo.nrrd"
    if not arguments.mask and real.exists():
        rows.append(compare("carma shrinkwrap (real)", read_volume(real), arguments.repetitions, 1)[0])
    print_table(["cavity", "grid", "ours, s", "SciPy, s", "faster", "largest difference, mm"], rows)
    return judge(
        [
            Bar("both maps, faster than SciPy", speed, SPEED_BAR, "times", at_least=True),
            Bar("largest difference", difference, AGREEMENT_BAR_MM, "mm"),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
