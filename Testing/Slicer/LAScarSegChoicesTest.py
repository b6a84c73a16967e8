"""Inside Slicer: what is chosen when a scan comes, and what is said while something is missing; settings changed after a result.

Not yet run in a real Slicer.
"""

import importlib.util

import numpy as np
import slicer
from lascarseg_slicer_case import SlicerCase

from LAScarSegLib.scene.inputs import load_sample


class LAScarSegChoicesTest(SlicerCase):
    def test_a_scan_that_is_loaded_while_the_module_is_open_is_chosen(self):
        slicer.mrmlScene.Clear()
        self.assertIsNone(self.widget.parameterNode.inputVolume)
        self.assertFalse(self.widget.ui.drawCavityButton.enabled)
        volume, segmentation, _planes = load_sample(slicer.mrmlScene)
        self.waitFor(lambda: self.widget.ui.applyButton.enabled, "Apply")
        self.assertIs(self.widget.parameterNode.inputVolume, volume)
        self.assertIs(self.widget.parameterNode.cavitySegmentation, segmentation)
        self.assertIs(self.widget.ui.inputSelector.currentNode(), volume)
        self.assertTrue(self.widget.ui.drawCavityButton.enabled)

    def test_an_empty_segment_disables_apply_until_something_is_drawn(self):
        segments, node = self.segmentation.GetSegmentation(), self.widget.parameterNode
        full, empty = segments.GetNthSegmentID(0), segments.AddEmptySegment("empty")
        node.cavitySegmentId = empty
        self.waitFor(lambda: not self.widget.ui.applyButton.enabled, "a disabled Apply")
        self.assertIn("empty", self.widget.ui.statusLabel.text)
        voxels = slicer.util.arrayFromSegmentBinaryLabelmap(self.segmentation, full, self.volume)
        slicer.util.updateSegmentBinaryLabelmapFromArray(voxels, self.segmentation, empty, self.volume)
        self.waitFor(lambda: self.widget.ui.applyButton.enabled, "Apply")

    def test_without_pytorch_one_click_beside_the_list_brings_it(self):
        from LAScarSeg import CavitySource

        self.assertFalse(self.widget.ui.cavityPyTorchButton.visible)
        self.widget.parameterNode.cavitySource = CavitySource.MODEL
        self.assertEqual(self.widget.ui.cavityPyTorchButton.visible, importlib.util.find_spec("torch") is None)

    def test_after_another_setting_the_result_is_said_to_be_older(self):
        self.apply()
        ui, share = self.widget.ui, self.widget.analysis.measurements["scar_area_pct"].value
        self.assertFalse(ui.olderLabel.visible)
        ui.nativeCheckBox.click()
        self.assertIn("Press Apply", ui.olderLabel.text)
        self.assertFalse(ui.headlineLabel.enabled)
        self.assertEqual(self.widget.analysis.measurements["scar_area_pct"].value, share)
        ui.nativeCheckBox.click()
        self.assertFalse(ui.olderLabel.visible)
        self.assertTrue(ui.headlineLabel.enabled)

    def test_after_a_stroke_in_the_segment_that_was_measured_the_result_is_said_to_be_older(self):
        self.apply()
        ui, segment = self.widget.ui, self.widget.parameterNode.cavitySegmentId
        before = slicer.util.arrayFromSegmentBinaryLabelmap(self.segmentation, segment, self.volume).copy()
        slicer.util.updateSegmentBinaryLabelmapFromArray(np.roll(before, 3, axis=2), self.segmentation, segment, self.volume)
        self.waitFor(lambda: "as it was before" in ui.olderLabel.text, "the word that the result is older")
        self.assertFalse(ui.headlineLabel.enabled)
        slicer.util.updateSegmentBinaryLabelmapFromArray(before, self.segmentation, segment, self.volume)
        self.waitFor(lambda: not ui.olderLabel.text, "the newest result")
        self.assertTrue(ui.headlineLabel.enabled)

    def test_there_is_one_threshold_and_it_is_live(self):
        self.apply()
        before = self.widget.analysis.measurements["scar_area_pct"].value
        self.widget.ui.thresholdSlider.value = 1.4
        self.assertLess(self.widget.analysis.measurements["scar_area_pct"].value, before)
        self.assertAlmostEqual(self.widget.parameterNode.threshold, 1.4)
        self.assertFalse(self.widget.ui.olderLabel.visible)
        self.assertFalse(hasattr(self.widget.ui, "thresholdSpinBox"))
