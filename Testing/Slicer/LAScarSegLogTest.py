"""Inside Slicer: a whole session leaves no warning and no error in Slicer's log.

Not yet run in a real Slicer.
"""

import numpy as np
import slicer
from lascarseg_slicer_case import ResultCase

from LAScarSegLib.scene.mrml import remove_node
from LAScarSegLib.scene.segmentation import CAVITY

LEVEL_COLUMN = 2
"""ctkErrorLogAbstractModel::LogLevelColumn."""
SERIOUS = ("Warning", "Error", "Critical", "Fatal")
LOST_ITEM = "subject hierarchy item"
"""Of an item that it can't find, qSlicerSubjectHierarchySegmentationsPlugin tells in part at the level Debug only."""
GRAPHICS = ("opengl", "libgl", "mesa", "glx", "xcb", "x server")
"""What a machine without a graphics card says, whoever draws."""


class LAScarSegLogTest(ResultCase):
    def setUp(self):
        # before the scene is cleared and the sample analysed; else a message that repeats is added to a row from before
        self.log = slicer.app.errorLogModel()
        self.grouped, self.log.logEntryGrouping = self.log.logEntryGrouping, False
        slicer.app.processEvents()
        self.start = self.log.logEntryCount()
        super().setUp()

    def tearDown(self):
        super().tearDown()
        self.log.logEntryGrouping = self.grouped

    def complaints(self):
        for _queued in range(3):
            slicer.app.processEvents()
        entries = self.log.sourceModel()  # the log itself shows the levels only that the user wants to see
        rows = range(self.start, self.log.logEntryCount())
        said = [(str(entries.data(entries.index(row, LEVEL_COLUMN))), self.log.logEntryDescription(row)) for row in rows]
        ours = [(level, text) for level, text in said if not any(word in text.lower() for word in GRAPHICS)]
        return [text for level, text in ours if level in SERIOUS or LOST_ITEM in text.lower()]

    def test_a_warning_is_noticed(self):
        import logging

        logging.warning("LAScarSeg: a warning on purpose")
        self.waitFor(lambda: any("on purpose" in text for text in self.complaints()), "the warning in the log")

    def test_a_segmentation_that_changes_without_its_item_is_noticed(self):
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "on purpose")
        other.CreateDefaultDisplayNodes()
        hierarchy.RemoveItem(hierarchy.GetItemByDataNode(other), False, False)
        other.GetDisplayNode().SetOpacity(0.5)
        self.waitFor(lambda: any(LOST_ITEM in text.lower() for text in self.complaints()), "the lost item in the log")

    def test_apply_says_nothing(self):
        self.apply()
        self.assertEqual(self.complaints(), [])

    def test_every_colouring_says_nothing(self):
        for index in range(self.widget.ui.scalarSelector.count):
            self.widget.ui.scalarSelector.currentIndex = index
            slicer.app.processEvents()
        self.assertEqual(self.complaints(), [])

    def test_the_curve_says_nothing(self):
        self.widget.ui.showCurveButton.click()
        self.assertEqual(self.complaints(), [])

    def test_thresholds_and_strokes_say_nothing(self):
        self.widget.ui.thresholdSlider.value = 1.4
        self.widget.ui.editCavityButton.click()
        self.paintBall(np.argwhere(self.mask(CAVITY))[0], 5)
        self.settle()
        self.widget.editSection.editor.undo()
        self.settle()
        self.assertEqual(self.complaints(), [])

    def test_planes_that_come_and_go_say_nothing(self):
        for plane in self.planes:
            remove_node(slicer.mrmlScene, plane)
        self.settle()
        self.widget.ui.placePlaneButton.click()
        slicer.mrmlScene.GetNodeByID("vtkMRMLInteractionNodeSingleton").SwitchToViewTransformMode()
        self.assertEqual(self.complaints(), [])

    def test_a_removed_result_and_a_closed_scene_say_nothing(self):
        from LAScarSegLib.scene.build import remove_scene

        nodes = self.widget.session.nodes
        remove_scene(slicer.mrmlScene, nodes)
        slicer.mrmlScene.Clear()
        self.assertEqual(self.complaints(), [])
