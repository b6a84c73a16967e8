"""Apply says before it replaces what somebody corrected by hand."""

from __future__ import annotations

import pytest

pytest.importorskip("slicer", reason="needs slicer-core")

from editing_cases import RIGHT, Bench, ball, bench  # noqa: E402
from scene_cases import RADIUS_MM  # noqa: E402
from vtkmodules.vtkCommonMath import vtkMatrix4x4  # noqa: E402

from LAScarSegLib.scene import review  # noqa: E402
from LAScarSegLib.scene.mrml import mark  # noqa: E402
from LAScarSegLib.scene.segmentation import CAVITY  # noqa: E402
from LAScarSegLib.session.choices import (  # noqa: E402
    MODEL,
    Choices,
    question_before_run,  # noqa: E402
)
from LAScarSegLib.session.edit_session import set_threshold  # noqa: E402

BULGE = ball("oblique", RIGHT * (RADIUS_MM - 2), 6.0)


@pytest.fixture
def made():
    return bench()


def question(made: Bench, **chosen: str) -> str:
    return question_before_run(made.scene, Choices(volume_id=made.nodes.volume.GetID(), **chosen))


def draw_scar(made: Bench) -> None:
    made.draw("scar", made.held("scar") | (made.held("wall") & ball("oblique", RIGHT * RADIUS_MM, 9.0)))


def test_nothing_is_at_stake_before_the_first_result_and_after_an_unedited_one(made):
    assert question_before_run(made.scene, Choices()) == ""
    assert question(made) == ""
    other = made.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "another scan")
    draw_scar(made)
    assert question_before_run(made.scene, Choices(volume_id=other.GetID())) == ""


def test_a_stroke_that_was_not_measured_yet_is_named(made):
    draw_scar(made)
    assert question(made) == "The earlier result was corrected by hand (scar). Apply replaces these corrections. Go on?"


def test_edits_that_were_measured_are_named_and_what_followed_from_them_is_not(made):
    made.draw("cavity", made.held("cavity") | BULGE)
    made.session.update(full=False)
    assert "by hand (cavity)." in question(made)
    draw_scar(made)
    made.session.update(full=False)
    assert "by hand (cavity, scar)." in question(made)


def test_a_scan_that_was_moved_is_no_correction(made):
    transform = made.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "shift")
    matrix = vtkMatrix4x4()
    matrix.SetElement(0, 3, 25.0)
    transform.SetMatrixTransformToParent(matrix)
    made.nodes.volume.SetAndObserveTransformNodeID(transform.GetID())
    assert question(made) == ""
    draw_scar(made)
    assert "by hand (scar)." in question(made)


def test_a_segment_that_the_run_starts_from_is_not_lost(made):
    made.draw("cavity", made.held("cavity") | BULGE)
    made.session.update(full=False)
    chosen = {"segmentation_id": made.nodes.segmentation.GetID(), "segment_id": CAVITY.segment_id}
    assert question(made, **chosen) == ""
    assert "(cavity)" in question(made, **chosen, cavity_source=MODEL)


def test_another_threshold_is_no_correction(made):
    new = set_threshold(made.nodes, made.session.analysis, 0.7)
    assert question(made) == ""
    review.write_scar(made.nodes, new)
    assert question(made) == ""


def test_corrections_of_a_hardened_copys_result_belong_to_the_scan(made):
    scan = made.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "bent scan")
    mark(made.nodes.volume, "hardened", scan)
    draw_scar(made)
    assert "(scar)" in question_before_run(made.scene, Choices(volume_id=scan.GetID()))
