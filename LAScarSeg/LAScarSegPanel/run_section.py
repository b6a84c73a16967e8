"""Apply and Cancel: one run in the worker process, watched by a timer."""

import dataclasses
import math

import qt
import slicer
from slicer.i18n import tr as _

from LAScarSegLib.errors import ProcessingError
from LAScarSegLib.jobs.worker_process import WarmWorker
from LAScarSegLib.models.store import ModelStore
from LAScarSegLib.session.choices import question_before_run, why_not
from LAScarSegLib.session.edit_session import EditSession
from LAScarSegLib.session.run import AnalysisRun
from LAScarSegPanel import environment
from LAScarSegPanel.section import Section, attempt, makeTimer, say

POLL_MS = 100
PROGRESS_STEPS = 1000
TOLD_STEP_S = 5
"""The time left is told in steps of this: nobody knows it better."""


class RunSection(Section):
    """Apply becomes Cancel while a run is under way; the scene changes only when the run has succeeded.

    `worker` keeps the worker process between runs, for exports too.
    """

    def setup(self) -> None:
        self._run = None
        self.worker = WarmWorker()
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

    def start(self, despite=()) -> None:
        """Start a run of what the panel says; asks for packages and terms first, once, and before hand edits are replaced.

        :param despite: codes of stops that the user has read and goes on despite.
        """
        choices = dataclasses.replace(self.widget.choicesSection.choices(), despite=tuple(despite))
        if choices.models:
            environment.ensureNetworks()
            declined = declinedTerms(choices.models)
            if declined:
                say(self.ui.statusLabel, declined)
                return
        question = question_before_run(slicer.mrmlScene, choices)
        if question and not slicer.util.confirmOkCancelDisplay(question, _("Corrections by hand")):
            say(self.ui.statusLabel, _("Nothing was started; the corrections by hand are as they were."))
            return
        self._run = AnalysisRun(slicer.mrmlScene, choices, environment.workerPython(), slicer.app.temporaryPath, self.worker)
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
            if state.stops:
                question = _("{stop}\n\nMeasure all the same? The result says so.").format(stop=state.error)
                if slicer.util.confirmYesNoDisplay(question, _("The numbers would be wrong")):
                    attempt(_("The analysis did not start."), lambda: self.start((*run.choices.despite, *state.stops)))
            elif not state.cancelled:
                self.ui.copyLogButton.setVisible(True)
                slicer.util.errorDisplay(state.error, detailedText=self._log)
            return
        session = EditSession(slicer.mrmlScene, run.nodes, run.analysis)
        self.widget.setResult(session)
        words = [_("Done in {seconds:.0f} s.").format(seconds=state.elapsed_s), *run.notes]
        if self.widget.session is not session:  # another scan was chosen meanwhile
            words.append(_("Choose {scan} to see it.").format(scan=run.nodes.volume.GetName()))
        say(self.ui.statusLabel, " ".join(words))

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
        self.worker.close()

    def onCopyLog(self) -> None:
        qt.QApplication.clipboard().setText(self._log)


def progressText(state) -> str:
    """What is under way, since when, and how long it will take."""
    text = _("{stage} – {elapsed:.0f} s").format(stage=state.stage, elapsed=state.elapsed_s)
    if state.remaining_s is None:
        return text
    steps = max(1, math.ceil(state.remaining_s / TOLD_STEP_S))
    return _("{text}, about {remaining} s left").format(text=text, remaining=steps * TOLD_STEP_S)


def declinedTerms(references) -> str:
    """Ask once for the terms of models (`NAME@VERSION`) that have some; "" when all are accepted, else what that means."""
    store = ModelStore()
    for bundle in map(store.find, references):
        if store.accepted(bundle):
            continue
        if not confirmTerms(bundle.card):
            return _(
                "Nothing was started: the terms of {name} were declined, and it may not be used without them. Press Apply to read "
                "them again, or choose a segment or an intensity rule instead."
            ).format(name=bundle.card.name)
        try:
            store.accept(bundle)
        except ProcessingError:
            # A store that is read-only, on purpose: accepted for this run (the request says so), asked again at the next.
            continue
    return ""


def confirmTerms(card, about="", licence="") -> bool:
    """Show a model's terms, with what else there is to say `about` it and its whole licence; True when the user accepts them."""
    if slicer.app.testingEnabled():
        # As Slicer's own questions: nobody is there to answer.
        return True
    box = qt.QMessageBox(slicer.util.mainWindow())
    box.setWindowTitle(_("Terms of use"))
    box.setIcon(qt.QMessageBox.Question)
    box.setText(_("{name} may be used under these terms only:\n\n{terms}").format(name=card.name, terms=card.terms.strip()))
    box.setInformativeText(about)
    box.setDetailedText(licence)
    box.setStandardButtons(qt.QMessageBox.Yes | qt.QMessageBox.No)
    box.button(qt.QMessageBox.Yes).setText(_("Accept"))
    box.button(qt.QMessageBox.No).setText(_("Decline"))
    accepted = box.exec_() == qt.QMessageBox.Yes
    box.deleteLater()
    return accepted
