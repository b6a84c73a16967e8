"""What an analysis starts from, read from nodes: for the module, for scripts and for the folder batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import InputError
from ..volume import Volume
from .segmentation import segment_from_node
from .volumes import volume_from_node, volume_to_node


def mask_from_node(node: Any | None, reference: Volume, segment: str | None = None) -> Volume:
    """A mask for `analysis.analyse` from a segmentation or a label map node.

    Parameters
    ----------
    node
        a vtkMRMLSegmentationNode, or any volume node (voxels > 0 are the mask; the analysis resamples it).
    reference
        the LGE volume; a segment comes back on its grid.
    segment
        ID or name of the segment; None: the only one there is.

    Raises
    ------
    InputError
        no node, a node of another kind, an empty or ambiguous segmentation.
    """
    if node is None:
        raise InputError("No cavity is selected. Choose a segmentation or a label map of the left atrium.")
    if node.IsA("vtkMRMLSegmentationNode"):
        return segment_from_node(node, _only_segment(node) if segment is None else segment, reference)
    if node.IsA("vtkMRMLScalarVolumeNode"):
        return volume_from_node(node)
    raise InputError(f"{node.GetName()!r} is a {node.GetNodeTagName()}; a mask is a segmentation or a label map volume.")


def _only_segment(node: Any) -> str:
    segmentation = node.GetSegmentation()
    names = [segmentation.GetNthSegment(n).GetName() for n in range(segmentation.GetNumberOfSegments())]
    if len(names) != 1:
        found = f"{len(names)} segments ({', '.join(names)})" if names else "no segment"
        raise InputError(f"The segmentation {node.GetName()!r} has {found}; say which one is the left atrium.")
    return segmentation.GetNthSegmentID(0)


def load_volume(scene: Any, path: str | Path, *, labels: bool = False) -> Any:
    """A volume file as a node of the scene: read by the library, so that its checks and messages are the command line's.

    `labels` makes a label map node. Raises `InputError` for what can't be used (`volume_files`).
    """
    from ..volume_files import read_volume

    volume = read_volume(Path(path))
    node = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode" if labels else "vtkMRMLScalarVolumeNode", file_stem(Path(path)))
    volume_to_node(volume, node)
    node.CreateDefaultDisplayNodes()
    return node


def file_stem(path: Path) -> str:
    """The file's name without its extension, `.nii.gz` taken as one."""
    return path.name[: -len(".nii.gz")] if path.name.endswith(".nii.gz") else path.stem
