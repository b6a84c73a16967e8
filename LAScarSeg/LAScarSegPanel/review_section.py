"""Review: what colours the surface, the live threshold, the distance overlay."""

import math

import qt
import slicer
from slicer.i18n import tr as _

from LAScarSegLib.scene import review
from LAScarSegLib.session.edit_session import has_result, reopen, set_threshold, why_no_threshold
from LAScarSegPanel.section import Section, attempt

SPAN_OF_USUAL = 2.0
"""The threshold slider goes from 0 to this many times the rule's usual number: beyond every published preset."""
STEPS = 100
"""At least so many places for the slider."""
SAME = 1e-9


class ReviewSection(Section):
    """Shows and changes how the result looks; the threshold slider changes the result itself."""

    def setup(self) -> None:
        self._applied = None
        self._offered = []
        self.ui.reopenButton.connect("clicked()", self.onReopen)
        self.ui.scalarSelector.connect("currentIndexChanged(int)", self.onScalar)
        self.ui.thresholdSlider.connect("valueIsChanging(double)", lambda value: self.onThreshold(self._setThreshold, value))
        self.ui.thresholdSlider.connect("valueChanged(double)", lambda value: self.onThreshold(self._keepThreshold, value))
        self.resultChanged()

    def resultChanged(self) -> None:
        session = self.widget.session
        for name in ("scalarSelector", "thresholdSlider", "opacitySlider", "overlaySelector", "legendCheckBox"):
            getattr(self.ui, name).enabled = session is not None
        self._showReopen()
        if session is None:
            self._applied = None
            return
        with self.filling():
            self._fillScalars(session)
            self._showThreshold(session.analysis)
        self.parametersChanged()

    def _fillScalars(self, session) -> None:
        offered = [(scalar.title, scalar.name) for scalar in review.scalars(session.analysis)]
        if offered != self._offered:
            self._offered = offered
            self.ui.scalarSelector.clear()
            for title, name in offered:
                self.ui.scalarSelector.addItem(title, name)
        shown, names = session.nodes.surface.GetDisplayNode().GetActiveScalarName(), [name for _title, name in offered]
        self.ui.scalarSelector.currentIndex = names.index(shown) if shown in names else -1

    def _showThreshold(self, analysis) -> None:
        reason = why_no_threshold(analysis)
        self.ui.thresholdSlider.enabled = not reason
        self.ui.thresholdSlider.toolTip = reason or _(
            "Drag: the scar map and the numbers follow. The scar segment follows when you let go."
        )
        if not reason:
            rule, value = analysis.sources.scar.rule, analysis.sources.scar.parameter
            highest = min(max(SPAN_OF_USUAL * rule.default, value), rule.highest)
            # 0.01, 0.1 …: with other steps the slider would use more decimals than it shows
            step = 10.0 ** math.floor(math.log10(highest / STEPS))
            for name, wanted in (("maximum", highest), ("singleStep", step), ("value", value)):
                if abs(getattr(self.ui.thresholdSlider, name) - wanted) > SAME:  # a slider that is being dragged is left alone
                    setattr(self.ui.thresholdSlider, name, wanted)

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
        review.set_legend(session.nodes, node.legend)
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
            self.widget.setResult(session)

    def onScalar(self, *unused) -> None:
        session, number = self.widget.session, self.ui.scalarSelector.currentIndex
        if not self._filling and session and number >= 0:
            name = self.ui.scalarSelector.itemData(number)
            attempt(_("The surface can't be coloured so."), review.show_scalar, session.nodes, session.analysis, name)

    def onThreshold(self, change, value: float) -> None:
        if not self._filling and self.widget.session:
            attempt(_("The threshold can't be changed."), change, value)

    def _setThreshold(self, value: float) -> None:
        """Map, table and the mark on the curve; the scar segment waits until the slider is let go."""
        session = self.widget.session
        self.widget.editSection.rebase(set_threshold(session.nodes, session.analysis, value))
        with self.filling():
            self.widget.resultChanged()

    def _keepThreshold(self, value: float) -> None:
        self._setThreshold(value)
        session, node = self.widget.session, self.widget.parameterNode
        if not self.widget.editSection.pending:  # what was drawn meanwhile is measured first, and the segments follow from that
            session.nodes = review.write_scar(session.nodes, session.analysis)
            self.widget.editSection.written(session.analysis)
        if node.method == session.analysis.method.name:
            node.threshold = value  # Apply would give what is shown
