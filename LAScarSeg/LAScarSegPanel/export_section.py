"""Export: the result as a folder of files, written by the worker process."""

from pathlib import Path

import slicer
from slicer.i18n import tr as _

from LAScarSegLib.errors import ProcessingError
from LAScarSegLib.session import export
from LAScarSegPanel import environment
from LAScarSegPanel.run_section import POLL_MS, progressText
from LAScarSegPanel.section import Section, attempt, makeTimer, say


class ExportSection(Section):
    """Asks for a folder; a result never overwrites an older one. Export becomes Cancel while it is written."""

    def setup(self) -> None:
        self._run = None
        self._refused = ""
        self._timer = makeTimer(POLL_MS, self.onPoll)
        self.ui.exportButton.connect("clicked()", self.onExport)
        self.ui.exportFolderEdit.connect("currentPathChanged(QString)", self.resultChanged)
        self.resultChanged()
        say(self.ui.exportLabel, "")

    @property
    def running(self) -> bool:
        return self._run is not None

    def resultChanged(self, *unused) -> None:
        if self.running:
            # What was shown when it began is handed over already.
            return
        missing = ""
        if self.widget.analysis is None:
            missing = _("There is no result yet: press Apply first.")
        elif not self.ui.exportFolderEdit.currentPath:
            missing = _("Choose the folder to write into.")
        self.ui.exportButton.enabled = not missing
        self.ui.exportButton.toolTip = missing or _("Write masks, distance maps, surface, numbers and provenance.")

    def onExport(self) -> None:
        if self.running:
            self._stop()
            say(self.ui.exportLabel, _("Cancelled; nothing was written."))
            return
        attempt(_("The result was not written."), self._start)

    def _start(self) -> None:
        report, self._refused = self.ui.exportReportCheckBox.checked, ""
        if report:
            try:
                environment.ensureReport()
            except ProcessingError as error:  # the numbers are worth writing without figures
                self._refused = str(error)
        folder = export.new_folder(Path(self.ui.exportFolderEdit.currentPath), self.widget.session.nodes.volume.GetName())
        self._run = export.ExportRun(
            self.widget.analysis, folder, environment.workerPython(), slicer.app.temporaryPath, self.widget.runSection.worker,
            report=report, scene=self.ui.exportSceneCheckBox.checked,
        )  # fmt: skip
        self._run.start()
        say(self.ui.exportLabel, _("Writing to {folder}").format(folder=folder))
        self.ui.exportButton.text = _("Cancel")
        self.ui.exportButton.toolTip = _("Stop; nothing is written.")
        self._timer.start()

    def onPoll(self) -> None:
        self._timer.stop()
        state = self._run.poll()
        if not state.done:
            say(self.ui.exportLabel, progressText(state))
            self._timer.start()
            return
        run = self._stop()
        if state.error:
            say(self.ui.exportLabel, state.error)
            slicer.util.errorDisplay(_("The result was not written.\n\n{why}").format(why=state.error), detailedText=run.log)
            return
        self.ui.exportFolderEdit.addCurrentPathToHistory()
        notes = filter(None, (_("Written to {folder}.").format(folder=run.folder), self._refused, *run.notes))
        say(self.ui.exportLabel, " ".join(notes))

    def _stop(self):
        """Back to Export; returns the run that ended."""
        run, self._run = self._run, None
        self._timer.stop()
        run.close()
        self.ui.exportButton.text = _("Export")
        self.resultChanged()
        return run

    def cleanup(self) -> None:
        if self.running:
            self._stop()
