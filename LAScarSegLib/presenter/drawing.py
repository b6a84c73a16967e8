"""A cavity that is drawn by hand: the empty segment to begin with."""

from __future__ import annotations

from typing import Any

from ..errors import InputError
from ..scene.mrml import slicer_classes
from ..scene.segmentation import CAVITY


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
