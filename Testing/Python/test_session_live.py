"""While somebody draws: nothing is computed too early, nothing that was drawn gets lost, the range comes last."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scene_cases import CENTRE_LPS, GRIDS, RADIUS_MM, analysed, scan

slicer = pytest.importorskip("slicer", reason="edits need slicer-core")

from editing_cases import RIGHT, ball, bench

from LAScarSegLib.analysis import ByRule, Change, analyse, revise
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.scene.plane_markups import add_plane
from LAScarSegLib.session.live import LiveState, LiveUpdate
from LAScarSegLib.surface.planes import CutPlane

PATIENCE_S = 60.0
BULGE = ball("oblique", RIGHT * (RADIUS_MM - 2), 6.0)


@pytest.fixture(scope="module")
def with_range():
    image, cavity = scan(GRIDS["oblique"])
    return analyse(image, Settings(), cavity=cavity)


def follow(live: LiveUpdate) -> list[LiveState]:
    """Poll as a timer does until nothing more happens; every state that brought a new analysis or an error."""
    told, end = [], time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        state = live.poll()
        if state.changed or state.error:
            told.append(state)
        if not state.busy:
            return told
        time.sleep(0.002)
    raise AssertionError("it never came to rest")


def test_an_edit_is_shown_quickly_and_its_range_after(with_range):
    made = bench(with_range)
    live = LiveUpdate(made.session, pause_s=0.01)
    made.draw("cavity", made.held("cavity") | BULGE)
    first, last = follow(live)
    assert first.message == "Measured; the perturbation range follows" and first.busy
    assert last == LiveState("", False, True, "")
    assert made.session.analysis.measurements["scar_area_pct"].low is not None


def test_without_an_edit_nothing_is_computed(with_range):
    live = LiveUpdate(bench(with_range).session, pause_s=0.0)
    live.touch()
    assert live.poll() == LiveState()


def test_what_the_update_itself_writes_starts_no_other(with_range):
    """It hears of the wall and the scar while it writes them."""
    made = bench(with_range)
    live = LiveUpdate(made.session, pause_s=0.0)
    measured, measure = [], made.session.measure
    made.session.measure = lambda drawn, full: measured.append(full) or measure(drawn, full)
    segmentation, heard = made.nodes.segmentation.GetSegmentation(), []
    segmentation.AddObserver(segmentation.SourceRepresentationModified, lambda *_: heard.append(True))
    made.draw("cavity", made.held("cavity") | BULGE)
    follow(live)
    assert len(heard) > 1 and measured == [False, True]
    assert live.poll() == LiveState()


def test_segment_editors_undo_and_redo_are_followed():
    made = bench()
    before, live = made.session.analysis, LiveUpdate(made.session, pause_s=0.0)
    history = slicer.vtkSegmentationHistory()
    history.SetSegmentation(made.nodes.segmentation.GetSegmentation())
    history.SaveState()
    made.draw("scar", made.held("scar") | (made.held("wall") & BULGE))
    follow(live)
    larger = made.session.analysis.measurements["scar_area_pct"].value
    assert larger > before.measurements["scar_area_pct"].value
    history.RestorePreviousState()
    follow(live)
    assert made.session.analysis.measurements["scar_area_pct"].value == before.measurements["scar_area_pct"].value
    history.RestoreNextState()
    follow(live)
    assert made.session.analysis.measurements["scar_area_pct"].value == larger
    history.SetSegmentation(None)


def test_closed_it_hears_nothing_more():
    made = bench()
    live = LiveUpdate(made.session, pause_s=0.0)
    live.close()
    made.draw("scar", made.held("scar") | (made.held("wall") & BULGE))
    assert live.poll() == LiveState()


def test_strokes_made_while_it_measures_are_measured_too():
    made = bench()
    live = LiveUpdate(made.session, pause_s=0.0)
    made.draw("cavity", made.held("cavity") | BULGE)
    live.poll()
    both = made.held("cavity") | ball("oblique", RIGHT * (RADIUS_MM + 3), 4.0)
    made.draw("cavity", both)
    follow(live)
    np.testing.assert_array_equal(made.held("cavity"), both)
    np.testing.assert_array_equal(made.session.analysis.cavity.array > 0, both)
    assert made.session.edited() == frozenset()


def test_without_automatic_update_it_waits_for_the_button():
    made = bench()
    live = LiveUpdate(made.session, automatic=False, pause_s=0.0)
    made.draw("cavity", made.held("cavity") | BULGE)
    assert live.poll() == LiveState("Edited; press Update to measure")
    live.update_now()
    assert [state.changed for state in follow(live)] == [True]


def test_an_edit_that_cant_be_measured_says_why_and_the_next_one_is_heard():
    made = bench()
    live = LiveUpdate(made.session, pause_s=0.0)
    cavity, before = made.held("cavity"), made.session.analysis
    made.draw("cavity", np.zeros_like(cavity))
    (state,) = follow(live)
    assert "The cavity mask is empty" in state.error and made.session.analysis is before
    made.draw("cavity", cavity | BULGE)
    assert [state.error for state in follow(live)] == [""]


def test_nodes_deleted_while_it_measures_end_it_with_words():
    made = bench()
    live = LiveUpdate(made.session, pause_s=0.0)
    made.draw("cavity", made.held("cavity") | BULGE)
    live.poll()
    made.scene.RemoveNode(made.nodes.segmentation)
    (state,) = follow(live)[:1]
    assert "no longer in the scene" in state.error and not live.poll().busy
    live.touch()


def test_a_closed_scene_ends_it_with_words():
    made = bench()
    live = LiveUpdate(made.session, pause_s=0.0)
    made.draw("cavity", made.held("cavity") | BULGE)
    live.poll()
    made.scene.Clear(0)
    assert "no longer in the scene" in follow(live)[0].error


def test_another_threshold_while_a_stroke_is_measured_loses_neither():
    made = bench()
    live = LiveUpdate(made.session, pause_s=0.0)
    cavity = made.held("cavity") | BULGE
    made.draw("cavity", cavity)
    live.poll()
    assert live.pending
    live.rebase(revise(analysed(), Change(scar=ByRule("iir", 0.7))))
    follow(live)
    image, _ = scan(GRIDS["oblique"])
    expected = analyse(image, Settings("iir", 0.7, perturbation=False), cavity=image.like(cavity))
    assert made.session.analysis.measurements == expected.measurements
    assert not live.pending and made.session.edited() == frozenset()


def test_scar_that_was_erased_stays_erased_when_the_threshold_is_dragged_at_once():
    made = bench()
    live = LiveUpdate(made.session, pause_s=0.0)
    left = made.held("scar") & ~ball("oblique", -RIGHT * RADIUS_MM, 9.0)
    made.draw("scar", left)
    live.rebase(revise(analysed(), Change(scar=ByRule("iir", 1.0))))
    follow(live)
    np.testing.assert_array_equal(made.held("scar"), left)
    assert made.session.analysis.origins["scar"].edited


def test_a_result_without_its_range_gets_it_without_being_asked():
    image, cavity = scan(GRIDS["oblique"])
    made = bench(analyse(image, Settings(), cavity=cavity, ranges=False))
    live = LiveUpdate(made.session, pause_s=0.0)
    assert made.session.analysis.measurements["scar_area_pct"].low is None
    follow(live)
    assert made.session.analysis.measurements["scar_area_pct"].low is not None


def test_a_plane_that_is_placed_and_dragged_is_measured():
    made = bench()
    live = LiveUpdate(made.session, pause_s=0.0)
    lower = CutPlane("MV", tuple(CENTRE_LPS - [0, 0, 10]), (0.0, 0.0, 1.0))
    node = add_plane(made.scene, made.nodes.volume, "MV", lower)
    live.touch()
    follow(live)
    share = made.session.analysis.surface.is_wall.mean()
    # a ball's cap of height h has the share h / 2R of its area: here h = R − 10
    assert share == pytest.approx(1 - (RADIUS_MM - 10) / (2 * RADIUS_MM), abs=0.03)
    node.SetOriginWorld(*((CENTRE_LPS - [0, 0, 4]) * [-1, -1, 1]))
    live.touch()
    follow(live)
    assert made.session.analysis.surface.is_wall.mean() == pytest.approx(1 - (RADIUS_MM - 4) / (2 * RADIUS_MM), abs=0.03)
    made.scene.RemoveNode(node)
    live.touch()
    follow(live)
    assert made.session.analysis.surface.is_wall.all() and made.session.analysis.planes == ()
