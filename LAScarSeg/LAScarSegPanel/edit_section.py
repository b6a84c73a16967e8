"""Edit cavity, Edit scar, Update: Slicer's segment editor inside the panel, and the result that follows."""

import slicer
from slicer.i18n import tr as _

from LAScarSegPanel.section import Section, attempt, makeTimer, say

POLL_MS = 20
"""Slicer's event loop keeps Python's lock: a measurement goes on in another thread only while this timer's function gives way."""
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
        self._observed = None
        self._timer = makeTimer(POLL_MS, self.onPoll)
        self.ui.editCavityButton.connect("toggled(bool)", lambda on: self.onEdit("cavity", on))
        self.ui.editScarButton.connect("toggled(bool)", lambda on: self.onEdit("scar", on))
        self.ui.updateButton.connect("clicked()", self.onUpdate)
        self.resultChanged()
        say(self.ui.editLabel, "")

    def resultChanged(self) -> None:
        session = self.widget.session
        for button in (self.ui.editCavityButton, self.ui.editScarButton, self.ui.updateButton):
            button.enabled = session is not None
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
            from LAScarSegLib.presenter.live import LiveUpdate

            self._live = LiveUpdate(session)
            self.parametersChanged()
        if self._observed:
            self.widget.removeObserver(self._observed, slicer.vtkSegmentation.SourceRepresentationModified, self.onSegmentModified)
        self._observed = session.nodes.segmentation.GetSegmentation() if session else None
        if self._observed:
            self.widget.addObserver(self._observed, slicer.vtkSegmentation.SourceRepresentationModified, self.onSegmentModified)
            self._timer.start()
        else:
            self._timer.stop()
        say(self.ui.editLabel, "")

    def onEdit(self, what: str, on: bool) -> None:
        other = self.ui.editScarButton if what == "cavity" else self.ui.editCavityButton
        if not on:
            if not other.checked:
                self._closeEditor()
            return
        other.checked = False
        worked, _none = attempt(_("The editor can't be opened."), self._open, self.widget.session.prepare_editor(what))
        if not worked:
            self.close()

    def _open(self, setup) -> None:
        setup.apply(self._editorNode())
        self._show()

    def draw(self, segmentation, segmentId: str, volume) -> None:
        """Open the editor on a segment that is no result yet: a cavity to be drawn."""
        node = self._editorNode()
        node.SetAndObserveSegmentationNode(segmentation)
        node.SetAndObserveSourceVolumeNode(volume)
        node.SetSelectedSegmentID(segmentId)
        self._show()

    def _editorNode(self):
        node = slicer.mrmlScene.GetSingletonNode(EDITOR_TAG, "vtkMRMLSegmentEditorNode")
        if node is None:
            node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLSegmentEditorNode")
            node.UnRegister(None)
            node.SetSingletonTag(EDITOR_TAG)
            node = slicer.mrmlScene.AddNode(node)
        return node

    def _show(self) -> None:
        if self.editor is None:
            self.editor = slicer.qMRMLSegmentEditorWidget()
            self.editor.setMaximumNumberOfUndoStates(UNDO_STATES)
            # the parameter node first, so that what the widget selects when it gets the scene is kept (as in Segment Editor)
            self.editor.setMRMLSegmentEditorNode(self._editorNode())
            self.editor.setMRMLScene(slicer.mrmlScene)
            self.editor.segmentationNodeSelectorVisible = False
            self.editor.sourceVolumeNodeSelectorVisible = False
            self.editor.switchToSegmentationsButtonVisible = False
            self.editor.addRemoveSegmentButtonsVisible = False
            self.ui.editorFrame.layout().addWidget(self.editor)
        self.editor.setMRMLSegmentEditorNode(self._editorNode())
        self.editor.setupViewObservations()
        self.editor.installKeyboardShortcuts()
        self.editor.setActiveEffectByName("Paint")
        self.ui.editorFrame.setVisible(True)

    def _closeEditor(self) -> None:
        self.ui.editorFrame.setVisible(False)
        if self.editor is not None:
            self.editor.setActiveEffect(None)
            self.editor.uninstallKeyboardShortcuts()
            self.editor.removeViewObservations()

    def close(self) -> None:
        """No effect stays active, no shortcut installed."""
        self.ui.editCavityButton.checked = False
        self.ui.editScarButton.checked = False
        self._closeEditor()

    def parametersChanged(self) -> None:
        if self._live and self.widget.parameterNode:
            self._live.automatic = self.widget.parameterNode.automaticUpdate

    def onSegmentModified(self, caller, event) -> None:
        if self._live:
            self._live.touch()

    def touch(self) -> None:
        """Something else that the result depends on moved: a cut plane."""
        self.onSegmentModified(None, None)

    def rebase(self, analysis) -> None:
        """The nodes show another threshold: what was being measured for the old one is dropped."""
        self._live.rebase(analysis)

    def onUpdate(self) -> None:
        attempt(_("The result can't be updated."), self._live.update_now)

    def onPoll(self) -> None:
        state = self._live.poll()
        say(self.ui.editLabel, state.error or state.words)
        self.ui.updateButton.enabled = not state.busy
        if state.changed:
            self.widget.resultChanged()

    def exit(self) -> None:
        self.close()

    def cleanup(self) -> None:
        self._timer.stop()
        self._follow(None)
        if self.editor is not None:
            self.editor.setMRMLSegmentEditorNode(None)
            self.editor = None
