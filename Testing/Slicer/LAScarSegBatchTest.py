"""Inside Slicer: a script without the widget."""

import slicer
from lascarseg_slicer_case import SlicerCase


class LAScarSegBatchTest(SlicerCase):
    def test_process_needs_no_widget(self):
        from LAScarSeg import LAScarSegLogic

        analysis = LAScarSegLogic().process(self.volume, self.segmentation, self.segmentation.GetSegmentation().GetNthSegmentID(0))
        self.assertAlmostEqual(analysis.measurements["la_volume_ml"].value, self.truth["la_volume_ml"], delta=0.05 * self.truth["la_volume_ml"])
        self.assertIsNotNone(slicer.mrmlScene.GetFirstNodeByName(f"{self.volume.GetName()} LA scar map"))
