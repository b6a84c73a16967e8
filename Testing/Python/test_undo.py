"""Undo and redo of Segment Editor's own logic (vtkSlicerSegmentEditorLogic, as its widget uses it) give the earlier results bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from editing_cases import KINDS, RIGHT, Bench, ball, bench
from same_analysis import assert_same
from scene_cases import RADIUS_MM

slicer = pytest.importorskip("slicer", reason="edits need slicer-core")

from vtkmodules.util.numpy_support import numpy_to_vtk

from LAScarSegLib.scene.volumes import LPS_TO_RAS, matrix_to_vtk
from LAScarSegLib.session.live import LiveUpdate

GRID = "oblique"
LOGIC = slicer.vtkSlicerSegmentEditorLogic
ADD, ERASE = LOGIC.ModificationModeAdd, LOGIC.ModificationModeRemove
LEFT = -RIGHT
"""Where the ball's wall is scar."""
UNDO_STATES = 10

STROKES = {
    "cavity away from scar": ("cavity", ball(GRID, RIGHT * (RADIUS_MM - 2), 6.0), ADD),
    "cavity across scar": ("cavity", ball(GRID, LEFT * RADIUS_MM, 6.0), ADD),
    "cavity back from scar": ("cavity", ball(GRID, LEFT * (RADIUS_MM + 1), 7.0), ERASE),
    "scar painted": ("scar", ball(GRID, RIGHT * (RADIUS_MM + 1), 5.0), ADD),
    "scar erased": ("scar", ball(GRID, LEFT * (RADIUS_MM + 2), 8.0), ERASE),
    "wall painted": ("wall", ball(GRID, np.array([0.0, 0.0, RADIUS_MM + 4]), 4.0), ADD),
}


class SegmentEditor:
    """Segment Editor with one effect at work: a state is saved, the segment is changed, and the panel follows."""

    def __init__(self, made: Bench, overwrite: str) -> None:
        self.made = made
        self.live = LiveUpdate(made.session, pause_s=0.0)
        made.scene.RegisterNodeClass(slicer.vtkMRMLSegmentEditorNode())
        self.node = made.scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
        self.logic = LOGIC()
        self.logic.SetMRMLScene(made.scene)
        self.logic.SetSegmentEditorNode(self.node)
        self.logic.SetSegmentationNode(made.nodes.segmentation)
        self.logic.SetSourceVolumeNode(made.nodes.volume)
        self.logic.SetMaximumNumberOfUndoStates(UNDO_STATES)
        self.overwrite = overwrite

    def stroke(self, what: str, mask: np.ndarray, mode) -> None:
        made = self.made
        made.session.prepare_editor(what if what != "wall" else "cavity").apply(self.node)
        self.node.SetSelectedSegmentID(KINDS[what].segment_id)
        self.node.SetOverwriteMode(getattr(self.node, f"Overwrite{self.overwrite}"))
        assert self.logic.SaveStateForUndo()
        image, geometry = slicer.vtkOrientedImageData(), made.session.analysis.geometry
        image.SetDimensions(*geometry.size)
        image.SetImageToWorldMatrix(matrix_to_vtk(LPS_TO_RAS @ geometry.index_to_lps_matrix))
        scalars = numpy_to_vtk(mask.astype(np.uint8).ravel(), deep=True)
        scalars.SetName("ImageScalars")
        image.GetPointData().SetScalars(scalars)
        self.logic.ModifySegmentByLabelmap(made.nodes.segmentation, KINDS[what].segment_id, image, mode, False, False)
        self.settle()

    def undo(self) -> None:
        assert self.logic.CanUndo()
        self.logic.Undo()
        self.settle()

    def redo(self) -> None:
        assert self.logic.CanRedo()
        self.logic.Redo()
        self.settle()

    def settle(self) -> None:
        for _ in range(100_000):
            if not self.live.poll().busy and not self.live.pending:
                assert not self.live.poll().error
                return
        raise AssertionError("it never came to rest")

    def close(self) -> None:
        self.live.close()
        self.logic.SetMRMLScene(None)


@pytest.fixture(params=["None", "AllSegments"])
def editor(request):
    editor = SegmentEditor(bench(), request.param)
    yield editor
    editor.close()


def assert_shown(editor: SegmentEditor, expected) -> None:
    """The result is that one, bit for bit; the segments hold it; and its record says nothing of what was taken back."""
    found = editor.made.session.analysis
    assert_same(found, expected)
    assert found.provenance.get("edited") == expected.provenance.get("edited")
    for name in KINDS:
        np.testing.assert_array_equal(editor.made.held(name), expected.masks[name].whole(), err_msg=name)


STORIES = (
    ("cavity away from scar", "cavity across scar", "scar painted"),
    ("scar erased", "cavity back from scar", "wall painted"),
)


@pytest.mark.parametrize("story", STORIES, ids=" then ".join)
def test_three_strokes_are_undone_and_made_again_bit_for_bit(editor, story):
    results = [editor.made.session.analysis]
    for name in story:
        editor.stroke(*STROKES[name])
        results.append(editor.made.session.analysis)
        assert results[-1].masks != results[-2].masks, f"{name} changes nothing"
    for number in (2, 1, 0):
        editor.undo()
        assert_shown(editor, results[number])
    for number in (1, 2, 3):
        editor.redo()
        assert_shown(editor, results[number])


def test_the_second_of_three_strokes_is_undone_and_another_drawn(editor):
    before = editor.made.session.analysis
    editor.stroke(*STROKES["cavity across scar"])
    one = editor.made.session.analysis
    editor.stroke(*STROKES["scar painted"])
    editor.undo()
    assert_shown(editor, one)
    editor.stroke(*STROKES["cavity back from scar"])
    editor.undo()
    assert_shown(editor, one)
    editor.undo()
    assert_shown(editor, before)
