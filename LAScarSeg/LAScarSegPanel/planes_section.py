"""Mitral plane and vein cut planes: placed and dragged as markups, followed by the result."""

import slicer
from slicer.i18n import tr as _

from LAScarSegLib.errors import InputError
from LAScarSegLib.scene import plane_markups as planes
from LAScarSegLib.scene.mrml import ROLE, SOURCE, nodes_of_class, remove_node
from LAScarSegLib.surface.planes import PLANE_NAMES
from LAScarSegPanel.section import Section, attempt, say


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
        for name in PLANE_NAMES:
            self.ui.planeSelector.addItem(planeTitle(name), name)
        self.ui.planeSelector.connect("currentIndexChanged(int)", self.parametersChanged)
        self.ui.placePlaneButton.connect("clicked()", self.onPlace)
        self.ui.removePlaneButton.connect("clicked()", self.onRemove)
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
        """For the choices of a run; a plane that is not placed yet is none."""
        return tuple(node.GetID() for node in self.nodes() if node.GetIsPlaneValid())

    def parametersChanged(self, *unused) -> None:
        """Watch the planes that there are now, and say which."""
        if slicer.mrmlScene.IsBatchProcessing():
            return  # nodes that are being loaded, or removed, one after the other; the end of it is told as well
        now = self.nodes()
        if now != self._observed:
            for node, observe in [(n, False) for n in self._observed] + [(n, True) for n in now]:
                self._observe(node, observe)
            self._observed = now
        placed = ", ".join(node.GetName() for node in now if node.GetIsPlaneValid())
        say(self.ui.planesLabel, _("What lies beyond {names} is left out.").format(names=placed) if placed else "")
        self.ui.removePlaneButton.enabled = self._selected() is not None

    def _observe(self, node, observe: bool) -> None:
        change = self.widget.addObserver if observe else self.widget.removeObserver
        for event in (slicer.vtkMRMLMarkupsNode.PointEndInteractionEvent, slicer.vtkMRMLMarkupsNode.PointPositionDefinedEvent):
            change(node, event, self.onMoved)

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
        planes.start_placing(slicer.mrmlScene, planes.add_plane(slicer.mrmlScene, volume, self._name()))

    def onRemove(self) -> None:
        remove_node(slicer.mrmlScene, self._selected())
        self.widget.editSection.touch()

    def onMoved(self, caller, event) -> None:
        self.parametersChanged()
        self.widget.editSection.touch()
