"""What an analysis starts from, read from nodes: for the module, for scripts and for the folder batch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..analysis.provenance import NODE
from ..datasets.layouts import case_name
from ..datasets.sample_data import SampleFile, sample
from ..errors import InputError, ProcessingError
from ..volumes.files import read_volume
from ..volumes.volume import Geometry, Volume
from .mrml import HARDENED_ROLE, find_or_add, slicer_classes
from .plane_markups import show_markups
from .segmentation import segment_from_node, segment_names
from .volumes import LPS_TO_RAS, hardened_from_node, matrix_from_vtk, volume_from_node, volume_to_node


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
    names = segment_names(node)
    if len(names) != 1:
        found = f"{len(names)} segments ({', '.join(names.values())})" if names else "no segment"
        raise InputError(f"The segmentation {node.GetName()!r} has {found}; say which one is the left atrium.")
    return next(iter(names))


def load_volume(scene: Any, path: str | Path, *, labels: bool = False) -> Any:
    """A volume file as a node of the scene: read by the library, so that its checks and messages are the command line's.

    `labels` makes a label map node. Raises `InputError` for what can't be used (`volume_files`).
    """
    volume = read_volume(Path(path))
    node = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode" if labels else "vtkMRMLScalarVolumeNode", case_name(Path(path)))
    volume_to_node(volume, node)
    node.CreateDefaultDisplayNodes()
    return node


def load_sample(scene: Any) -> tuple[Any, Any, tuple[Any, ...]]:
    """The extension's sample as nodes, as the Sample Data module would load it: volume, segmentation, planes (markups).

    Raises
    ------
    ProcessingError
        when its files are missing, or Slicer's MRML library is.
    """

    def read(class_name: str, storage: Any, file: SampleFile) -> Any:
        node = scene.AddNewNodeByClass(class_name, file.node)
        storage.SetFileName(str(file.path))
        if not storage.ReadData(node):
            raise ProcessingError(f"The sample's file {file.path} can't be read. Install LAScarSeg again.")
        node.CreateDefaultDisplayNodes()
        return node

    slicer, known = slicer_classes(), sample()
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", known.scan.node)
    volume.CreateDefaultDisplayNodes()
    volume_to_node(read_volume(known.scan.path), volume)
    segmentation = read("vtkMRMLSegmentationNode", slicer.vtkMRMLSegmentationStorageNode(), known.cavity)
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    planes = [read("vtkMRMLMarkupsPlaneNode", slicer.vtkMRMLMarkupsPlaneJsonStorageNode(), plane) for plane in known.planes]
    show_markups(planes, False)  # as their files say, and Sample Data does: the handles of six planes make the first repaint slow
    return volume, segmentation, tuple(planes)


@dataclass(frozen=True, eq=False)
class ScanFromScene:
    """A scan where the views show it: its volume, and whether it had to be resampled out of a transform that bends it (`hardened`)."""

    name: str
    volume: Volume
    hardened: bool
    transform: str | None

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of the transform."""
        if self.hardened:
            return (
                f"The scan lies under the transform {self.transform!r}, which bends or shears it: a resampled copy was analysed, "
                "and is put into the scene.",
            )
        return () if self.transform is None else (f"The scan was analysed where the transform {self.transform!r} puts it.",)


def scan_from_node(node: Any) -> ScanFromScene:
    """The scan of a volume node; `InputError` as `volumes.hardened_from_node`."""
    volume, hardened = hardened_from_node(node)
    transform = node.GetParentTransformNode()
    return ScanFromScene(node.GetName(), volume, hardened, None if transform is None else transform.GetName())


def hardened_copy(scene: Any, node: Any, volume: Volume) -> Any:
    """The volume node that holds the hardened copy of a scan, made now or updated."""
    copy, new = find_or_add(scene, "vtkMRMLScalarVolumeNode", HARDENED_ROLE, f"{node.GetName()} hardened", node)
    volume_to_node(volume, copy)
    if new:
        copy.CreateDefaultDisplayNodes()
    return copy


def describe_node(node: Any | None, sha256: str) -> dict[str, str]:
    """A node as an input in provenance: a mask that was drawn has no file of its own."""
    return {"path": f"{NODE}{node.GetName()}" if node is not None else "", "sha256": sha256}


def untouched_file(node: Any) -> Path | None:
    """The file of a scan whose node still holds what it was read with; a DICOM series is many files, so it has none."""
    storage = node.GetStorageNode()
    if storage is None or not storage.GetFileName() or storage.GetNumberOfFileNames() > 1:
        return None
    untouched = node.GetParentTransformNode() is None and not node.GetModifiedSinceRead()
    file = Path(storage.GetFullNameFromFileName())
    return file if untouched and file.is_file() else None


def overlapping_segment(node: Any, segment_id: str, scan: Volume) -> Volume:
    """The segment as a mask on the scan's grid; `InputError` when they don't overlap."""
    mask = segment_from_node(node, segment_id, scan)
    if not mask.array.any():
        name = node.GetSegmentation().GetSegment(segment_id).GetName()
        raise InputError(
            f"The segment {name!r} of {node.GetName()!r} does not overlap the scan: it was drawn on another one, or one of both was moved. "
            "Choose the segment that belongs to this scan."
        )
    return mask


def region_of_interest(node: Any, scan: Volume) -> Volume:
    """A markups ROI as a mask on the scan's grid; `InputError` when it is none, or lies outside."""
    if not node.IsA("vtkMRMLMarkupsROINode"):
        raise InputError(f"{node.GetName()!r} is a {node.GetNodeTagName()}; a region of interest is a markups ROI.")
    inside = roi_mask(node, scan.geometry)
    if not inside.any():
        raise InputError(f"The region of interest {node.GetName()!r} lies outside the scan. Place it around the left atrium.")
    return scan.like(inside)


def roi_mask(node: Any, geometry: Geometry) -> np.ndarray:
    """(k, j, i) bool: the voxels of a grid inside a markups ROI (its box), wherever it is turned and moved."""
    object_to_ras = matrix_from_vtk(node.GetObjectToWorldMatrix())
    index_to_object = np.linalg.inv(object_to_ras) @ LPS_TO_RAS @ geometry.index_to_lps_matrix
    k, j, i = np.ogrid[tuple(slice(0, n) for n in geometry.shape)]
    inside = np.ones(geometry.shape, dtype=bool)
    for (along_i, along_j, along_k, offset), length in zip(index_to_object[:3], node.GetSize()):
        inside &= np.abs(along_i * i + along_j * j + along_k * k + offset) <= length / 2
    return inside
