"""Review: what colours the surface, how solid it is, the distance overlay."""

import weakref

import qt
import slicer
import vtk
from slicer.i18n import tr as _

from LAScarSegLib.scene import layouts, review, views
from LAScarSegLib.scene.segmentation import show_segment
from LAScarSegLib.session.edit_session import has_result, reopen
from LAScarSegPanel.section import Section, attempt


class ReviewSection(Section):
    """Shows and changes how the result looks."""

    def setup(self) -> None:
        self._applied = None
        self._offered = []
        self._seen = weakref.WeakSet()
        self._arranged = False
        layout = layouts.register_layouts(slicer.mrmlScene)
        self.widget.addObserver(layout, vtk.vtkCommand.ModifiedEvent, self._showLayout)
        self.ui.layoutButton.connect("toggled(bool)", self.onLayout)
        self.ui.reopenButton.connect("clicked()", self.onReopen)
        self.ui.scalarSelector.connect("currentIndexChanged(int)", self.onScalar)
        self.resultChanged()

    def resultChanged(self) -> None:
        session = self.widget.session
        for name in ("scalarSelector", "opacitySlider", "overlaySelector", "legendCheckBox"):
            getattr(self.ui, name).enabled = session is not None
        self._showReopen()
        if session is None:
            self._applied = None
            return
        if session not in self._seen:
            self._seen.add(session)
            self._showNew(session)
        with self.filling():
            self._fillScalars(session)
        self.parametersChanged()

    def _showNew(self, session) -> None:
        """The result of an Apply: what it was made from no longer covers it, and the first one gets the windows.

        The eyes of the segments and the layout's button take that back.
        """
        node = self.widget.parameterNode
        if node is not None:
            for segmentation, segmentId in (node.cavitySegmentation, node.cavitySegmentId), (node.wallSegmentation, node.wallSegmentId):
                if segmentation is not session.nodes.segmentation:
                    show_segment(segmentation, segmentId, False)
        if not self._arranged:
            self._arranged = True
            self.onLayout(True)

    def onLayout(self, on: bool) -> None:
        if self._filling:
            return
        if not on:
            layouts.restore_layout(slicer.mrmlScene)
            return
        layouts.show_work_layout(slicer.mrmlScene)
        if self.widget.session:
            views.aim_camera(slicer.mrmlScene, self.widget.session.analysis)

    def _showLayout(self, *unused) -> None:
        """The button is down as long as the windows are arranged so, whoever arranged them."""
        with self.filling():
            self.ui.layoutButton.checked = layouts.in_work_layout(slicer.mrmlScene)

    def _fillScalars(self, session) -> None:
        offered = [(scalar.title, scalar.name) for scalar in review.scalars(session.analysis)]
        if offered != self._offered:
            self._offered = offered
            self.ui.scalarSelector.clear()
            for title, name in offered:
                self.ui.scalarSelector.addItem(title, name)
        shown, names = session.nodes.surface.GetDisplayNode().GetActiveScalarName(), [name for _title, name in offered]
        self.ui.scalarSelector.currentIndex = names.index(shown) if shown in names else -1

    def parametersChanged(self) -> None:
        """Opacity, legend and overlay as the panel says; untouched as long as nobody changes them."""
        self._showReopen()
        node, session = self.widget.parameterNode, self.widget.session
        if node is None or session is None:
            return
        wanted = (session.nodes.surface, node.surfaceOpacity, node.legend, node.overlay)
        if wanted == self._applied:
            return
        self._applied = wanted
        review.set_opacity(session.nodes, node.surfaceOpacity)
        review.set_legend(session.nodes, session.analysis, node.legend)
        review.show_distance(session.nodes, node.overlay.value or None)

    def _showReopen(self) -> None:
        """Offered for a scene that was loaded with its result."""
        node = self.widget.parameterNode
        offered = node is not None and self.widget.session is None and has_result(slicer.mrmlScene, node.inputVolume)
        self.ui.reopenButton.setVisible(offered)

    def onReopen(self) -> None:
        slicer.app.setOverrideCursor(qt.Qt.WaitCursor)
        try:
            scan = self.widget.parameterNode.inputVolume
            # The perturbation range follows beside the windows: it takes most of the time.
            worked, session = attempt(_("The result can't be taken up."), reopen, slicer.mrmlScene, scan, False)
        finally:
            slicer.app.restoreOverrideCursor()
        if worked:
            self._seen.add(session)  # the scene was saved as somebody wanted to see it
            self.widget.setResult(session, withChoices=True)

    def onScalar(self, *unused) -> None:
        session, number = self.widget.session, self.ui.scalarSelector.currentIndex
        if not self._filling and session and number >= 0:
            name = self.ui.scalarSelector.itemData(number)
            attempt(_("The surface can't be coloured so."), review.show_scalar, session.nodes, session.analysis, name)
