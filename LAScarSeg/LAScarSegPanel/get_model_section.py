"""Get: the project's cavity model, where it did not come along, fetched after its terms were accepted."""

import slicer
from slicer.i18n import tr as _

from LAScarSegLib.errors import Cancelled, LAScarSegError
from LAScarSegLib.models.store import ModelStore
from LAScarSegLib.session.model_fetch import ModelFetch
from LAScarSegPanel.run_section import POLL_MS, confirmTerms
from LAScarSegPanel.section import Section, makeTimer, say


class GetModelSection(Section):
    """One button beside the list of cavity models, and one under Models; Get becomes Cancel while the model is on its way."""

    def setup(self) -> None:
        self._missing = None
        self._fetch = None
        self._buttons = (self.ui.cavityGetButton, self.ui.getModelButton)
        self._timer = makeTimer(POLL_MS, self.onPoll)
        for button in self._buttons:
            button.connect("clicked()", self.onGet)
        self.look()

    @property
    def running(self) -> bool:
        return self._fetch is not None

    def look(self) -> None:
        """Is the model here? Asked when the module is shown and when models were added or removed: the answer is on the disk."""
        try:
            self._missing = ModelStore().missing_cavity()
        except LAScarSegError:
            self._missing = None  # what came along is damaged; the page Models says how
        self.show()

    def enter(self) -> None:
        self.look()

    def parametersChanged(self) -> None:
        self.show()

    def show(self, words: str = "") -> None:
        """The buttons where there is something to get; `words` instead of what they do."""
        model, node = self._fetch.model if self.running else self._missing, self.widget.parameterNode
        self.ui.getModelButton.setVisible(model is not None)
        self.ui.cavityGetButton.setVisible(model is not None and node is not None and node.cavitySource.value == "model")
        if model is None:
            return
        words = words or (_("Cancel") if self.running else _("Get {name} ({size})…").format(name=model.name, size=model.size))
        tip = _("Fetch {address}. Its terms are asked first; nothing is fetched before.").format(address=model.address)
        for button in self._buttons:
            button.text = words
            button.toolTip = _("Stop; nothing is kept.") if self.running else tip

    def onGet(self) -> None:
        if self.running:
            self.cancel()
            return
        model = self._missing
        about = _("{name}: {use}\n\nAccept fetches it ({size}) from {address}").format(
            name=model.reference, use=model.intended_use, size=model.size, address=model.address
        )
        if model.terms is not None and not confirmTerms(model, about, model.licence_text):
            say(self.ui.modelsLabel, _("Nothing was fetched: the terms of {name} were declined.").format(name=model.name))
            return
        self._fetch = ModelFetch(model)
        self.show()
        self._timer.start()

    def onPoll(self) -> None:
        self._timer.stop()  # a message that is shown keeps the timer alive
        state = self._fetch.poll()
        if not state.done:
            say(self.ui.modelsLabel, state.message)
            self.show(_("Cancel – {percent} %").format(percent=int(100 * state.fraction)))
            self._timer.start()
            return
        self._fetch = None
        if state.error is None:
            self.widget.modelsSection.changed(_("Added {name}.").format(name=state.bundle.card.reference))
            return
        self.look()
        say(self.ui.modelsLabel, str(state.error))
        if not isinstance(state.error, Cancelled):
            slicer.util.errorDisplay(str(state.error))

    def cancel(self) -> None:
        if self.running:
            self._timer.stop()
            self._fetch.cancel()
            self._fetch = None
            self.look()
            say(self.ui.modelsLabel, _("Cancelled; nothing was kept."))

    def cleanup(self) -> None:
        if self.running:
            self._timer.stop()
            self._fetch.close()
            self._fetch = None
