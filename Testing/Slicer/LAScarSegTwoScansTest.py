"""Inside Slicer: two scans in one scene, and the result of the one that is selected.

Not yet run in a real Slicer.
"""

import slicer
from lascarseg_slicer_case import ResultCase

from LAScarSegLib import scene


class LAScarSegTwoScansTest(ResultCase):
    def setUp(self):
        super().setUp()
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "second")
        self.second = scene.volume_to_node(scene.volume_from_node(self.volume), node)
        self.share = self.widget.analysis.measurements["scar_area_pct"].value

    def select(self, volume):
        self.widget.ui.inputSelector.setCurrentNode(volume)
        self.assertIs(self.widget.parameterNode.inputVolume, volume)

    def analyseSecond(self):
        self.select(self.second)
        self.widget.parameterNode.cavitySegmentation = self.segmentation
        self.widget.parameterNode.cavitySegmentId = self.segmentation.GetSegmentation().GetNthSegmentID(0)
        self.widget.ui.thresholdSlider.value = 1.4
        self.apply()

    def test_a_scan_without_a_result_shows_none(self):
        self.select(self.second)
        self.assertIsNone(self.widget.analysis)
        self.assertFalse(self.widget.ui.editCavityButton.enabled)
        self.assertFalse(self.widget.ui.reopenButton.visible)

    def test_the_selected_scans_result_is_shown(self):
        self.analyseSecond()
        self.assertLess(self.widget.analysis.measurements["scar_area_pct"].value, self.share)
        self.select(self.volume)
        self.assertIs(self.widget.session.nodes.volume, self.volume)
        self.assertEqual(self.widget.analysis.measurements["scar_area_pct"].value, self.share)
        self.assertIn(self.volume.GetName(), self.widget.ui.headlineLabel.text)
        self.select(self.second)
        self.assertIs(self.widget.session.nodes.volume, self.second)
        self.assertIn("second", self.widget.ui.headlineLabel.text)

    def test_the_result_of_a_loaded_scan_is_offered_beside_a_live_one(self):
        self.analyseSecond()
        self.widget.forgetResults(lambda session: session.nodes.volume is self.volume)
        self.select(self.volume)
        self.assertIsNone(self.widget.analysis)
        self.waitFor(lambda: self.widget.ui.reopenButton.visible, "the offer")
        self.widget.ui.reopenButton.click()
        self.assertEqual(self.widget.analysis.measurements["scar_area_pct"].value, self.share)
