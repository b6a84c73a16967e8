"""Scar metrics on a surface, with answers known by construction: balls with caps of scar."""

import numpy as np
import pytest
from analytic import ISOTROPIC, THIN_SLICES, Grid, cap_share_pct
from scipy.stats import norm

from LAScarSegLib.evaluation.scar_agreement import (
    ChallengeSurface, ScarAgreement, anatomy_errors, challenge_agreement, mesh_agreement, surface_agreement,
)  # fmt: skip
from LAScarSegLib.evaluation.voxel import border
from LAScarSegLib.surface.mesh import cavity_surface

RADIUS_MM, SMALL_CAP, LARGE_CAP = 25.0, 40.0, 60.0
AXIS = np.array([0.3, -0.5, 0.8]) / np.linalg.norm([0.3, -0.5, 0.8])
UNIT = (1.0, 1.0, 1.0)


def cap(grid: Grid, degrees: float) -> np.ndarray:
    """Scar in a wall of 2.5 mm around the ball, within an angle of `AXIS`."""
    points = grid.points()[0]
    return shell(grid, 0.0, 2.5) & (points @ AXIS > np.linalg.norm(points, axis=-1) * np.cos(np.deg2rad(degrees)))


def shell(grid: Grid, from_mm: float, to_mm: float) -> np.ndarray:
    """All voxels at these distances outside the ball."""
    distance = np.linalg.norm(grid.points()[0], axis=-1) - RADIUS_MM
    return (distance >= from_mm) & (distance < to_mm)


@pytest.fixture(scope="module", params=[ISOTROPIC, THIN_SLICES], ids=["isotropic", "thin slices"])
def grid(request) -> Grid:
    return Grid.around(request.param, RADIUS_MM + 14.0)


@pytest.fixture(scope="module")
def ball(grid):
    return grid.ball(RADIUS_MM).array


def shares(grid, ball):
    """Which share of the ball's surface voxels lies within the small and the large cap, by their angle."""
    points = grid.points()[0][border(ball)]
    cosine = points @ AXIS / np.linalg.norm(points, axis=-1)
    return [float((cosine > np.cos(np.deg2rad(degrees))).mean()) for degrees in (SMALL_CAP, LARGE_CAP)]


def test_challenge_metrics_of_two_caps(grid, ball):
    """The prediction is a cap of 60°, the reference one of 40° around the same axis: everything follows from the two shares.

    The blurred ball's gradient points at its centre to a few degrees only in thick slices: hence the tolerance.
    """
    small, large = shares(grid, ball)
    found = challenge_agreement(cap(grid, LARGE_CAP), cap(grid, SMALL_CAP), ball, grid.geometry.spacing_kji)
    assert found.total == border(ball).sum()
    assert found.reference_scar / found.total == pytest.approx(small, abs=0.015)
    assert found.sensitivity == pytest.approx(1.0, abs=0.005)
    assert found.specificity == pytest.approx((1 - large) / (1 - small), abs=0.025)
    assert found.accuracy == pytest.approx(1 - (large - small), abs=0.025)
    dice_scar, dice_wall = 2 * small / (small + large), 2 * (1 - large) / ((1 - large) + (1 - small))
    assert found.dice == pytest.approx(dice_scar, abs=0.03)
    assert found.generalized_dice == pytest.approx(dice_scar * small + dice_wall * (1 - small), abs=0.025)


def test_background_does_not_count(grid, ball):
    """The organisers' code, patched naively, counts the background as true negative: more of it raised the accuracy."""
    masks = [cap(grid, LARGE_CAP), cap(grid, SMALL_CAP), ball]
    wide = [np.pad(mask, 20) for mask in masks]
    assert challenge_agreement(*wide, grid.geometry.spacing_kji) == challenge_agreement(*masks, grid.geometry.spacing_kji)


def test_scar_is_seen_within_ten_millimetres(grid, ball):
    surface = ChallengeSurface.of(ball, grid.geometry.spacing_kji)
    assert surface.carry(shell(grid, 4.0, 8.0)).all()
    assert surface.carry(shell(grid, -9.0, -5.0)).all()
    assert not surface.carry(shell(grid, 12.5, 14.0)).any()


def test_scar_is_looked_for_along_the_gradient_of_a_blur_of_four_voxels():
    """In an edge of two half-spaces, ½ voxel from one face and 4½ from the other, the blurred cavity is a product of two normal
    distributions: the angle of its gradient tells their sigma."""
    cavity = np.zeros((41, 60, 60), dtype=bool)
    cavity[:, :30, :30] = True
    surface = ChallengeSurface.of(cavity, UNIT)
    (row,) = np.flatnonzero((surface.voxels == (20, 29, 25)).all(axis=1))
    along_k, along_j, along_i = surface.rays[row, -1].astype(int) - surface.rays[row, 0]
    near, far = norm(scale=4.0).pdf([0.5, 4.5]) / norm(scale=4.0).cdf([0.5, 4.5])
    # The ray's ends are rounded to voxels: 20 voxels long, it is known to 2°.
    assert along_k == 0 and np.degrees(np.arctan(along_i / along_j)) == pytest.approx(np.degrees(np.arctan(far / near)), abs=2.0)


