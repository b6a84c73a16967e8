"""Veins and gaps: the paths around the veins, their gaps, scar by region, and the planes that the program has found."""

import html

import qt
from slicer.i18n import tr as _

from LAScarSegLib.session import gaps
from LAScarSegPanel.section import Section, attempt, makeTimer, say

POLL_MS = 5
"""While gaps are looked for; as `edit_section.BUSY_POLL_MS`."""


class GapsSection(Section):
    """Shows what session.gaps says."""

    def setup(self) -> None:
        self._session = self._finder = None
        self._older = self._busy = False
        self._points = []
        self._timer = makeTimer(POLL_MS, self.onPoll)
        # A column that says that it is wider does not yet know its new width.
        self._fitTimer = makeTimer(0, self.onFit)
        self._fitTimer.setSingleShot(True)
        self.ui.findGapsButton.connect("clicked()", self.onFind)
        self.ui.takeUpPlanesButton.connect("clicked()", self.onTakeUp)
        self.ui.gapsTable.connect("cellClicked(int,int)", self.onRow)
        for table in (self.ui.gapsTable, self.ui.regionsTable):
            table.verticalHeader().setVisible(False)
            table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)
            table.horizontalHeader().sectionResized.connect(lambda *unused: self._fitTimer.start())
        self.resultChanged()

    def resultChanged(self) -> None:
        session = self.widget.session
        if session is not self._session:
            self._follow(session)
        self._show()

    def _follow(self, session) -> None:
        if self._finder:
            self._finder.close()
        self._session, self._finder = session, gaps.GapFinder(session) if session else None
        self._timer.stop()
        self._fillTables()

    def _show(self) -> None:
        """Button, message and planes; the tables are grey as long as they are of another map."""
        analysis = self.widget.analysis
        if analysis is None:
            say(self.ui.gapsLabel, _("No result yet."))
            say(self.ui.foundPlanesLabel, "")
            self.ui.findGapsButton.enabled = self.ui.takeUpPlanesButton.enabled = False
            return
        state = self._finder.poll()
        if state.changed or state.older != self._older:
            self._older = state.older
            self._fillTables()
        say(self.ui.gapsLabel, state.message)
        reason = gaps.why_not(analysis)
        self.ui.findGapsButton.enabled = not state.busy and not reason
        self.ui.findGapsButton.toolTip = reason or _("Find the path with the least healthy tissue around each vein, and its gaps.")
        self.ui.takeUpPlanesButton.enabled = bool(gaps.proposed_planes(analysis))
        say(self.ui.foundPlanesLabel, "<br>".join(map(html.escape, gaps.planes_words(analysis))))
        self._busy = state.busy

    def _fillTables(self) -> None:
        findings = self._finder.findings if self._finder else None
        rows = gaps.gap_rows(findings) if findings else ()
        self._points = [row.point_lps for row in rows]
        self._fill(self.ui.gapsTable, gaps.GAP_HEADINGS, [row.cells for row in rows])
        self._fill(self.ui.regionsTable, gaps.REGION_HEADINGS, gaps.region_rows(findings) if findings else ())
        say(self.ui.gapsRemarksLabel, "<br>".join(map(html.escape, gaps.remarks(findings))) if findings else "")

    def _fill(self, table, heads, rows) -> None:
        table.setVisible(bool(rows))
        table.setColumnCount(len(heads))
        table.setHorizontalHeaderLabels(list(heads))
        table.setRowCount(len(rows))
        ink = qt.QBrush(table.palette.color(qt.QPalette.Disabled if self._older else qt.QPalette.Active, qt.QPalette.Text))
        for number, row in enumerate(rows):
            for column, text in enumerate(row):
                item = qt.QTableWidgetItem(text)
                item.setForeground(ink)
                table.setItem(number, column, item)
        # What is long wraps, so that the numbers are seen without scrolling.
        table.horizontalHeader().setSectionResizeMode(1 if table is self.ui.gapsTable else 0, qt.QHeaderView.Stretch)
        self._fitTimer.start()

    def onFit(self) -> None:
        """Rows as high as their words need."""
        for table in (self.ui.gapsTable, self.ui.regionsTable):
            table.resizeRowsToContents()

    def onFind(self) -> None:
        self._finder.find()
        self._timer.start()
        self._show()

    def onPoll(self) -> None:
        self._timer.stop()  # else it would fail again while its message is shown, and the messages pile up
        worked, _none = attempt(_("The gaps can't be shown."), self._show)
        if worked and self._finder and self._busy:
            self._timer.start()

    def onRow(self, row: int, column: int) -> None:
        """The views go to the gap."""
        point = self._points[row] if row < len(self._points) else None
        if point is not None and self._session:
            attempt(_("The views can't go there."), self._session.look_at, point)

    def onTakeUp(self) -> None:
        worked, _planes = attempt(_("The planes can't be taken up."), self._session.take_up_planes)
        if worked:
            self.widget.planesSection.parametersChanged()
            self.widget.editSection.touch()

    def sceneCloses(self) -> None:
        self._timer.stop()

    def cleanup(self) -> None:
        self._timer.stop()
        self._fitTimer.stop()
        if self._finder:
            self._finder.close()
            self._session = self._finder = None
