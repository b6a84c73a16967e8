"""What a person may choose in a scene: the likely scan, checks of what was chosen, and choices kept with the scene."""

from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import InputError
from .build import INPUT_ROLE
from .mrml import ROLE, nodes_of_class
from .segmentation import is_empty


def find_node(scene: Any, node_id: str | None) -> Any | None:
    """The node of that ID, None when there is none."""
    return scene.GetNodeByID(node_id) if node_id else None


def likely_volume(scene: Any) -> Any | None:
    """The scan to start with: one that a slice view shows, else the only one there is; never a result of ours."""
    for composite in nodes_of_class(scene, "vtkMRMLSliceCompositeNode"):
        shown = find_node(scene, composite.GetBackgroundVolumeID())
        if shown is not None and _is_scan(shown):
            return shown
    scans = [node for node in nodes_of_class(scene, "vtkMRMLScalarVolumeNode") if _is_scan(node)]
    return scans[0] if len(scans) == 1 else None


def _is_scan(node: Any) -> bool:
    grey = node.IsA("vtkMRMLScalarVolumeNode") and not node.IsA("vtkMRMLLabelMapVolumeNode")
    return grey and node.GetAttribute(ROLE) in (None, INPUT_ROLE)


def check_scan_node(scene: Any, node_id: str) -> None:
    """`InputError` unless a volume with an image is chosen."""
    node = find_node(scene, node_id)
    if node is None:
        raise InputError("Choose the LGE-MRI volume.")
    if node.IsA("vtkMRMLLabelMapVolumeNode"):
        raise InputError(f"The volume {node.GetName()!r} is a label map, not a scan. Choose the LGE-MRI volume.")
    if not node.IsA("vtkMRMLScalarVolumeNode"):
        raise InputError(f"{node.GetName()!r} is a {node.GetNodeTagName()}. Choose the LGE-MRI volume.")
    if not _is_scan(node):
        raise InputError(f"The volume {node.GetName()!r} is a result of LAScarSeg, not a scan. Choose the LGE-MRI volume.")
    if node.GetImageData() is None:
        raise InputError(f"The volume {node.GetName()!r} holds no image. Load the scan again, or choose another volume.")


def check_segment(scene: Any, segmentation_id: str, segment_id: str, missing: str) -> None:
    """`InputError`, that says `missing`, unless the segment is there and something is drawn in it."""
    node = find_node(scene, segmentation_id)
    if node is None or not segment_id:
        raise InputError(missing)
    if node.GetSegmentation().GetSegment(segment_id) is None:
        raise InputError(f"The segmentation {node.GetName()!r} no longer has the segment that was chosen. {missing}")
    if is_empty(node, segment_id):
        name = node.GetSegmentation().GetSegment(segment_id).GetName()
        raise InputError(f"The segment {name!r} of {node.GetName()!r} is empty. Draw it, or choose another segment.")


def write_choice(node: Any, attribute: str, text: str, nodes: Mapping[str, str], planes: Iterable[str]) -> None:
    """Keep what was chosen on a node: plain values as `text`, nodes by their IDs as references, which a scene adapts when it is read."""
    node.SetAttribute(attribute, text)
    for name, node_id in nodes.items():
        node.SetNodeReferenceID(f"{attribute}.{name}", node_id or None)
    node.RemoveNodeReferenceIDs(f"{attribute}.planes")
    for plane in planes:
        node.AddNodeReferenceID(f"{attribute}.planes", plane)


def read_choice(scene: Any, node: Any, attribute: str, names: Iterable[str]) -> tuple[str, dict[str, str], tuple[str, ...]] | None:
    """What `write_choice` kept: text, IDs of nodes by name ("" for one that is gone), planes. None when nothing was kept."""
    text = node.GetAttribute(attribute)
    if text is None:
        return None
    nodes = {name: _existing(scene, node.GetNodeReferenceID(f"{attribute}.{name}")) for name in names}
    role = f"{attribute}.planes"
    planes = (_existing(scene, node.GetNthNodeReferenceID(role, n)) for n in range(node.GetNumberOfNodeReferences(role)))
    return text, nodes, tuple(filter(None, planes))


def _existing(scene: Any, node_id: str | None) -> str:
    return node_id if find_node(scene, node_id) is not None else ""
