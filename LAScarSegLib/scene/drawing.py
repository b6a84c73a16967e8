"""What a user draws before a run: the cavity's segment, with what Segment Editor is set to, and a region of interest."""

from dataclasses import dataclass
from typing import Any

from ..errors import InputError
from .mrml import slicer_classes
from .segmentation import CAVITY


@dataclass(frozen=True)
class EditorSetup:
    """What Segment Editor is set to before somebody draws in a segment.

    `overwrite_mode` is one of vtkMRMLSegmentEditorNode's, `mask_mode` one of vtkMRMLSegmentationNode's; `mask_segment_id`
    is the segment to stay inside of, None: draw everywhere.
    """

    segmentation: Any
    volume: Any
    segment_id: str
    overwrite_mode: int
    mask_mode: int
    mask_segment_id: str | None

    def apply(self, editor_node: Any) -> None:
        """Put it onto a vtkMRMLSegmentEditorNode, which a qMRMLSegmentEditorWidget follows."""
        # Another segmentation resets the rest: it goes first.
        editor_node.SetAndObserveSegmentationNode(self.segmentation)
        editor_node.SetAndObserveSourceVolumeNode(self.volume)
        editor_node.SetSelectedSegmentID(self.segment_id)
        editor_node.SetOverwriteMode(self.overwrite_mode)
        editor_node.SetMaskSegmentID(self.mask_segment_id or "")
        editor_node.SetMaskMode(self.mask_mode)
        editor_node.SetSourceVolumeIntensityMask(False)


def new_cavity(scene: Any, volume: Any | None) -> tuple[Any, str]:
    """A new segmentation node on the grid of the volume node, with one empty segment, coded as left atrium; and that segment's ID.

    Raises
    ------
    InputError
        no volume is chosen.
    """
    _require_volume(volume)
    slicer = slicer_classes()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", f"{volume.GetName()} cavity")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segment = slicer.vtkSegment()
    segment.SetName(CAVITY.name)
    segment.SetColor(*CAVITY.colour)
    segment.SetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), CAVITY.terminology)
    node.GetSegmentation().AddSegment(segment, CAVITY.segment_id)
    return node, CAVITY.segment_id


def editor_setup(segmentation: Any, segment_id: str, volume: Any | None, inside: str | None = None) -> EditorSetup:
    """What Segment Editor needs to draw in that segment, everywhere or `inside` another segment only; no other segment is changed.

    Raises
    ------
    InputError
        no volume is chosen.
    """
    _require_volume(volume)
    slicer = slicer_classes()
    modes = slicer.vtkMRMLSegmentationNode
    return EditorSetup(
        segmentation=segmentation,
        volume=volume,
        segment_id=segment_id,
        overwrite_mode=slicer.vtkMRMLSegmentEditorNode.OverwriteNone,
        mask_mode=modes.EditAllowedEverywhere if inside is None else modes.EditAllowedInsideSingleSegment,
        mask_segment_id=inside,
    )


def fit_roi(roi: Any, volume: Any) -> None:
    """Lay a markups ROI around the whole scan, upright and ready to be made smaller with its handles."""
    bounds = [0.0] * 6
    volume.GetRASBounds(bounds)
    low, high = bounds[::2], bounds[1::2]
    roi.SetCenterWorld([(a + b) / 2 for a, b in zip(low, high)])
    roi.SetSizeWorld([b - a for a, b in zip(low, high)])
    roi.CreateDefaultDisplayNodes()
    roi.GetDisplayNode().SetFillVisibility(False)


def _require_volume(volume: Any | None) -> None:
    if volume is None:
        raise InputError("Choose the LGE-MRI volume first: the cavity is drawn on it.")
