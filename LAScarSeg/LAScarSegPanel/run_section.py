"""Apply and Cancel: one run in the worker process, watched by a timer."""

import qt
import slicer
from slicer.i18n import tr as _

from LAScarSegLib.errors import ProcessingError
from LAScarSegLib.models.store import ModelStore
from LAScarSegLib.session.choices import question_before_run, why_not
from LAScarSegLib.session.edit_session import EditSession
from LAScarSegLib.session.run import AnalysisRun
from LAScarSegPanel import environment
from LAScarSegPanel.section import Section, attempt, makeTimer, say

POLL_MS = 100
PROGRESS_STEPS = 1000


class RunSection(Section):
    """Apply becomes Cancel while a run is under way; the scene changes only when the run has succeeded."""

    def setup(self) -> None:
        self._run = None
        self._log = ""
        self._timer = makeTimer(POLL_MS, self.onPoll)
        self.ui.applyButton.connect("clicked()", self.onApply)
        self.ui.copyLogButton.connect("clicked()", self.onCopyLog)

    @property
    def running(self) -> bool:
        return self._run is not None

    @property
    def workerPid(self) -> int | None:
        """The worker's process; None when nothing runs."""
        return self._run.pid if self.running else None

    def parametersChanged(self) -> None:
        if not self.running:
            self._showReadiness()

    def _showReadiness(self) -> None:
        missing = why_not(slicer.mrmlScene, self.widget.choicesSection.choices())
        self.ui.applyButton.enabled = not missing
        self.ui.applyButton.toolTip = missing or _("Find and measure scar. The scene changes only when it has worked.")
        say(self.ui.statusLabel, missing)

    def onApply(self) -> None:
        if self.running:
            self.cancel()
            return
        attempt(_("The analysis did not start."), self.start)

    def start(self) -> None:
        """Start a run of what the panel says; asks for packages and terms first, once, and before hand edits are replaced."""
        choices = self.widget.choicesSection.choices()
        if choices.models:
            environment.ensureNetworks()
            if not acceptTerms(choices.models):
                return
        question = question_before_run(slicer.mrmlScene, choices)
        if question and not slicer.util.confirmOkCancelDisplay(question, _("Corrections by hand")):
            return
        self._run = AnalysisRun(slicer.mrmlScene, choices, environment.workerPython(), slicer.app.temporaryPath)
        self._run.start()
        self.ui.applyButton.text = _("Cancel")
        self.ui.applyButton.toolTip = _("Stop; the scene stays as it is.")
        self.ui.progressBar.value = 0
        self.ui.progressBar.setVisible(True)
        self.ui.copyLogButton.setVisible(False)
        self._timer.start()

    def onPoll(self) -> None:
        self._timer.stop()  # else it would fail again while its message is shown, and the messages pile up
        worked, state = attempt(_("The analysis was stopped."), self._run.poll)
        if not worked:
            self._stop()
            return
        self.ui.progressBar.value = int(PROGRESS_STEPS * state.fraction)
        say(self.ui.statusLabel, progressText(state))
        if state.done:
            self._finish(state)
        else:
            self._timer.start()

    def _finish(self, state) -> None:
        run = self._stop()
        if state.error:
            say(self.ui.statusLabel, state.error)
            if not state.cancelled:
                self.ui.copyLogButton.setVisible(True)
                slicer.util.errorDisplay(state.error, detailedText=self._log)
            return
        self.widget.setResult(EditSession(slicer.mrmlScene, run.nodes, run.analysis))
        say(self.ui.statusLabel, " ".join([_("Done in {seconds:.0f} s.").format(seconds=state.elapsed_s), *run.notes]))

    def _stop(self):
        """Back to Apply, the worker and everything it started gone; returns the run that ended."""
        run, self._run = self._run, None
        self._timer.stop()
        self._log = run.log
        run.close()
        self.ui.progressBar.setVisible(False)
        self.ui.applyButton.text = _("Apply")
        if self.widget.parameterNode:
            self._showReadiness()
        return run

    def cancel(self) -> None:
        """Stop the run, if there is one, and its whole process tree."""
        if self.running:
            self._stop()
            say(self.ui.statusLabel, _("Cancelled; the scene is as it was."))

    def cleanup(self) -> None:
        self.cancel()

    def onCopyLog(self) -> None:
        qt.QApplication.clipboard().setText(self._log)


def progressText(state) -> str:
    """What is under way, since when, and how long it will take."""
    text = _("{stage} – {elapsed:.0f} s").format(stage=state.stage, elapsed=state.elapsed_s)
    if state.remaining_s is None:
        return text
    return _("{text}, about {remaining:.0f} s left").format(text=text, remaining=state.remaining_s)


def acceptTerms(references) -> bool:
    """Ask once for the terms of models (`NAME@VERSION`) that have some; False when the user does not accept them."""
    store = ModelStore()
    for bundle in map(store.find, references):
        if store.accepted(bundle):
            continue
        text = _("The model {name} may be used under these terms only:\n\n{terms}\n\nDo you accept them?").format(
            name=bundle.card.name, terms=bundle.card.terms.strip()
        )
        if not slicer.util.confirmOkCancelDisplay(text, _("Terms of use")):
            return False
        try:
            store.accept(bundle)
        except ProcessingError:
            # A store that is read-only, on purpose: accepted for this run (the request says so), asked again at the next.
            continue
    return True
