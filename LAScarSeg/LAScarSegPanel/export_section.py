"""Export: the result as a folder of files."""

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from LAScarSegLib.errors import ProcessingError
from LAScarSegLib.session import export
from LAScarSegPanel import environment
from LAScarSegPanel.section import Section, attempt, say


class ExportSection(Section):
    """Asks for a folder; a result never overwrites an older one."""

    def setup(self) -> None:
        self.ui.exportButton.connect("clicked()", self.onExport)
        self.ui.exportFolderEdit.connect("currentPathChanged(QString)", self.resultChanged)
        self.resultChanged()
        say(self.ui.exportLabel, "")

    def resultChanged(self, *unused) -> None:
        missing = ""
        if self.widget.analysis is None:
            missing = _("There is no result yet: press Apply first.")
        elif not self.ui.exportFolderEdit.currentPath:
            missing = _("Choose the folder to write into.")
        self.ui.exportButton.enabled = not missing
        self.ui.exportButton.toolTip = missing or _("Write masks, distance maps, surface, numbers and provenance.")

    def onExport(self) -> None:
        worked, written = attempt(_("The result was not written."), self._export)
        if worked:
            folder, notes = written
            self.ui.exportFolderEdit.addCurrentPathToHistory()
            say(self.ui.exportLabel, " ".join([_("Written to {folder}.").format(folder=folder), *notes]))

    def _export(self) -> tuple[Path, tuple[str, ...]]:
        report, refused = self.ui.exportReportCheckBox.checked, ()
        if report:
            try:
                environment.ensureReport()
            except ProcessingError as error:  # the numbers are worth writing without figures
                refused = (str(error),)
        folder = export.new_folder(Path(self.ui.exportFolderEdit.currentPath), self.widget.session.nodes.volume.GetName())
        slicer.app.setOverrideCursor(qt.Qt.WaitCursor)
        try:
            notes = export.write(self.widget.analysis, folder, report=report, scene=self.ui.exportSceneCheckBox.checked)
        finally:
            slicer.app.restoreOverrideCursor()
        return folder, (*refused, *notes)
