"""Inside Slicer: what the legend in the 3-D view says for every colouring of the surface.

Not yet run in a real Slicer.
"""

import numpy as np
import slicer
from lascarseg_slicer_case import ResultCase

from LAScarSegLib.scene.model import legend_of

SMALLEST_NAME = 0.05
"""Share of the view's height that a name needs to be read."""


class LAScarSegLegendTest(ResultCase):
    def setUp(self):
        super().setUp()
        self.surface = self.widget.session.nodes.surface

    def show(self, scalar):
        selector = self.widget.ui.scalarSelector
        selector.currentIndex = selector.findData(scalar)
        slicer.app.processEvents()
        self.assertEqual(self.surface.GetDisplayNode().GetActiveScalarName(), scalar)
        return legend_of(self.surface)

    def test_numbers_are_written_as_numbers(self):
        for scalar in ("IIR", "LGE"):
            legend = self.show(scalar)
            self.assertFalse(legend.GetUseColorNamesForLabels())
            self.assertEqual(legend.GetLabelFormat(), "%.2f")

    def test_names_are_written_as_names(self):
        legend = self.show("Scar")
        self.assertTrue(legend.GetUseColorNamesForLabels())
        self.assertEqual(legend.GetLabelFormat(), "%s")
        colours = self.surface.GetDisplayNode().GetColorNode()
        self.assertEqual([colours.GetColorName(n) for n in range(colours.GetNumberOfColors())], ["no scar found", "scar"])

    def test_only_the_regions_that_there_are_are_listed_and_have_room(self):
        legend = self.show("Region")
        colours = self.surface.GetDisplayNode().GetColorNode()
        present = np.unique(slicer.util.arrayFromModelPointData(self.surface, "Region"))
        named = [n for n in range(colours.GetNumberOfColors()) if colours.GetColorDefined(n)]
        self.assertEqual(named, [int(region) for region in present])
        self.assertGreater(legend.GetSize()[1] / len(named), SMALLEST_NAME)

    def test_a_legend_that_comes_back_is_written_the_same_way(self):
        self.show("IIR")
        self.widget.ui.legendCheckBox.checked = False
        self.assertFalse(legend_of(self.surface).GetVisibility())
        self.widget.ui.legendCheckBox.checked = True
        self.assertTrue(legend_of(self.surface).GetVisibility())
        self.assertEqual(legend_of(self.surface).GetLabelFormat(), "%.2f")
