"""Drawing surfaces without a display: is it possible on this machine, and a picture from a list of VTK actors.

VTK looks for X, EGL and OSMesa when it opens a window, and ends the whole process with a segmentation fault when none of
them works. So the first drawing is tried in a child process, which may die; only then is anything drawn in this one.
"""

from __future__ import annotations

import ctypes
import functools
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from vtkmodules.vtkRenderingCore import vtkActor

logger = logging.getLogger(__name__)

PROBE_SECONDS = 60
"""How long the first drawing may take: seconds with a cold disk, a minute when something hangs."""

SUPERSAMPLING = 2
"""Pictures are drawn at twice their size and averaged: smooth edges on every driver, with or without multisampling."""

_PROBE = """
from vtkmodules.vtkRenderingCore import vtkRenderWindow, vtkRenderer
import vtkmodules.vtkRenderingOpenGL2
window = vtkRenderWindow()
window.SetOffScreenRendering(1)
window.SetSize(8, 8)
window.AddRenderer(vtkRenderer())
window.Render()
raise SystemExit(0 if window.SupportsOpenGL() else 3)
"""

_CHECKING = threading.Lock()
"""One asks, and the others wait for the answer."""
_LINUX_LIBRARIES = (
    ("libEGL (EGL)", ("libEGL.so.1",), "libegl1"),
    ("Mesa's EGL driver", ("libEGL_mesa.so.0", "libEGL_nvidia.so.0"), "libegl-mesa0"),
)
"""What software drawing needs on Linux: name, any of these libraries, and the package that has it in Debian and Ubuntu."""
DEBIAN_PACKAGES = "libegl1 libgl1-mesa-dri"
"""The packages that make drawing work on a Debian or Ubuntu without a display."""


@dataclass(frozen=True)
class Camera:
    """A parallel projection: looking along `direction` with `up` upwards, at `centre` (mm), showing `height_mm`."""

    direction: tuple[float, float, float]
    up: tuple[float, float, float]
    centre: tuple[float, float, float]
    height_mm: float


def check_in_advance() -> None:
    """Begin `check_rendering` for whoever will ask, beside what is done meanwhile: another process's half a second."""
    threading.Thread(target=check_rendering, daemon=True).start()


def check_rendering() -> str | None:
    """None when surfaces can be drawn on this machine, else one line that says what is missing and how to get it."""
    with _CHECKING:
        return _checked()


@functools.cache
def _checked() -> str | None:
    # Slicer's own process draws already (and its `sys.executable` need not be a Python).
    if hasattr(sys.modules.get("slicer"), "app"):
        return None
    problem = _probe()
    if problem is None:
        return None
    logger.debug("drawing is impossible here: %s", problem)
    if not sys.platform.startswith("linux"):
        return f"VTK can't draw on this machine ({problem}). Update the graphics driver."
    missing = [f"{name}, package {package}" for name, files, package in _LINUX_LIBRARIES if not any(map(_loads, files))]
    cause = f"missing: {'; '.join(missing)}" if missing else f"no working OpenGL driver, package libgl1-mesa-dri ({problem})"
    return f"VTK can't draw on this machine, {cause}. On Debian or Ubuntu: apt-get install {DEBIAN_PACKAGES}"


def render(actors: Sequence[vtkActor], cameras: Sequence[Camera], size: tuple[int, int]) -> list[np.ndarray]:
    """One picture for each camera of the same actors, on white.

    Parameters
    ----------
    actors
        what to draw, in the coordinates of the cameras.
    size
        width and height in pixels.

    Returns
    -------
    list
        arrays (height, width, 3), uint8, first row at the top.
    """
    import vtkmodules.vtkRenderingOpenGL2  # noqa: F401  gives vtkRenderWindow its implementation
    from vtkmodules.vtkRenderingCore import vtkRenderer, vtkRenderWindow

    renderer = vtkRenderer()
    renderer.SetBackground(1.0, 1.0, 1.0)
    for actor in actors:
        renderer.AddActor(actor)
    _light(renderer)
    with _without_driver_chatter():
        window = vtkRenderWindow()
        window.SetOffScreenRendering(1)
        window.SetMultiSamples(0)
        window.SetSize(size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING)
        window.AddRenderer(renderer)
        pictures = [_shoot(window, renderer, camera) for camera in cameras]
        window.Finalize()
    return pictures


def _shoot(window, renderer, camera: Camera) -> np.ndarray:
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkRenderingCore import vtkWindowToImageFilter

    view = renderer.GetActiveCamera()
    view.ParallelProjectionOn()
    view.SetFocalPoint(camera.centre)
    view.SetPosition(np.subtract(camera.centre, np.multiply(camera.direction, 2 * camera.height_mm)))
    view.SetViewUp(camera.up)
    view.SetParallelScale(camera.height_mm / 2)
    renderer.ResetCameraClippingRange()
    window.Render()
    grab = vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.ReadFrontBufferOff()
    grab.Update()
    image = grab.GetOutput()
    width, height, _ = image.GetDimensions()
    pixels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, 3)[::-1]
    return _averaged(pixels, SUPERSAMPLING)


def _averaged(pixels: np.ndarray, n: int) -> np.ndarray:
    """(height / n, width / n, 3) uint8: the rounded mean of each n × n pixels of (height, width, 3) uint8.

    In whole numbers, one corner after the other: a tenth of the time of numpy's mean over two axes.
    """
    height, width, _ = pixels.shape
    parts = pixels.reshape(height // n, n, width // n, n, 3)
    total = np.full((height // n, width // n, 3), n * n // 2, dtype=np.uint16)
    for row in range(n):
        for column in range(n):
            total += parts[:, row, :, column]
    return (total // (n * n)).astype(np.uint8)


def _light(renderer) -> None:
    """A key light over the viewer's left shoulder and a weak one from the right: shape shows, colours stay comparable."""
    from vtkmodules.vtkRenderingCore import vtkLight

    renderer.AutomaticLightCreationOff()
    for position, intensity in (((-0.35, 0.5, 1.0), 0.80), ((0.7, -0.3, 0.8), 0.40)):
        light = vtkLight()
        light.SetLightTypeToCameraLight()
        light.SetPosition(position)
        light.SetFocalPoint(0.0, 0.0, 0.0)
        light.SetIntensity(intensity)
        renderer.AddLight(light)


@contextmanager
def _without_driver_chatter() -> Iterator[None]:
    """VTK warns on stderr of every kind of display it doesn't find before it takes the next; errors still show."""
    from vtkmodules.vtkCommonCore import vtkLogger

    before = vtkLogger.GetCurrentVerbosityCutoff()
    vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_ERROR)
    try:
        yield
    finally:
        vtkLogger.SetStderrVerbosity(before)


def _probe() -> str | None:
    """Draw an empty window in a child process: None when that works, else how it ended."""
    command = [sys.executable, "-c", _PROBE]
    try:
        child = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PROBE_SECONDS)
    except subprocess.TimeoutExpired:
        return f"a test drawing took more than {PROBE_SECONDS} s"
    except OSError as error:
        return f"the test drawing could not be started: {error}"
    if child.returncode == 0:
        return None
    if child.returncode < 0:
        return f"a test drawing crashed with signal {-child.returncode}"
    last = child.stderr.strip().splitlines()[-1:] or [f"exit code {child.returncode}"]
    return f"a test drawing failed: {last[0]}"


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
