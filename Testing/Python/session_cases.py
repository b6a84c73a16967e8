"""What the tests of the presenter share: the ball of `scene_cases` as nodes, and a run waited for."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from scene_cases import GRIDS, scan

from LAScarSegLib import scene as mrml
from LAScarSegLib.scene.mrml import slicer_classes
from LAScarSegLib.session.choices import Choices
from LAScarSegLib.volumes.volume import Volume

PYTHON = [sys.executable]
WAIT_SECONDS = 120.0


def add_volume(scene: Any, volume: Volume, name: str = "scan", kind: str = "vtkMRMLScalarVolumeNode") -> Any:
    return mrml.volume_to_node(volume, scene.AddNewNodeByClass(kind, name))


def add_segment(scene: Any, mask: Volume, name: str = "atrium") -> Any:
    """A segmentation node with one segment, as Slicer imports a label map."""
    labels = add_volume(scene, mask, name, "vtkMRMLLabelMapVolumeNode")
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", f"{name} segmentation")
    slicer_classes().vtkSlicerSegmentationsModuleLogic.ImportLabelmapToSegmentationNode(labels, node)
    scene.RemoveNode(labels)
    return node


def ball_nodes(scene: Any, grid: str = "axial") -> tuple[Any, Any, Choices]:
    """The scan's node, the segmentation of its cavity, and the choices of a user who takes them as they are."""
    image, cavity = scan(GRIDS[grid])
    volume, segmentation = add_volume(scene, image), add_segment(scene, cavity)
    segment = segmentation.GetSegmentation().GetNthSegmentID(0)
    return volume, segmentation, Choices(volume_id=volume.GetID(), segmentation_id=segmentation.GetID(), segment_id=segment, fast=True)


def add_transform(scene: Any, node: Any, matrix: np.ndarray, name: str = "moved") -> Any:
    """A linear transform (RAS) above the node."""
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
    transform.SetMatrixTransformToParent(mrml.volumes.matrix_to_vtk(matrix))
    node.SetAndObserveTransformNodeID(transform.GetID())
    return transform


def add_bend(scene: Any, node: Any, shift_ras: tuple[float, float, float]) -> Any:
    """A transform of the bending kind (thin plates) above the node that moves everything by the same shift."""
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonTransforms import vtkThinPlateSplineTransform

    source, target = vtkPoints(), vtkPoints()
    for corner in np.array(np.meshgrid(*[(-80.0, 80.0)] * 3)).reshape(3, -1).T:
        source.InsertNextPoint(corner)
        target.InsertNextPoint(corner + shift_ras)
    splines = vtkThinPlateSplineTransform()
    splines.SetSourceLandmarks(source)
    splines.SetTargetLandmarks(target)
    splines.SetBasisToR()
    transform = scene.AddNewNodeByClass("vtkMRMLTransformNode", "bend")
    transform.SetAndObserveTransformToParent(splines)
    node.SetAndObserveTransformNodeID(transform.GetID())
    return transform


def snapshot(scene: Any) -> dict[str, tuple[str, int]]:
    """Every node of the scene with its class and the time it was last modified."""
    nodes = (scene.GetNthNode(number) for number in range(scene.GetNumberOfNodes()))
    return {node.GetID(): (node.GetClassName(), node.GetMTime()) for node in nodes}


RESULT_CLASSES = (
    "Segmentation", "SegmentationDisplay", "Model", "ModelDisplay", "ScalarVolume", "ScalarVolumeDisplay", "Table", "PlotSeries",
    "PlotChart",
)  # fmt: skip


def undo_switched_on(scene: Any) -> None:
    """As Slicer's script repository does it: for the scene, and for what is made of these classes from now on."""
    scene.SetUndoOn()
    for name in RESULT_CLASSES:
        default = scene.CreateNodeByClass(f"vtkMRML{name}Node")
        default.UndoEnabledOn()
        scene.AddDefaultNode(default)


def wait_until(condition, seconds: float = WAIT_SECONDS) -> None:
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, f"nothing happened within {seconds:g} s"
        time.sleep(0.01)


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
