"""How a scene opens: slices through the atrium, the scar map seen from behind, the numbers ready in the table view."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..analysis import Analysis
from .build import SceneNodes, set_window_level
from .layouts import SLICE_VIEWS, singleton
from .mrml import nodes_of_class, slicer_classes
from .volumes import LPS_TO_RAS

THREE_D_VIEW = "1"
MARGIN_MM = 30.0
"""What a slice view shows around the atrium: oesophagus, aorta and spine, the landmarks a reader looks for."""
NEW_VIEW_PIXELS = 512
CAMERA_ANGLE_DEG = 30.0
"""VTK's and Slicer's view angle."""
STEEPEST = 2.0
"""A point is looked at from at most 63° above or below."""
SURFACE_SHARE = 0.9
"""How much of the 3-D view's height the ball around the atrium fills."""


def show(scene: Any, nodes: SceneNodes, analysis: Analysis) -> None:
    """Arrange the views on a result: conventional layout, window and level from the blood pool, camera from behind.

    The posterior view shows the four pulmonary vein ostia and the wall between them, where ablation scar lies.
    Distance maps stay out of the slice views.
    """
    centre, half_size = _atrium_box(analysis)
    set_window_level(nodes.volume, analysis)
    for tag, orientation, colour in SLICE_VIEWS:
        view = _slice_view(scene, tag, colour)
        view.SetOrientation(orientation)
        _fit_slice(view, centre, 2 * float(half_size.max() + MARGIN_MM))
        _fill_slice(scene, nodes, tag)
    _show_three_d(scene)
    aim_camera(scene, analysis)
    _select(scene, nodes)


def aim_camera(scene: Any, analysis: Analysis) -> None:
    """Look at the atrium from behind in the first 3-D view; nothing else of the view changes."""
    centre, _ = _atrium_box(analysis)
    radius = float(np.linalg.norm(_points_ras(analysis) - centre, axis=1).max())
    camera, new = singleton(scene, "vtkMRMLCameraNode", THREE_D_VIEW)
    if new:
        camera.SetName("Camera")
    distance = radius / SURFACE_SHARE / np.sin(np.radians(CAMERA_ANGLE_DEG / 2))
    camera.SetFocalPoint(*centre)
    camera.SetPosition(*(centre + np.array([0.0, -distance, 0.0])))
    camera.SetViewUp(0.0, 0.0, 1.0)
    camera.SetViewAngle(CAMERA_ANGLE_DEG)
    camera.ResetClippingRange()


def look_at(scene: Any, analysis: Analysis, point_lps: Sequence[float]) -> None:
    """Every slice view on a point of the atrium's wall, and the first 3-D view from outside onto it, from as far as before."""
    point = np.array(point_lps) @ LPS_TO_RAS[:3, :3]
    for view in nodes_of_class(scene, "vtkMRMLSliceNode"):
        view.JumpSliceByCentering(*point)
    camera = scene.GetSingletonNode(THREE_D_VIEW, "vtkMRMLCameraNode")
    if camera is None:
        return
    outwards = point - _atrium_box(analysis)[0]
    # From above or below there would be no "up".
    flat = np.linalg.norm(outwards[:2])
    outwards[2] = np.clip(outwards[2], -STEEPEST * flat, STEEPEST * flat)
    if not np.linalg.norm(outwards) > 0:
        outwards = np.array([0.0, -1.0, 0.0])
    distance = np.linalg.norm(np.subtract(camera.GetPosition(), camera.GetFocalPoint()))
    camera.SetFocalPoint(*point)
    camera.SetPosition(*(point + distance * outwards / np.linalg.norm(outwards)))
    camera.SetViewUp(0.0, 0.0, 1.0)
    camera.ResetClippingRange()


def _atrium_box(analysis: Analysis) -> tuple[np.ndarray, np.ndarray]:
    """Centre and half size of the surface's bounding box in RAS mm."""
    points = _points_ras(analysis)
    low, high = points.min(axis=0), points.max(axis=0)
    return (low + high) / 2, (high - low) / 2


def _points_ras(analysis: Analysis) -> np.ndarray:
    return analysis.surface.points @ LPS_TO_RAS[:3, :3]


def _slice_view(scene: Any, tag: str, colour: tuple[int, int, int]) -> Any:
    view, new = singleton(scene, "vtkMRMLSliceNode", tag)
    if new:
        view.SetLayoutName(tag)
        view.SetLayoutLabel(tag[0])
        view.SetLayoutColor(*(channel / 255 for channel in colour))
        view.SetDimensions(NEW_VIEW_PIXELS, NEW_VIEW_PIXELS, 1)
    return view


def _fit_slice(view: Any, centre: np.ndarray, field_mm: float) -> None:
    """Centre the view and let its shorter side show `field_mm`; the other shows more, so that pixels stay square."""
    view.JumpSliceByCentering(*centre)
    width, height, _ = view.GetDimensions()
    shorter = max(min(width, height), 1)
    view.SetFieldOfView(field_mm * width / shorter, field_mm * height / shorter, view.GetFieldOfView()[2])


def _fill_slice(scene: Any, nodes: SceneNodes, tag: str) -> None:
    composite, new = singleton(scene, "vtkMRMLSliceCompositeNode", tag)
    if new:
        composite.SetLayoutName(tag)
    composite.SetBackgroundVolumeID(nodes.volume.GetID())
    composite.SetForegroundVolumeID(None)
    composite.SetLabelVolumeID(None)


def _show_three_d(scene: Any) -> None:
    view, new = singleton(scene, "vtkMRMLViewNode", THREE_D_VIEW)
    if new:
        view.SetName(f"View{THREE_D_VIEW}")
        view.SetLayoutName(THREE_D_VIEW)
        view.SetLayoutLabel(THREE_D_VIEW)
    view.SetBoxVisible(False)
    view.SetAxisLabelsVisible(False)
    view.SetOrientationMarkerType(view.OrientationMarkerTypeCube)


def _select(scene: Any, nodes: SceneNodes) -> None:
    """The layout, and what table, plot and other views take when they open."""
    slicer = slicer_classes()
    layout, _ = singleton(scene, "vtkMRMLLayoutNode", "vtkMRMLLayoutNode")
    layout.SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView)
    selection, _ = singleton(scene, "vtkMRMLSelectionNode", "Singleton")
    selection.SetActiveVolumeID(nodes.volume.GetID())
    selection.SetActiveTableID(nodes.measurements.GetID())
    selection.SetActivePlotChartID(nodes.curve_chart.GetID())
