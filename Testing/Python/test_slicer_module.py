"""The Slicer module's logic and self test, run on real MRML with stand-ins for the four classes that only Slicer has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed: pip install lascarseg[scene]")

STAND_INS = '''
import sys, types
import slicer, slicer.util
from trame_slicer.core import SlicerApp

application = SlicerApp()
slicer.mrmlScene = application.scene


class Base:
    def __init__(self, parent=None):
        self.parent = parent


class Test(Base):
    delayDisplay = staticmethod(lambda message: None)

    def __getattr__(self, name):
        import unittest
        return getattr(unittest.TestCase(), name)


def module(name, **attributes):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__dict__.update(attributes)


names = ("ScriptedLoadableModule", "ScriptedLoadableModuleLogic", "ScriptedLoadableModuleWidget")
module("slicer.ScriptedLoadableModule", ScriptedLoadableModuleTest=Test, **{name: type(name, (Base,), {}) for name in names})
module("slicer.i18n", tr=str, translate=lambda context, text: text)
module("slicer.parameterNodeWrapper", parameterNodeWrapper=lambda cls: cls)
'''
"""No widget is made: Qt exists only inside Slicer, where the same self test runs with everything real."""


def run_in_module(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    """`code` in a fresh Python in which LAScarSeg.py of `folder` is imported as Slicer would."""
    program = f"{STAND_INS}\nsys.path.insert(0, {str(folder)!r})\nimport LAScarSeg\n{code}"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, stdin=subprocess.DEVNULL)


def test_the_self_test_passes(repository: Path) -> None:
    done = run_in_module(repository / "LAScarSeg", "LAScarSeg.LAScarSegTest().runTest(); print('passed')")
    assert done.stdout.endswith("passed\n"), done.stdout + done.stderr


def test_importing_the_module_loads_no_network_library_and_no_analysis(repository: Path) -> None:
    code = "print([name for name in ('torch', 'LAScarSegLib', 'matplotlib', 'scipy') if name in sys.modules])"
    done = run_in_module(repository / "LAScarSeg", code)
    assert done.stdout.endswith("[]\n"), done.stdout + done.stderr
