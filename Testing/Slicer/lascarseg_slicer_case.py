"""What the tests inside Slicer share: the sample in the scene, the open module, waiting with the event loop running."""

import time
import unittest

import slicer

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
        """Press Apply; returns the worker's process ID once it has reported something."""
        self.widget.ui.applyButton.click()
        self.waitFor(lambda: self.widget.ui.progressBar.value > 0, "the worker's first word")
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


def isAlive(pid):
    """Whether a process of that ID runs (a zombie does not)."""
    import os
    import subprocess

    if os.name == "nt":
        return str(pid) in subprocess.run(["tasklist", "/FI", f"PID eq {pid}"], capture_output=True, text=True).stdout
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return bool(state) and not state.startswith("Z")
