"""Mitral plane and vein cut planes: placed and dragged as markups, followed by the result."""

import qt
import slicer
from slicer.i18n import tr as _

from LAScarSegLib.errors import InputError
from LAScarSegLib.scene import plane_markups as planes
from LAScarSegLib.scene.mrml import ROLE, SOURCE, nodes_of_class, remove_node
from LAScarSegLib.surface.planes import PLANE_NAMES
from LAScarSegPanel.section import Section, attempt, makeTimer, say


def planeTitle(name: str) -> str:
    """What the panel calls the plane of an opening (surface.planes.PLANE_NAMES)."""
    titles = {
        "MV": _("Mitral valve"),
        "LSPV": _("Left superior vein"),
        "LMPV": _("Left middle vein"),
        "LIPV": _("Left inferior vein"),
        "LCPV": _("Left common vein"),
        "RSPV": _("Right superior vein"),
        "RMPV": _("Right middle vein"),
        "RIPV": _("Right inferior vein"),
        "RCPV": _("Right common vein"),
        "LAA": _("Appendage"),
    }
    return titles.get(name, name)


class PlanesSection(Section):
    """One plane markup for each opening of the scan's left atrium; the markups are saved with the scene."""

    def setup(self) -> None:
        self._observed = []
        self._placing = None
        self._escape = None
        self._replaced = None
        # A node that is taken away in the middle of its own event would still be used by the view that sent it.
        self._tidyTimer = makeTimer(0, self.onTidy)
        self._tidyTimer.setSingleShot(True)
        for name in PLANE_NAMES:
            self.ui.planeSelector.addItem(planeTitle(name), name)
        self.ui.planeSelector.connect("currentIndexChanged(int)", self.parametersChanged)
        self.ui.placePlaneButton.connect("clicked()", self.onPlace)
        self.ui.removePlaneButton.connect("clicked()", self.onRemove)
        self.ui.planesVisibleButton.connect("toggled(bool)", self.onVisible)
        for event in (slicer.mrmlScene.NodeAddedEvent, slicer.mrmlScene.NodeRemovedEvent, slicer.mrmlScene.EndBatchProcessEvent):
            self.widget.addObserver(slicer.mrmlScene, event, self.parametersChanged)
        say(self.ui.planesLabel, "")

    def nodes(self) -> list:
        """The scan's plane markups; those that a person made and named after an opening count as well."""
        volume = self._volume()
        if volume is None:
            return []
        for node in nodes_of_class(slicer.mrmlScene, planes.PLANE_CLASS):
            if node.GetAttribute(ROLE) is None:
                try:
                    planes.adopt_plane(node, volume)
                except InputError:
                    continue  # somebody's plane for something else
        return planes.plane_nodes(slicer.mrmlScene, volume)

    def _volume(self):
        """Whose planes they are: the scan, or the copy of it that was analysed because a transform bends the scan."""
        chosen = self.widget.parameterNode.inputVolume if self.widget.parameterNode else None
        shown = self.widget.session.nodes.volume if self.widget.session else None
        if chosen and shown and shown.GetNodeReferenceID(SOURCE) == chosen.GetID():
            return shown
        return chosen

    def nodeIds(self) -> tuple[str, ...]:
        """For the choices of a run; a plane that is not placed yet is none. Those that the program found are looked for anew."""
        placed = [node for node in self.nodes() if node.GetIsPlaneValid()]
        return () if self._areAsFound(placed) else tuple(node.GetID() for node in placed)

    def _areAsFound(self, placed) -> bool:
        """Whether the program found all of these planes, and nobody has moved one since."""
        return all(planes.is_as_found(node) for node in placed)

    def parametersChanged(self, *unused) -> None:
        """Watch the planes that there are now, and say which."""
        if slicer.mrmlScene.IsBatchProcessing():
            return  # nodes that are being loaded, or removed, one after the other; the end of it is told as well
        now = self.nodes()
        if now != self._observed:
            for node, observe in [(n, False) for n in self._observed] + [(n, True) for n in now]:
                self._observe(node, observe)
            self._observed = now
        placed = [node for node in now if node.GetIsPlaneValid()]
        names = ", ".join(node.GetName() for node in placed)
        left_out = _("What lies beyond {names} is left out.").format(names=names) if placed else ""
        if placed and self._areAsFound(placed):
            left_out = _("Found by the program: look at the planes, and move what is wrong. {effect}").format(effect=left_out)
        say(self.ui.planesLabel, self._hint() or left_out)
        self.ui.removePlaneButton.enabled = self._selected() is not None
        self.ui.planesVisibleButton.enabled = bool(now)
        with self.filling():
            self.ui.planesVisibleButton.checked = planes.any_shown(now)

    def _hint(self) -> str:
        """What to do while a plane is placed."""
        node = next((node for node in self._observed if planes.is_placing(slicer.mrmlScene, node)), None)
        if node is None or node.GetIsPlaneValid():
            return ""
        return _("{plane}: click three points on the rim of the opening ({done} of 3 done). Escape gives up.").format(
            plane=planeTitle(node.GetAttribute(planes.PLANE_NAME)), done=node.GetNumberOfDefinedControlPoints()
        )

    def _observe(self, node, observe: bool) -> None:
        change = self.widget.addObserver if observe else self.widget.removeObserver
        for event in (slicer.vtkMRMLMarkupsNode.PointEndInteractionEvent, slicer.vtkMRMLMarkupsNode.PointPositionDefinedEvent):
            change(node, event, self.onMoved)
        change(node, node.DisplayModifiedEvent, self.parametersChanged)

    def _name(self) -> str:
        return self.ui.planeSelector.itemData(self.ui.planeSelector.currentIndex)

    def _selected(self):
        return next((node for node in self._observed if node.GetAttribute(planes.PLANE_NAME) == self._name()), None)

    def onPlace(self) -> None:
        attempt(_("The plane can't be placed."), self._place)

    def _place(self) -> None:
        volume = self._volume()
        if volume is None:
            raise InputError(_("Choose the LGE-MRI volume first."))
        self.widget.editSection.close()  # a click is a brush stroke or a point, not both
        self._giveUp()
        node = planes.add_plane(slicer.mrmlScene, volume, self._name())
        self._replaced = planes.cut_plane(node) if node.GetIsPlaneValid() else None
        planes.show_markups([node], True)
        self._followPlacing(True)
        planes.start_placing(slicer.mrmlScene, node)
        self.parametersChanged()

    def _followPlacing(self, on: bool) -> None:
        """Until the last point is clicked, or the user gives up: Escape, or another mode of the mouse."""
        interaction = slicer.mrmlScene.GetSingletonNode("Singleton", "vtkMRMLInteractionNode")
        if on and interaction is not None and self._placing is None:
            self._placing = interaction
            self.widget.addObserver(interaction, interaction.EndPlacementEvent, self.onPlacementEnded)
            window = slicer.util.mainWindow() or self.ui.planeSelector.window()
            self._escape = qt.QShortcut(qt.QKeySequence("Esc"), window)
            self._escape.connect("activated()", self.stopPlacing)
        elif not on and self._placing is not None:
            self.widget.removeObserver(self._placing, self._placing.EndPlacementEvent, self.onPlacementEnded)
            # Off at once: a shortcut that is deleted later would still compete for Escape with Segment Editor's.
            self._escape.enabled = False
            self._escape.deleteLater()
            self._placing = self._escape = None

    def stopPlacing(self) -> None:
        """Give up the plane that is being placed, if there is one; its node goes."""
        if self._placing is not None:
            planes.stop_placing(slicer.mrmlScene)

    def onPlacementEnded(self, caller=None, event=None) -> None:
        self._followPlacing(False)
        self._tidyTimer.start()

    def onTidy(self) -> None:
        """A plane that was to be placed anew and wasn't lies where it was; one that never lay anywhere goes."""
        volume, replaced, self._replaced = self._volume(), self._replaced, None
        if volume is None:
            return
        given_up = [node.GetAttribute(planes.PLANE_NAME) for node in self.nodes() if not node.GetIsPlaneValid()]
        if replaced is not None and replaced.name in given_up:
            planes.add_plane(slicer.mrmlScene, volume, replaced.name, replaced)
            self.widget.editSection.touch()
        planes.remove_unplaced(slicer.mrmlScene, volume)
        self.parametersChanged()

    def onVisible(self, on: bool) -> None:
        if not self._filling:
            planes.show_markups(self.nodes(), on)

    def sceneCloses(self) -> None:
        self._followPlacing(False)

    def cleanup(self) -> None:
        self._giveUp()
        self._tidyTimer.stop()

    def _giveUp(self) -> None:
        """As `stopPlacing`, and no node is left to take away later."""
        if self._placing is not None:
            self.stopPlacing()
            self.onTidy()

    def onRemove(self) -> None:
        self._giveUp()
        node = self._selected()
        if node is not None:
            remove_node(slicer.mrmlScene, node)
        self.widget.editSection.touch()

    def onMoved(self, caller, event) -> None:
        self.parametersChanged()
        self.widget.editSection.touch()
