"""Cavity, wall and scar as one coded, named, coloured segmentation node, and any segment back as a mask."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from ..analysis import MASKS, Analysis
from ..anatomy.labels import SEGMENT_NAMES
from ..anatomy.masks import Mask
from ..errors import InputError
from ..volumes.volume import Geometry, Volume
from . import colours
from .mrml import WITHHELD_HERE, find_result, mark, slicer_classes
from .volumes import LPS_TO_RAS, geometry_from_ras_matrix, matrix_from_vtk, matrix_to_vtk, vtk_array

CATEGORY_LIST = "Segmentation category and type - DICOM master list"
ANATOMY_LIST = "Anatomic codes - DICOM master list"
"""The terminology contexts that Slicer ships."""

ANATOMICAL_STRUCTURE = "SCT^123037004^Anatomical Structure"
TISSUE = "SCT^85756007^Tissue"
LEFT_ATRIUM = "SCT^82471001^Left atrium"
MYOCARDIUM = "SCT^74281007^Myocardium"
SCAR_TISSUE = "SCT^12402003^Scar tissue"


@dataclass(frozen=True)
class SegmentKind:
    """One segment of a result.

    `segment_id` stays the same from run to run and in the .seg.nrrd file; `category`, `kind` and `region` are coded as
    `scheme^code^meaning`; `outline` and `fill` are opacities in slice views (no fill: the image stays visible).
    """

    segment_id: str
    name: str
    category: str
    kind: str
    region: str
    colour: colours.RGB
    outline: float
    fill: float

    @property
    def terminology(self) -> str:
        """The seven fields of Slicer's `TerminologyEntry` tag (vtkSlicerTerminologiesModuleLogic)."""
        region_list = ANATOMY_LIST if self.region else ""
        return "~".join([CATEGORY_LIST, self.category, self.kind, "^^", region_list, self.region or "^^", "^^"])


CAVITY = SegmentKind("LA_cavity", SEGMENT_NAMES["cavity"], ANATOMICAL_STRUCTURE, LEFT_ATRIUM, "", colours.LEFT_ATRIUM, 1.0, 0.0)
WALL = SegmentKind("LA_wall", SEGMENT_NAMES["wall"], TISSUE, MYOCARDIUM, LEFT_ATRIUM, colours.WALL, 0.6, 0.0)
SCAR = SegmentKind("LA_scar", SEGMENT_NAMES["scar"], TISSUE, SCAR_TISSUE, LEFT_ATRIUM, colours.SCAR, 1.0, 0.5)
SEGMENTS = (CAVITY, WALL, SCAR)
KINDS = dict(zip(MASKS, SEGMENTS))
"""The segment of each mask."""

SURFACE_OPACITY = 0.35
"""When a user switches a segment on in 3-D, the scar map behind it stays visible."""

ROLE_NAME = "segmentation"


def add_segmentation(scene: Any, analysis: Analysis, source: Any, node: Any | None = None) -> Any:
    """The segmentation node with cavity, wall and scar on the grid of the volume node `source`.

    `node` is a vtkMRMLSegmentationNode to write into: its other segments stay as they are. Without it the result's own
    node is found or made. Segments are not shown in 3-D: there the surface with the scar map is.
    """
    node = node or find_result(scene, "vtkMRMLSegmentationNode", ROLE_NAME, source)
    if node is None:
        node = _new_segmentation(scene, analysis, source)
    else:
        node.CreateDefaultDisplayNodes()
        for kind in SEGMENTS:
            set_segment(node, kind, analysis)
    node.SetReferenceImageGeometryParameterFromVolumeNode(source)
    return node


def _new_segmentation(scene: Any, analysis: Analysis, source: Any) -> Any:
    """It enters the scene with its segments: the subject hierarchy then meets a whole segmentation, and not one segment at a time."""
    node = scene.CreateNodeByClass("vtkMRMLSegmentationNode")
    node.UnRegister(None)
    node.SetName(f"{source.GetName()} LA segmentation")
    for kind in SEGMENTS:
        add_segment(node, kind)
        _write_mask(node, kind, analysis)
    scene.AddNode(node)
    mark(node, ROLE_NAME, source)
    node.CreateDefaultDisplayNodes()
    for kind in SEGMENTS:
        _style(node.GetDisplayNode(), kind)
    return node


def set_segment(node: Any, kind: SegmentKind, analysis: Analysis) -> None:
    """Put one of the three masks into its segment of `node`; the segment is made when it isn't there."""
    if not has_segment(node, kind):
        add_segment(node, kind)
        node.CreateDefaultDisplayNodes()
        _style(node.GetDisplayNode(), kind)
    _write_mask(node, kind, analysis)


