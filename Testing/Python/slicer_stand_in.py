"""Slicer's application around the real MRML of slicer-core: what LAScarSeg.py meets when it is opened, without Slicer.

Real: the scene, its nodes and logics, Qt; the parameter node wrapper where it is to be had (`real_wrapper`). Stand-ins: PythonQt,
ctk and MRML widgets (pythonqt_stand_in), else the parameter node wrapper (parameter_node_stand_in), the base classes of scripted
modules, dialogs (they are written down, and answered with yes).
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
MODULES = ("LAScarSeg", "LAScarSegPanel")
OF_SLICER = ("qt", "ctk", "slicer.i18n", "slicer.ScriptedLoadableModule", "slicer.parameterNodeWrapper")
"""Modules that are there inside only."""
WRAPPER = "slicer.parameterNodeWrapper"
SLICER_SOURCE = "LASCARSEG_SLICER_SOURCE"
"""Environment variable: a checkout of Slicer/Slicer, whose parameter node wrapper the tests then take."""


class Dialogs(list):
    """What would have been shown: (kind, text)."""

    answer = True

    def error(self, text: str, *unused: Any, **details: Any) -> None:
        self.append(("error", text))

    def confirm(self, text: str, *unused: Any, **details: Any) -> bool:
        self.append(("question", text))
        return self.answer


@contextmanager
def slicer_application(scene: Any) -> Iterator[Dialogs]:
    """Inside, `import LAScarSeg` works as in Slicer, on `scene`; yields what dialogs would have said."""
    import slicer
    import slicer.util
    from pythonqt_stand_in import slicer_classes

    before, path, dialogs = dict(sys.modules), list(sys.path), Dialogs()
    attributes = {name: getattr(slicer, name, None) for name in ("mrmlScene", "app", "modules", *slicer_classes())}
    helpers = {name: getattr(slicer.util, name, None) for name in _helpers(dialogs)}
    slicer.mrmlScene, slicer.app, slicer.modules = scene, _application(), _modules()
    for name, function in _helpers(dialogs).items():
        setattr(slicer.util, name, function)
    _install_modules(slicer)
    if not scene.IsNodeClassRegistered("vtkMRMLSegmentEditorNode"):
        scene.RegisterNodeClass(slicer.vtkMRMLSegmentEditorNode())  # as Slicer's Segmentations module does
    sys.path.insert(0, str(REPOSITORY / "LAScarSeg"))
    try:
        yield dialogs
    finally:
        for owner, values in ((slicer, attributes), (slicer.util, helpers)):
            for name, value in values.items():
                setattr(owner, name, value)
        sys.path[:] = path
        for name in set(sys.modules) - set(before):
            if name in OF_SLICER or name.startswith((*MODULES, WRAPPER)) and not name.startswith("LAScarSegLib"):
                del sys.modules[name]


def _application() -> SimpleNamespace:
    return SimpleNamespace(
        slicerHome="", temporaryPath=tempfile.gettempdir(), testingEnabled=lambda: True, connect=lambda *unused: None, setOverrideCursor=lambda *unused: None,
        restoreOverrideCursor=lambda: None,
    )  # fmt: skip


def _modules() -> SimpleNamespace:
    """The one logic that the panel asks for: it remembers which charts it showed."""
    plots = SimpleNamespace(shown=[])
    plots.ShowChartInLayout = plots.shown.append
    return SimpleNamespace(plots=SimpleNamespace(logic=lambda: plots))


def _helpers(dialogs: Dialogs) -> dict[str, Any]:
    from pythonqt_stand_in import load_ui

    return {
        "loadUI": load_ui,
        "childWidgetVariables": child_widgets,
        "errorDisplay": dialogs.error,
        "confirmOkCancelDisplay": dialogs.confirm,
        "mainWindow": lambda: None,
    }


def child_widgets(widget: Any) -> SimpleNamespace:
    from PySide6 import QtWidgets

    return SimpleNamespace(**{w.objectName: w for w in widget.findChildren(QtWidgets.QWidget) if getattr(w, "objectName", "") and
                              isinstance(w.objectName, str)})  # fmt: skip


class Parent:
    """The qSlicerScriptedLoadableModuleWidget that holds the panel."""

    isEntered = True

    def __init__(self) -> None:
        from PySide6 import QtWidgets

        self.widget = QtWidgets.QWidget()
        self._layout = QtWidgets.QVBoxLayout(self.widget)
        self._layout.setContentsMargins(0, 0, 0, 0)

    def layout(self) -> Any:
        return self._layout


def _install_modules(slicer: Any) -> None:
    import unittest

    import pythonqt_stand_in

    pythonqt_stand_in.application()

    class Base:
        def __init__(self, parent: Any = None) -> None:
            super().__init__()
            self.parent = parent

    class Widget(Base):
        def __init__(self, parent: Any = None) -> None:
            super().__init__(parent)
            self.layout = parent.layout()

        def setup(self) -> None:
            pass

    class Logic(Base):
        def getParameterNode(self) -> Any:
            node = slicer.mrmlScene.GetSingletonNode("LAScarSeg", "vtkMRMLScriptedModuleNode")
            if node is None:
                node = slicer.vtkMRMLScriptedModuleNode()
                node.SetSingletonTag("LAScarSeg")
                node = slicer.mrmlScene.AddNode(node)
            return node

    class Test(unittest.TestCase):
        def delayDisplay(self, message: str, *unused: Any) -> None:
            pass

    for name, cls in pythonqt_stand_in.slicer_classes().items():
        setattr(slicer, name, cls)
    sys.modules["qt"] = pythonqt_stand_in.qt_module()
    sys.modules["ctk"] = pythonqt_stand_in.ctk_module()
    _module("slicer.i18n", tr=str, translate=lambda context, text: text)
    sys.modules[WRAPPER] = real_wrapper() or importlib.import_module("parameter_node_stand_in")
    _module("slicer.ScriptedLoadableModule", ScriptedLoadableModule=Base, ScriptedLoadableModuleWidget=Widget,
            ScriptedLoadableModuleLogic=Logic, ScriptedLoadableModuleTest=Test)  # fmt: skip


def real_wrapper() -> ModuleType | None:
    """Slicer's own slicer.parameterNodeWrapper, for use inside `slicer_application`; None where there is none."""
    spec = _wrapper_spec()
    if spec is None:
        return None
    module = sys.modules[WRAPPER] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def has_real_wrapper() -> bool:
    return _wrapper_spec() is not None


def _wrapper_spec() -> ModuleSpec | None:
    """Plain Python that needs no more of Slicer than the stand-ins give: in Slicer's source, or in slicer-core should it bring it."""
    if os.environ.get(SLICER_SOURCE):
        folder = Path(os.environ[SLICER_SOURCE], "Base", "Python", "slicer", "parameterNodeWrapper")
        return importlib.util.spec_from_file_location(WRAPPER, folder / "__init__.py", submodule_search_locations=[str(folder)])
    return PathFinder.find_spec(WRAPPER, importlib.import_module("slicer").__path__)


def _module(name: str, **attributes: Any) -> None:
    sys.modules[name] = ModuleType(name)
    sys.modules[name].__dict__.update(attributes)


def open_panel() -> Any:
    """The module's widget after the user opened it."""
    widget = importlib.import_module("LAScarSeg").LAScarSegWidget(Parent())
    widget.setup()
    widget.enter()
    return widget
