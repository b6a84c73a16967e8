"""Edit cavity, Edit scar, Update: Slicer's segment editor inside the panel, and the result that follows."""

import slicer
from slicer.i18n import tr as _

from LAScarSegLib.scene.drawing import editor_setup
from LAScarSegLib.scene.segmentation import show_segment
from LAScarSegLib.session.live import LiveUpdate
from LAScarSegPanel.section import Section, attempt, makeTimer, say

POLL_MS, BUSY_POLL_MS = 20, 5
"""Slicer's event loop keeps Python's lock: a measurement goes on in another thread only while this timer's function gives way, so
it is called again as soon as the windows have had their turn."""
EDITOR_TAG = "LAScarSeg"
"""Singleton tag of the editor's parameter node: the Segment Editor module keeps its own."""
UNDO_STATES = 10
"""As many as the Segment Editor module keeps."""


class EditSection(Section):
    """The editor is made at the first edit: opening the module does not wait for it."""

    def setup(self) -> None:
        self.editor = None
        self._live = None
        self._session = None
        self._timer = makeTimer(POLL_MS, self.onPoll)
        self._buttons = self.ui.drawCavityButton, self.ui.editCavityButton, self.ui.editScarButton
        self._connect(self.ui.drawCavityButton, self._openDrawing)
        self._connect(self.ui.editCavityButton, lambda: self._openResult("cavity"))
        self._connect(self.ui.editScarButton, lambda: self._openResult("scar"))
        self.ui.updateButton.connect("clicked()", self.onUpdate)
        self.ui.confirmCavityButton.connect("clicked()", self.onConfirm)
        self.resultChanged()
        say(self.ui.editLabel, "")

    def resultChanged(self) -> None:
        session = self.widget.session
        for button in (self.ui.editCavityButton, self.ui.editScarButton, self.ui.updateButton):
            button.enabled = session is not None
        self.ui.confirmCavityButton.setVisible(session is not None and session.analysis.withheld)
        if session is not self._session:
            self._follow(session)

    def _follow(self, session) -> None:
        """Watch the segments of this result and of no other."""
        self.close()
        if self.editor is not None:
            self.editor.setSegmentationNode(None)
        if self._live:
            self._live.close()
        self._session, self._live = session, None
        if session:
            self._live = LiveUpdate(session)
            self.parametersChanged()
            self._timer.start()
        else:
            self._timer.stop()
        say(self.ui.editLabel, "")

    def _connect(self, button, opener) -> None:
        button.connect("toggled(bool)", lambda on: self.onEdit(button, opener, on))

    def onEdit(self, button, opener, on: bool) -> None:
        """One button at a time is down as long as the editor is open."""
        if not on:
            if not any(other.checked for other in self._buttons):
                self._closeEditor()
            return
        for other in self._buttons:
            if other is not button:
                other.checked = False
        worked, _none = attempt(_("The editor can't be opened."), opener)
        if not worked:
            self.close()

    def _openResult(self, what: str) -> None:
        self._open(self.widget.session.prepare_editor(what))

    def _openDrawing(self) -> None:
        segmentation, segmentId = self.widget.choicesSection.cavityToDraw()
        show_segment(segmentation, segmentId, True)  # a result hides it
        self._open(editor_setup(segmentation, segmentId, self.widget.parameterNode.inputVolume))

    def _open(self, setup) -> None:
        """The widget selects a segmentation's first segment when it meets it, so it comes first and the setup has the last word."""
        self.widget.planesSection.stopPlacing()  # a click is a brush stroke or a point, not both
        self._makeEditor()
        self.editor.autoShowSourceVolumeNode = True
        setup.apply(self._editorNode())
        self.editor.setupViewObservations()
        self.editor.installKeyboardShortcuts()
        self.editor.setActiveEffectByName("Paint")
        self.ui.reviewCollapsibleButton.collapsed = False
        self.ui.editorFrame.setVisible(True)

    def _editorNode(self):
        node = slicer.mrmlScene.GetSingletonNode(EDITOR_TAG, "vtkMRMLSegmentEditorNode")
        if node is None:
            node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLSegmentEditorNode")
            node.UnRegister(None)
            node.SetSingletonTag(EDITOR_TAG)
            node.SetSaveWithScene(False)  # a loaded scene would paint on, with no editor to be seen
            node = slicer.mrmlScene.AddNode(node)
        return node

    def _makeEditor(self) -> None:
        if self.editor is None:
            self.editor = slicer.qMRMLSegmentEditorWidget()
            self.editor.setMaximumNumberOfUndoStates(UNDO_STATES)
            self.editor.autoShowSourceVolumeNode = False
            # the parameter node first, so that what the widget selects when it gets the scene is kept (as in Segment Editor)
            self.editor.setMRMLSegmentEditorNode(self._editorNode())
            self.editor.setMRMLScene(slicer.mrmlScene)
            self.editor.segmentationNodeSelectorVisible = False
            self.editor.sourceVolumeNodeSelectorVisible = False
            self.editor.switchToSegmentationsButtonVisible = False
            self.editor.addRemoveSegmentButtonsVisible = False
            self.ui.editorFrame.layout().addWidget(self.editor)
        self.editor.setMRMLSegmentEditorNode(self._editorNode())

    def _closeEditor(self) -> None:
        self.ui.editorFrame.setVisible(False)
        if self.editor is not None:
            self.editor.setActiveEffect(None)
            # closed, it still meets the segmentations of scenes that are loaded, and would change the slice views for them
            self.editor.autoShowSourceVolumeNode = False
            self.editor.uninstallKeyboardShortcuts()
            self.editor.removeViewObservations()

    def close(self) -> None:
        """No effect stays active, no shortcut installed."""
        for button in self._buttons:
            button.checked = False
        self._closeEditor()

    def parametersChanged(self) -> None:
        if self._live and self.widget.parameterNode:
            self._live.automatic = self.widget.parameterNode.automaticUpdate

    def touch(self) -> None:
        """Something that the result depends on moved: a cut plane. Strokes are heard without."""
        if self._live:
            self._live.touch()

    def catchUp(self) -> None:
        """Somebody may have drawn while another scan's result was shown, when nobody listened."""
        worked, edited = attempt(_("The result can't be updated."), self._session.edited)
        if worked and edited:
            self._live.update_now()

    @property
    def pending(self) -> bool:
        """Whether something was drawn that isn't measured yet."""
        return self._live is not None and self._live.pending

    def rebase(self, analysis) -> None:
        """The map shows another threshold; the segments follow later."""
        self._live.rebase(analysis)

    def written(self, analysis) -> None:
        """The segments were written to show the result: that is no edit."""
        self._live.written(analysis)

    def onUpdate(self) -> None:
        attempt(_("The result can't be updated."), self._live.update_now)

    def onConfirm(self) -> None:
        """The cavity that must not be used is right after all: a person says so."""
        worked, analysis = attempt(_("The cavity can't be confirmed."), self._session.confirm_cavity)
        if worked:
            self.rebase(analysis)
            self.widget.resultChanged()

    def onPoll(self) -> None:
        self._timer.stop()  # else it would fail again while its message is shown, and the messages pile up
        live = self._live
        worked, state = attempt(_("The result can't be updated."), live.poll)
        if not worked or self._live is not live:
            return
        self._timer.setInterval(BUSY_POLL_MS if state.busy else POLL_MS)
        self._timer.start()
        say(self.ui.editLabel, state.error or state.message)
        self.ui.updateButton.enabled = not state.busy
        if state.changed:
            self.widget.resultChanged()

    def enter(self) -> None:
        self.touch()  # a plane may have been dragged while another module was shown

    def exit(self) -> None:
        self.close()

    def sceneCloses(self) -> None:
        self.close()
        if self.editor is not None:
            self.editor.setSegmentationNode(None)

    def cleanup(self) -> None:
        self._timer.stop()
        self.close()
        self._follow(None)
        if self.editor is not None:
            self.editor.setMRMLSegmentEditorNode(None)
            self.editor = None
