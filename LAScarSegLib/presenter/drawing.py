"""What a user draws before a run: the cavity's segment, with what Segment Editor is set to, and a region of interest."""

from __future__ import annotations

from typing import Any

from ..errors import InputError
from ..scene.mrml import slicer_classes
from ..scene.segmentation import CAVITY
from .editing import EditorSetup


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


def editor_setup(segmentation: Any, segment_id: str, volume: Any | None) -> EditorSetup:
    """What Segment Editor needs to draw in that segment: everywhere, and no other segment is changed.

    Raises
    ------
    InputError
        no volume is chosen.
    """
    _require_volume(volume)
    slicer = slicer_classes()
    return EditorSetup(
        segmentation=segmentation,
        volume=volume,
        segment_id=segment_id,
        overwrite_mode=slicer.vtkMRMLSegmentEditorNode.OverwriteNone,
        mask_mode=slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere,
        mask_segment_id=None,
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
