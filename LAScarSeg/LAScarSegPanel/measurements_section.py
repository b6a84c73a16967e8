"""Measurements: the headline, the table, the flags in words, the threshold curve, two results side by side."""

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

        say(self.ui.headlineLabel, f"<b>{numbers.headline(analysis)}</b>")
        say(self.ui.flagsLabel, "".join(f"<p>{words}</p>" for words in numbers.flags(analysis)))
        self._showRows()

    def _showRows(self) -> None:
        from LAScarSegLib.presenter import numbers

        analysis = self.widget.analysis
        if self._kept is None:
            heads = [_("Measurement"), _("Value"), _("Range")]
            rows = [(row.label, row.text, row.range_text) for row in numbers.rows(analysis)]
        else:
            heads = [_("Measurement"), _("Now"), _("Kept")]
            rows = [(row.label, *row.values) for row in numbers.compare(analysis, self._kept)]
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
