"""What an edit means on a scan much larger than the atrium: the same as an analysis of what was drawn, wherever it was drawn."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from scene_cases import CENTRE_LPS, RADIUS_MM, grid, points_of, rotation, scan

from LAScarSegLib.analysis import Analysis
from LAScarSegLib.pipeline import analyse
from LAScarSegLib.presenter.edits import Drawn, differing, edits, measure_again
from LAScarSegLib.settings import Settings
from LAScarSegLib.volume import Volume

GRID = grid(rotation(0.4, 0.3), (1.4, 1.4, 2.5), (90, 60, 40))


@functools.cache
def before() -> Analysis:
    image, cavity = scan(GRID)
    return analyse(image, Settings(perturbation=False), cavity=cavity)


def ball(offset_mm: tuple[float, float, float], radius_mm: float) -> np.ndarray:
    """The voxels within a radius of a point beside the atrium's centre, along the grid's axes i, j, k."""
    centre = CENTRE_LPS + GRID.rotation @ offset_mm
    return np.linalg.norm(points_of(GRID) - centre, axis=-1) <= radius_mm


def drawn(**masks: np.ndarray | None) -> Drawn:
    held = {name: getattr(before(), name).array > 0 for name in ("cavity", "wall", "scar")} | masks
    return Drawn(**held, planes=())


def analysed_anew(**masks: np.ndarray) -> Analysis:
    return analyse(before().volume, before().settings, **{name: Volume(mask, GRID) for name, mask in masks.items()})


def assert_same(found: Analysis, expected: Analysis) -> None:
    for name in ("cavity", "wall", "scar", "sdm_cavity", "sdm_wall"):
        np.testing.assert_array_equal(getattr(found, name).array, getattr(expected, name).array, err_msg=name)
    for name in ("points", "triangles", "normals", "lge", "iir", "scar", "region"):
        np.testing.assert_array_equal(getattr(found.surface, name), getattr(expected.surface, name), err_msg=name)
    assert found.measurements == expected.measurements
    assert found.provenance["masks"] == expected.provenance["masks"]


def test_the_scan_is_larger_than_what_is_looked_at():
    assert all(a > 5 and b < size - 5 for a, b, size in list(zip(before().box.start, before().box.stop, GRID.shape))[2:])


@pytest.mark.parametrize(
    "stroke",
    [((RADIUS_MM, 0, 0), 6.0), ((RADIUS_MM + 12.0, 0, 0), 14.0), ((50.0, 0, 0), 5.0), ((-58.0, 30.0, 20.0), 9.0)],
    ids=["in the wall", "to the edge of the old box", "outside it", "in the scan's corner"],
)
def test_a_stroke_in_the_cavity_gives_what_an_analysis_of_that_cavity_gives(stroke):
    cavity = drawn().cavity | ball(*stroke)
    assert edits(drawn(cavity=cavity), before()) == {"cavity"}
    assert_same(measure_again(drawn(cavity=cavity), before(), before(), False), analysed_anew(cavity=cavity))


def test_erasing_in_the_cavity_gives_what_an_analysis_of_that_cavity_gives():
    cavity = drawn().cavity & ~ball((RADIUS_MM, 0, 0), 9.0)
    assert_same(measure_again(drawn(cavity=cavity), before(), before(), False), analysed_anew(cavity=cavity))


def test_strokes_one_after_the_other_give_what_all_of_them_give():
    cavity, now = drawn().cavity, before()
    for offset in ((RADIUS_MM, 0, 0), (0, RADIUS_MM, 0), (30.0, 8.0, 4.0), (0, 0, -RADIUS_MM)):
        cavity = cavity | ball(offset, 6.0)
        now = measure_again(Drawn(cavity, now.wall.array > 0, now.scar.array > 0, ()), now, before(), False)
    assert_same(now, analysed_anew(cavity=cavity))


@pytest.mark.parametrize("far", [False, True])
def test_what_painting_over_wall_and_scar_took_off_them_is_no_edit(far):
    stroke = ball((RADIUS_MM, 0, 0), 6.0) | (ball((55.0, 0, 0), 3.0) if far else False)
    painted = drawn(cavity=drawn().cavity | stroke, wall=drawn().wall & ~stroke, scar=drawn().scar & ~stroke)
    assert edits(painted, before()) == {"cavity"}
    assert_same(measure_again(painted, before(), before(), False), analysed_anew(cavity=painted.cavity))


@pytest.mark.parametrize("far", [False, True])
def test_segments_that_were_removed_are_as_they_were(far):
    cavity = drawn().cavity | ball((55.0 if far else RADIUS_MM, 0, 0), 5.0)
    assert edits(drawn(wall=None, scar=None), before()) == frozenset()
    assert_same(measure_again(drawn(cavity=cavity, wall=None, scar=None), before(), before(), False), analysed_anew(cavity=cavity))


def test_wall_drawn_outside_the_old_box_is_kept():
    wall = drawn().wall | ball((60.0, 0, 0), 4.0)
    found = measure_again(drawn(wall=wall), before(), before(), False)
    assert found.method.wall_given
    assert_same(found, analysed_anew(cavity=drawn().cavity, wall=wall))


def test_segments_differ_from_an_analysis_by_what_lies_outside_its_box_too():
    assert differing(drawn(), before()) == ()
    assert differing(drawn(scar=drawn().scar | ball((60.0, 0, 0), 3.0), wall=None), before()) == ("wall", "scar")
    assert differing(drawn(cavity=drawn().cavity & ~ball((0, 0, 0), 3.0)), before()) == ("cavity",)
