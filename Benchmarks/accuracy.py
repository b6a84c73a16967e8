"""Accuracy on shapes whose answers are known by analysis: the numbers of Docs/validation.md. Prints Markdown tables."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "Testing" / "Python")]

from analytic import (  # noqa: E402
    BLOOD,
    ISOTROPIC,
    THIN_SLICES,
    Grid,
    cap_share_pct,
    ellipsoid_area_mm2,
    ellipsoid_volume_ml,
    oblique,
)  # fmt: skip

from LAScarSegLib.analysis import analyse  # noqa: E402
from LAScarSegLib.analysis.settings import Settings  # noqa: E402
from LAScarSegLib.anatomy.distance import signed_distance  # noqa: E402
from LAScarSegLib.surface.mesh import cavity_surface  # noqa: E402
from LAScarSegLib.surface.subvoxel_distance import subvoxel_signed_distance  # noqa: E402

SPACINGS = {"0.625² × 2.5": THIN_SLICES, "1.25³": ISOTROPIC}
OFFSETS = [(0.2, 0.3, z) for z in (0.0, 0.25, 0.5, 0.75)]
DIRECTIONS = {"axial": oblique((0, 0, 0)), "oblique": oblique(), "oblique, left-handed": oblique((70, -20, 110), flip=True)}


def span(values: list[float]) -> str:
    return f"{min(values):+.2f} … {max(values):+.2f}"


def distance_table() -> None:
    print("\n## Signed distance to a sphere of 25 mm, |d| ≤ 3 mm (error in mm, worst of four slice positions)\n")
    print("| voxels (mm) | plain, rms | plain, max | sub-voxel, rms | sub-voxel, max |\n|---|---|---|---|---|")
    for name, spacing in SPACINGS.items():
        rows = []
        for offset in OFFSETS:
            grid = Grid.around(spacing, 31.0, offset=offset)
            mask = grid.ball(25.0).array
            plain = signed_distance(mask, grid.geometry.spacing_kji, 12.0)
            refined = subvoxel_signed_distance(plain, grid.geometry, cavity_surface(mask, grid.geometry, 1.0), 3.0)
            true = 25.0 - np.linalg.norm(grid.points()[0], axis=-1)
            errors = [(found - true)[np.abs(true) <= 3.0] for found in (plain, refined)]
            rows.append([measure for e in errors for measure in (np.sqrt(np.mean(e**2)), np.abs(e).max())])
        print(f"| {name} | " + " | ".join(f"{v:.2f}" for v in np.max(rows, axis=0)) + " |")


def mesh_table() -> None:
    print("\n## Area and volume of the mesh (error in %, four slice positions × three orientations)\n")
    print("| semi-axes | voxels (mm) | area | volume |\n|---|---|---|---|")
    for semi_axes in ((25.0,) * 3, (18.0, 25.0, 32.0), (8.0,) * 3):
        for name, spacing in SPACINGS.items():
            areas, volumes = [], []
            for offset in OFFSETS:
                for direction in DIRECTIONS.values():
                    grid = Grid.around(spacing, max(semi_axes) + 3, offset=offset, direction=direction)
                    surface = cavity_surface(grid.ellipsoid(semi_axes).array, grid.geometry, 1.0)
                    areas.append(100 * (surface.area_mm2 / ellipsoid_area_mm2(semi_axes) - 1))
                    volumes.append(100 * (surface.volume_ml / ellipsoid_volume_ml(semi_axes) - 1))
            print(f"| {' × '.join(f'{a:g}' for a in semi_axes)} mm | {name} | {span(areas)} | {span(volumes)} |")


def vein_table() -> None:
    print("\n## Mean radius of a vein on the mesh (mm)\n")
    print("| true | voxels (mm) | along the rows | across the slices |\n|---|---|---|---|")
    for radius in (3.5, 5.0, 7.0):
        for name, spacing in SPACINGS.items():
            found = []
            for axis in (0, 2):
                grid = Grid.around(spacing, 28.0)
                points = cavity_surface(grid.tube(radius, 50.0, axis).array, grid.geometry, 1.0).points - grid.centre
                middle = points[np.abs(points[:, axis]) < 12.0]
                found.append(np.linalg.norm(np.delete(middle, axis, axis=1), axis=1).mean())
            print(f"| {radius:g} | {name} | {found[0]:.2f} | {found[1]:.2f} |")


def cap_table(oversampling: int) -> None:
    sampled = "each voxel the tissue at its centre" if oversampling == 1 else "each voxel the mean of its tissues (partial volumes)"
    print(f"\n## Cap of scar on a sphere of 25 mm, IIR 1.20, {sampled} (error in points of % area)\n")
    print("| cap | true | voxels (mm) | axis | noise-free | noise 12 % of blood |\n|---|---|---|---|---|---|")
    rng = np.random.default_rng(0)
    for cap in (20, 40, 60):
        for name, spacing in SPACINGS.items():
            for axis in ((0, 0, 1), (1, 0, 0), (1, 1, 1)):
                clean, noisy = [], []
                for direction in DIRECTIONS.values() if oversampling == 1 else [DIRECTIONS["axial"]]:
                    grid = Grid.around(spacing, 31.0, direction=direction)
                    scan, cavity = grid.scan_of_ball(25.0, cap, np.array(axis), oversampling), grid.ball(25.0)
                    noise = rng.normal(0, 0.12 * BLOOD, scan.array.shape).astype(np.float32)
                    for errors, image in ((clean, scan), (noisy, scan.like(scan.array + noise))):
                        share = analyse(image, Settings("iir", perturbation=False), cavity=cavity).measurements["scar_area_pct"].value
                        errors.append(share - cap_share_pct(cap))
                print(f"| {cap}° | {cap_share_pct(cap):.2f} | {name} | {axis} | {span(clean)} | {span(noisy)} |")


def main() -> None:
    distance_table()
    mesh_table()
    vein_table()
    cap_table(oversampling=1)
    cap_table(oversampling=2)


if __name__ == "__main__":
    main()
