"""A brush stroke across the wall, by Slicer's own segment editor logic, with exactly the settings that the module makes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scene_cases import CENTRE_LPS, RADIUS_MM, analysed

slicer = pytest.importorskip("slicer", reason="strokes need slicer-core")
pytest.importorskip("trame_slicer", reason="strokes need trame-slicer")

from editing_cases import RIGHT, Bench

from LAScarSegLib import scene as mrml
from LAScarSegLib.session.edit_session import EditSession

BRUSH_MM = 7.0
"""Wider than the wall: the stroke covers blood, wall and what lies behind."""


@pytest.fixture(scope="module")
def app():
    from trame_slicer.core import SlicerApp

    return SlicerApp()


@pytest.fixture
def made(app):
    from LAScarSegLib.scene.bundle import register_kinds

    app.scene.Clear(0)
    register_kinds(app.scene)
    nodes = mrml.build_scene(app.scene, analysed())
    editor = app.segmentation_editor
    editor.set_active_segmentation(nodes.segmentation, nodes.volume)
    return Bench(app.scene, nodes, EditSession(app.scene, nodes, analysed()))


def stroke(app: Any, segment_id: str, mode: str = "Add", points: int = 9) -> np.ndarray:
    """Drag a ball-shaped brush along the wall where the ball is not enhanced; returns the path in LPS mm."""
    from trame_slicer.segmentation import ModificationMode
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkFiltersSources import vtkSphereSource

    brush, path = vtkSphereSource(), vtkPoints()
    brush.SetRadius(BRUSH_MM)
    brush.SetThetaResolution(24)
    brush.SetPhiResolution(24)
    brush.Update()
    angles = np.linspace(-0.5, 0.5, points)
    track = CENTRE_LPS + (RADIUS_MM + 1) * np.stack([-np.cos(angles), np.sin(angles), np.zeros(points)], axis=1)
    for point in track * [-1, -1, 1]:  # RAS
        path.InsertNextPoint(*point)
    modifier = app.segmentation_editor.active_segment_modifier
    modifier.active_segment_id = segment_id
    modifier.modification_mode = ModificationMode[mode]
    modifier.apply_glyph(brush.GetOutput(), path)
    return track


def set_up(app: Any, made: Bench, what: str) -> str:
    setup = made.session.prepare_editor(what)
    setup.apply(app.segmentation_editor.editor_node)
    return setup.segment_id


def test_a_stroke_across_the_wall_stays_in_the_wall_and_changes_nothing_else(app, made):
    before = {name: made.held(name) for name in ("cavity", "wall", "scar")}
    stroke(app, set_up(app, made, "scar"))
    painted = made.held("scar") & ~before["scar"]
    assert painted.sum() > 50
    assert not (painted & ~before["wall"]).any()
    np.testing.assert_array_equal(made.held("cavity"), before["cavity"])
    np.testing.assert_array_equal(made.held("wall"), before["wall"])
    assert not (before["scar"] & ~made.held("scar")).any()


def test_the_editors_default_settings_would_have_overwritten_both(app, made):
    before = {name: made.held(name) for name in ("cavity", "wall")}
    segment = set_up(app, made, "scar")
    editor = app.segmentation_editor.editor_node
    default = slicer.vtkMRMLSegmentEditorNode()
    editor.SetOverwriteMode(default.GetOverwriteMode())
    editor.SetMaskMode(default.GetMaskMode())
    stroke(app, segment)
    assert (made.held("scar") & ~before["wall"]).any()
    assert (before["cavity"] & ~made.held("cavity")).any()
    assert (before["wall"] & ~made.held("wall")).any()


def test_a_stroke_inside_the_wall_mask_alone_would_still_overwrite_the_wall(app, made):
    wall = made.held("wall")
    segment = set_up(app, made, "scar")
    app.segmentation_editor.editor_node.SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteAllSegments)
    stroke(app, segment)
    assert (wall & ~made.held("wall")).any()


def test_the_numbers_follow_the_stroke(app, made):
    before = made.session.analysis.measurements["scar_area_pct"].value
    stroke(app, set_up(app, made, "scar"))
    assert made.session.edited() == {"scar"}
    new = made.session.update(full=False)
    assert new.measurements["scar_area_pct"].value > before + 1
    nearest = np.linalg.norm(new.surface.points - (CENTRE_LPS + RIGHT * RADIUS_MM), axis=1).argmin()
    assert new.surface.scar[nearest] and not analysed().surface.scar[nearest]


def test_erasing_scar_leaves_cavity_and_wall_alone(app, made):
    segment = set_up(app, made, "scar")
    stroke(app, segment)
    before = {name: made.held(name) for name in ("cavity", "wall", "scar")}
    stroke(app, segment, "Remove", points=3)
    assert (before["scar"] & ~made.held("scar")).sum() > 20
    for name in ("cavity", "wall"):
        np.testing.assert_array_equal(made.held(name), before[name])


def test_a_cavity_stroke_takes_nothing_off_wall_or_scar_and_the_wall_moves_out(app, made):
    before = {name: made.held(name) for name in ("cavity", "wall", "scar")}
    stroke(app, set_up(app, made, "cavity"))
    for name in ("wall", "scar"):
        np.testing.assert_array_equal(made.held(name), before[name])
    assert made.session.edited() == {"cavity"}
    made.session.update(full=False)
    assert not (made.held("wall") & made.held("cavity")).any()
    assert (made.held("wall") & ~before["wall"]).any() and (before["wall"] & ~made.held("wall")).any()


def test_segment_editors_undo_takes_a_stroke_back_after_the_update_too(app, made):
    """The history that Segment Editor keeps (five states), fed as its widget feeds it: a state before every stroke."""
    history = slicer.vtkSegmentationHistory()
    history.SetSegmentation(made.nodes.segmentation.GetSegmentation())
    before = {name: made.held(name) for name in ("cavity", "wall", "scar")}
    for what in ("cavity", "scar"):
        segment = set_up(app, made, what)
        history.SaveState()
        stroke(app, segment, points=3)
        made.session.update(full=False)
    history.RestorePreviousState()
    history.RestorePreviousState()
    for name, mask in before.items():
        np.testing.assert_array_equal(made.held(name), mask)
    again = made.session.update(full=False)
    assert again.method == analysed().method
    assert {k: q.value for k, q in again.measurements.items()} == {k: q.value for k, q in analysed().measurements.items()}
    assert history.IsRestoreNextStateAvailable()
    history.SetSegmentation(None)
