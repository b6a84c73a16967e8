"""Voxel and surface metrics: against medpy, against DeepMind's surface-distance, and against analysis."""

import numpy as np
import pytest
from analytic import THIN_SLICES, Grid, sphere_area_mm2
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from LAScarSegLib.anatomy.overlap import dice
from LAScarSegLib.evaluation.voxel import border, border_distances, centroid_error_mm, surface_dice, surfel_areas_mm2, surfels
from LAScarSegLib.volumes.files import read_volume
from LAScarSegLib.volumes.volume import Box

medpy = pytest.importorskip("medpy.metric.binary")
deepmind = pytest.importorskip("surface_distance")

spacings = st.tuples(*[st.sampled_from([0.4, 0.625, 1.25, 2.5])] * 3)
shapes = st.tuples(*[st.integers(1, 7)] * 3)
two_masks = shapes.flatmap(lambda shape: st.tuples(arrays(bool, shape), arrays(bool, shape)))


@pytest.fixture(scope="module")
def atrium(data_dir):
    """A whole cavity on 640×640×44, and the same moved by (1, 6, −5) voxels."""
    volume = read_volume(data_dir / "carma" / "shrinkwrap-endo.nrrd")
    mask = volume.array > 0
    return np.roll(mask, (1, 6, -5), (0, 1, 2)), mask, volume.geometry.spacing_kji


def boxed(prediction, reference, spacing):
    """medpy takes 8 s on the whole grid; outside of both masks there is nothing that it could see."""
    box = Box.around(prediction | reference, 0.0, spacing).slices
    return prediction[box], reference[box], spacing


@settings(max_examples=150, deadline=None)
@given(two_masks, spacings)
def test_medpy_on_random_masks(masks, spacing):
    prediction, reference = masks
    assume(prediction.any() and reference.any())
    distances = border_distances(prediction, reference, spacing)
    assert dice(prediction, reference) == pytest.approx(medpy.dc(prediction, reference), abs=1e-6)
    assert distances.hd_mm == pytest.approx(medpy.hd(prediction, reference, spacing), abs=1e-6)
    assert distances.hd95_mm == pytest.approx(medpy.hd95(prediction, reference, spacing), abs=1e-6)
    assert distances.assd_mm == pytest.approx(medpy.assd(prediction, reference, spacing), abs=1e-6)


def test_medpy_on_a_real_cavity(atrium):
    distances = border_distances(*atrium)
    assert dice(*atrium[:2]) == pytest.approx(medpy.dc(*atrium[:2]), abs=1e-6)
    assert distances.hd_mm == pytest.approx(medpy.hd(*boxed(*atrium)), abs=1e-6)
    assert distances.hd95_mm == pytest.approx(medpy.hd95(*boxed(*atrium)), abs=1e-6)
    assert distances.assd_mm == pytest.approx(medpy.assd(*boxed(*atrium)), abs=1e-6)


def test_hausdorff_distance_keeps_the_smallest_component():
    reference = np.zeros((9, 9, 60), dtype=bool)
    reference[2:7, 2:7, 2:7] = True
    prediction = reference.copy()
    prediction[4, 4, 46] = True
    assert border_distances(prediction, reference, (2.5, 0.625, 0.5)).hd_mm == pytest.approx(40 * 0.5)


def test_border_at_the_edge_of_the_image_is_border():
    assert border(np.ones((3, 4, 5), dtype=bool)).sum() == 3 * 4 * 5 - 1 * 2 * 3


def test_empty_masks():
    empty, full = np.zeros((3, 3, 3), dtype=bool), np.ones((3, 3, 3), dtype=bool)
    spacing = (1.0, 1.0, 1.0)
    assert dice(empty, empty) == 1.0 and surface_dice(empty, empty, spacing, 1.0) == 1.0
    assert dice(full, empty) == 0.0 and surface_dice(full, empty, spacing, 1.0) == 0.0
    for pair in ((empty, empty), (full, empty), (empty, full)):
        distances = border_distances(*pair, spacing)
        assert np.isnan([distances.hd_mm, distances.hd95_mm, distances.assd_mm, centroid_error_mm(*pair, spacing)]).all()


