"""What slicer.parameterNodeWrapper does for this module: typed attributes kept on a MRML node, connected with widgets.

Only the pairs of type and widget that Slicer's guiConnectors.py accepts are accepted here; anything else raises, as there.
"""

from __future__ import annotations

import enum
import typing
from typing import Any

import slicer

NUMBERS, SELECTORS = ("QDoubleSpinBox", "ctkSliderWidget"), ("qMRMLNodeComboBox",)


def parameterNodeWrapper(cls: type) -> type:
    hints = {name: _plain(hint) for name, hint in typing.get_type_hints(cls, include_extras=True).items()}
    defaults = {name: getattr(cls, name, _default(kind)) for name, kind in hints.items()}
    for name, kind in hints.items():
        setattr(cls, name, _property(name, kind, defaults[name]))
    cls.names = tuple(hints)
    cls.kinds = hints
    for method in (__init__, connectGui, disconnectGui, StartModify, EndModify, AddObserver, RemoveObserver):
        setattr(cls, method.__name__, method)
    return cls


def _plain(hint: Any) -> type:
    return hint.__origin__ if hasattr(hint, "__metadata__") else hint


def _default(kind: type) -> Any:
    return None if _is_node(kind) else next(iter(kind)) if issubclass(kind, enum.Enum) else kind()


def _is_node(kind: type) -> bool:
    return issubclass(kind, slicer.vtkMRMLNode)


def _property(name: str, kind: type, default: Any) -> property:
    def read(self: Any) -> Any:
        node = self.parameterNode
        if _is_node(kind):
            return node.GetNodeReference(name)
        text = node.GetParameter(name) if node.HasParameter(name) else None
        if text is None:
            return default
        return kind[text] if issubclass(kind, enum.Enum) else text == "True" if kind is bool else kind(text)

    def write(self: Any, value: Any) -> None:
        if _is_node(kind):
            self.parameterNode.SetNodeReferenceID(name, value.GetID() if value else None)
            self.parameterNode.Modified()
        else:
            assert isinstance(value, (float, int) if kind is float else kind), f"{name} = {value!r}"
            self.parameterNode.SetParameter(name, value.name if isinstance(value, enum.Enum) else str(value))

    return property(read, write)


def __init__(self: Any, node: Any) -> None:
    self.parameterNode, self._tag, self._bound, self._updating = node, None, {}, False


def connectGui(self: Any, ui: Any) -> int:
    for widget in vars(ui).values():
        name = widget.property("SlicerParameterName")
        if name:
            self._bound[name] = (*_accessors(widget, self.kinds[name]), widget)
    _show(self)
    for name, (_read, _write, signal, _widget) in self._bound.items():
        signal.connect(lambda *unused, name=name: _store(self, name))
    self._tag = self.parameterNode.AddObserver("ModifiedEvent", lambda *unused: _show(self))
    return 1


def _accessors(widget: Any, kind: type) -> tuple[Any, Any, Any]:
    """How to read and write the widget, and which signal says that it changed."""
    name = type(widget).__name__ if type(widget).__name__.startswith("Q") else widget.slicer_class
    if kind is bool and name == "QCheckBox":
        return lambda: widget.checked, lambda value: setattr(widget, "checked", value), widget.toggled
    if kind is float and name in NUMBERS:
        return lambda: widget.value, lambda value: setattr(widget, "value", value), widget.valueChanged
    if _is_node(kind) and name in SELECTORS:
        return widget.currentNode, widget.setCurrentNode, widget.currentNodeChanged
    if issubclass(kind, enum.Enum) and name == "QComboBox":
        members = list(kind)
        widget.clear()
        for member in members:
            widget.addItem(kind.label(member))
        return lambda: members[widget.currentIndex], lambda value: setattr(widget, "currentIndex", members.index(value)), (
            widget.currentIndexChanged
        )
    raise RuntimeError(f"Unable to create GUI connector from {kind} to {name}")


def _show(self: Any) -> None:
    if not self._updating:
        self._updating = True
        for name, (_read, write, _signal, _widget) in self._bound.items():
            write(getattr(self, name))
        self._updating = False


def _store(self: Any, name: str) -> None:
    if name in self._bound and not self._updating:
        setattr(self, name, self._bound[name][0]())


def disconnectGui(self: Any, tag: int) -> None:
    self.parameterNode.RemoveObserver(self._tag)
    self._bound = {}


def StartModify(self: Any) -> int:
    return self.parameterNode.StartModify()


def EndModify(self: Any, before: int) -> None:
    self.parameterNode.EndModify(before)


def AddObserver(self: Any, event: Any, callback: Any, priority: float = 0.0) -> int:
    return self.parameterNode.AddObserver(event, callback, priority)


def RemoveObserver(self: Any, tag: int) -> None:
    self.parameterNode.RemoveObserver(tag)
