"""Inside Slicer: the worker process that stays between runs.

Not yet run in a real Slicer.
"""

import slicer
from lascarseg_slicer_case import ResultCase, isAlive


class LAScarSegWarmWorkerTest(ResultCase):
    def test_a_second_apply_takes_the_process_of_the_first(self):
        kept = self.widget.runSection.worker.pid
        self.assertTrue(isAlive(kept))
        self.assertEqual(self.startAndWaitForTheWorker(), kept)
        self.waitFor(lambda: not self.widget.runSection.running, "the run")
        self.assertEqual(self.widget.runSection.worker.pid, kept)

    def test_a_cancelled_process_is_replaced(self):
        pid = self.startAndWaitForTheWorker()
        self.widget.ui.applyButton.click()
        self.assertGone(pid)
        self.apply()
        self.assertNotEqual(self.widget.runSection.worker.pid, pid)

    def test_a_reload_of_the_module_ends_it(self):
        pid = self.widget.runSection.worker.pid
        slicer.util.reloadScriptedModule("LAScarSeg")
        self.assertGone(pid)
        self.widget = slicer.modules.lascarseg.widgetRepresentation().self()
