"""Tables of the panel: filled in one way, their long words wrapped, so that the numbers are seen without scrolling."""

import qt

from LAScarSegPanel.section import makeTimer


class FittedTables:
    """Some tables of a section, whose rows are as high as their words need."""

    def __init__(self, *tables, alsoFit=None) -> None:
        """:param alsoFit: called whenever the rows are fitted: for texts that depend on the same width."""
        self._tables = tables
        self._alsoFit = alsoFit
        # A column that says that it is wider does not yet know its new width.
        self._timer = makeTimer(0, self.onFit)
        self._timer.setSingleShot(True)
        for table in tables:
            table.verticalHeader().setVisible(False)
            table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)
            table.horizontalHeader().sectionResized.connect(lambda *unused: self.fitSoon())

    def fill(self, table, heads, rows, wide=0, older=False) -> None:
        """Show rows of texts.

        :param wide: the column that takes the room there is; its words wrap.
        :param older: grey, since they are of another result than the one that is shown.
        """
        table.setColumnCount(len(heads))
        table.setHorizontalHeaderLabels(list(heads))
        table.setRowCount(len(rows))
        ink = qt.QBrush(table.palette.color(qt.QPalette.Disabled if older else qt.QPalette.Active, qt.QPalette.Text))
        for number, row in enumerate(rows):
            for column, text in enumerate(row):
                item = qt.QTableWidgetItem(text)
                item.setForeground(ink)
                table.setItem(number, column, item)
        table.horizontalHeader().setSectionResizeMode(wide, qt.QHeaderView.Stretch)
        self.fitSoon()

    def fitSoon(self) -> None:
        self._timer.start()

    def onFit(self) -> None:
        for table in self._tables:
            table.resizeRowsToContents()
        if self._alsoFit:
            self._alsoFit()

    def cleanup(self) -> None:
        self._timer.stop()
