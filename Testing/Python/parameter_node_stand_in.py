"""What slicer.parameterNodeWrapper does for this module: typed attributes kept on a MRML node, connected with widgets.

The panel's tests take the real one where it is to be had (slicer_stand_in.real_wrapper); slicer-core does not bring it, up to
5.13. test_panel_stand_ins.py expects the same of both. What this one can't do, and the real one can:

- types other than bool, int, float, str, enums and MRML nodes; annotations other than WithinRange;
- pairs of type and widget other than bool and QCheckBox, float and QDoubleSpinBox or ctkSliderWidget, an enum and QComboBox, a
  node and qMRMLNodeComboBox; `connectGui` on a widget instead of a namespace of widgets; `connectParametersToGui`;
- `default`, `isCached`, `dataType`, and dotted names in `getValue` and `setValue`.

All of these raise here; the texts of errors are not Slicer's.
"""

from __future__ import annotations

import enum
import itertools
import math
import typing
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import slicer
import slicer.util

FORM_PROPERTY = "SlicerParameterName"
PLAIN = (bool, int, float, str)
RESERVED = ("default", "isCached", "dataType", "connectParametersToGui", "allParameters")
"""Names that the real one takes besides the methods below."""


@dataclass(frozen=True)
class WithinRange:
    """Both ends belong to it; a widget that is connected gets them."""

    minimum: float
    maximum: float


@dataclass(frozen=True)
class Parameter:
    """One attribute: what may be assigned to it, and how it is kept on the node."""

    name: str
    kind: type
    span: WithinRange | None
    default: Any

    @property
    def is_node(self) -> bool:
        return issubclass(self.kind, slicer.vtkMRMLNode)

    def check(self, value: Any) -> None:
        if value is None and self.kind in PLAIN:
            raise ValueError(f"{self.name} must not be None")
        if value is not None and not isinstance(value, (int, float) if self.kind is float else self.kind):
            raise TypeError(f"{self.name} must be {self.kind.__name__}, not {value!r}")
        if self.span and not self.span.minimum <= value <= self.span.maximum:
            raise ValueError(f"{self.name} must be within {self.span}, not {value!r}")

    def write(self, node: Any, value: Any) -> None:
        self.check(value)
        if self.is_node:
            node.SetParameter(self.name, "")  # says that a choice was made, which may be none
            node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)
        else:
            node.SetParameter(self.name, value.name if issubclass(self.kind, enum.Enum) else str(value))

    def read(self, node: Any) -> Any:
        """What the node has is not checked for its range; what can't be read at all raises ValueError."""
        if not node.HasParameter(self.name):
            self.write(node, self.default)
        if self.is_node:
            return node.GetNodeReference(self.name)
        text = node.GetParameter(self.name)
        if issubclass(self.kind, enum.Enum):
            if text not in self.kind.__members__:
                raise ValueError(f"{self.name}: {text!r} is none of {self.kind}")
            return self.kind[text]
        return text == "True" if self.kind is bool else self.kind(text)


class Cached:
    """A parameter's value, read anew when the node says that it changed.

    Each has an observer of its own, so an observer that VTK calls before this one still reads the old value when somebody else
    changed the node. Of observers of the same priority VTK calls the first one last.
    """

    def __init__(self, parameter: Parameter, node: Any) -> None:
        self._parameter, self._node, self._writing, self._tag = parameter, node, False, None
        self.value = parameter.read(node)
        changed = weakref.WeakMethod(self._changed)  # else VTK would keep this object
        self._tag = node.AddObserver("ModifiedEvent", lambda *unused: changed()())

    def __del__(self) -> None:
        if self._tag is not None:
            self._node.RemoveObserver(self._tag)

    def _changed(self) -> None:
        if not self._writing:
            self.value = self._parameter.read(self._node)

    def write(self, value: Any) -> None:
        """The new value is here before anybody hears of it."""
        self._writing = True
        try:
            with slicer.util.NodeModify(self._node):
                self._parameter.write(self._node, value)
                self.value = self._parameter.read(self._node)
        finally:
            self._writing = False


class Connector:
    """How to read and write one widget, and which signal says that it changed."""

    def __init__(self, widget: Any, attribute: str, signal: Any) -> None:
        self.widget, self._attribute, self._signal, self._callback = widget, attribute, signal, None

    def read(self) -> Any:
        return getattr(self.widget, self._attribute)

    def write(self, value: Any) -> None:
        setattr(self.widget, self._attribute, value)

    def connect(self, callback: Callable[[], None]) -> None:
        self._callback = callback
        self._signal.connect(self._changed)

    def disconnect(self) -> None:
        self._signal.disconnect(self._changed)

    def _changed(self) -> None:
        self._callback()


class EnumConnector(Connector):
    """The box is filled with the members' labels; what was selected by number before stays so."""

    def __init__(self, box: Any, kind: type[enum.Enum]) -> None:
        super().__init__(box, "currentIndex", box.currentIndexChanged)
        self._members = list(kind)
        selected = self.read()
        box.clear()
        for member in self._members:
            box.addItem(kind.label(member) if hasattr(kind, "label") else member.name)
        self.write(selected)

    def read(self) -> enum.Enum:
        return self._members[super().read()]

    def write(self, value: enum.Enum) -> None:
        super().write(self._members.index(value))


