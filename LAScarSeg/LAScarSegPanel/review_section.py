"""Review: what colours the surface, the live threshold, the distance overlay."""

import slicer
from slicer.i18n import tr as _

from LAScarSegPanel.section import Section, attempt


class ReviewSection(Section):
    """Shows and changes how the result looks; the threshold slider changes the result itself."""

    def setup(self) -> None:
        self._showing = False
        self.ui.scalarSelector.connect("currentIndexChanged(int)", self.onScalar)
        self.ui.thresholdSlider.connect("valueIsChanging(double)", self.onThresholdMoves)
        self.ui.thresholdSlider.connect("valueChanged(double)", self.onThresholdSet)
        self.resultChanged()

    def resultChanged(self) -> None:
        session = self.widget.session
        for name in ("scalarSelector", "thresholdSlider", "opacitySlider", "overlaySelector", "legendCheckBox"):
            getattr(self.ui, name).enabled = session is not None
        if session is None:
            return
        from LAScarSegLib.presenter import review

        self._showing = True
        try:
            current = self.ui.scalarSelector.itemData(self.ui.scalarSelector.currentIndex)
            self.ui.scalarSelector.clear()
            for title, name in review.scalars(session.nodes):
                self.ui.scalarSelector.addItem(title, name)
            shown = current or review.shown_scalar(session.nodes)
            entries = [self.ui.scalarSelector.itemData(number) for number in range(self.ui.scalarSelector.count)]
            self.ui.scalarSelector.currentIndex = entries.index(shown) if shown in entries else -1
            self._showThreshold()
        finally:
            self._showing = False
        self.parametersChanged()

    def _showThreshold(self) -> None:
        from LAScarSegLib.presenter import review

        span = review.threshold_range(self.widget.analysis)
        self.ui.thresholdSlider.setVisible(span is not None)
        self.ui.liveThresholdLabel.setVisible(span is not None)
        if span is not None:
            self.ui.thresholdSlider.minimum, self.ui.thresholdSlider.maximum, self.ui.thresholdSlider.singleStep = span
            self.ui.thresholdSlider.value = self.widget.analysis.method.parameter

    def parametersChanged(self) -> None:
        node, session = self.widget.parameterNode, self.widget.session
        if node is None or session is None:
            return
        from LAScarSegLib.presenter import review

        review.set_opacity(session.nodes, node.surfaceOpacity)
        review.show_legend(slicer.mrmlScene, session.nodes, node.legend)
        review.show_overlay(slicer.mrmlScene, session.nodes, node.overlay.value or None)

    def onScalar(self, *unused) -> None:
        from LAScarSegLib.presenter import review

        if not self._showing and self.widget.session and self.ui.scalarSelector.currentIndex >= 0:
            review.show_scalar(self.widget.session.nodes, self.ui.scalarSelector.itemData(self.ui.scalarSelector.currentIndex))

    def onThresholdMoves(self, value: float) -> None:
        self._setThreshold(value, released=False)

    def onThresholdSet(self, value: float) -> None:
        self._setThreshold(value, released=True)

    def _setThreshold(self, value: float, released: bool) -> None:
        session = self.widget.session
        if self._showing or session is None:
            return
        worked, _none = attempt(_("The threshold can't be changed."), session.set_threshold, value, released)
        if worked:
            self._showing = True
            try:
                self.widget.resultChanged()
            finally:
                self._showing = False
