"""Compare: two results of the scene, before and after or by two methods, with the map of what changed."""

import html

import slicer
from slicer.i18n import tr as _

from LAScarSegLib.jobs.compare import HowToCompare
from LAScarSegLib.session import compare
from LAScarSegPanel.section import Section, attempt, makeTimer, say
from LAScarSegPanel.tables import FittedTables

POLL_MS = 5
"""While it compares; as `edit_section.BUSY_POLL_MS`."""
SETTLED_MS = 100
"""As `choices_section.SETTLED_MS`."""
BEFORE_AFTER, SAME_SCAN = 0, 1
"""Places in the list of ways to compare."""


class CompareSection(Section):
    """Shows what session.compare says."""

    def setup(self) -> None:
        self._comparer = None
        self._choices = self._suggestedFor = ()
        self._older = False
        self._timer = makeTimer(POLL_MS, self.onPoll)
        # A result's nodes come one after the other, and its table says last of what it is.
        self._settledTimer = makeTimer(SETTLED_MS, self.onSettled)
        self._settledTimer.setSingleShot(True)
        for event in (slicer.mrmlScene.NodeAddedEvent, slicer.mrmlScene.NodeRemovedEvent):
            self.widget.addObserver(slicer.mrmlScene, event, lambda *unused: self._settledTimer.start())
        self._tables = FittedTables(self.ui.compareTable, self.ui.compareGapsTable)
        self._selectors = self.ui.compareASelector, self.ui.compareBSelector
        with self.filling():
            for title in (_("before and after: B is moved to lie on A"), _("two methods of one scan")):
                self.ui.compareHowSelector.addItem(title, title)
        for selector in self._selectors:
            selector.connect("currentIndexChanged(int)", self.onSelected)
        self.ui.compareHowSelector.connect("currentIndexChanged(int)", self.onHow)
        self.ui.compareButton.connect("clicked()", self.onCompare)
        self.ui.compareForceButton.connect("clicked()", self.onForce)
        self.ui.showChangesCheckBox.connect("toggled(bool)", self.onShowChanges)
        self._showNumbers()
        self.resultChanged()

    @property
    def comparer(self):
        """Made at the first look: opening the module does not wait for it."""
        if self._comparer is None:
            self._comparer = compare.ResultComparer(slicer.mrmlScene)
        return self._comparer

    @property
    def _kept(self):
        return self.widget.measurementsSection.kept

    def resultChanged(self) -> None:
        self._fillLists()
        self._show()

    def parametersChanged(self) -> None:
        self._fillLists()
        self._show()

    def enter(self) -> None:
        self.parametersChanged()

    def onSettled(self) -> None:
        """A script or a loaded scene may have brought a result, or somebody took one away."""
        if slicer.mrmlScene.IsBatchProcessing():
            self._settledTimer.start()
        else:
            self.resultChanged()

    def _fillLists(self) -> None:
        """The results that there are now; what was chosen stays chosen, and in the beginning B is another one than A."""
        choices = self.comparer.choices(self._kept)
        if choices == self._choices:
            return
        chosen, self._choices = self._chosen, choices
        keys = [choice.key for choice in choices]
        with self.filling():
            for number, (selector, key) in enumerate(zip(self._selectors, chosen)):
                selector.clear()
                for choice in choices:
                    selector.addItem(choice.title, choice.key)
                selector.currentIndex = keys.index(key) if key in keys else min(number, len(keys) - 1)
            a, b = self._selectors
            if a.currentIndex == b.currentIndex and len(keys) > 1:
                b.currentIndex = 1 if a.currentIndex == 0 else 0
        self._suggestHow()

    @property
    def _chosen(self) -> tuple:
        """The keys of A and B; "" where there is none."""
        return tuple(selector.itemData(selector.currentIndex) if selector.currentIndex >= 0 else "" for selector in self._selectors)

    def _suggestHow(self) -> None:
        """Two results of one scan are not moved; who knows better chooses the other way."""
        if len(self._choices) > 1 and self._chosen != self._suggestedFor:
            self._suggestedFor = self._chosen
            with self.filling():
                self.ui.compareHowSelector.currentIndex = (
                    SAME_SCAN if self.comparer.are_of_one_scan(*self._chosen, self._kept) else BEFORE_AFTER
                )

    def _show(self) -> None:
        state = self.comparer.poll(self._kept)
        if state.changed or state.older != self._older:
            self._older = state.older
            self._showNumbers()
        reason = self.comparer.why_not(*self._chosen, self._kept)
        say(self.ui.compareLabel, state.message or (reason if self.comparer.compared is None else ""))
        self.ui.compareButton.text = _("Cancel") if state.busy else _("Compare")
        self.ui.compareButton.enabled = state.busy or not reason
        self.ui.compareButton.toolTip = reason or _("Compare where the two results have scar.")
        self.ui.compareForceButton.setVisible(state.refused and not state.busy)
        isMoved = self.ui.compareHowSelector.currentIndex == BEFORE_AFTER
        self.ui.compareSmoothCheckBox.enabled = isMoved
        self._showMapState()
        if state.busy:
            self._timer.start()

    def _showMapState(self) -> None:
        node = self.comparer.map_node
        self.ui.showChangesCheckBox.setVisible(node is not None)
        with self.filling():
            self.ui.showChangesCheckBox.checked = node is not None and bool(node.GetDisplayNode().GetVisibility())

    def _showNumbers(self) -> None:
        compared = self.comparer.compared
        self._fill(self.ui.compareTable, compare.HEADINGS, compare.rows(compared) if compared else (), 0)
        gaps = (compare.gap_headings(compared), compare.gap_rows(compared)) if compared else ((), ())
        self._fill(self.ui.compareGapsTable, *gaps, 3)
        say(self.ui.compareHeadlineLabel, f"<b>{html.escape(compared.headline)}</b>" if compared else "")
        self.ui.compareHeadlineLabel.enabled = not self._older
        remarks = [
            f"<b>{html.escape(heading)}.</b> {html.escape(text)}" for heading, text in (compare.remarks(compared) if compared else ())
        ]
        words = [*map(html.escape, compare.words(compared)), *remarks] if compared else []
        say(self.ui.compareWordsLabel, "".join(f"<p>{line}</p>" for line in words))

    def _fill(self, table, heads, rows, wide: int) -> None:
        table.setVisible(bool(rows))
        if rows:
            self._tables.fill(table, heads, rows, wide, self._older)
        else:
            table.setRowCount(0)

    def onSelected(self, *unused) -> None:
        if not self._filling:
            self._suggestHow()
            self.onHow()

    def onHow(self, *unused) -> None:
        if not self._filling:
            self.comparer.forget_refusal()
            self._show()

    def onCompare(self) -> None:
        if self.comparer.busy:
            self.comparer.cancel()
            self._timer.stop()
            self._show()
        else:
            self._start(force=False)

    def onForce(self) -> None:
        self._start(force=True)

    def _start(self, force: bool) -> None:
        sameScan = self.ui.compareHowSelector.currentIndex == SAME_SCAN
        how = HowToCompare(same_scan=sameScan, smooth=self.ui.compareSmoothCheckBox.checked and not sameScan, force_different=force)
        attempt(_("The results can't be compared."), self.comparer.start, *self._chosen, how, self._kept)
        self._show()

    def onPoll(self) -> None:
        self._timer.stop()  # else it would fail again while its message is shown, and the messages pile up
        attempt(_("The comparison can't be shown."), self._show)

    def onShowChanges(self, on: bool) -> None:
        if not self._filling:
            self.comparer.show_map(on)

    def sceneCloses(self) -> None:
        """What was compared is gone with its scans."""
        self._timer.stop()
        self.comparer.close()
        self._showNumbers()
        self._fillLists()

    def cleanup(self) -> None:
        self._timer.stop()
        self._settledTimer.stop()
        self._tables.cleanup()
        if self._comparer:
            self._comparer.close()
            self._comparer = None
