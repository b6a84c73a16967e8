"""Parts of the phantom against analysis: shapes, zero-filling, bands on a sphere, areas of triangles."""

from __future__ import annotations

import numpy as np
import pytest

from LAScarSegLib.phantom.acquisition import zero_fill
from LAScarSegLib.phantom.scar import LINE_STEP_MM, DrawnGap, Lesion, resample
from LAScarSegLib.phantom.shapes import ellipsoid, grid_points, tube, union
from LAScarSegLib.phantom.truth import lesion_truth, triangle_share
from LAScarSegLib.phantom.wall import isolines, zero_level
from LAScarSegLib.surface.surface import Surface
from LAScarSegLib.volumes.volume import Box, Geometry

RADIUS_MM = 25.0
GRID = Geometry((61, 61, 61), (1.0, 1.0, 1.0), (-30.0, -30.0, -30.0))


def points_of(grid: Geometry) -> np.ndarray:
    """(3, k, j, i) LPS mm."""
    return grid_points(grid, Box((0, 0, 0), grid.shape))


@pytest.fixture(scope="module")
def sphere() -> Surface:
    return zero_level(ellipsoid((0, 0, 0), (RADIUS_MM,) * 3).distance(points_of(GRID)), GRID)


def latitude_band(sphere: Surface, colatitude_deg: float, width_mm: float, gaps: list[tuple[float, float]]) -> Lesion:
    """A band around the pole of a sphere, its middle at a colatitude; gaps as (start, length) in mm along it."""
    angle = np.radians(colatitude_deg)
    turn = np.linspace(0, 2 * np.pi, 721)
    circle = RADIUS_MM * np.stack([np.sin(angle) * np.cos(turn), np.sin(angle) * np.sin(turn), np.full(721, np.cos(angle))], axis=1)
    line = resample(circle)
    return Lesion("band", line, np.full(len(line), width_mm / 2), ("LSPV",), tuple(DrawnGap(s, n, np.zeros(3)) for s, n in gaps))


def scar_area_mm2(sphere: Surface, lesion: Lesion) -> float:
    corners = sphere.points[sphere.triangles]
    area = 0.5 * np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    return float((area * triangle_share(lesion.signed_mm(sphere.points)[sphere.triangles])).sum())


def test_sphere_mesh_has_the_sphere_s_area_and_volume(sphere: Surface) -> None:
    assert sphere.area_mm2 == pytest.approx(4 * np.pi * RADIUS_MM**2, rel=0.005)
    assert sphere.volume_ml == pytest.approx(4 / 3 * np.pi * RADIUS_MM**3 / 1000, rel=0.005)


def test_band_area_is_that_of_a_spherical_zone(sphere: Surface) -> None:
    """Zone between colatitudes a and b: 2πR²(cos a − cos b). A chord of w/2 spans 2·asin(w/4R) on the sphere."""
    lesion = latitude_band(sphere, 40.0, 6.0, [])
    half = 2 * np.arcsin(6.0 / 4 / RADIUS_MM)
    middle = np.radians(40.0)
    zone = 2 * np.pi * RADIUS_MM**2 * (np.cos(middle - half) - np.cos(middle + half))
    assert scar_area_mm2(sphere, lesion) == pytest.approx(zone, rel=0.02)


def test_a_gap_takes_its_share_of_the_band(sphere: Surface) -> None:
    """Gap edges are meridians: a gap of length g along the middle line takes g / circumference of the zone."""
    whole = scar_area_mm2(sphere, latitude_band(sphere, 40.0, 6.0, []))
    around = 2 * np.pi * RADIUS_MM * np.sin(np.radians(40.0))
    gapped = scar_area_mm2(sphere, latitude_band(sphere, 40.0, 6.0, [(10.0, 20.0)]))
    assert (whole - gapped) / whole == pytest.approx(20.0 / around, abs=0.01)


@pytest.mark.parametrize("length_mm", [3.0, 5.0, 10.0, 20.0])
def test_gap_length_is_what_is_bare_along_the_line(sphere: Surface, length_mm: float) -> None:
    lesion = latitude_band(sphere, 50.0, 6.0, [(30.0, length_mm)])
    bare = (lesion.signed_mm(lesion.points) < 0).sum() * LINE_STEP_MM
    assert bare == pytest.approx(length_mm, abs=2 * LINE_STEP_MM)


