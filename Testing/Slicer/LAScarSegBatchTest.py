"""Inside Slicer: a script without the widget."""

import slicer
import vtk
from lascarseg_slicer_case import SlicerCase


class LAScarSegBatchTest(SlicerCase):
    def test_process_needs_no_widget(self):
        from LAScarSeg import LAScarSegLogic

        segment = self.segmentation.GetSegmentation().GetNthSegmentID(0)
        session = LAScarSegLogic().process(self.volume, self.segmentation, segment, planes=self.planes)
        volumeMl = self.truth["la_volume_ml"]
        self.assertAlmostEqual(session.analysis.measurements["la_volume_ml"].value, volumeMl, delta=0.05 * volumeMl)
        self.assertIsNotNone(slicer.mrmlScene.GetFirstNodeByName(f"{self.volume.GetName()} LA scar map"))

    def test_run_does_what_apply_does(self):
        from LAScarSeg import LAScarSegLogic

        session = LAScarSegLogic().run(self.widget.choicesSection.choices())
        self.apply()
        share = self.widget.analysis.measurements["scar_area_pct"].value
        self.assertAlmostEqual(session.analysis.measurements["scar_area_pct"].value, share)

    def test_the_batch_script_analyses_a_folder(self):
        """Examples/slicer_batch.py lies in the source tree only, so in an installed extension there is nothing to test."""
        import importlib.util
        import json
        import sys
        import tempfile
        from pathlib import Path

        script = Path(__file__).resolve().parents[2] / "Examples" / "slicer_batch.py"
        if not script.is_file():
            self.skipTest(f"{script} is not here")
        spec = importlib.util.spec_from_file_location("slicer_batch", script)
        batch = sys.modules["slicer_batch"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(batch)
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "cavity")
            segments = vtk.vtkStringArray()
            segments.InsertNextValue(self.widget.parameterNode.cavitySegmentId)
            # with the scan as the reference: else the mask is cut down to the segment
            logic = slicer.modules.segmentations.logic()
            self.assertTrue(logic.ExportSegmentsToLabelmapNode(self.segmentation, segments, labels, self.volume))
            slicer.util.saveNode(self.volume, str(folder / "a.nrrd"))
            slicer.util.saveNode(labels, str(folder / "a-cavity.nrrd"))
            self.assertEqual(batch.main(slicer.mrmlScene, [str(folder), "-o", str(folder / "out")]), 0)
            numbers = json.loads((folder / "out" / "a" / "measurements.json").read_text())
        self.assertGreater(numbers["scar_area_pct"]["value"], 0)
