"""The Slicer module's import and self test, run on real MRML with stand-ins for what only Slicer's application has."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed: pip install lascarseg[scene]")
try:
    import PySide6.QtWidgets  # noqa: F401
except ImportError as error:
    pytest.skip(f"Qt can't be loaded ({error}): pip install lascarseg[test]; apt install libegl1", allow_module_level=True)

PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
from trame_slicer.core import SlicerApp
application = SlicerApp()
from slicer_stand_in import slicer_application
before = set(sys.modules)
with slicer_application(application.scene):
    import LAScarSeg
    {code}
"""


def run_in_module(repository: Path, code: str) -> subprocess.CompletedProcess[str]:
    """`code` in a fresh Python in which LAScarSeg.py is imported as Slicer would."""
    program = PROGRAM.format(tests=str(repository / "Testing" / "Python"), code=code)
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environment)


def test_the_self_test_passes(repository: Path) -> None:
    code = "test = LAScarSeg.LAScarSegTest(); test.setUp(); test.test_CapOnBall(); test.setUp(); test.test_SampleStory(); print('passed')"
    done = run_in_module(repository, code)
    assert done.stdout.endswith("passed\n"), done.stdout + done.stderr


def test_importing_the_module_loads_no_network_library_and_no_analysis(repository: Path) -> None:
    code = "print([n for n in ('torch', 'LAScarSegLib', 'matplotlib', 'scipy', 'monai') if n in set(sys.modules) - before])"
    done = run_in_module(repository, code)
    assert done.stdout.endswith("[]\n"), done.stdout + done.stderr


def test_opening_the_panel_loads_no_network_library(repository: Path) -> None:
    code = "from slicer_stand_in import open_panel; open_panel(); print([n for n in ('torch', 'matplotlib', 'monai') if n in sys.modules])"
    done = run_in_module(repository, code)
    assert done.stdout.endswith("[]\n"), done.stdout + done.stderr


def test_the_logic_gives_the_numbers_of_an_analysis_without_slicer(repository: Path) -> None:
    """Law 3 of ARCHITECTURE for this door; test_laws.py has the others. A node keeps spacing and position to 15 digits."""
    code = """
    from scene_cases import AXIAL, scan
    from LAScarSegLib import scene
    from LAScarSegLib.analysis import analyse
    image, cavity = scan(AXIAL)
    direct = analyse(image, cavity=cavity)
    nodes = scene.build_scene(application.scene, direct)
    session = LAScarSeg.LAScarSegLogic().process(nodes.volume, nodes.segmentation, "LA_cavity")
    pairs = [(session.analysis.measurements[key].value, quantity.value) for key, quantity in direct.measurements.items()]
    print(all(a == b or abs(a - b) <= 1e-9 * abs(b) for a, b in pairs), len(pairs))
"""
    done = run_in_module(repository, code.strip())
    assert done.stdout.endswith("True 28\n"), done.stdout + done.stderr
