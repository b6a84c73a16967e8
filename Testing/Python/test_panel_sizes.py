"""The panel's sections in real Qt at the widths that Slicer gives them: no text lies over the table, no selector is blown up."""

# ruff: noqa: F811 (fixtures)

from __future__ import annotations

import pytest
import pythonqt_stand_in
from panel_cases import dialogs, panel, ready, scene, show_result  # noqa: F401
from PySide6 import QtWidgets

USUAL, WITH_EDITOR = 395, 551
"""Widths in pixels: as Slicer 5.12.3 opened the panel, and while the segment editor is in it."""
BLOWN_UP = 1837
"""Height that the panel's content had there, and kept, after the editor was hidden."""

TOO_HIGH = 200
"""What the layout then gave to the selector of the cavity."""


def settle() -> None:
    for _layout_timer_layout in range(4):
        pythonqt_stand_in.application().processEvents()


def squeeze(panel, width: int) -> None:
    """The section as high as it says that it must be, which does not count how wrapped texts become higher when they become narrower."""
    window, section = panel.parent.widget, panel.ui.measurementsCollapsibleButton
    window.setFixedSize(width, 2 * BLOWN_UP)
    window.show()
    settle()
    for _the_texts_ask_for_more in range(2):
        section.setFixedHeight(section.minimumSizeHint().height())
        settle()


def rectangle(widget):
    return QtWidgets.QWidget.geometry(widget)


@pytest.mark.parametrize("width", [USUAL, WITH_EDITOR])
def test_no_text_lies_over_the_table(ready, width):
    squeeze(ready, width)
    show_result(ready)
    ready.ui.nativeCheckBox.click()  # an older result has one more text
    squeeze(ready, width)
    texts = [ready.ui.olderLabel, ready.ui.headlineLabel, ready.ui.flagsLabel]
    assert all(text.isVisible() and text.text for text in texts)
    table = rectangle(ready.ui.measurementsTable)
    assert not [text.objectName for text in texts if rectangle(text).intersects(table)]
    too_low = {text.objectName for text in texts if rectangle(text).height() < text.heightForWidth(rectangle(text).width())}
    assert not too_low


def test_a_wider_panel_gives_the_room_of_its_texts_back(ready):
    show_result(ready)
    squeeze(ready, USUAL)
    before = ready.ui.headlineLabel.minimumHeight
    squeeze(ready, 2 * USUAL)
    assert 0 < ready.ui.headlineLabel.minimumHeight < before


def item_of(layout, widget):
    """The layout item that holds a widget, in this layout or in one within it."""
    items = [layout.itemAt(number) for number in range(layout.count())]
    inner = (item_of(item.layout(), widget) for item in items if item.layout() is not None)
    return next((item for item in items if item.widget() is widget), None) or next(filter(None, inner), None)


@pytest.mark.parametrize("width", [USUAL, WITH_EDITOR])
@pytest.mark.parametrize("name", ["cavitySelector", "wallSelector"])
def test_selectors_stay_low_in_a_panel_that_was_blown_up(ready, width, name):
    window, selector = ready.parent.widget, getattr(ready.ui, name)
    window.setFixedSize(width, BLOWN_UP)
    window.show()
    settle()
    room = rectangle(selector)
    assert room.height() <= selector.sizeHint().height()
    room.setHeight(TOO_HIGH)
    item_of(QtWidgets.QWidget.layout(selector.parentWidget()), selector).setGeometry(room)
    assert rectangle(selector).height() <= selector.sizeHint().height()
