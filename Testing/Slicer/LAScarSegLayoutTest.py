"""Inside Slicer: the layout for the work, which the first result brings and the button takes back. One test: the first is the first.

Not yet run in a real Slicer.
"""

import slicer
from lascarseg_slicer_case import SlicerCase

from LAScarSegLib.scene.layouts import WORK_LAYOUT


class LAScarSegLayoutTest(SlicerCase):
    def test_the_first_result_gets_the_work_layout_once_and_the_button_takes_it_back(self):
        manager = slicer.app.layoutManager()
        manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView)
        self.apply()
        self.assertEqual(manager.layout, WORK_LAYOUT)
        self.assertTrue(self.widget.ui.layoutButton.checked)
        large, small = manager.threeDWidget(0), manager.sliceWidget("Red")
        self.waitFor(lambda: large.width > small.width and large.height > small.height, "a large scar map")
        self.widget.ui.layoutButton.click()
        self.assertEqual(manager.layout, slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView)
        self.apply()
        self.assertEqual(manager.layout, slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView)
