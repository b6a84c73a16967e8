"""A cavity that is drawn by hand: the empty segment to begin with, and what Segment Editor is set to."""

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
    if volume is None:
        raise InputError("Choose the LGE-MRI volume first: the cavity is drawn on it.")
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
    if volume is None:
        raise InputError("Choose the LGE-MRI volume first: the cavity is drawn on it.")
    slicer = slicer_classes()
    return EditorSetup(
        segmentation=segmentation,
        volume=volume,
        segment_id=segment_id,
        overwrite_mode=slicer.vtkMRMLSegmentEditorNode.OverwriteNone,
        mask_mode=slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere,
        mask_segment_id=None,
    )