def test_centroid_error_is_the_shift_in_mm():
    mask = np.zeros((20, 20, 20), dtype=bool)
    mask[3:9, 4:8, 5:12] = True
    assert centroid_error_mm(np.roll(mask, (1, 2, 3), (0, 1, 2)), mask, (2.5, 1.0, 0.5)) == pytest.approx(np.hypot(np.hypot(2.5, 2.0), 1.5))


@settings(max_examples=150, deadline=None)
@given(two_masks, spacings, st.sampled_from([0.0, 0.7, 2.0, 2.5]))
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_surface_dice_is_deepminds_on_random_masks(masks, spacing, tolerance):
    prediction, reference = masks
    assume(prediction.any() and reference.any())
    distances = deepmind.compute_surface_distances(reference, prediction, spacing)
    expected = deepmind.compute_surface_dice_at_tolerance(distances, tolerance)
    assert surface_dice(prediction, reference, spacing, tolerance) == pytest.approx(expected, abs=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_surface_dice_is_deepminds_on_a_real_cavity(atrium):
    prediction, reference, spacing = atrium
    distances = deepmind.compute_surface_distances(reference, prediction, spacing)
    for tolerance in (1.0, 2.0, 4.0):
        expected = deepmind.compute_surface_dice_at_tolerance(distances, tolerance)
        assert surface_dice(prediction, reference, spacing, tolerance) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.5, 0.625, 0.8)])
def test_area_of_every_surfel_is_deepminds(spacing):
    expected = deepmind.metrics.lookup_tables.create_table_neighbour_code_to_surface_area(spacing)
    np.testing.assert_allclose(surfel_areas_mm2(spacing), expected, atol=1e-12)


def test_surface_of_a_cube_has_flat_faces_bevelled_edges_and_cut_corners():
    """n³ voxels of 1 mm: 6 faces of (n − 1)², 12 edges of (n − 1)/√2, 8 corners of √3/8 (an equilateral triangle of side √½)."""
    n = 10
    mask = np.zeros((14, 14, 14), dtype=bool)
    mask[2:12, 2:12, 2:12] = True
    expected = 6 * (n - 1) ** 2 + 12 * (n - 1) / np.sqrt(2) + 8 * np.sqrt(3) / 8
    assert surfels(mask, (1.0, 1.0, 1.0))[1].sum() == pytest.approx(expected)


def test_surface_dice_of_two_plates_is_the_share_of_plate_within_the_tolerance():
    """A plate of 1 × 100 × 100 voxels and one 3 mm beside it: nothing is near below 3 mm, all of it from there on."""
    reference = np.zeros((12, 100, 100), dtype=bool)
    reference[3] = True
    prediction = np.roll(reference, 3, axis=0)
    assert surface_dice(prediction, reference, (1.0, 0.7, 0.7), 1.99) == 0.0
    # The facing sides are 2 mm apart, the other ones 4 mm from each other but 3 mm from the nearer side.
    assert surface_dice(prediction, reference, (1.0, 0.7, 0.7), 2.0) == pytest.approx(0.5, abs=0.02)
    assert surface_dice(prediction, reference, (1.0, 0.7, 0.7), 3.0) == 1.0


def test_surface_dice_of_concentric_balls():
    grid = Grid.around(THIN_SLICES, 30.0)
    large, small, spacing = grid.ball(25.0).array, grid.ball(20.0).array, grid.geometry.spacing_kji
    assert surface_dice(large, small, spacing, 3.0) < 0.1
    assert surface_dice(large, small, spacing, 6.5) == 1.0
    # Marching cubes on a binary mask follows the voxels' stairs: it over-reads a sphere by up to 20 % (SCIENCE section 5).
    assert sphere_area_mm2(25.0) < surfels(large, spacing)[1].sum() < 1.2 * sphere_area_mm2(25.0)
