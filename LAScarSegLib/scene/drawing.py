"""What a user draws before a run: the cavity's segment, with what Segment Editor is set to, and a region of interest."""

from dataclasses import dataclass
from typing import Any

from ..errors import InputError
from .mrml import slicer_classes
from .segmentation import CAVITY, add_segment

SPHERE_BRUSH = "BrushSphere"
"""The parameter that Segment Editor's Paint and Erase share (qSlicerSegmentEditorPaintEffect)."""


@dataclass(frozen=True)
class EditorSetup:
    """What Segment Editor is set to before somebody draws in a segment.

    `inside` is the segment to stay inside of, None: draw everywhere. No other segment is changed. The brush is a ball where the
    whole volume of an atrium is drawn, and a disc in one slice within the thin wall.
    """

    segmentation: Any
    volume: Any
    segment_id: str
    inside: str | None

    def apply(self, editor_node: Any) -> None:
        """Put it onto a vtkMRMLSegmentEditorNode, which a qMRMLSegmentEditorWidget follows."""
        modes = slicer_classes().vtkMRMLSegmentationNode
        # Another segmentation resets the rest: it goes first.
        editor_node.SetAndObserveSegmentationNode(self.segmentation)
        editor_node.SetAndObserveSourceVolumeNode(self.volume)
        editor_node.SetSelectedSegmentID(self.segment_id)
        editor_node.SetOverwriteMode(editor_node.OverwriteNone)
        editor_node.SetMaskSegmentID(self.inside or "")
        editor_node.SetMaskMode(modes.EditAllowedInsideSingleSegment if self.inside else modes.EditAllowedEverywhere)
        editor_node.SetSourceVolumeIntensityMask(False)
        self._set_brush(editor_node)

    def _set_brush(self, editor_node: Any) -> None:
        """As the effects do it (qSlicerSegmentEditorAbstractEffect::setCommonParameter): their own event, and no other."""
        wanted = "0" if self.inside else "1"
        if editor_node.GetAttribute(SPHERE_BRUSH) == wanted:
            return
        disabled = editor_node.GetDisableModifiedEvent()
        editor_node.SetDisableModifiedEvent(True)
        editor_node.SetAttribute(SPHERE_BRUSH, wanted)
        editor_node.SetDisableModifiedEvent(disabled)
        editor_node.InvokeCustomModifiedEvent(editor_node.EffectParameterModified)


def new_cavity(scene: Any, volume: Any | None) -> tuple[Any, str]:
    """A new segmentation node on the grid of the volume node, with one empty segment, coded as left atrium; and that segment's ID.

    `InputError` when no volume is chosen.
    """
    _require_volume(volume)
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", f"{volume.GetName()} cavity")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    add_segment(node, CAVITY)
    return node, CAVITY.segment_id


def editor_setup(segmentation: Any, segment_id: str, volume: Any | None, inside: str | None = None) -> EditorSetup:
    """What Segment Editor needs to draw in that segment; `InputError` when no volume is chosen."""
    _require_volume(volume)
    return EditorSetup(segmentation, volume, segment_id, inside)


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
