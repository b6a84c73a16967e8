"""Slicer's Qt layer outside Slicer: real Qt (PySide6) that answers as PythonQt does, and placeholders for ctk and MRML widgets.

PythonQt makes every Qt property an attribute (`button.enabled = True`) and connects by signature
(`button.connect("clicked(bool)", function)`); PySide6 has methods and signal objects. The placeholders have the properties,
signals and size of the widgets they stand for, as their headers declare them.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from ctk_stand_in import CollapsibleButton, PathLineEdit, SliderWidget
from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Property, Signal
from PySide6.QtUiTools import QUiLoader
from vtkmodules.util.misc import calldata_type
from vtkmodules.util.vtkConstants import VTK_OBJECT

if sys.version_info < (3, 12):
    # PySide6 gives these away uncounted, since Python 3.12 never frees them; before, a few thousand calls end the process.
    for constant in (None, True, False):
        ctypes.c_ssize_t.from_address(id(constant)).value += 1 << 30

NEVER_PROPERTIES = ("metaObject", "property", "dynamicPropertyNames", "connect", "sizeHint", "minimumSizeHint")
"""What must be reached as a method: the tools of the mix-in itself, and virtual methods that Qt looks up from inside a property."""

VIRTUAL = {"QProgressBar": ("text",)}
"""More such methods, of one class."""


OF_CLASS: dict[str, dict[type, Any]] = {"properties": {}, "signals": {}}
"""What Qt knows of a class is asked once."""


def _properties(widget: Any) -> dict[str, bool]:
    """The properties that the class declares, and whether each can be written."""
    known = OF_CLASS["properties"]
    if type(widget) not in known:
        meta = widget.metaObject()
        found = (meta.property(number) for number in range(meta.propertyCount()))
        known[type(widget)] = {declared.name(): declared.isWritable() for declared in found}
    return known[type(widget)]


def _signals(widget: Any) -> set[str]:
    known = OF_CLASS["signals"]
    if type(widget) not in known:
        meta = widget.metaObject()
        known[type(widget)] = {bytes(meta.method(number).name()).decode() for number in range(meta.methodCount())}
    return known[type(widget)]


class PythonQtLike:
    """Mixed into a Qt class: properties are attributes, `connect` takes a signature."""

    def __getattribute__(self, name: str) -> Any:
        if name == "connect":  # PySide6 gives every object its own
            return lambda signature, receiver: PythonQtLike.connect(self, signature, receiver)
        if name.startswith("_") or name in NEVER_PROPERTIES or name in VIRTUAL.get(type(self).__name__, ()):
            return super().__getattribute__(name)
        if name in _properties(self):
            return self.property(name)
        try:
            return super().__getattribute__(name)
        except AttributeError:
            if name not in [bytes(known).decode() for known in self.dynamicPropertyNames()]:
                raise
            return self.property(name)

    def __setattr__(self, name: str, value: Any) -> None:
        writable = _properties(self).get(name)
        if writable is not None:
            assert writable, f"{name} can't be written"
            self.setProperty(name, list(value) if isinstance(value, tuple) else value)
        else:
            super().__setattr__(name, value)

    def connect(self, signature: str, receiver: Any) -> bool:
        name = signature.partition("(")[0]
        assert name in _signals(self), f"no signal {signature}"
        super().__getattribute__(name).connect(receiver)
        return True

    def delete(self) -> None:
        self.deleteLater()


class SortFilterProxyModel(QtCore.QObject):
    """Which nodes a selector does not offer (qMRMLSortFilterProxyModel.h)."""

    def __init__(self) -> None:
        super().__init__()
        self._hidden: list[str] = []

    def _set_hidden(self, ids: list[str]) -> None:
        self._hidden = list(ids)

    hiddenNodeIDs = Property("QStringList", lambda self: self._hidden, _set_hidden)


class Nodes(QtWidgets.QComboBox):
    """What a node selector shows and says; the scene's nodes of its types are its items.

    When the selected node is deleted, Qt selects the item that takes its place: the next node, or "None" without another.
    """

    currentNodeChanged = Signal(object)
    nodeAddedByUserAction = Signal(object)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._types: list[str] = []
        self._scene = None
        self._node = None
        self._none = "None"
        self._filter = CLASSES["SortFilterProxyModel"]()

    def sortFilterProxyModel(self) -> Any:
        return self._filter

    def _set_none(self, text: str) -> None:
        self._none = text
        self._show()

    noneDisplay = Property(str, lambda self: self._none, _set_none)

    def _show(self) -> None:
        self.clear()
        self.addItem(self._node.GetName() if self._node else self._none)

    def _set_types(self, types: list[str]) -> None:
        self._types = list(types)

    nodeTypes = Property("QStringList", lambda self: self._types, _set_types)

    def setMRMLScene(self, scene: Any) -> None:
        """As qMRMLSceneModel, reads the scene anew after an import, and loses what was selected."""
        self._scene = scene
        scene.AddObserver(scene.EndImportEvent, lambda *unused: self.setCurrentNode(None))

        @calldata_type(VTK_OBJECT)
        def about_to_be_removed(caller: Any, event: str, node: Any) -> None:
            if node is self._node and not scene.IsBatchProcessing():
                offered = [None, *self._offered()]
                place = offered.index(node)
                self.setCurrentNode([*offered[:place], *offered[place + 1 :]][min(place, len(offered) - 2)])

        scene.AddObserver(scene.NodeAboutToBeRemovedEvent, about_to_be_removed)

    def _offered(self) -> list[Any]:
        nodes = (self._scene.GetNthNode(n) for n in range(self._scene.GetNumberOfNodes()))
        kinds = [node for node in nodes if node.GetClassName() in self._types]
        return [node for node in kinds if node.GetID() not in self._filter.hiddenNodeIDs or node is self._node]

    def currentNode(self) -> Any:
        return self._node

    def setCurrentNode(self, node: Any) -> None:
        if node is not self._node:
            self._node = node
            self._show()
            self.currentNodeChanged.emit(node)


class SegmentSelector(QtWidgets.QWidget):
    """Side by side the segmentation, the segment in it, and a message where there is none (qMRMLSegmentSelectorWidget.cxx, noneEnabled).

    Another segmentation leaves the segment at "None" if it was there; the segment stays told after the segmentation is gone.
    """

    currentNodeChanged = Signal(object)
    currentSegmentChanged = Signal(str)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        row, frame = QtWidgets.QGridLayout(self), QtWidgets.QFrame()
        row.setContentsMargins(0, 0, 0, 0)
        inner = QtWidgets.QGridLayout(frame)
        inner.setContentsMargins(0, 0, 0, 0)
        self._boxes, self._message = (CLASSES["qMRMLNodeComboBox"](), QT_CLASSES["QComboBox"]()), QT_CLASSES["QLabel"]()
        self._message.setObjectName("label_Message")
        row.addWidget(self._boxes[0], 0, 0)
        row.addWidget(frame, 0, 1)
        inner.addWidget(self._boxes[1], 0, 0)
        inner.addWidget(self._message, 1, 0)
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
        self._boxes[0].setCurrentNode(self._node)
        self._boxes[1].clear()
        self._boxes[1].addItem(known.get(self._segment, "None"))
        self._boxes[1].setVisible(bool(known))
        self._message.setVisible(not known)
        self._message.setText("No segments in segmentation " if self._node else "No node is selected ")


class MRMLWidget(QtWidgets.QWidget):
    """The panel's root: hands its scene to the selectors that the .ui file connects to it."""

    mrmlSceneChanged = Signal(object)

    def setMRMLScene(self, scene: Any) -> None:
        for widget in QtWidgets.QWidget.findChildren(self, QtWidgets.QWidget):
            if isinstance(widget, (Nodes, SegmentSelector)):
                widget.setMRMLScene(scene)


