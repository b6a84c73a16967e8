"""Inside Slicer: Apply, Cancel, a worker that dies, a reload while running, opening time."""

import os
import signal
import subprocess
import sys
import time

import qt
import slicer
from lascarseg_slicer_case import SlicerCase


class LAScarSegRunTest(SlicerCase):
    def test_apply_gives_the_sample_its_numbers_and_the_windows_stay_alive(self):
        beats = []
        heart = qt.QTimer()
        heart.connect("timeout()", lambda: beats.append(time.monotonic()))
        heart.start(50)
        self.apply()
        heart.stop()
        pauses = [later - sooner for sooner, later in zip(beats, beats[1:])]
        # the last steps, building the scene and drawing it, are two pauses; before them nothing may hold the event loop
        self.assertLess(sorted(pauses)[-3], 0.5)
        self.assertAlmostEqual(
            self.widget.analysis.measurements["la_volume_ml"].value, self.truth["la_volume_ml"], delta=0.05 * self.truth["la_volume_ml"]
        )

    def test_cancel_leaves_the_scene_as_it_was_and_no_process(self):
        before = self.nodeIds()
        pid = self.startAndWaitForTheWorker()
        self.widget.ui.applyButton.click()
        self.assertGone(pid)
        self.assertEqual(self.nodeIds(), before)
        self.assertEqual(self.widget.ui.applyButton.text, "Apply")

    def test_a_killed_worker_is_reported_and_the_scene_is_as_it_was(self):
        before = self.nodeIds()
        pid = self.startAndWaitForTheWorker()
        if os.name == "nt":
            subprocess.run(["taskkill", "/F", "/PID", str(pid)], check=True)
        else:
            os.kill(pid, signal.SIGKILL)
        self.waitFor(lambda: not self.widget.runSection.running, "the end of the run")
        self.assertEqual(self.nodeIds(), before)
        self.assertTrue(self.widget.ui.statusLabel.text)
        self.assertTrue(self.widget.ui.copyLogButton.visible)

    def test_a_reload_of_the_module_stops_the_worker(self):
        pid = self.startAndWaitForTheWorker()
        slicer.util.reloadScriptedModule("LAScarSeg")
        self.assertGone(pid)
        self.widget = slicer.modules.lascarseg.widgetRepresentation().self()

    def test_the_worker_runs_in_slicers_real_interpreter(self):
        from LAScarSegPanel.environment import workerPython

        code = "import sys; print(sys.version_info[:2] == (%d, %d))" % sys.version_info[:2]
        done = subprocess.run([*workerPython(), "-c", code], capture_output=True, text=True)
        self.assertEqual(done.stdout.strip(), "True", done.stderr)
        self.assertNotIn("PythonSlicer", workerPython()[0])

    def test_the_module_was_opened_without_torch(self):
        self.assertNotIn("torch", sys.modules)
