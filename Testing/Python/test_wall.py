"""The wall: the measured one, the papers' bands, the uncertainty band."""

import numpy as np
import pytest
from analytic import ISOTROPIC, Grid

from LAScarSegLib.anatomy.anatomy import build_anatomy
from LAScarSegLib.anatomy.wall import (
    PROGRESSIVE_INSIDE_MM, PROGRESSIVE_OUTSIDE_MM, effective_region, two_stage_band, uncertainty_band, wall_between,
)  # fmt: skip
from LAScarSegLib.volumes.volume import Geometry

HALF_SPACE = np.broadcast_to(np.arange(40) < 20, (9, 11, 40)).copy()
SPACING_KJI = (2.5, 0.625, 0.625)


def anatomy_of(cavity, given_wall=None, thickness_mm=2.5):
    return build_anatomy(cavity, Geometry(cavity.shape[::-1], SPACING_KJI[::-1]), thickness_mm, given_wall)


def test_measured_wall_is_outside_within_its_thickness():
    wall = anatomy_of(HALF_SPACE).wall
    # 2.5 mm are four voxels of 0.625 mm; through the plane nothing is outside.
    assert np.flatnonzero(wall[4, 5]).tolist() == [20, 21, 22, 23]
    assert not (wall & HALF_SPACE).any()


def test_measured_wall_reaches_as_far_across_slices_as_in_plane():
    cavity = np.zeros((9, 41, 41), dtype=bool)
    cavity[4, 20, 20] = True
    wall = anatomy_of(cavity).wall
    assert np.argwhere(wall[3]).tolist() == [[20, 20]]  # exactly 2.5 mm up
    assert wall[4].sum() == 48  # lattice points within radius 4 of a point: 49, less the cavity's own
    assert not wall[2].any()


def test_measured_wall_is_the_same_when_a_header_rounds_its_spacing():
    cavity = np.zeros((9, 41, 41), dtype=bool)
    cavity[4, 20, 20] = True
    exact, rounded = (build_anatomy(cavity, Geometry((41, 41, 9), (0.625, 0.625, z)), 2.5).wall for z in (2.5, 2.500002))
    assert np.array_equal(exact, rounded)


def test_given_wall_is_kept_outside_the_cavity():
    given = np.broadcast_to(np.arange(40) >= 18, HALF_SPACE.shape) & np.broadcast_to(np.arange(40) < 23, HALF_SPACE.shape)
    assert np.flatnonzero(anatomy_of(HALF_SPACE, given).wall[4, 5]).tolist() == [20, 21, 22]


def test_two_stage_band_is_three_voxels_each_way_in_plane_only():
    # r = round(2 / 0.625) = 3 voxels (Kundu & Linte, eq 3); the band of a plane is r voxels on each side.
    assert np.flatnonzero(two_stage_band(HALF_SPACE, SPACING_KJI)[4, 5]).tolist() == [17, 18, 19, 20, 21, 22]
    cavity = np.zeros((9, 41, 41), dtype=bool)
    cavity[4, 10:30, 10:30] = True
    assert np.unique(np.argwhere(two_stage_band(cavity, SPACING_KJI))[:, 0]).tolist() == [4]


def test_two_stage_band_has_at_least_one_voxel():
    assert np.flatnonzero(two_stage_band(HALF_SPACE, (5.0, 5.0, 5.0))[4, 5]).tolist() == [19, 20]


def test_progressive_wall_is_3_mm_inside_and_2_5_mm_outside():
    wall = wall_between(anatomy_of(HALF_SPACE).sdm_cavity_mm, PROGRESSIVE_OUTSIDE_MM, PROGRESSIVE_INSIDE_MM)
    # Inside: depths 0.625 … 2.5 (3.125 is too deep); outside 0.625 … 2.5.
    assert np.flatnonzero(wall[4, 5]).tolist() == list(range(16, 24))


def test_uncertainty_band_is_where_the_wall_map_is_within_3_mm_of_the_edge():
    anatomy = anatomy_of(HALF_SPACE)
    band = uncertainty_band(anatomy.sdm_wall_mm)[4, 5]
    # The wall is voxels 20–23, at most 1.25 mm deep: all of it, and four voxels (2.5 mm) on either side.
    assert np.flatnonzero(band).tolist() == list(range(16, 28))
    assert np.array_equal(effective_region(anatomy.wall, anatomy.sdm_wall_mm)[4, 5], band)


@pytest.mark.parametrize("radius", [15.0, 25.0])
def test_wall_volume_of_a_ball_is_the_shell(radius):
    grid = Grid.around(ISOTROPIC, radius + 6)
    anatomy = build_anatomy(grid.ball(radius).array, grid.geometry, 2.5)
    # Measured from voxel centres the shell starts half a voxel (0.625 mm) inside its outer reach.
    shell_ml = 4 / 3 * np.pi * ((radius + 2.5 - 0.31) ** 3 - radius**3) / 1000
    assert anatomy.wall.sum() * grid.geometry.voxel_volume_ml == pytest.approx(shell_ml, rel=0.08)


def test_image_border_is_not_outside_of_the_cavity():
    cavity = np.ones((6, 20, 20), dtype=bool)
    cavity[:, :, 15:] = False
    depth = anatomy_of(cavity).depth_mm
    np.testing.assert_allclose(depth[0, 0, :15], 0.625 * np.arange(15, 0, -1))
