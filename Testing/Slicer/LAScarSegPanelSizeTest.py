"""Inside Slicer: the panel at its usual width: no text over the table, nothing blown up after the segment editor.

Not yet run in a real Slicer.
"""

import qt
import slicer
from lascarseg_slicer_case import SlicerCase

USUAL_WIDTH = 395
"""Pixels, as Slicer 5.12.3 opened the panel; the dock widget takes more where its font needs it."""
FREE = 16777215
"""Qt's QWIDGETSIZE_MAX: no fixed width any more."""


class LAScarSegPanelSizeTest(SlicerCase):
    def setUp(self):
        super().setUp()
        window = slicer.util.mainWindow()
        if window is None:
            self.skipTest("the panel has its real width in Slicer's main window only")
        self.dock = slicer.util.findChild(window, "PanelDockWidget")

    def makeNarrow(self):
        """The panel as wide as usual, until the end of the test."""
        self.dock.setFixedWidth(USUAL_WIDTH)
        self.addCleanup(self.dock.setMinimumWidth, 0)
        self.addCleanup(self.dock.setMaximumWidth, FREE)
        self.waitFor(lambda: self.dock.width == USUAL_WIDTH, "the panel's width")

    def content(self):
        """What is scrolled in the panel: the form with its sections."""
        return self.widget.ui.reviewCollapsibleButton.parentWidget()

    def textsThatLackRoom(self):
        ui = self.widget.ui
        texts = [label for label in (ui.olderLabel, ui.headlineLabel, ui.flagsLabel) if label.visible]
        table = ui.measurementsTable.geometry
        return [
            label.objectName for label in texts if label.geometry.intersects(table) or label.height < label.heightForWidth(label.width)
        ]

    def test_no_text_lies_over_the_table(self):
        self.makeNarrow()
        self.apply()
        self.assertTrue(self.widget.ui.flagsLabel.text)
        self.waitFor(lambda: not self.textsThatLackRoom(), "room for headline and flags")
        self.widget.ui.keepButton.checked = True  # more columns, more remarks
        self.widget.ui.thresholdSlider.value = self.widget.ui.thresholdSlider.value + 0.3
        self.waitFor(lambda: not self.textsThatLackRoom(), "room for two results")
        self.widget.ui.keepButton.checked = False

    def editAndLeave(self, leave):
        """Open the segment editor in the panel, close it by `leave`, and wait until the panel is as low as before.

        It may stay as wide as the editor has made it: that is the user's to change.
        """
        self.apply()
        self.waitFor(lambda: not self.textsThatLackRoom(), "room for headline and flags")
        selectors = self.widget.ui.cavitySelector, self.widget.ui.wallSelector

        def heights():
            return [widget.height for widget in (self.content(), *selectors)]

        before = heights()
        self.widget.ui.editCavityButton.click()
        self.waitFor(lambda: self.widget.editSection.editor.visible, "the segment editor")
        leave()
        self.waitFor(lambda: all(now <= was for now, was in zip(heights(), before)), f"heights no larger than before the edit ({before})")

    def test_the_panel_shrinks_after_another_module_was_shown(self):
        def leave():
            slicer.util.selectModule("Data")
            slicer.app.processEvents()
            slicer.util.selectModule("LAScarSeg")

        self.editAndLeave(leave)

    def test_the_panel_shrinks_when_the_edit_ends(self):
        self.editAndLeave(self.widget.ui.editCavityButton.click)

    def test_the_panel_shrinks_after_apply(self):
        self.editAndLeave(self.apply)

    def test_selectors_are_as_high_as_their_content(self):
        for selector in (self.widget.ui.cavitySelector, self.widget.ui.wallSelector):
            self.assertEqual(selector.sizePolicy.verticalPolicy(), qt.QSizePolicy.Fixed)
