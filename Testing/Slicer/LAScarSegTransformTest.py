"""Inside Slicer: scans under transforms, and images that are none."""

import slicer
import vtk
from lascarseg_slicer_case import SlicerCase


class LAScarSegTransformTest(SlicerCase):
    def shift(self, node):
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "shift")
        matrix = vtk.vtkMatrix4x4()
        matrix.SetElement(0, 3, 25.0)
        transform.SetMatrixTransformToParent(matrix)
        node.SetAndObserveTransformNodeID(transform.GetID())
        return transform

    def test_a_shifted_scan_gives_the_same_numbers_where_it_is_shown(self):
        self.apply()
        expected = self.widget.analysis.measurements["scar_area_pct"].value
        before = [0.0] * 6
        self.widget.session.nodes.surface.GetRASBounds(before)
        for node in (self.volume, self.segmentation, *self.planes):
            self.shift(node)
        self.apply()
        after = [0.0] * 6
        self.widget.session.nodes.surface.GetRASBounds(after)
        self.assertAlmostEqual(self.widget.analysis.measurements["scar_area_pct"].value, expected, delta=0.01)
        self.assertAlmostEqual(after[0] - before[0], 25.0, delta=0.1)

    def test_a_label_map_is_refused_before_apply(self):
        labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
        self.widget.parameterNode.inputVolume = labels
        self.assertFalse(self.widget.ui.applyButton.enabled)
        self.assertIn("label map", self.widget.ui.applyButton.toolTip)

    def test_an_empty_segment_is_refused_with_words(self):
        before = self.nodeIds()
        self.widget.parameterNode.cavitySegmentId = self.segmentation.GetSegmentation().AddEmptySegment("empty")
        self.waitFor(lambda: not self.widget.ui.applyButton.enabled, "a disabled Apply")
        self.assertIn("empty", self.widget.ui.statusLabel.text)
        self.assertEqual(self.nodeIds(), before)
