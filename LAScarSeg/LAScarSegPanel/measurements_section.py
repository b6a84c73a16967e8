"""Measurements: the headline, the table, the flags in words, the threshold curve, two results side by side."""

import html

import slicer
from slicer.i18n import tr as _

from LAScarSegLib.errors import InputError
from LAScarSegLib.scene import layouts
from LAScarSegLib.session import measurements_page as page
from LAScarSegLib.session.compare import KeptResult
from LAScarSegLib.session.input_segments import InputSegments
from LAScarSegLib.session.made_with import older_than
from LAScarSegPanel.section import Section, say
from LAScarSegPanel.tables import FittedTables


class MeasurementsSection(Section):
    """Shows what session.measurements_page says."""

    def setup(self) -> None:
        self._kept = None
        self.ui.showCurveButton.connect("clicked()", self.onShowCurve)
        self.ui.keepButton.connect("toggled(bool)", self.onKeep)
        self._tables = FittedTables(self.ui.measurementsTable, alsoFit=self._fitTexts)
        self._older = ""
        self._inputs = InputSegments(slicer.mrmlScene)
        self.resultChanged()

    @property
    def kept(self):
        """The result (session.compare.KeptResult) that somebody keeps to compare with; None without."""
        return self._kept

    def _fitTexts(self) -> None:
        """Texts as high as their words need at this width: the panel's layout asks wrapped texts too late."""
        for label in (self.ui.olderLabel, self.ui.headlineLabel, self.ui.flagsLabel):
            before, label.minimumHeight = label.minimumHeight, 0  # else Qt answers with no less
            label.minimumHeight = label.heightForWidth(label.width) if label.text else 0
            if label.minimumHeight != before:
                self._tables.fitSoon()  # a text that was just shown may not have its width yet

    def parametersChanged(self) -> None:
        if self._olderText() != self._older:
            self.resultChanged()

    def _olderText(self) -> str:
        session, made = self.widget.session, self.widget.madeWith()
        if made is None:
            return ""
        redrawn = self._inputs.redrawn(session.nodes, session.analysis)
        return older_than(session.analysis, made, self.widget.choicesSection.choices(), redrawn)

    def resultChanged(self) -> None:
        analysis, self._older = self.widget.analysis, self._olderText()
        say(self.ui.olderLabel, self._older)
        self.ui.headlineLabel.enabled = not self._older
        self._tables.fitSoon()
        self.ui.showCurveButton.enabled = analysis is not None
        self.ui.keepButton.enabled = analysis is not None
        if analysis is None:
            say(self.ui.headlineLabel, _("No result yet."))
            say(self.ui.flagsLabel, "")
            self.ui.measurementsTable.setVisible(False)
            return
        scan = self.widget.session.nodes.volume.GetName()
        headline, method = html.escape(page.headline(analysis)), html.escape(f"{scan}: {page.method_line(analysis)}")
        unknown = html.escape(page.unknown_line(analysis))
        lines = [f"<b>{headline}</b>", *filter(None, [unknown]), method, html.escape(page.cavity_line(analysis))]
        say(self.ui.headlineLabel, "<br>".join(lines))
        self._showRows(analysis)

    def _showRows(self, analysis) -> None:
        remarks = [f"<b>{flag.heading}: {html.escape(flag.title)}.</b> {html.escape(flag.message)}" for flag in page.flags(analysis)]
        heads = [_("Measurement"), _("Value"), _("Range")]
        rows = [(row.label, f"{row.value} {row.unit}".strip(), row.range) for row in page.rows(analysis)]
        if self._kept is not None:
            heads, rows, compared = self._comparison(analysis, heads, rows)
            remarks = [*map(html.escape, compared), *remarks]
        say(self.ui.flagsLabel, "".join(f"<p>{remark}</p>" for remark in remarks))
        self._fillTable(heads, rows)

    def _comparison(self, analysis, heads, rows):
        """The kept result and this one side by side, and what to bear in mind; as it was when they are of different scans."""
        try:
            comparison = page.compare(self._kept.analysis, analysis)
        except InputError as error:
            return heads, rows, [str(error)]
        methods = _("Kept: {kept}. Now: {now}.").format(kept=comparison.headings[1], now=comparison.headings[2])
        heads = [comparison.headings[0], _("Kept"), _("Now"), comparison.headings[3]]
        rows = [(f"{label}, {unit}" if unit else label, kept, now, change) for label, kept, now, change, unit in comparison.rows]
        return heads, rows, [methods, *comparison.remarks]

    def _fillTable(self, heads, rows) -> None:
        self.ui.measurementsTable.setVisible(True)
        self._tables.fill(self.ui.measurementsTable, heads, rows, older=bool(self._older))

    def cleanup(self) -> None:
        self._tables.cleanup()

    def onKeep(self, on: bool) -> None:
        session = self.widget.session
        self._kept = KeptResult(session.analysis, session.nodes.volume) if on and session else None
        self.resultChanged()
        self.widget.compareSection.resultChanged()

    def onShowCurve(self) -> None:
        chart = self.widget.session.nodes.curve_chart
        if not layouts.show_curve(slicer.mrmlScene, chart):
            slicer.modules.plots.logic().ShowChartInLayout(chart)
