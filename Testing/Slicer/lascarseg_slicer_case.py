"""What the tests inside Slicer share: the sample in the scene, the open module, waiting with the event loop running."""

import time
import unittest

import numpy as np
import slicer
from vtk.util.numpy_support import vtk_to_numpy

TIMEOUT_S = 120.0


class SlicerCase(unittest.TestCase):
    """A fresh scene with the sample, and the module's panel open on it."""

    def setUp(self):
        slicer.mrmlScene.Clear()
        slicer.util.selectModule("LAScarSeg")
        from LAScarSegLib.datasets import sample_data
        from LAScarSegLib.scene.inputs import load_sample

        self.widget = slicer.modules.lascarseg.widgetRepresentation().self()
        self.volume, self.segmentation, self.planes = load_sample(slicer.mrmlScene)
        node = self.widget.parameterNode
        node.inputVolume, node.cavitySegmentation = self.volume, self.segmentation
        node.cavitySegmentId = self.segmentation.GetSegmentation().GetNthSegmentID(0)
        self.truth = sample_data.sample().truth

    def tearDown(self):
        self.widget.runSection.cancel()
        slicer.mrmlScene.Clear()

    def waitFor(self, condition, what):
        """Let Slicer's event loop run until `condition()`; fails after `TIMEOUT_S`."""
        end = time.monotonic() + TIMEOUT_S
        while not condition():
            self.assertLess(time.monotonic(), end, f"waited {TIMEOUT_S:g} s for {what}")
            slicer.app.processEvents()
            time.sleep(0.005)

    def apply(self):
        """Press Apply and wait for the result."""
        self.widget.ui.applyButton.click()
        self.waitFor(lambda: not self.widget.runSection.running, "the run")
        self.assertIsNotNone(self.widget.analysis, self.widget.ui.statusLabel.text)

    def startAndWaitForTheWorker(self):
        """Press Apply; returns the worker's process ID once it has reported something.

        Its words are asked for without the event loop: the first picture of the sample may take longer than the whole run, and
        what a test does to a run must come before its end.
        """
        self.widget.ui.applyButton.click()
        end = time.monotonic() + TIMEOUT_S
        while self.widget.ui.progressBar.value == 0:
            self.assertTrue(self.widget.runSection.running, self.widget.ui.statusLabel.text)
            self.assertLess(time.monotonic(), end, f"waited {TIMEOUT_S:g} s for the worker's first word")
            self.widget.runSection.onPoll()
            time.sleep(0.005)
        self.assertTrue(self.widget.runSection.running)
        return self.widget.runSection.workerPid

    def nodeIds(self):
        return {slicer.mrmlScene.GetNthNode(n).GetID() for n in range(slicer.mrmlScene.GetNumberOfNodes())}

    def assertGone(self, pid):
        """The process ended within two seconds."""
        end = time.monotonic() + 2.0
        while isAlive(pid):
            self.assertLess(time.monotonic(), end, f"the worker {pid} still runs")
            slicer.app.processEvents()
            time.sleep(0.005)


class ResultCase(SlicerCase):
    """The sample analysed, and a hand that draws in its segments through the editor's active effect."""

    def setUp(self):
        super().setUp()
        self.apply()
        self.result = self.widget.session.nodes.segmentation

    def mask(self, kind):
        return slicer.util.arrayFromSegmentBinaryLabelmap(self.result, kind.segment_id, self.volume)

    def paintBall(self, centre, radius):
        """A stroke as large as a ball (voxels), with the editor's masks, as the effects paint one (qSlicerSegmentEditorPaintEffect)."""
        k, j, i = np.indices(slicer.util.arrayFromVolume(self.volume).shape)
        ball = (k - centre[0]) ** 2 + (j - centre[1]) ** 2 + (i - centre[2]) ** 2 <= radius**2
        effect = self.widget.editSection.editor.activeEffect()
        effect.saveStateForUndo()
        labelmap = effect.defaultModifierLabelmap()
        vtk_to_numpy(labelmap.GetPointData().GetScalars())[:] = ball.ravel()
        labelmap.Modified()
        effect.modifySelectedSegmentByLabelmap(labelmap, slicer.qSlicerSegmentEditorAbstractEffect.ModificationModeAdd)

    def settle(self):
        """Wait until the result shows what is drawn, with its range."""
        self.waitFor(lambda: not self.widget.editSection.pending and self.widget.analysis.has_ranges, "the result to follow")


def isAlive(pid):
    """Whether a process of that ID runs (a zombie does not)."""
    import os
    import subprocess

    if os.name == "nt":
        return str(pid) in subprocess.run(["tasklist", "/FI", f"PID eq {pid}"], capture_output=True, text=True).stdout
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return bool(state) and not state.startswith("Z")
