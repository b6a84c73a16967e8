"""What an edit means on a scan much larger than the atrium: the same as an analysis of what was drawn, wherever it was drawn."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from scene_cases import CENTRE_LPS, RADIUS_MM, grid, points_of, rotation, scan

from LAScarSegLib.analysis import Analysis, Mask, analyse
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.session.edits import Segments, ShownState, edits, measure_edits
from LAScarSegLib.volumes.volume import Volume

GRID = grid(rotation(0.4, 0.3), (1.4, 1.4, 2.5), (90, 60, 40))


@functools.cache
def before() -> Analysis:
    image, cavity = scan(GRID)
    return analyse(image, Settings("iir", perturbation=False), cavity=cavity)


def ball(offset_mm: tuple[float, float, float], radius_mm: float) -> np.ndarray:
    """The voxels within a radius of a point beside the atrium's centre, along the grid's axes i, j, k."""
    centre = CENTRE_LPS + GRID.rotation @ offset_mm
    return np.linalg.norm(points_of(GRID) - centre, axis=-1) <= radius_mm


def held(name: str) -> np.ndarray:
    """What the segment of that name holds before anybody draws."""
    return getattr(before(), name).array > 0


def drawn(**masks: np.ndarray | None) -> Segments:
    arrays = {name: held(name) for name in ("cavity", "wall", "scar")} | masks
    return Segments(**{name: None if array is None else Mask.of(array) for name, array in arrays.items()}, planes=())


def measured(segments: Segments) -> Analysis:
    return measure_edits(segments, before(), [ShownState.of(before())], False)


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
    cavity = held("cavity") | ball(*stroke)
    assert edits(drawn(cavity=cavity), before()) == {"cavity"}
    assert_same(measured(drawn(cavity=cavity)), analysed_anew(cavity=cavity))


def test_erasing_in_the_cavity_gives_what_an_analysis_of_that_cavity_gives():
    cavity = held("cavity") & ~ball((RADIUS_MM, 0, 0), 9.0)
    assert_same(measured(drawn(cavity=cavity)), analysed_anew(cavity=cavity))


def test_strokes_one_after_the_other_give_what_all_of_them_give():
    cavity, now, shown = held("cavity"), before(), [ShownState.of(before())]
    for offset in ((RADIUS_MM, 0, 0), (0, RADIUS_MM, 0), (30.0, 8.0, 4.0), (0, 0, -RADIUS_MM)):
        cavity = cavity | ball(offset, 6.0)
        now = measure_edits(Segments(Mask.of(cavity), now.masks["wall"], now.masks["scar"], ()), now, shown, False)
        shown.append(ShownState.of(now))
    assert_same(now, analysed_anew(cavity=cavity))


@pytest.mark.parametrize("far", [False, True])
def test_what_painting_over_wall_and_scar_took_off_them_is_no_edit(far):
    stroke = ball((RADIUS_MM, 0, 0), 6.0) | (ball((55.0, 0, 0), 3.0) if far else False)
    painted = drawn(cavity=held("cavity") | stroke, wall=held("wall") & ~stroke, scar=held("scar") & ~stroke)
    assert edits(painted, before()) == {"cavity"}
    assert_same(measured(painted), analysed_anew(cavity=held("cavity") | stroke))


@pytest.mark.parametrize("far", [False, True])
def test_segments_that_were_removed_are_as_they_were(far):
    cavity = held("cavity") | ball((55.0 if far else RADIUS_MM, 0, 0), 5.0)
    assert edits(drawn(wall=None, scar=None), before()) == frozenset()
    assert_same(measured(drawn(cavity=cavity, wall=None, scar=None)), analysed_anew(cavity=cavity))


def test_wall_drawn_outside_the_old_box_is_kept():
    wall = held("wall") | ball((60.0, 0, 0), 4.0)
    found = measured(drawn(wall=wall))
    assert found.method.wall_given
    assert_same(found, analysed_anew(cavity=held("cavity"), wall=wall))


def test_segments_differ_from_an_analysis_by_what_lies_outside_its_box_too():
    assert ShownState.of(before()).differing(drawn()) == ()
    assert ShownState.of(before()).differing(drawn(scar=held("scar") | ball((60.0, 0, 0), 3.0), wall=None)) == ("wall", "scar")
    assert ShownState.of(before()).differing(drawn(cavity=held("cavity") & ~ball((0, 0, 0), 3.0))) == ("cavity",)


def test_what_was_erased_far_from_the_atrium_is_erased():
    """A given scar and wall with a stray piece in the scan's corner: outside everything that is looked at without it."""
    far = ball((-58.0, 30.0, 20.0), 4.0)
    image, cavity = scan(GRID)
    for name in ("scar", "wall"):
        given = image.like(held(name) | far)
        first = analyse(image, Settings(perturbation=False), cavity=cavity, **{name: given})
        segments = Segments(**first.masks | {name: Mask.of(held(name))}, planes=())
        found = measure_edits(segments, first, [ShownState.of(first)], False)
        assert found.origins[name].edited and found.masks[name] == Mask.of(held(name))
        back = measure_edits(Segments(**first.masks, planes=()), found, [ShownState.of(first), ShownState.of(found)], False)
        assert_same(back, first)
