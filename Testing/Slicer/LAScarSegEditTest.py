"""Inside Slicer: the segment editor in the panel, strokes, updates, planes, the live threshold."""

import numpy as np
import slicer
from lascarseg_slicer_case import ResultCase

from LAScarSegLib.scene.segmentation import CAVITY, SCAR, WALL


class LAScarSegEditTest(ResultCase):
    def test_the_editor_opens_on_the_right_segment_with_its_masks(self):
        editor = self.widget.editSection
        for button, kind in ((self.widget.ui.editScarButton, SCAR), (self.widget.ui.editCavityButton, CAVITY)):
            button.click()
            node = editor.editor.mrmlSegmentEditorNode()
            self.assertEqual(node.GetSelectedSegmentID(), kind.segment_id)
            self.assertEqual(editor.editor.activeEffect().name, "Paint")
            self.assertEqual(node.GetOverwriteMode(), node.OverwriteNone)
            self.assertIs(node.GetSourceVolumeNode(), self.volume)
            inside = kind is SCAR
            self.assertEqual(node.GetMaskMode() == slicer.vtkMRMLSegmentationNode.EditAllowedInsideSingleSegment, inside)
            button.click()
            self.assertIsNone(editor.editor.activeEffect())

    def test_scar_is_painted_inside_the_wall_only_and_the_numbers_follow(self):
        cavity, wall = self.mask(CAVITY).copy(), self.mask(WALL).copy()
        before = self.widget.analysis.measurements["scar_volume_ml"].value
        self.widget.ui.editScarButton.click()
        centre = np.argwhere(wall)[len(np.argwhere(wall)) // 2]
        self.paintBall(centre, 6)
        self.assertFalse((self.mask(SCAR).astype(bool) & ~wall.astype(bool)).any())
        np.testing.assert_array_equal(self.mask(CAVITY), cavity)
        np.testing.assert_array_equal(self.mask(WALL), wall)
        self.waitFor(lambda: self.widget.analysis.measurements["scar_volume_ml"].value > before, "the numbers after the stroke")

    def test_a_larger_cavity_gives_a_larger_volume(self):
        before = self.widget.analysis.measurements["la_volume_ml"].value
        self.widget.ui.editCavityButton.click()
        self.paintBall(np.argwhere(self.mask(WALL))[0], 5)
        self.waitFor(lambda: self.widget.analysis.measurements["la_volume_ml"].value > before, "the numbers after the stroke")

    def test_leaving_the_module_leaves_no_effect_active(self):
        self.widget.ui.editScarButton.click()
        self.assertIsNotNone(self.widget.editSection.editor.activeEffect())
        slicer.util.selectModule("Data")
        self.assertIsNone(self.widget.editSection.editor.activeEffect())
        slicer.util.selectModule("LAScarSeg")

    def test_a_dragged_threshold_changes_the_map_and_the_scar_segment(self):
        before = int(self.mask(SCAR).sum())
        self.widget.ui.thresholdSlider.value = self.widget.ui.thresholdSlider.value + 0.3
        self.assertLess(int(self.mask(SCAR).sum()), before)

    def test_a_plane_is_placed_and_followed(self):
        combo = self.widget.ui.planeSelector
        combo.currentIndex = combo.findData("LAA")
        self.widget.ui.placePlaneButton.click()
        interaction = slicer.mrmlScene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
        self.assertEqual(interaction.GetCurrentInteractionMode(), interaction.Place)
        interaction.SwitchToViewTransformMode()
