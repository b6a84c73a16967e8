"""Inside Slicer: what covers the scan after Apply, planes placed and given up, the brush, names instead of symbols.

Not yet run in a real Slicer.
"""

import slicer
from lascarseg_slicer_case import ResultCase

from LAScarSegLib.scene.mrml import ROLE, nodes_of_class


class LAScarSegShownTest(ResultCase):
    def interaction(self):
        return slicer.mrmlScene.GetNodeByID("vtkMRMLInteractionNodeSingleton")

    def test_the_input_segment_no_longer_covers_the_scan(self):
        display = self.segmentation.GetDisplayNode()
        self.assertFalse(display.GetSegmentVisibility(self.widget.parameterNode.cavitySegmentId))
        shown = self.result.GetDisplayNode()
        ids = [self.result.GetSegmentation().GetNthSegmentID(n) for n in range(self.result.GetSegmentation().GetNumberOfSegments())]
        self.assertTrue(all(shown.GetSegmentVisibility(segment) for segment in ids))

    def test_after_the_scan_was_deleted_none_of_our_maps_is_chosen(self):
        slicer.mrmlScene.RemoveNode(self.volume)
        slicer.app.processEvents()
        self.assertTrue([node for node in nodes_of_class(slicer.mrmlScene, "vtkMRMLScalarVolumeNode") if node.GetAttribute(ROLE)])
        self.assertIsNone(self.widget.parameterNode.inputVolume)
        self.assertIsNone(self.widget.ui.inputSelector.currentNode())
        self.assertFalse(self.widget.ui.applyButton.enabled)

    def test_a_plane_given_up_leaves_no_node_and_no_place_mode(self):
        for plane in self.planes:
            slicer.mrmlScene.RemoveNode(plane)
        self.widget.ui.placePlaneButton.click()
        self.assertEqual(self.interaction().GetCurrentInteractionMode(), self.interaction().Place)
        self.assertIn("click three points", self.widget.ui.planesLabel.text)
        self.widget.planesSection.stopPlacing()  # what the Escape key calls
        self.assertEqual(self.interaction().GetCurrentInteractionMode(), self.interaction().ViewTransform)
        self.waitFor(lambda: not self.widget.planesSection.nodes(), "the end of the plane")

    def test_one_eye_shows_and_hides_all_planes(self):
        for visible in (True, False):
            self.widget.ui.planesVisibleButton.checked = visible
            self.assertEqual({bool(plane.GetDisplayNode().GetVisibility()) for plane in self.planes}, {visible})
        self.assertEqual(len(self.widget.planesSection.nodeIds()), len(self.planes))

    def test_a_cavity_is_edited_with_a_sphere(self):
        self.widget.ui.editCavityButton.click()
        self.assertEqual(self.widget.editSection.editor.activeEffect().integerParameter("BrushSphere"), 1)

    def test_every_series_of_the_curve_has_a_name_for_people(self):
        chart = self.widget.session.nodes.curve_chart
        names = [chart.GetNthPlotSeriesNode(n).GetName() for n in range(chart.GetNumberOfPlotSeriesNodes())]
        self.assertTrue(names and not any(name.startswith("vtkMRML") for name in names), names)
        self.assertEqual(len(set(names)), len(names))

    def test_the_help_leads_to_the_tutorial(self):
        self.assertIn("Docs/tutorial.md", slicer.modules.lascarseg.helpText)