class SegmentEffect:
    """The active effect, which hands a stroke with the editor's masks to Slicer's own logic (qSlicerSegmentEditorAbstractEffect.cxx)."""

    def __init__(self, name: str, logic: Any, node: Any) -> None:
        self.name, self._logic, self._node = name, logic, node
        self.saveStateForUndo = logic.SaveStateForUndo

    def defaultModifierLabelmap(self) -> Any:
        """Reset, empty; None when there is no grid to draw on."""
        return self._logic.GetModifierLabelmap() if self._logic.ResetModifierLabelmapToDefault() else None

    def modifySelectedSegmentByLabelmap(self, labelmap: Any, mode: int) -> None:
        node = self._node
        self._logic.ModifySegmentByLabelmap(node.GetSegmentationNode(), node.GetSelectedSegmentID(), labelmap, mode, False, False)


class SegmentEditor(QtWidgets.QLabel):
    """Slicer's segment editor: remembers what it was told, and selects the first segment of a segmentation that it meets.

    Strokes, undo and redo are those of Slicer's own logic, which the widget calls (qMRMLSegmentEditorWidget.cxx).
    """

    def __init__(self) -> None:
        super().__init__("segment editor")
        import slicer

        self._logic = slicer.vtkSlicerSegmentEditorLogic()
        self.undo, self.redo = self._logic.Undo, self._logic.Redo
        self.node = self.effect = self._scene = self._segmentation = self._tag = None
        self.shortcuts = self.observing = False

    def setMRMLSegmentEditorNode(self, node: Any) -> None:
        if node is self.node:
            return
        if self.node:
            self.node.RemoveObserver(self._tag)
        self.node = node
        self._logic.SetSegmentEditorNode(node)
        if node:
            self._tag = node.AddObserver("ModifiedEvent", self._update)
            self._update()

    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene
        self._logic.SetMRMLScene(scene)
        self._update()

    def _update(self, *unused: Any) -> None:
        segmentation = self.node.GetSegmentationNode() if self.node else None
        if self._scene and segmentation is not self._segmentation:
            self._segmentation = segmentation
            self._logic.SetSegmentationNode(segmentation)
            if segmentation and segmentation.GetSegmentation().GetNumberOfSegments():
                self.node.SetSelectedSegmentID(segmentation.GetSegmentation().GetNthSegmentID(0))

    def setSegmentationNode(self, node: Any) -> None:
        if self.node:
            self.node.SetAndObserveSegmentationNode(node)

    def setMaximumNumberOfUndoStates(self, count: int) -> None:
        self._logic.SetMaximumNumberOfUndoStates(count)

    def activeEffect(self) -> Any:
        return SegmentEffect(self.effect, self._logic, self.node) if self.effect else None

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
CLASSES = {name: like_pythonqt(cls, name) for name, cls in {**SLICER_WIDGETS, "SortFilterProxyModel": SortFilterProxyModel}.items()}
QT_CLASSES = {
    name: like_pythonqt(getattr(module, name))
    for module, names in (
        (QtWidgets, "QWidget QFrame QLabel QPushButton QToolButton QCheckBox QComboBox QDoubleSpinBox QProgressBar QTableWidget "
                    "QListWidget QTextBrowser QDialog QVBoxLayout"),
        (QtCore, "QTimer"),
        (QtGui, "QShortcut"),
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


@functools.cache
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