class NodeConnector(Connector):
    """The selector offers the parameter's class, whatever the form says."""

    def __init__(self, selector: Any, kind: type) -> None:
        super().__init__(selector, "currentNode", selector.currentNodeChanged)
        selector.nodeTypes = [kind.__name__]

    def read(self) -> Any:
        return self.widget.currentNode()

    def write(self, value: Any) -> None:
        self.widget.setCurrentNode(value)


def _connector(widget: Any, parameter: Parameter) -> Connector:
    name = getattr(type(widget), "slicer_class", "") or type(widget).__name__
    if parameter.kind is bool and name == "QCheckBox":
        return Connector(widget, "checked", widget.stateChanged)
    if parameter.kind is float and name in ("QDoubleSpinBox", "ctkSliderWidget"):
        if parameter.span is None and name == "ctkSliderWidget":
            raise RuntimeError(f"{parameter.name} needs WithinRange to be connected with a slider")
        span = parameter.span or WithinRange(-math.inf, math.inf)
        widget.minimum, widget.maximum = span.minimum, span.maximum
        return Connector(widget, "value", widget.valueChanged)
    if parameter.is_node and name == "qMRMLNodeComboBox":
        return NodeConnector(widget, parameter.kind)
    if issubclass(parameter.kind, enum.Enum) and name == "QComboBox":
        return EnumConnector(widget, parameter.kind)
    raise RuntimeError(f"Unable to connect {parameter.kind} with {name}")


class ParameterNode:
    """What `parameterNodeWrapper` makes of a class, besides its attributes."""

    allParameters: dict[str, Parameter]

    def __init__(self, node: Any) -> None:
        self.parameterNode, self._guis, self._showing, self._tags = node, {}, False, itertools.count()
        self._cached = {}
        for name, parameter in self.allParameters.items():
            self._cached[name] = Cached(parameter, node)

    def getValue(self, name: str) -> Any:
        return self._cached[name].value

    def setValue(self, name: str, value: Any) -> None:
        self._cached[name].write(value)

    def connectGui(self, ui: Any) -> int:
        found = [(widget.property(FORM_PROPERTY), widget) for widget in vars(ui).values()]
        widgets = {name: widget for name, widget in found if name}
        unknown = widgets.keys() - self.allParameters.keys()
        if unknown:
            raise ValueError(f"No such parameters: {unknown}")
        connectors = {name: _connector(widget, self.allParameters[name]) for name, widget in widgets.items()}
        for name, connector in connectors.items():
            connector.write(self.getValue(name))
            connector.connect(lambda name=name, connector=connector: self._store(name, connector))
        tag = next(self._tags)
        self._guis[tag] = connectors, self.AddObserver("ModifiedEvent", lambda *unused: self._show())
        return tag

    def disconnectGui(self, tag: int) -> None:
        connectors, observer = self._guis.pop(tag, ({}, None))
        for connector in connectors.values():
            connector.disconnect()
        if observer is not None:
            self.RemoveObserver(observer)

    def _store(self, name: str, connector: Connector) -> None:
        with slicer.util.NodeModify(self):
            if not self._showing:
                self.setValue(name, connector.read())

    def _show(self) -> None:
        """Every widget, also the one that was just changed; what they say meanwhile is nobody's choice."""
        if self._showing:
            return
        self._showing = True
        try:
            with slicer.util.NodeModify(self):
                for connectors, _observer in self._guis.values():
                    for name, connector in connectors.items():
                        connector.write(self.getValue(name))
        finally:
            self._showing = False

    def StartModify(self) -> int:
        return self.parameterNode.StartModify()

    def EndModify(self, before: int) -> None:
        self.parameterNode.EndModify(before)

    def Modified(self) -> None:
        self.parameterNode.Modified()

    def AddObserver(self, event: Any, callback: Any, priority: float = 0.0) -> int:
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)


def parameterNodeWrapper(cls: type) -> type:
    parameters = {name: _parameter(cls, name, hint) for name, hint in typing.get_type_hints(cls, include_extras=True).items()}
    methods = {name: method for name, method in vars(ParameterNode).items() if callable(method) and not name.endswith("__")}
    taken = parameters.keys() & {*methods, *RESERVED}
    if taken:
        raise ValueError(f"Names that are taken: {taken}")
    for name in parameters:
        setattr(cls, name, property(lambda self, n=name: self.getValue(n), lambda self, value, n=name: self.setValue(n, value)))
    for name, method in methods.items():
        setattr(cls, name, method)
    cls.__init__, cls.allParameters = ParameterNode.__init__, parameters
    return cls


def _parameter(cls: type, name: str, hint: Any) -> Parameter:
    kind, *annotations = (hint.__origin__, *hint.__metadata__) if hasattr(hint, "__metadata__") else (hint,)
    spans = [annotation for annotation in annotations if isinstance(annotation, WithinRange)]
    known = isinstance(kind, type) and (kind in PLAIN or issubclass(kind, (enum.Enum, slicer.vtkMRMLNode)))
    if not known or len(spans) != len(annotations) or len(spans) > 1:
        raise TypeError(f"{name}: {hint} is not among what this stand-in can do")
    return Parameter(name, kind, spans[0] if spans else None, getattr(cls, name, _default(kind)))


def _default(kind: type) -> Any:
    if issubclass(kind, slicer.vtkMRMLNode):
        return None
    return next(iter(kind)) if issubclass(kind, enum.Enum) else 0 if kind is float else kind()
