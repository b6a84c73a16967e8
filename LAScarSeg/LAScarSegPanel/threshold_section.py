"""The threshold: one number, which Apply takes, and which a rule's result that is shown follows while it is dragged."""

import math

import qt
from slicer.i18n import tr as _

from LAScarSegLib.scene import review
from LAScarSegLib.session.edit_session import set_threshold
from LAScarSegLib.session.made_with import SAME_THRESHOLD, follows
from LAScarSegPanel.section import Section, attempt

SPAN_OF_USUAL = 2.0
"""The slider goes from 0 to this many times the rule's usual number: beyond every published preset."""
STEPS, PAGES = 100, 10
"""At least so many places for the slider, and clicks beside its handle from one end to the other."""


class ThresholdSection(Section):
    """The parameter node holds the number; while the handle is held, the result is ahead of it."""

    def setup(self) -> None:
        self._session = self._threshold = None
        self.ui.thresholdSlider.connect("valueIsChanging(double)", self.onMoved)
        self.ui.thresholdSlider.connect("valueChanged(double)", self.onSet)

    @property
    def _live(self) -> bool:
        """Whether the result follows: it is the chosen rule's, and nobody drew in its scar."""
        node, analysis = self.widget.parameterNode, self.widget.analysis
        return node is not None and analysis is not None and follows(analysis, node.method)

    def resultChanged(self) -> None:
        self.parametersChanged()

    def parametersChanged(self) -> None:
        """A threshold that was chosen elsewhere (preset, method) is shown, by the result as well; a new result brings its own."""
        node, session = self.widget.parameterNode, self.widget.session
        if node is None or self._filling:
            return
        isNew, self._session = session is not self._session, session
        chosen, self._threshold = node.threshold != self._threshold, node.threshold
        if self._live and chosen and not isNew and abs(self._shown - node.threshold) > SAME_THRESHOLD:
            self._change(self._keep, node.threshold)
        if self._live and (chosen or isNew):
            self._threshold = node.threshold = self._shown
        with self.filling():
            self._show()

    @property
    def _shown(self) -> float:
        """The threshold of a result that follows."""
        return self.widget.analysis.sources.scar.parameter

    @property
    def _held(self) -> bool:
        """Whether somebody holds the handle: another range would move it away under the mouse."""
        return self.ui.thresholdSlider.findChild(qt.QSlider).isSliderDown()

    def _show(self) -> None:
        method = self.widget.choicesSection.method()
        if method is None or not method.parameter:
            return
        value = self._shown if self._live else self.widget.parameterNode.threshold
        highest = min(max(SPAN_OF_USUAL * method.default, value), method.highest)
        # 0.01, 0.1 …: with other steps the slider would use more decimals than it shows
        step = 10.0 ** math.floor(math.log10(highest / STEPS))
        if not self._held:
            for name, wanted in (("maximum", highest), ("singleStep", step), ("pageStep", highest / PAGES), ("value", value)):
                if abs(getattr(self.ui.thresholdSlider, name) - wanted) > SAME_THRESHOLD:  # else it would tell of a change
                    setattr(self.ui.thresholdSlider, name, wanted)
        effect = _("Map and numbers follow; the scar segment does when you let go.") if self._live else _("For the next Apply.")
        self.ui.thresholdSlider.toolTip = _("{parameter}; usual: {default:g}. {effect}").format(
            parameter=method.parameter, default=method.default, effect=effect
        )

    def onMoved(self, value: float) -> None:
        if not self._filling and self._live:
            self._change(self._move, value)

    def onSet(self, value: float) -> None:
        node = self.widget.parameterNode
        if not self._filling and node:
            if self._live:
                self._change(self._keep, value)
            self._threshold = node.threshold = self._shown if self._live else value

    def _change(self, change, value: float) -> None:
        with self.filling():
            attempt(_("The threshold can't be changed."), change, value)

    def _move(self, value: float) -> None:
        """Map, table and the mark on the curve; the scar segment waits until the slider is let go."""
        session = self.widget.session
        self.widget.editSection.rebase(set_threshold(session.nodes, session.analysis, value))
        self.widget.resultChanged()

    def _keep(self, value: float) -> None:
        self._move(value)
        session = self.widget.session
        if not self.widget.editSection.pending:  # what was drawn meanwhile is measured first, and the segments follow from that
            session.nodes = review.write_scar(session.nodes, session.analysis)
            self.widget.editSection.written(session.analysis)
