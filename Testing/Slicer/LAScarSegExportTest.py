"""Inside Slicer: an export is written by the worker process, the scene too, while the windows go on. Unproven until it has run there."""

import os
import tempfile

import slicer
from lascarseg_slicer_case import SlicerCase


class LAScarSegExportTest(SlicerCase):
    def test_the_worker_writes_the_folder_with_its_scene(self):
        """A bare interpreter of Slicer's has the classes that a scene needs: nothing has to be written by Slicer itself."""
        self.apply()
        ui = self.widget.ui
        section = next(section for section in self.widget.sections if type(section).__name__ == "ExportSection")
        with tempfile.TemporaryDirectory() as folder:
            ui.exportFolderEdit.currentPath = folder
            ui.exportReportCheckBox.checked = False
            ui.exportSceneCheckBox.checked = True
            ui.exportButton.click()
            self.assertEqual(ui.exportButton.text, "Cancel")
            run, said = section._run, set()
            self.waitFor(lambda: said.add(ui.exportLabel.text.partition(" – ")[0]) or not section.running, "the export")
            self.assertEqual(run.state.error, "")
            self.assertNotIn("could not export", run.log)
            self.assertTrue(any("Writing" in text for text in said), said)
            self.assertIn("scene.mrb", os.listdir(run.folder))
            slicer.mrmlScene.Clear()
            slicer.util.loadScene(str(run.folder / "scene.mrb"))
            self.assertTrue(slicer.util.getNodesByClass("vtkMRMLSegmentationNode"))
