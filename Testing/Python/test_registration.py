"""One surface is laid onto another: a known motion is undone, whatever the triangles and however long the veins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from surface_pairs import atrium, decimated, known_motion, left_of, moved

from LAScarSegLib.datasets.sample_data import sample
from LAScarSegLib.surface.closest_points import ClosestPoints
from LAScarSegLib.surface.mesh import cavity_surface
from LAScarSegLib.surface.registration import register, residual_of, spread
from LAScarSegLib.surface.surface import Surface
from LAScarSegLib.volumes.files import read_volume

ANGLE_BAR_DEG, WAY_BAR_MM = 0.5, 0.5


def left(mesh: Surface, fixed: Surface, angle_deg: float = 5.0, shift_mm: float = 5.0) -> tuple[float, float]:
    """Degrees and millimetres (mean over the points) that remain of a known motion of `mesh` once it lies on `fixed`."""
    turn, shift = known_motion(angle_deg, shift_mm)
    found = register(moved(mesh, turn, shift), fixed)
    return left_of(found.motion, mesh, turn, shift)


@pytest.mark.parametrize(("mesh", "angle_deg", "shift_mm"), [
    (atrium(1500, turn=1.0), 5.0, 5.0), (atrium(), 175.0, 200.0), (atrium(2000, vein_mm=9.0), 5.0, 5.0),
], ids=["other triangles", "far and upside down", "shorter veins"])  # fmt: skip
def test_a_known_motion_is_undone(mesh, angle_deg, shift_mm):
    angle, way = left(mesh, atrium(), angle_deg, shift_mm)

    assert angle < ANGLE_BAR_DEG and way < WAY_BAR_MM


def test_it_is_undone_on_a_cavity_that_was_cut_at_other_places():
    """A third of a vein's stumps is missing, with open edges."""
    whole = atrium()
    kept = (whole.points[whole.triangles][:, :, 0] < 38.0).all(axis=1)
    cut = replace(whole, triangles=whole.triangles[kept])
    angle, way = left(cut, whole)

    assert kept.mean() < 0.97 and angle < 0.05 and way < 0.05


@pytest.fixture(scope="module")
def phantoms_surface():
    cavity = read_volume(sample().cavity.path)
    return lambda edge_mm: cavity_surface(cavity.array > 0, cavity.geometry, edge_mm)


def test_it_is_undone_on_the_phantom_with_other_triangles(phantoms_surface):
    surface = phantoms_surface(1.8)
    angle, way = left(decimated(surface), surface)

    assert angle < ANGLE_BAR_DEG and way < WAY_BAR_MM


def test_it_is_undone_on_a_surface_that_was_smoothed_to_another_shape(phantoms_surface):
    """Longer edges make veins thinner. Where the farthest pairs are left out to the end, 1.5° remain."""
    angle, way = left(phantoms_surface(2.2), phantoms_surface(1.4))

    assert angle < ANGLE_BAR_DEG and way < WAY_BAR_MM


def test_it_is_undone_on_a_patients_cavity(data_dir):
    path = data_dir / "la2018" / "2XL5HSFSE93RMOJDRGR4" / "cavity.nii.gz"
    if not path.is_file():
        pytest.skip("la2018 is not there")
    cavity = read_volume(path)
    surface = cavity_surface(cavity.array > 0, cavity.geometry, 1.8)
    angle, way = left(decimated(surface), surface)

    assert angle < ANGLE_BAR_DEG and way < WAY_BAR_MM


def test_the_motion_says_its_angle_and_shift_and_is_always_the_same():
    turn, shift = known_motion()
    other = moved(atrium(1500), turn, shift)
    found, again = (register(other, atrium(1500)).motion for _ in range(2))
    centre = spread(other, 3000).points.mean(axis=0)

    assert found.angle_deg == pytest.approx(5.0, abs=0.01) and np.linalg.det(found.matrix[:3, :3]) == pytest.approx(1.0)
    assert found.shift_mm == pytest.approx(np.linalg.norm(centre - turn.T @ (centre - shift)), abs=0.1)
    assert np.array_equal(found.matrix, again.matrix)


def test_the_residual_of_two_balls_is_the_difference_of_their_radii():
    one, other = (atrium(3000, vein_mm=0.0, size=(radius,) * 3) for radius in (30.0, 32.0))
    # The helper's body is a ball scaled by direction: both alike.
    residual = residual_of(one, other)
    ratio = np.linalg.norm(other.points, axis=1) / np.linalg.norm(one.points, axis=1)

    assert np.allclose(ratio, 32.0 / 30.0) and residual.mean_mm == pytest.approx(2.0, rel=0.15)
    assert residual.trimmed_mean_mm <= residual.mean_mm <= residual.p95_mm


def test_bending_takes_what_is_smooth_and_leaves_the_rest():
    fixed = atrium(1500)
    wider = replace(fixed, points=fixed.points * [1.1, 1.0, 0.95])
    found = register(wider, fixed, bend=True)

    # The flanks of the veins stay where they are: a fold is no bending.
    assert found.bent_residual.trimmed_mean_mm < 0.65 * found.residual.trimmed_mean_mm
    assert 0.5 < found.bent_by_mm <= 6.0


def test_samples_lie_on_the_surface_and_evenly_over_its_area():
    surface = atrium()
    cloud = spread(surface, 4000)
    front = float(surface.vertex_area_mm2[surface.points[:, 1] < 0].sum()) / surface.area_mm2

    assert ClosestPoints(surface).of(cloud.points).distance_mm.max() < 1e-6
    assert (cloud.points[:, 1] < 0).mean() == pytest.approx(front, abs=0.01)


def test_the_nearest_point_carries_values_linearly():
    surface = atrium()
    values = surface.points @ [1.0, 2.0, 3.0]
    closest = ClosestPoints(surface).of(surface.points[surface.triangles].mean(axis=1)[:200])

    assert closest.interpolated(surface, values) == pytest.approx(values[surface.triangles[:200]].mean(axis=1))
