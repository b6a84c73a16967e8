"""Inside Slicer: a scene that is closed or loses a node while the worker runs; save and load; the tables and the chart."""

import os
import tempfile

import slicer
from lascarseg_slicer_case import SlicerCase


class LAScarSegSceneTest(SlicerCase):
    def test_closing_the_scene_stops_the_worker(self):
        pid = self.startAndWaitForTheWorker()
        slicer.mrmlScene.Clear()
        self.assertGone(pid)
        self.assertFalse(self.widget.runSection.running)
        self.assertIsNone(slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode"))

    def test_a_scan_deleted_while_the_worker_runs_leaves_nothing_behind(self):
        pid, name = self.startAndWaitForTheWorker(), self.volume.GetName()
        slicer.mrmlScene.RemoveNode(self.volume)
        self.waitFor(lambda: not self.widget.runSection.running, "the end of the run")
        self.assertGone(pid)
        self.assertIsNone(slicer.mrmlScene.GetFirstNodeByName(f"{name} LA scar map"))

    def test_a_saved_scene_brings_the_choices_and_the_result_back(self):
        self.widget.parameterNode.threshold = 1.32
        self.apply()
        share = self.widget.analysis.measurements["scar_area_pct"].value
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "result.mrb")
            self.assertTrue(slicer.util.saveScene(path))
            slicer.mrmlScene.Clear()
            slicer.util.loadScene(path)
        self.assertAlmostEqual(self.widget.parameterNode.threshold, 1.32)
        self.assertIsNotNone(self.widget.parameterNode.inputVolume)
        self.assertIsNotNone(slicer.mrmlScene.GetFirstNodeByName(f"{self.widget.parameterNode.inputVolume.GetName()} LA scar map"))
        self.assertTrue(self.widget.ui.reopenButton.visible)
        self.widget.ui.reopenButton.click()
        self.assertAlmostEqual(self.widget.analysis.measurements["scar_area_pct"].value, share)

    def test_a_second_run_updates_the_nodes_of_the_first(self):
        self.apply()
        before = self.nodeIds()
        self.widget.parameterNode.threshold = 1.4
        self.apply()
        self.assertEqual(self.nodeIds(), before)

    def test_the_threshold_curve_is_shown_in_a_plot_view(self):
        self.apply()
        self.widget.ui.showCurveButton.click()
        selection = slicer.app.applicationLogic().GetSelectionNode()
        self.assertEqual(selection.GetActivePlotChartID(), self.widget.session.nodes.curve_chart.GetID())

    def test_scar_numbers_appear_in_segment_statistics(self):
        import SegmentStatistics

        from LAScarSegLib.scene.segment_statistics import register_plugin

        register_plugin()  # as at the end of Slicer's start; once only
        self.apply()
        logic = SegmentStatistics.SegmentStatisticsLogic()
        node = logic.getParameterNode()
        node.SetParameter("Segmentation", self.widget.session.nodes.segmentation.GetID())
        node.SetParameter("ScalarVolume", self.volume.GetID())
        logic.computeStatistics()
        self.assertTrue(any("LAScarSeg" in key for key in logic.getNonEmptyKeys()), logic.getNonEmptyKeys())
