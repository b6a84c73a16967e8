"""Measurements: the headline, the table, the flags in words, the threshold curve, two results side by side."""

import html

import qt
import slicer
from slicer.i18n import tr as _

from LAScarSegLib.errors import InputError
from LAScarSegLib.session import measurements_page as page
from LAScarSegPanel.section import Section, makeTimer, say


class MeasurementsSection(Section):
    """Shows what session.measurements_page says."""

    def setup(self) -> None:
        self._kept = None
        self.ui.showCurveButton.connect("clicked()", self.onShowCurve)
        self.ui.keepButton.connect("toggled(bool)", self.onKeep)
        self.ui.measurementsTable.verticalHeader().setVisible(False)
        header = self.ui.measurementsTable.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        # A wider column needs fewer lines for its long names; when it says so it does not yet know its new width.
        self._rowsTimer = makeTimer(0, lambda: self.ui.measurementsTable.resizeRowsToContents())
        self._rowsTimer.setSingleShot(True)
        header.sectionResized.connect(lambda *unused: self._rowsTimer.start())
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
        scan = self.widget.session.nodes.volume.GetName()
        headline, method = html.escape(page.headline(analysis)), html.escape(f"{scan}: {page.method_line(analysis)}")
        say(self.ui.headlineLabel, f"<b>{headline}</b><br>{method}<br>{html.escape(page.cavity_line(analysis))}")
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
            comparison = page.compare(self._kept, analysis)
        except InputError as error:
            return heads, rows, [str(error)]
        methods = _("Kept: {kept}. Now: {now}.").format(kept=comparison.headings[1], now=comparison.headings[2])
        heads = [comparison.headings[0], _("Kept"), _("Now"), comparison.headings[3]]
        rows = [(f"{label}, {unit}" if unit else label, kept, now, change) for label, kept, now, change, unit in comparison.rows]
        return heads, rows, [methods, *comparison.remarks]

    def _fillTable(self, heads, rows) -> None:
        """Long names wrap in the first column, so that the numbers are seen without scrolling."""
        table = self.ui.measurementsTable
        table.setVisible(True)
        table.setColumnCount(len(heads))
        table.setHorizontalHeaderLabels(heads)
        table.setRowCount(len(rows))
        for number, row in enumerate(rows):
            for column, text in enumerate(row):
                table.setItem(number, column, qt.QTableWidgetItem(text))
        table.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.Stretch)
        self._rowsTimer.start()

    def cleanup(self) -> None:
        self._rowsTimer.stop()

    def onKeep(self, on: bool) -> None:
        self._kept = self.widget.analysis if on else None
        self.resultChanged()

    def onShowCurve(self) -> None:
        slicer.modules.plots.logic().ShowChartInLayout(self.widget.session.nodes.curve_chart)