def _write_mask(node: Any, kind: SegmentKind, analysis: Analysis) -> None:
    mask = {CAVITY: analysis.cavity_box, WALL: analysis.wall_box, SCAR: analysis.scar_box}[kind]
    write_voxels(node, kind, mask, analysis.geometry, analysis.box.start)


def add_segment(node: Any, kind: SegmentKind) -> None:
    """An empty segment, named, coloured and coded as its kind says."""
    segment = slicer_classes().vtkSegment()
    segment.SetName(kind.name)
    segment.SetColor(*kind.colour)
    segment.SetTag(segment.GetTerminologyEntryTagName(), kind.terminology)
    node.GetSegmentation().AddSegment(segment, kind.segment_id)


def write_voxels(node: Any, kind: SegmentKind, mask: np.ndarray, geometry: Geometry, start: tuple[int, int, int] = (0, 0, 0)) -> None:
    """Let a segment that is there hold `mask`, whose first voxel is the voxel `start` (k, j, i) of the grid, and nothing else."""
    image = slicer_classes().vtkOrientedImageData()
    image.SetExtent(*(n for first, size in zip(start[::-1], mask.shape[::-1]) for n in (first, first + size - 1)))
    image.SetImageToWorldMatrix(matrix_to_vtk(LPS_TO_RAS @ geometry.index_to_lps_matrix))
    image.GetPointData().SetScalars(vtk_array("ImageScalars", mask.ravel(), np.uint8))
    logic = slicer_classes().vtkSlicerSegmentationsModuleLogic
    logic.SetBinaryLabelmapToSegment(image, node, kind.segment_id, logic.MODE_REPLACE)


def _style(display: Any, kind: SegmentKind) -> None:
    modifying = display.StartModify()
    display.SetSegmentVisibility3D(kind.segment_id, False)
    display.SetSegmentOpacity3D(kind.segment_id, SURFACE_OPACITY)
    display.SetSegmentOpacity2DOutline(kind.segment_id, kind.outline)
    display.SetSegmentOpacity2DFill(kind.segment_id, kind.fill)
    display.EndModify(modifying)


def show_segment(node: Any | None, segment_id: str, visible: bool) -> None:
    """Show or hide one segment, as its eye in the Data module does; a segmentation or segment that is gone is left alone."""
    if node is None or node.GetSegmentation().GetSegment(segment_id) is None:
        return
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetSegmentVisibility(segment_id, visible)


def show_or_withhold_scar(node: Any, analysis: Analysis) -> None:
    """Hide the scar of a cavity that is not to be used; show it again once a person has confirmed or corrected the cavity."""
    if analysis.withheld:
        node.SetAttribute(WITHHELD_HERE, "true")
        show_segment(node, SCAR.segment_id, False)
    elif node.GetAttribute(WITHHELD_HERE) is not None:
        node.RemoveAttribute(WITHHELD_HERE)
        show_segment(node, SCAR.segment_id, True)


def segment_from_node(node: Any | None, segment: str, reference: Volume) -> Volume:
    """One segment as a mask (uint8, 0/1) on the grid of `reference`, wherever and however fine it was drawn.

    Parameters
    ----------
    node
        a vtkMRMLSegmentationNode; segments that only have a surface are converted, parent transforms are applied.
    segment
        the segment's ID or its name.

    Raises
    ------
    InputError
        no node, no such segment (the message lists those there are), or an empty one.
    """
    slicer = slicer_classes()
    if node is None:
        raise InputError("No segmentation is selected. Choose the segmentation that holds the left atrium.")
    segment_id = find_segment(node, segment)
    image = slicer.vtkOrientedImageData()
    label = _label_of(node.GetSegmentation().GetSegment(segment_id))
    found = slicer.vtkSlicerSegmentationsModuleLogic.GetSegmentBinaryLabelmapRepresentation(node, segment_id, image, True)
    if not found:
        raise InputError(
            f"The segment {segment!r} of {node.GetName()!r} can't be turned into voxels. "
            "Convert it to a binary labelmap in the Segmentations module."
        )
    mask = _mask_of(image, label, node.GetName())
    if mask is None or not mask.array.any():
        raise InputError(f"The segment {segment!r} of {node.GetName()!r} is empty. Draw it, or choose another segment.")
    return mask.resample(reference.geometry, labels=True)


def _label_of(segment: Any) -> int:
    """What a segment's voxels have in its label map: segments share one, each with its own label; one that is converted from a surface,
    after this is asked, is 1 in its own."""
    drawn = segment.GetRepresentation(slicer_classes().vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName())
    return 1 if drawn is None else int(segment.GetLabelValue())


