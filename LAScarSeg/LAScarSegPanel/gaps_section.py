"""Veins and gaps: the paths around the veins and the bands they may run in, their gaps, scar by region, and the planes that were found."""

import html

import slicer
from slicer.i18n import tr as _

from LAScarSegLib.session import gaps
from LAScarSegLib.session.choices import bands_text, known_scheme, read_bands, region_schemes
from LAScarSegLib.surface.band_reach import LEAST_BAND_MM, MOST_BAND_MM, MOST_INSIDE_MM, BandReach
from LAScarSegLib.surface.region_schemes import USUAL_SCHEME
from LAScarSegPanel.section import Section, attempt, makeTimer, say
from LAScarSegPanel.tables import FittedTables

POLL_MS = 5
"""While gaps are looked for; as `edit_section.BUSY_POLL_MS`."""


class GapsSection(Section):
    """Shows what session.gaps says."""

    def setup(self) -> None:
        self._session = self._finder = None
        self._older = False
        self._points = []
        self._names = None
        self._timer = makeTimer(POLL_MS, self.onPoll)
        self._tables = FittedTables(self.ui.gapsTable, self.ui.regionsTable)
        self.ui.findGapsButton.connect("clicked()", self.onFind)
        self.ui.takeUpPlanesButton.connect("clicked()", self.onTakeUp)
        self.ui.gapsTable.connect("cellClicked(int,int)", self.onRow)
        self.ui.bandOutsideBox.setRange(LEAST_BAND_MM, MOST_BAND_MM)
        self.ui.bandInsideBox.setRange(0.0, MOST_INSIDE_MM)
        self.ui.bandSelector.connect("currentIndexChanged(int)", self.onBandSelected)
        self.ui.bandOutsideBox.connect("valueChanged(double)", self.onOutside)
        self.ui.bandInsideBox.connect("valueChanged(double)", self.onInside)
        self.ui.showBandCheckBox.connect("toggled(bool)", self.onShowBand)
        self.ui.usualBandButton.connect("clicked()", self.onUsualBand)
        with self.filling():
            for key, title in region_schemes():
                self.ui.schemeSelector.addItem(title, key)
        self.ui.schemeSelector.connect("currentIndexChanged(int)", self.onScheme)
        self.resultChanged()

    def resultChanged(self) -> None:
        session = self.widget.session
        if session is not self._session:
            self._follow(session)
        self._show()
        self._showBands()

    def parametersChanged(self) -> None:
        """Bands that were chosen elsewhere (a scene that was loaded, another scan's result) are shown, by the result as well."""
        node, analysis = self.widget.parameterNode, self.widget.analysis
        if node is None or self._filling:
            return
        chosen = read_bands(node.bands), known_scheme(node.regions)
        if analysis is not None and self.widget.session is self._session and chosen != _settingsOf(analysis):
            self._change(*chosen)
        self._showBands()

    def _follow(self, session) -> None:
        """Another result brings its own bands."""
        if self._finder:
            self._finder.close()
        self._session, self._finder = session, gaps.GapFinder(session) if session else None
        self._timer.stop()
        self._fillTables()
        with self.filling():
            self.ui.showBandCheckBox.checked = False
            if session and self.widget.parameterNode:
                self._keep(*_settingsOf(session.analysis))

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
        if state.busy:
            self._timer.start()

    def _fillTables(self) -> None:
        findings = self._finder.findings if self._finder else None
        rows = gaps.gap_rows(findings) if findings else ()
        self._points = [row.point_lps for row in rows]
        self._fill(self.ui.gapsTable, gaps.GAP_HEADINGS, [row.cells for row in rows], 1)
        self._fill(self.ui.regionsTable, gaps.REGION_HEADINGS, gaps.region_rows(findings) if findings else (), 0)
        say(self.ui.gapsRemarksLabel, "<br>".join(map(html.escape, gaps.remarks(findings))) if findings else "")

    def _fill(self, table, heads, rows, wide: int) -> None:
        table.setVisible(bool(rows))
        self._tables.fill(table, heads, rows, wide, self._older)

    def _showBands(self) -> None:
        """Whose bands can be edited, and how far the chosen one reaches."""
        analysis = self.widget.analysis
        names = gaps.band_names(analysis) if analysis else ()
        with self.filling():
            if names != self._names:
                self._names = names
                chosen = self._around
                self.ui.bandSelector.clear()
                for title, name in ((_("all veins and pairs"), ""), *((name, name) for name in names)):
                    self.ui.bandSelector.addItem(title, name)
                self.ui.bandSelector.currentIndex = names.index(chosen) + 1 if chosen in names else 0
            for name in ("bandSelector", "bandOutsideBox", "bandInsideBox", "showBandCheckBox", "schemeSelector"):
                getattr(self.ui, name).enabled = bool(names)
            reach, scheme = _settingsOf(analysis) if analysis else (BandReach(), USUAL_SCHEME)
            self.ui.schemeSelector.currentIndex = next(
                n for n in range(self.ui.schemeSelector.count) if self.ui.schemeSelector.itemData(n) == scheme
            )
            self.ui.usualBandButton.enabled = bool(names) and reach != BandReach()
            own = dict(reach.own_mm)
            for number, name in enumerate(names, 1):
                self.ui.bandSelector.setItemText(number, _("{name} (its own)").format(name=name) if name in own else name)
            for box, value in ((self.ui.bandOutsideBox, reach.of(self._around)), (self.ui.bandInsideBox, reach.inside_mm)):
                if box.value != value:
                    box.value = value

    @property
    def _around(self) -> str:
        """Whose band is edited; "" for all."""
        number = self.ui.bandSelector.currentIndex
        return self.ui.bandSelector.itemData(number) if number > 0 else ""

    def onBandSelected(self, *unused) -> None:
        if not self._filling and self._session:
            self._showBands()
            self._outline()

    def onOutside(self, value: float) -> None:
        if not self._filling and self._session:
            self._choose(self._session.analysis.settings.bands.with_band(self._around, value))

    def onInside(self, value: float) -> None:
        if not self._filling and self._session:
            self._choose(self._session.analysis.settings.bands.with_inside(value))

    def onUsualBand(self) -> None:
        if self._session:
            self._choose(BandReach())

    def _choose(self, reach) -> None:
        """What somebody edits is shown on the surface."""
        with self.filling():
            self.ui.showBandCheckBox.checked = True
        self._outline()
        self._change(reach, self._session.analysis.settings.regions)

    def onScheme(self, *unused) -> None:
        if not self._filling and self._session and self.ui.schemeSelector.currentIndex >= 0:
            self._change(self._session.analysis.settings.bands, self.ui.schemeSelector.itemData(self.ui.schemeSelector.currentIndex))

    def _keep(self, reach, scheme: str) -> None:
        """In the parameter node, for the next Apply."""
        with self.filling(), slicer.util.NodeModify(self.widget.parameterNode):
            self.widget.parameterNode.bands, self.widget.parameterNode.regions = bands_text(reach), scheme

    def _change(self, reach, scheme: str) -> None:
        """The result has these bands and this scheme, and its regions and gaps are looked for anew."""
        self._keep(reach, scheme)
        worked, analysis = attempt(_("Bands and regions can't be changed."), self._session.with_findings_settings, reach, scheme)
        if worked:
            self.widget.editSection.rebase(analysis)
            self._finder.find()
        else:
            self._keep(*_settingsOf(self._session.analysis))
        self.widget.resultChanged()

    def onShowBand(self, *unused) -> None:
        if not self._filling and self._session:
            self._outline()

    def _outline(self) -> None:
        shown = self._around if self.ui.showBandCheckBox.checked else None
        attempt(_("The band can't be shown."), self._finder.show_band, shown)
        self._show()

    def onFind(self) -> None:
        self._finder.find()
        self._show()

    def onPoll(self) -> None:
        self._timer.stop()  # else it would fail again while its message is shown, and the messages pile up
        attempt(_("The gaps can't be shown."), self._show)

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
        self._tables.cleanup()
        if self._finder:
            self._finder.close()
            self._session = self._finder = None


def _settingsOf(analysis) -> tuple:
    """Bands and scheme of regions that a result has."""
    return analysis.settings.bands, analysis.settings.regions
