"""Inside Slicer: two results compared, of one scan and of two, and the map of what changed in place of the scar maps.

Not yet run in a real Slicer.
"""

import slicer
from lascarseg_slicer_case import ResultCase

from LAScarSegLib.scene.inputs import load_sample
from LAScarSegLib.scene.mrml import find_result
from LAScarSegLib.session.compare import OLDER, STOPPED, TOO_FEW

BEFORE_AFTER, SAME_SCAN = 0, 1
"""Places in the list of ways to compare."""


class LAScarSegCompareTest(ResultCase):
    def setUp(self):
        super().setUp()
        self.ui = self.widget.ui

    def keepAndChange(self):
        """The result is kept, and another threshold gives the one to compare it with."""
        self.ui.keepButton.checked = True
        self.ui.thresholdSlider.value = self.ui.thresholdSlider.value + 0.3
        self.settle()
        self.waitFor(lambda: self.ui.compareButton.enabled, "two results")

    def compare(self):
        self.ui.compareButton.click()
        self.waitFor(lambda: self.ui.compareButton.text == "Compare", "the comparison")
        self.assertTrue(self.ui.compareTable.rowCount, self.ui.compareLabel.text)

    def table(self):
        shown = self.ui.compareTable
        return {shown.item(row, 0).text(): shown.item(row, 1).text() for row in range(shown.rowCount)}

    def map(self):
        return find_result(slicer.mrmlScene, "vtkMRMLModelNode", "change", None)

    def isSeen(self, model):
        return bool(model.GetDisplayNode().GetVisibility())

    def test_one_result_is_not_compared(self):
        self.assertFalse(self.ui.compareButton.enabled)
        self.assertEqual(self.ui.compareButton.toolTip, TOO_FEW)

    def test_the_map_of_changes_takes_the_place_of_the_scar_map_until_it_is_put_away(self):
        self.keepAndChange()
        self.assertEqual(self.ui.compareHowSelector.currentIndex, SAME_SCAN)
        self.compare()
        self.assertNotIn(self.table()["Scar by B alone"], ("0.0 cm²", ""))  # the kept one has more
        scar = self.widget.session.nodes.surface
        self.assertTrue(self.isSeen(self.map()))
        self.assertFalse(self.isSeen(scar))
        self.ui.showChangesCheckBox.checked = False
        self.assertFalse(self.isSeen(self.map()))
        self.assertTrue(self.isSeen(scar))

    def test_a_comparison_is_old_after_another_threshold(self):
        self.keepAndChange()
        self.compare()
        self.ui.thresholdSlider.value = self.ui.thresholdSlider.value + 0.1
        self.settle()
        self.waitFor(lambda: self.ui.compareLabel.text == OLDER, "the word that the comparison is older")

    def test_cancelled_it_leaves_the_scene_as_it_was(self):
        self.keepAndChange()
        before = self.nodeIds()
        self.ui.compareButton.click()
        self.ui.compareButton.click()
        self.assertEqual(self.ui.compareButton.text, "Compare")
        self.assertEqual(self.ui.compareLabel.text, STOPPED)
        self.assertEqual(self.nodeIds(), before)

    def test_a_closed_scene_has_nothing_to_compare(self):
        self.keepAndChange()
        self.compare()
        slicer.mrmlScene.Clear()
        self.assertEqual(self.ui.compareTable.rowCount, 0)
        self.assertFalse(self.ui.compareButton.enabled)

    def test_two_scans_are_compared_before_and_after(self):
        first, node = self.widget.session.nodes.surface, self.widget.parameterNode
        volume, segmentation, _planes = load_sample(slicer.mrmlScene)
        node.inputVolume, node.cavitySegmentation = volume, segmentation
        node.cavitySegmentId = segmentation.GetSegmentation().GetNthSegmentID(0)
        self.ui.thresholdSlider.value = self.ui.thresholdSlider.value + 0.3
        self.apply()
        self.settle()
        self.waitFor(lambda: self.ui.compareBSelector.count == 2, "two results")
        self.ui.compareHowSelector.currentIndex = BEFORE_AFTER
        self.compare()
        self.assertIn("turned by", self.ui.compareWordsLabel.text)
        self.assertFalse(self.isSeen(first))
        self.assertFalse(self.isSeen(self.widget.session.nodes.surface))
        self.assertTrue(self.isSeen(self.map()))