def segment_mask(node: Any, segment_id: str, grid: Geometry) -> Mask | None:
    """One segment's voxels on `grid`; None when there is no such segment.

    Where the segment was drawn on that grid, which Segment Editor sees to, its voxels are copied as they are.
    """
    slicer = slicer_classes()
    segment = node.GetSegmentation().GetSegment(segment_id)
    if segment is None:
        return None
    image, label = slicer.vtkOrientedImageData(), _label_of(segment)
    found = slicer.vtkSlicerSegmentationsModuleLogic.GetSegmentBinaryLabelmapRepresentation(node, segment_id, image, True)
    part = _mask_of(image, label, node.GetName()) if found else None
    if part is None:
        return Mask.of(np.zeros((0, 0, 0), dtype=bool), shape=grid.shape)
    start = grid.start_of(part.geometry)
    return Mask.of(part.resample(grid, labels=True).array) if start is None else Mask.of(part.array, start, grid.shape)


def has_segment(node: Any, kind: SegmentKind) -> bool:
    """Whether the segmentation has a segment of that kind."""
    return node.GetSegmentation().GetSegment(kind.segment_id) is not None


def is_empty(node: Any, segment_id: str) -> bool:
    """Whether nothing is drawn in a segment that is there; one that is no label map (a surface …) counts as drawn."""
    segment, names = node.GetSegmentation().GetSegment(segment_id), slicer_classes().vtkSegmentationConverter
    kind = names.GetSegmentationBinaryLabelmapRepresentationName()
    voxels = segment.GetRepresentation(kind)
    if voxels is None:
        return node.GetSegmentation().GetSourceRepresentationName() == kind
    scalars = voxels.GetPointData().GetScalars()
    return scalars is None or not (vtk_to_numpy(scalars) == segment.GetLabelValue()).any()


def segment_times(node: Any) -> tuple[int, ...]:
    """`segment_time` of cavity, wall and scar."""
    return tuple(segment_time(node, kind.segment_id) for kind in SEGMENTS)


def segment_time(node: Any, segment_id: str) -> int:
    """When the voxels of a segment were last written (VTK's modification time); 0 for one without voxels, or that is gone."""
    segment = node.GetSegmentation().GetSegment(segment_id)
    name = slicer_classes().vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
    voxels = segment.GetRepresentation(name) if segment is not None else None
    return 0 if voxels is None else voxels.GetMTime()


def watch_segments(node: Any, changed: Callable[[], None]) -> Callable[[], None]:
    """Call `changed` after every stroke, undo and redo in the segmentation; returns what ends that."""
    segmentation = node.GetSegmentation()
    # A stroke is told as the one, undo and redo (vtkSegmentationHistory) only as the other.
    events = (segmentation.SourceRepresentationModified, segmentation.SegmentModified)
    tags = [segmentation.AddObserver(event, lambda *_: changed()) for event in events]

    def stop() -> None:
        while tags:
            segmentation.RemoveObserver(tags.pop())

    return stop


def require_in_place(node: Any) -> None:
    """`InputError` for a segmentation that was put under a transform, away from the scan it was measured on."""
    transform = node.GetParentTransformNode()
    if transform is not None:
        raise InputError(
            f"The segmentation {node.GetName()!r} was put under the transform {transform.GetName()!r}, away from the scan it was "
            "measured on. Take it out of the transform (Data module)."
        )


def find_segment(node: Any, segment: str) -> str:
    """The ID of the segment with that ID or name; `InputError` that lists the segments when there is none."""
    names = segment_names(node)
    found = segment if segment in names else next((segment_id for segment_id, name in names.items() if name == segment), None)
    if found is None:
        known = ", ".join(map(repr, names.values())) or "no segment at all"
        raise InputError(f"The segmentation {node.GetName()!r} has no segment {segment!r}; it has {known}.")
    return found


def segment_names(node: Any) -> dict[str, str]:
    """The names of the segments by their IDs."""
    segmentation = node.GetSegmentation()
    return {segmentation.GetNthSegmentID(n): segmentation.GetNthSegment(n).GetName() for n in range(segmentation.GetNumberOfSegments())}


def _mask_of(image: Any, label: int, name: str) -> Volume | None:
    """The voxels of one label in a vtkOrientedImageData as a 0/1 volume on its own grid; None when it has no voxels."""
    scalars = image.GetPointData().GetScalars()
    if scalars is None or scalars.GetNumberOfTuples() == 0:
        return None
    first = image.GetExtent()[::2]
    to_world = vtkMatrix4x4()
    image.GetImageToWorldMatrix(to_world)
    index_to_ras = matrix_from_vtk(to_world)
    index_to_ras[:3, 3] = index_to_ras[:3, :3] @ first + index_to_ras[:3, 3]
    geometry = geometry_from_ras_matrix(image.GetDimensions(), index_to_ras, name)
    return Volume((vtk_to_numpy(scalars).reshape(geometry.shape) == label).astype(np.uint8), geometry)
