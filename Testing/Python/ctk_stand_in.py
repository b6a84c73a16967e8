"""CTK's widgets outside Slicer: placeholders in real Qt with the properties and signals that their sources declare."""

from __future__ import annotations

import math
import sys
from typing import Any

from PySide6 import QtCore, QtGui, QtTest, QtWidgets
from PySide6.QtCore import Property, Signal


class CollapsibleButton(QtWidgets.QWidget):
    """A heading that hides what is below it."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._text, self._collapsed = "", False

    def _get_text(self) -> str:
        return self._text

    def _set_text(self, text: str) -> None:
        self._text = text
        self.setContentsMargins(0, self.fontMetrics().height() + 8, 0, 0)

    def _get_collapsed(self) -> bool:
        return self._collapsed

    def _set_collapsed(self, collapsed: bool) -> None:
        self._collapsed = collapsed

    def collapse(self) -> None:
        """Hide the content, for a picture; tests look at the content whether it is hidden or not."""
        for child in QtWidgets.QWidget.findChildren(self, QtWidgets.QWidget):
            child.setVisible(False)
        self.setFixedHeight(self.fontMetrics().height() + 8)

    text = Property(str, _get_text, _set_text)
    collapsed = Property(bool, _get_collapsed, _set_collapsed)

    def paintEvent(self, event: Any) -> None:
        height = self.fontMetrics().height() + 6
        painter = QtGui.QPainter(self)
        painter.fillRect(0, 0, QtWidgets.QWidget.width(self), height, QtWidgets.QWidget.palette(self).midlight())
        painter.drawText(8, height - 7, ("▸ " if self._collapsed else "▾ ") + self._text)
        painter.end()


class SliderWidget(QtWidgets.QWidget):
    """A slider with a spin box that tell of a change as CTK's do (ctkSliderWidget.cpp, ctkDoubleSlider.cpp, ctkDoubleSpinBox.cpp).

    With `tracking` off every change, whoever makes it, is told by `valueIsChanging` and then by `valueChanged`. While the handle
    is held, `valueChanged` waits for its release, and `value` stays what it was. With `tracking` on there is `valueChanged` alone.
    Setting the same value again tells nothing; a range that excludes the value does. The box rounds what it shows; the value is
    not rounded, and the handle goes in steps from where it is, whole numbers of which Qt's slider counts.
    """

    valueChanged = Signal(float)
    valueIsChanging = Signal(float)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self._slider, self._box = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal), QtWidgets.QDoubleSpinBox()
        row.addWidget(self._slider)
        row.addWidget(self._box)
        self._low, self._high, self._step, self._page = self._box.minimum(), self._box.maximum(), 1.0, 10.0
        self._number = self._in_box = self._before = self._offset = 0.0
        self._tracking, self._held = True, False
        self._fit()
        self._box.valueChanged.connect(self._typed)
        self._slider.valueChanged.connect(self._moved)
        self._slider.sliderPressed.connect(self._taken)
        self._slider.sliderReleased.connect(self._let_go)

    def drag(self, *numbers: float) -> None:
        """Take the handle and move it to the places nearest to these numbers, one after another; it is held until `release`."""
        self._slider.setSliderDown(True)
        for number in numbers:
            self._slider.setSliderPosition(math.floor(number / self._step - self._offset + 0.5))

    def release(self) -> None:
        self._slider.setSliderDown(False)

    def type(self, text: str) -> None:
        """Replace the spin box's text, letter by letter."""
        self._box.selectAll()
        QtTest.QTest.keyClicks(self._box.lineEdit(), text)

    def _taken(self) -> None:
        if not self._tracking:
            self._before, self._held = self.value, True

    def _let_go(self) -> None:
        if not self._tracking:
            self._held = False
            if self._differ(self._number, self._before):
                self.valueChanged.emit(self._number)

    def _moved(self, place: int) -> None:
        number = self._bounded(self._at(place))
        if number != self._number:
            self._change(number)

    def _typed(self, number: float) -> None:
        ends = {self._box.minimum(): self._low, self._box.maximum(): self._high}  # which the box may have rounded
        self._in_box = ends.get(number, number)
        self._put(self._in_box)

    def _change(self, number: float) -> None:
        self._number = number
        self._show(number)
        if not self._tracking:
            self.valueIsChanging.emit(number)
        if not self._held:
            self.valueChanged.emit(number)

    def _show(self, number: float) -> None:
        """A number that is there already is left alone: the box would write its text anew under the user's fingers."""
        if number != self._in_box:
            self._in_box = number
            with QtCore.QSignalBlocker(self._box):
                self._box.setValue(number)

    def _put(self, number: float) -> None:
        """Move the slider, which tells of it."""
        number = self._bounded(number)
        place = self._place(number)
        self._offset = number / self._step - place
        if place != self._slider.value():
            self._slider.setValue(place)
            return
        before, self._number = self._number, number
        if self._differ(number, before):
            self._change(number)

    def _set(self, number: float) -> None:
        held, self._held = self._held, False
        if self._bounded(number) != self._in_box:
            self._show(self._bounded(number))
            self._put(self._in_box)
        self._held = held

    def _at(self, place: int) -> float:
        return self._step * (self._offset + place)

    def _place(self, number: float) -> int:
        return math.floor(number / self._step + 0.5)

    def _bounded(self, number: float) -> float:
        return min(max(number, self._low), self._high)

    def _differ(self, number: float, other: float) -> bool:
        return abs(number - other) > 1e-9 * self._step

    def _text(self, number: float) -> str:
        return f"{number:.{self._box.decimals()}f}"

    def _fit(self) -> None:
        """As many places as both ends need."""
        first, last = self._place(self._low), self._place(self._high)
        self._slider.setRange(first - (self._at(first) > self._low), last + (self._at(last) < self._high))
        self._slider.setPageStep(self._place(self._page))

    def _set_range(self, low: float, high: float) -> None:
        self._low, self._high = low, high
        with QtCore.QSignalBlocker(self._box):
            self._box.setRange(low, high)
        self._in_box = self._bounded(self._in_box)
        if not low < self._number < high:
            end = self._bounded(self._number)
            self._offset = end / self._step - self._place(end)
        self._fit()
        self._put(self._number)

    def _set_step(self, step: float) -> None:
        """CTK refuses a step wider than the range, and one that the box's decimals can't tell from the step before."""
        if self._low != self._high and not sys.float_info.epsilon <= step <= self._high - self._low:
            return
        if self._text(step) != self._text(self._step):
            self._step = step
            self._box.setSingleStep(step)
        self._offset = self._number / self._step - self._place(self._number)
        with QtCore.QSignalBlocker(self._slider):
            self._fit()
            self._slider.setValue(self._place(self._number))

    def _set_page(self, step: float) -> None:
        self._page = step
        self._slider.setPageStep(self._place(step))

    def _set_decimals(self, decimals: int) -> None:
        with QtCore.QSignalBlocker(self._box):
            self._box.setDecimals(decimals)
            self._box.setValue(self._number)
        self._set_range(self._low, self._high)
        self._change(self._number)

    def _set_tracking(self, tracking: bool) -> None:
        self._tracking = tracking

    decimals = Property(int, lambda self: self._box.decimals(), _set_decimals)
    singleStep = Property(float, lambda self: self._step, _set_step)
    pageStep = Property(float, lambda self: self._page, _set_page)
    minimum = Property(float, lambda self: self._low, lambda self, low: self._set_range(low, max(low, self._high)))
    maximum = Property(float, lambda self: self._high, lambda self, high: self._set_range(min(self._low, high), high))
    value = Property(float, lambda self: self._before if self._held else self._number, _set)
    tracking = Property(bool, lambda self: self._tracking, _set_tracking)


class PathLineEdit(QtWidgets.QWidget):
    """A path with a history and a button to browse."""

    currentPathChanged = Signal(str)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self._edit = QtWidgets.QLineEdit()
        row.addWidget(self._edit)
        row.addWidget(QtWidgets.QToolButton(text="…"))
        self._edit.textChanged.connect(self.currentPathChanged)

    currentPath = Property(str, lambda self: self._edit.text(), lambda self, path: self._edit.setText(path))

    def addCurrentPathToHistory(self) -> None:
        pass
