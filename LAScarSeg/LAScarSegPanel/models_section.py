"""Models: which are installed, what they say about themselves, adding, checking and removing them."""

import html

import qt
import slicer
from slicer.i18n import tr as _

from LAScarSegLib.models.bundle import card_lines
from LAScarSegLib.models.store import ModelStore
from LAScarSegPanel.section import Section, attempt, say


class ModelsSection(Section):
    """The user's model store and the models that come with the project."""

    def setup(self) -> None:
        self._models = ()
        self.ui.modelsList.connect("currentRowChanged(int)", self.onSelected)
        self.ui.addModelButton.connect("clicked()", self.onAdd)
        self.ui.verifyModelButton.connect("clicked()", self.onVerify)
        self.ui.removeModelButton.connect("clicked()", self.onRemove)
        self.ui.openModelsButton.connect("clicked()", self.onOpenFolder)
        say(self.ui.modelsLabel, "")
        self.fill()

    def fill(self) -> None:
        """Read the store again."""
        self._models = ModelStore().models()
        self.ui.modelsList.clear()
        for model in self._models:
            name = model.bundle.card.reference if model.bundle else _("{folder}: can't be used").format(folder=model.folder.name)
            self.ui.modelsList.addItem(name)
        self.ui.modelsList.setVisible(bool(self._models))
        if self._models:
            self.ui.modelsList.setCurrentRow(0)
        else:
            say(self.ui.modelsLabel, _("No model is installed. Intensity rules with a segment as the cavity need none."))
        self.onSelected()

    def _selected(self):
        row = self.ui.modelsList.currentRow
        return self._models[row] if 0 <= row < len(self._models) else None

    def onSelected(self, *unused) -> None:
        model = self._selected()
        self.ui.verifyModelButton.enabled = model is not None and model.bundle is not None
        self.ui.removeModelButton.enabled = model is not None and not model.shipped
        self.ui.modelText.setVisible(model is not None)
        if model is not None:
            self.ui.modelText.html = cardHtml(model)

    def onAdd(self) -> None:
        path = qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), _("Add a model bundle"), "", _("Model bundles (*.zip)"))
        if path:
            self.add(path)

    def add(self, path: str) -> None:
        """Check a bundle and install it."""
        worked, bundle = attempt(_("The model was not added."), ModelStore().add, path)
        if worked:
            self.changed(_("Added {name}.").format(name=bundle.card.reference))

    def onVerify(self) -> None:
        bundle = self._selected().bundle
        worked, _none = attempt(_("The model is damaged."), bundle.verify)
        if worked:
            say(self.ui.modelsLabel, _("{name} is whole: {count} files.").format(name=bundle.card.reference, count=len(bundle.card.files)))

    def onRemove(self) -> None:
        model = self._selected()
        name = model.bundle.card.reference if model.bundle else model.folder.name
        if slicer.util.confirmOkCancelDisplay(_("Delete the model {name} from this computer?").format(name=name)):
            worked, _none = attempt(_("The model was not removed."), ModelStore().remove, name)
            if worked:
                self.changed(_("Removed {name}.").format(name=name))

    def changed(self, words: str) -> None:
        """A model was added or removed: every list is read again."""
        self.fill()
        say(self.ui.modelsLabel, words)
        self.widget.getModelSection.look()
        self.widget.choicesSection.fillLists()

    def onOpenFolder(self) -> None:
        folder = ModelStore().folder
        worked, _none = attempt(_("The folder can't be made."), lambda: folder.mkdir(parents=True, exist_ok=True))
        if worked:
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(folder)))


def cardHtml(model) -> str:
    """The model's card for a person; for a model that can't be used, why."""
    if model.bundle is None:
        return f"<p>{html.escape(model.problem)}</p>"
    return "".join(f"<p><b>{html.escape(title)}</b><br>{html.escape(text)}</p>" for title, text in card_lines(model.bundle))
