"""Slicer's Qt layer outside Slicer: real Qt (PySide6) that answers as PythonQt does, and placeholders for ctk and MRML widgets.

PythonQt makes every Qt property an attribute (`button.enabled = True`) and connects by signature
(`button.connect("clicked(bool)", function)`); PySide6 has methods and signal objects. The placeholders have the properties,
signals and size of the widgets they stand for, as their headers declare them.
"""

from __future__ import annotations

import ctypes
import math
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from PySide6 import QtCore, QtGui, QtTest, QtWidgets
from PySide6.QtCore import Property, Signal
from PySide6.QtUiTools import QUiLoader

if sys.version_info < (3, 12):
    # PySide6 gives these away uncounted, since Python 3.12 never frees them; before, a few thousand calls end the process.
    for constant in (None, True, False):
        ctypes.c_ssize_t.from_address(id(constant)).value += 1 << 30

NEVER_PROPERTIES = ("metaObject", "property", "dynamicPropertyNames", "connect", "sizeHint", "minimumSizeHint")
"""What must be reached as a method: the tools of the mix-in itself, and virtual methods that Qt looks up from inside a property."""

VIRTUAL = {"QProgressBar": ("text",)}
"""More such methods, of one class."""


class PythonQtLike:
    """Mixed into a Qt class: properties are attributes, `connect` takes a signature."""

    def __getattribute__(self, name: str) -> Any:
        if name == "connect":  # PySide6 gives every object its own
            return lambda signature, receiver: PythonQtLike.connect(self, signature, receiver)
        if not name.startswith("_") and name not in (*NEVER_PROPERTIES, *VIRTUAL.get(type(self).__name__, ())):
            if self.metaObject().indexOfProperty(name) >= 0 or name.encode() in [bytes(n) for n in self.dynamicPropertyNames()]:
                return self.property(name)
        return super().__getattribute__(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if self.metaObject().indexOfProperty(name) >= 0:
            assert self.metaObject().property(self.metaObject().indexOfProperty(name)).isWritable(), f"{name} can't be written"
            self.setProperty(name, list(value) if isinstance(value, tuple) else value)
        else:
            super().__setattr__(name, value)

    def connect(self, signature: str, receiver: Any) -> bool:
        name = signature.partition("(")[0]
        signals = {bytes(self.metaObject().method(n).name()).decode() for n in range(self.metaObject().methodCount())}
        assert name in signals, f"no signal {signature}"
        super().__getattribute__(name).connect(receiver)
        return True

    def delete(self) -> None:
        self.deleteLater()


class Nodes(QtWidgets.QComboBox):
    """What a node selector shows and says; the scene's nodes of its types are its items."""

    currentNodeChanged = Signal(object)
    nodeAddedByUserAction = Signal(object)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._types: list[str] = []
        self._scene = None
        self._node = None

    def _set_types(self, types: list[str]) -> None:
        self._types = list(types)

    nodeTypes = Property("QStringList", lambda self: self._types, _set_types)

    def setMRMLScene(self, scene: Any) -> None:
        """As qMRMLSceneModel, reads the scene anew after an import, and loses what was selected."""
        self._scene = scene
        scene.AddObserver(scene.EndImportEvent, lambda *unused: self.setCurrentNode(None))

    def currentNode(self) -> Any:
        return self._node

    def setCurrentNode(self, node: Any) -> None:
        if node is not self._node:
            self._node = node
            self.clear()
            self.addItem(node.GetName() if node else "")
            self.currentNodeChanged.emit(node)


class SegmentSelector(QtWidgets.QWidget):
    """Side by side the segmentation, the segment in it, and a message where there is none (qMRMLSegmentSelectorWidget.cxx, noneEnabled).

    Another segmentation leaves the segment at "None" if it was there; the segment stays told after the segmentation is gone.
    """

    currentNodeChanged = Signal(object)
    currentSegmentChanged = Signal(str)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self._boxes, self._message = (QT_CLASSES["QComboBox"](), QT_CLASSES["QComboBox"]()), QtWidgets.QLabel()
        for widget in (*self._boxes, self._message):
            row.addWidget(widget)
        self._node, self._segment = None, ""
        self._show()

    def setMRMLScene(self, scene: Any) -> None:
        scene.AddObserver(scene.EndImportEvent, lambda *unused: self.setCurrentNode(None))

    def currentNode(self) -> Any:
        return self._node

    def currentSegmentID(self) -> str:
        return self._segment

    def setCurrentNode(self, node: Any) -> None:
        if node is not self._node:
            self._node = node
            known = self._segments()
            if known and self._segment and self._segment not in known:
                self._segment = next(iter(known))
                self.currentSegmentChanged.emit(self._segment)
            self._show()
            self.currentNodeChanged.emit(node)

    def setCurrentSegmentID(self, segment: str) -> None:
        if segment != self._segment and (segment in self._segments() or (not segment and self._segments())):
            self._segment = segment
            self._show()
            self.currentSegmentChanged.emit(segment)

    def _segments(self) -> dict[str, str]:
        """The IDs and names of the segmentation's segments."""
        segmentation = self._node.GetSegmentation() if self._node else None
        ids = [segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments())] if segmentation else []
        return {segment: segmentation.GetSegment(segment).GetName() for segment in ids}

    def _show(self) -> None:
        known = self._segments()
        for box, text in zip(self._boxes, (self._node.GetName() if self._node else "None", known.get(self._segment, "None"))):
            box.clear()
            box.addItem(text)
        self._boxes[1].setVisible(bool(known))
        self._message.setVisible(not known)
        self._message.setText("No segments in segmentation " if self._node else "No node is selected ")


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


