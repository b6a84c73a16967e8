"""Measurements: the headline, the table, the flags in words, the threshold curve, two results side by side."""

import html

import qt

import slicer
from slicer.i18n import tr as _

from LAScarSegPanel.section import Section, say


class MeasurementsSection(Section):
    """Shows what presenter.numbers says."""

    def setup(self) -> None:
        self._kept = None
        self.ui.showCurveButton.connect("clicked()", self.onShowCurve)
        self.ui.keepButton.connect("toggled(bool)", self.onKeep)
        self.ui.measurementsTable.verticalHeader().setVisible(False)
        self.ui.measurementsTable.horizontalHeader().setStretchLastSection(True)
        self.resultChanged()

    def resultChanged(self) -> None:
        analysis = self.widget.analysis
        self.ui.showCurveButton.enabled = analysis is not None
        self.ui.keepButton.enabled = analysis is not None
        if analysis is None:
            say(self.ui.headlineLabel, _("No result yet."))
            say(self.ui.flagsLabel, "")
            self.ui.measurementsTable.setVisible(False)
            return
        from LAScarSegLib.presenter import numbers

        headline, method = html.escape(numbers.headline(analysis)), html.escape(numbers.method_line(analysis))
        say(self.ui.headlineLabel, f"<b>{headline}</b><br>{method}")
        self._showRows(analysis, numbers)

    def _showRows(self, analysis, numbers) -> None:
        from LAScarSegLib.errors import InputError

        remarks = [f"<b>{flag.severity}: {html.escape(flag.title)}.</b> {html.escape(flag.message)}" for flag in numbers.flags(analysis)]
        heads = [_("Measurement"), _("Value"), _("Unit"), _("Range")]
        rows = [(row.label, row.value, row.unit, row.range) for row in numbers.rows(analysis)]
        if self._kept is not None:
            try:
                comparison = numbers.compare(self._kept, analysis)
                heads, rows = list(comparison.headings), comparison.rows
                remarks = [*map(html.escape, comparison.remarks), *remarks]
            except InputError as error:
                remarks = [html.escape(str(error)), *remarks]
        say(self.ui.flagsLabel, "".join(f"<p>{remark}</p>" for remark in remarks))
        table = self.ui.measurementsTable
        table.setVisible(True)
        table.setColumnCount(len(heads))
        table.setHorizontalHeaderLabels(heads)
        table.setRowCount(len(rows))
        for number, row in enumerate(rows):
            for column, text in enumerate(row):
                table.setItem(number, column, qt.QTableWidgetItem(text))
        table.resizeColumnsToContents()

    def onKeep(self, on: bool) -> None:
        self._kept = self.widget.analysis if on else None
        self.resultChanged()

    def onShowCurve(self) -> None:
        slicer.modules.plots.logic().ShowChartInLayout(self.widget.session.nodes.curve_chart)