def test_gap_across_the_line_s_start_is_one_gap(sphere: Surface) -> None:
    around = 2 * np.pi * RADIUS_MM * np.sin(np.radians(50.0))
    lesion = latitude_band(sphere, 50.0, 6.0, [(around - 4.0, 8.0)])
    bare = lesion.signed_mm(lesion.points) < 0
    assert bare[0] and bare[-1]
    assert bare.sum() * LINE_STEP_MM == pytest.approx(8.0, abs=2 * LINE_STEP_MM)


def test_truth_counts_gaps_from_3_mm_on(sphere: Surface) -> None:
    truth = lesion_truth(latitude_band(sphere, 50.0, 6.0, [(10.0, 2.0), (30.0, 3.0), (60.0, 10.0)]))
    around = 2 * np.pi * RADIUS_MM * np.sin(np.radians(50.0))
    assert truth.gap_count == 2 and truth.gap_lengths_mm == (3.0, 10.0)
    assert truth.path_length_mm == pytest.approx(around, rel=0.005)
    assert truth.relative_gap == pytest.approx(13.0 / around, rel=0.01)


def test_isoline_of_height_is_a_circle_of_latitude(sphere: Surface) -> None:
    (line,) = isolines(sphere, sphere.points[:, 2] - 15.0)
    length = np.linalg.norm(np.diff(line, axis=0), axis=1).sum()
    assert length == pytest.approx(2 * np.pi * 20.0, rel=0.01)
    assert np.allclose(line[:, 2], 15.0, atol=1e-3)


def test_triangle_share_is_the_area_above_zero() -> None:
    """Values 1, −1, −1: the positive corner's triangle has half the sides, a quarter of the area."""
    assert triangle_share(np.array([[1.0, -1.0, -1.0], [1.0, 1.0, 1.0], [-1.0, -1.0, -1.0]])) == pytest.approx([0.25, 1.0, 0.0], abs=0.04)


def test_ellipsoid_has_the_analytic_volume() -> None:
    inside = ellipsoid((1, 2, 3), (20, 12, 9)).distance(points_of(GRID)) < 0
    assert inside.sum() / 1000 == pytest.approx(4 / 3 * np.pi * 20 * 12 * 9 / 1000, rel=0.01)


def test_tube_is_a_cylinder_with_round_ends() -> None:
    inside = tube(np.array([[-9.7, 0.2, 0.4], [10.3, 0.2, 0.4]]), np.array([6.0, 6.0])).distance(points_of(GRID)) < 0
    assert inside.sum() == pytest.approx(np.pi * 36 * 20 + 4 / 3 * np.pi * 216, rel=0.02)


def test_oval_tube_has_the_asked_flatness() -> None:
    shape = tube(np.array([[-20.0, 0, 0], [20.0, 0, 0]]), np.array([8.0, 8.0]), np.array([0.0, 1.0, 0.0]), 2.0)
    edge = shape.distance(np.array([[0.0, 0.0], [3.99, 0.0], [0.0, 7.99]], np.float32))
    assert np.all(edge < 0) and np.all(edge > -0.1)


def test_union_on_a_grid_is_the_union_everywhere_near_it() -> None:
    parts = [ellipsoid((-8, 0, 0), (10, 10, 10)), tube(np.array([[0.0, 0, 0], [20.0, 0, 0]]), np.array([5.0, 5.0]))]
    whole = union(parts, 4.0)
    direct = whole.distance(points_of(GRID))
    partly = whole.on_grid(GRID, Box((0, 0, 0), GRID.shape), 3.0)
    near = np.abs(direct) < 3.0
    assert np.allclose(direct[near], partly[near], atol=1e-4)


def test_zero_filling_keeps_a_wave_and_parts_each_voxel_in_four() -> None:
    """A cosine below Nyquist is reproduced at a quarter voxel's shift: image voxel centres lie at (m − ½)/2 acquired voxels."""
    n = 32
    wave = np.cos(2 * np.pi * 3 * np.arange(n) / n)
    image = zero_fill(np.fft.fft2(np.tile(wave, (n, 1)), norm="ortho"))
    wanted = np.cos(2 * np.pi * 3 * (np.arange(2 * n) - 0.5) / 2 / n)
    assert np.allclose(image.real, wanted, atol=1e-4)
    assert np.allclose(image.imag, 0, atol=1e-4)