class MRMLWidget(QtWidgets.QWidget):
    """The panel's root: hands its scene to the selectors that the .ui file connects to it."""

    mrmlSceneChanged = Signal(object)

    def setMRMLScene(self, scene: Any) -> None:
        for widget in QtWidgets.QWidget.findChildren(self, QtWidgets.QWidget):
            if isinstance(widget, (Nodes, SegmentSelector)):
                widget.setMRMLScene(scene)


class SegmentEditor(QtWidgets.QLabel):
    """Slicer's segment editor: remembers what it was told, and selects the first segment of a segmentation that it meets."""

    def __init__(self) -> None:
        super().__init__("segment editor")
        self.node = self.effect = self._scene = self._segmentation = self._tag = None
        self.shortcuts = self.observing = False

    def setMRMLSegmentEditorNode(self, node: Any) -> None:
        if node is self.node:
            return
        if self.node:
            self.node.RemoveObserver(self._tag)
        self.node = node
        if node:
            self._tag = node.AddObserver("ModifiedEvent", self._update)
            self._update()

    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene
        self._update()

    def _update(self, *unused: Any) -> None:
        segmentation = self.node.GetSegmentationNode() if self.node else None
        if self._scene and segmentation is not self._segmentation:
            self._segmentation = segmentation
            if segmentation and segmentation.GetSegmentation().GetNumberOfSegments():
                self.node.SetSelectedSegmentID(segmentation.GetSegmentation().GetNthSegmentID(0))

    def setSegmentationNode(self, node: Any) -> None:
        if self.node:
            self.node.SetAndObserveSegmentationNode(node)

    def setMaximumNumberOfUndoStates(self, count: int) -> None:
        pass

    def setActiveEffectByName(self, name: str) -> None:
        self.effect = name

    def setActiveEffect(self, effect: Any) -> None:
        self.effect = effect

    def installKeyboardShortcuts(self) -> None:
        self.shortcuts = True

    def uninstallKeyboardShortcuts(self) -> None:
        self.shortcuts = False

    def setupViewObservations(self) -> None:
        self.observing = True

    def removeViewObservations(self) -> None:
        self.observing = False


def like_pythonqt(cls: type, slicer_class: str = "") -> type:
    return type(cls.__name__, (PythonQtLike, cls), {"slicer_class": slicer_class})


SLICER_WIDGETS = {
    "qMRMLNodeComboBox": Nodes,
    "qMRMLSegmentSelectorWidget": SegmentSelector,
    "qMRMLWidget": MRMLWidget,
    "ctkCollapsibleButton": CollapsibleButton,
    "ctkSliderWidget": SliderWidget,
    "ctkPathLineEdit": PathLineEdit,
}
CLASSES = {name: like_pythonqt(cls, name) for name, cls in SLICER_WIDGETS.items()}
QT_CLASSES = {
    name: like_pythonqt(getattr(module, name))
    for module, names in (
        (QtWidgets, "QWidget QFrame QLabel QPushButton QToolButton QCheckBox QComboBox QDoubleSpinBox QProgressBar QTableWidget "
                    "QListWidget QTextBrowser QDialog QVBoxLayout"),
        (QtCore, "QTimer"),
    )
    for name in names.split()
}  # fmt: skip


class Loader(QUiLoader):
    """Reads a .ui file as Slicer does; refuses a class that has no stand-in, so that none is forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[Any] = []

    def createWidget(self, class_name: str, parent: Any = None, name: str = "") -> Any:
        widget = {**CLASSES, **QT_CLASSES}[class_name](parent)
        widget.setObjectName(name)
        self.made.append(widget)
        return widget


def load_ui(path: str | Path) -> Any:
    """The widget of a .ui file."""
    loader = Loader()
    widget = loader.load(str(path))
    assert widget is not None, loader.errorString()
    widget._made = loader.made  # else Python forgets what its widgets are more than Qt's
    return widget


def application() -> Any:
    """The one QApplication, with a font that every machine has."""
    made = QtWidgets.QApplication.instance()
    if made is None:
        made = QtWidgets.QApplication(["panel"])
        made.setStyle("Fusion")
    return made


def qt_module() -> ModuleType:
    """The module that Slicer's Python imports as `qt`: classes of all parts of Qt in one place."""
    qt = ModuleType("qt")
    for module in (QtCore, QtGui, QtWidgets):
        for name in dir(module):
            if name.startswith("Q"):
                setattr(qt, name, getattr(module, name))
    qt.__dict__.update(QT_CLASSES)
    return qt


def ctk_module() -> ModuleType:
    """The module `ctk`: of a class that has no stand-in, no widget is an instance."""
    ctk = ModuleType("ctk")
    ctk.__dict__.update({name: cls for name, cls in CLASSES.items() if name.startswith("ctk")})
    ctk.__getattr__ = _unknown_class
    return ctk


def _unknown_class(name: str) -> type:
    if not name.startswith("ctk"):
        raise AttributeError(name)
    return type(name, (), {})


def slicer_classes() -> dict[str, type]:
    """The widgets that Slicer's Python finds in `slicer`; the parameter node wrapper asks of some whether a widget is one."""
    unknown = {name: type(name, (), {}) for name in ("qMRMLSliderWidget", "qMRMLSpinBox", "qMRMLRangeWidget", "qSlicerWidget")}
    known = {name: cls for name, cls in CLASSES.items() if name.startswith("qMRML")}
    return {**unknown, **known, "qMRMLSegmentEditorWidget": SegmentEditor}
