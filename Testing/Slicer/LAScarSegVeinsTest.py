"""Inside Slicer: veins and gaps: found when asked for, old when the map changes, bands on the surface, the views at a gap.

Not yet run in a real Slicer.
"""

import numpy as np
import slicer
from lascarseg_slicer_case import SlicerCase

from LAScarSegLib.scene.gaps import findings_nodes, numbered_gaps
from LAScarSegLib.scene.mrml import find_result, nodes_of_class
from LAScarSegLib.session.gaps import OLDER

LPS_TO_RAS = (-1, -1, 1)
NARROW_MM = 12.0


class LAScarSegVeinsTest(SlicerCase):
    """Without ranges, which take longer than the gaps."""

    def setUp(self):
        super().setUp()
        self.widget.parameterNode.fast = True
        self.apply()
        self.ui = self.widget.ui
        self.section = next(section for section in self.widget.sections if type(section).__name__ == "GapsSection")

    def waitUntilFound(self):
        """The gaps of the map that is shown."""
        self.waitFor(lambda: self.ui.findGapsButton.enabled and not self.ui.gapsLabel.text, "the gaps")

    def find(self):
        self.ui.findGapsButton.click()
        self.waitUntilFound()
        return self.widget.analysis.findings

    def texts(self, table, column):
        return [table.item(row, column).text() for row in range(table.rowCount)]

    def outline(self):
        return find_result(slicer.mrmlScene, "vtkMRMLModelNode", "band", None)

    def test_gaps_are_found_when_asked_for_and_shown_in_tables_and_views(self):
        self.assertEqual(self.ui.gapsTable.rowCount, 0)
        self.assertFalse(findings_nodes(slicer.mrmlScene, self.volume))
        self.assertTrue(self.ui.findGapsButton.enabled, self.ui.findGapsButton.toolTip)
        found = self.find()
        self.assertEqual(self.ui.gapsTable.rowCount, len(found.encirclements) + len(numbered_gaps(found)))
        self.assertEqual(self.texts(self.ui.regionsTable, 0), [region.region for region in found.regions])
        self.assertTrue(findings_nodes(slicer.mrmlScene, self.volume))

    def test_another_threshold_makes_them_old_until_they_are_found_anew(self):
        self.find()
        ink = self.ui.gapsTable.item(0, 0).foreground().color().name()
        self.ui.thresholdSlider.value = self.ui.thresholdSlider.value + 0.2
        self.waitFor(lambda: self.ui.gapsLabel.text == OLDER, "the word that the gaps are older")
        self.assertNotEqual(self.ui.gapsTable.item(0, 0).foreground().color().name(), ink)
        self.find()
        self.assertEqual(self.ui.gapsTable.item(0, 0).foreground().color().name(), ink)

    def test_a_row_takes_the_slices_and_the_camera_to_its_place(self):
        self.find()
        row = next(row for row, point in enumerate(self.section._points) if point is not None)
        self.section.onRow(row, 0)  # what a click on the table calls
        place = np.multiply(self.section._points[row], LPS_TO_RAS)
        camera = slicer.mrmlScene.GetSingletonNode("1", "vtkMRMLCameraNode")
        np.testing.assert_allclose(camera.GetFocalPoint(), place, atol=0.01)
        for view in nodes_of_class(slicer.mrmlScene, "vtkMRMLSliceNode"):
            matrix = view.GetSliceToRAS()
            normal, origin = ([matrix.GetElement(row, column) for row in range(3)] for column in (2, 3))
            self.assertLess(abs(np.dot(normal, place - origin)), 0.01, view.GetName())

    def test_an_edited_band_is_outlined_and_put_back(self):
        usual = self.ui.bandOutsideBox.value
        self.ui.bandOutsideBox.value = NARROW_MM
        self.waitUntilFound()
        self.assertEqual(self.widget.analysis.settings.bands.outside_mm, NARROW_MM)
        self.assertTrue(self.outline().GetDisplayNode().GetVisibility())
        self.ui.usualBandButton.click()
        self.waitUntilFound()
        self.assertEqual(self.ui.bandOutsideBox.value, usual)
        self.ui.showBandCheckBox.click()
        self.assertIsNone(self.outline())

    def test_another_scheme_of_regions_is_another_table(self):
        before = [region.region for region in self.find().regions]
        combo = self.ui.schemeSelector
        combo.currentIndex = combo.findData("benito2018")
        self.waitUntilFound()
        after = [region.region for region in self.widget.analysis.findings.regions]
        self.assertNotEqual(after, before)
        self.assertEqual(self.texts(self.ui.regionsTable, 0), after)
