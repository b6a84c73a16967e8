"""What every part of the scene layer needs: Slicer's classes, and nodes that are found again instead of made twice."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from ..errors import ProcessingError

WITHHELD_HERE = "LAScarSeg.withheld"
"""Attribute of what is drawn without scar, until a person has confirmed or corrected the cavity."""
ROLE = "LAScarSeg.role"
"""Node attribute: what the node is in a result (`"surface"`, `"sdm_cavity"` …)."""
SOURCE = "LAScarSeg.source"
"""Node reference role: the image volume that a result node was computed from."""
HARDENED_ROLE = "hardened"
"""The copy of a scan that lies under a transform which bends it."""


def slicer_classes() -> ModuleType:
    """Slicer's `slicer` module with its MRML classes: in Slicer itself, or from the package slicer-core.

    Raises
    ------
    ProcessingError
        when it isn't installed, or when another package of that name is.
    """
    try:
        import slicer
    except ImportError as error:
        raise ProcessingError(_HOW_TO_GET_MRML) from error
    if not hasattr(slicer, "vtkMRMLScene"):
        # a package called "slicer" that comes with the library shap has nothing to do with 3D Slicer
        raise ProcessingError(f"{_HOW_TO_GET_MRML} (The package imported as 'slicer' from {slicer.__file__} is another one.)")
    return slicer


_HOW_TO_GET_MRML = "A Slicer scene needs Slicer's MRML library, which is not installed here. Install it: pip install lascarseg[scene]"


def nodes_of_class(scene: Any, class_name: str) -> Iterator[Any]:
    """The nodes of that class (or derived from it), in the scene's order."""
    for number in range(scene.GetNumberOfNodesByClass(class_name)):
        yield scene.GetNthNodeByClass(number, class_name)


def find_result(scene: Any, class_name: str, role: str, source: Any | None) -> Any | None:
    """The node that plays `role` in the result computed from the volume node `source`; None when there is none yet."""
    for node in nodes_of_class(scene, class_name):
        if node.GetAttribute(ROLE) == role and (source is None or node.GetNodeReferenceID(SOURCE) == source.GetID()):
            return node
    return None


def find_or_add(scene: Any, class_name: str, role: str, name: str, source: Any | None) -> tuple[Any, bool]:
    """The result node of that role, and True when it had to be made."""
    node = find_result(scene, class_name, role, source)
    if node is not None:
        return node, False
    node = scene.AddNewNodeByClass(class_name, name)
    mark(node, role, source)
    return node, True


def mark(node: Any, role: str, source: Any | None) -> None:
    """Note on the node what it is and which image it belongs to: attributes and references are saved with the scene."""
    node.SetAttribute(ROLE, role)
    if source is not None:
        node.SetNodeReferenceID(SOURCE, source.GetID())


def remove_result(scene: Any, class_name: str, role: str, source: Any | None) -> None:
    """Take an outdated result node out of the scene: the new analysis has no such result."""
    node = find_result(scene, class_name, role, source)
    if node is not None:
        remove_node(scene, node)


def remove_node(scene: Any, node: Any) -> None:
    """Take a node out of the scene with its display and storage nodes, which MRML alone would leave behind.

    Slicer's Data module has taken them away by then (vtkSlicerDataModuleLogic::OnMRMLSceneNodeRemoved); removing a node a second
    time makes the subject hierarchy look for the scene of a node that has none.
    """
    companions = []
    if node.IsA("vtkMRMLDisplayableNode"):
        companions += [node.GetNthDisplayNode(number) for number in range(node.GetNumberOfDisplayNodes())]
    if node.IsA("vtkMRMLStorableNode"):
        companions.append(node.GetStorageNode())
    scene.RemoveNode(node)
    for companion in filter(None, companions):
        if companion.GetScene() is scene:
            scene.RemoveNode(companion)


def results_of(scene: Any, source: Any) -> list[Any]:
    """Every node that was computed from the volume node `source`."""
    nodes = (scene.GetNthNode(number) for number in range(scene.GetNumberOfNodes()))
    return [node for node in nodes if node.GetNodeReferenceID(SOURCE) == source.GetID()]


def save_for_undo(scene: Any) -> None:
    """Let the scene's own undo, where it is switched on, come back to what there is now."""
    scene.SaveStateForUndo()


@contextmanager
def all_or_nothing(scene: Any) -> Iterator[None]:
    """Take out of the scene whatever was added inside, when that ends in an error or was cancelled."""
    before = _node_ids(scene)
    try:
        yield
    except BaseException:
        for node_id in _node_ids(scene) - before:
            node = scene.GetNodeByID(node_id)
            if node is not None:  # a removed node takes its display and storage nodes along
                scene.RemoveNode(node)
        raise


def _node_ids(scene: Any) -> set[str]:
    return {scene.GetNthNode(number).GetID() for number in range(scene.GetNumberOfNodes())}