def test_identical_scars_agree_completely(grid, ball):
    found = challenge_agreement(cap(grid, 50.0), cap(grid, 50.0), ball, grid.geometry.spacing_kji)
    assert (found.accuracy, found.sensitivity, found.specificity, found.dice, found.generalized_dice) == (1, 1, 1, 1, 1)


def test_mesh_dice_of_two_caps(grid, ball):
    """By area, so the share of a cap is (1 − cos θ)/2 exactly, whatever the voxels."""
    small, large = cap_share_pct(SMALL_CAP) / 100, cap_share_pct(LARGE_CAP) / 100
    found = mesh_agreement(cap(grid, LARGE_CAP), cap(grid, SMALL_CAP), ball, grid.geometry)
    assert found.dice == pytest.approx(2 * small / (small + large), abs=0.02)
    assert (found.predicted_scar - found.reference_scar) / found.total == pytest.approx(large - small, abs=0.015)


def test_mesh_agreement_counts_area_and_leaves_out_what_is_no_wall(grid, ball):
    surface = cavity_surface(ball, grid.geometry, 1.0)
    upper = surface.points[:, 2] > grid.centre[2]
    right = surface.points[:, 0] > grid.centre[0]
    found = surface_agreement(surface, upper, right)
    assert [found.true_scar, found.false_scar, found.missed_scar, found.true_wall] == pytest.approx([surface.area_mm2 / 4] * 4, rel=0.03)
    walled = surface.with_arrays(region=upper.astype(np.uint8))
    assert surface_agreement(walled, upper, right, wall_only=True).specificity != found.specificity
    assert surface_agreement(walled, upper, right, wall_only=True).total == pytest.approx(surface.area_mm2 / 2, rel=0.02)


def test_generalized_dice_by_hand():
    """100 elements, 20 scar in the reference; 15 found, 10 invented: Dice 30/45 and 140/155, weights 0.2 and 0.8."""
    agreement = ScarAgreement(true_scar=15, false_scar=10, missed_scar=5, true_wall=70)
    assert agreement.dice == pytest.approx(30 / 45)
    assert agreement.generalized_dice == pytest.approx(30 / 45 * 0.2 + 140 / 155 * 0.8)
    assert agreement.accuracy == pytest.approx(0.85)
    assert (agreement.sensitivity, agreement.specificity) == pytest.approx((15 / 20, 70 / 80))


def test_reference_without_scar(grid, ball):
    nothing, spacing = np.zeros_like(ball), grid.geometry.spacing_kji
    found = challenge_agreement(cap(grid, 30.0), nothing, ball, spacing)
    assert np.isnan(found.sensitivity) and found.dice == 0.0
    assert found.generalized_dice == pytest.approx(2 * found.true_wall / (2 * found.true_wall + found.false_scar))
    agreed = challenge_agreement(nothing, nothing, ball, spacing)
    assert (agreed.dice, agreed.generalized_dice, agreed.accuracy) == (1.0, 1.0, 1.0)


def test_empty_cavity_has_no_surface():
    nothing = np.zeros((4, 4, 4), dtype=bool)
    found = challenge_agreement(nothing, nothing, nothing, UNIT)
    assert found.total == 0 and np.isnan([found.accuracy, found.generalized_dice]).all()


def test_anatomy_errors_by_counting():
    """A cavity of 20³ voxels of 1 mm, wall band 2 voxels to both sides: one wrong voxel of each kind among known numbers."""
    cavity = np.zeros((30, 40, 40), dtype=bool)
    cavity[5:25, 10:30, 10:30] = True
    prediction, reference = np.zeros_like(cavity), np.zeros_like(cavity)
    prediction[15, 20, 20] = True  # deep in the cavity: in the cavity and outside the wall
    prediction[15, 20, 11] = True  # in the cavity, inside the band
    prediction[15, 20, 36] = True  # beyond the band
    prediction[15, 20, 8] = reference[15, 20, 8] = True  # right
    reference[15, 20, 31] = True  # missed, inside the band
    reference[15, 20, 35] = True  # missed, beyond the band
    found = anatomy_errors(prediction, reference, cavity, UNIT)
    assert found.fp_in_cavity_pct == pytest.approx(100 * 2 / 4)
    assert found.fp_outside_wall_pct == pytest.approx(100 * 2 / 4)
    assert found.fn_inside_wall_pct == pytest.approx(100 * 1 / 3)


def test_anatomy_errors_of_no_scar_are_undefined():
    cavity, nothing = np.pad(np.ones((4, 4, 4), dtype=bool), 5), np.zeros((14, 14, 14), dtype=bool)
    found = anatomy_errors(nothing, nothing, cavity, UNIT)
    assert np.isnan([found.fp_in_cavity_pct, found.fp_outside_wall_pct, found.fn_inside_wall_pct]).all()
