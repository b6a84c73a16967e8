"""What somebody has corrected by hand in results of a scan, and a new result would replace."""

import json
from collections.abc import Container
from typing import Any

from ..analysis.description import DAMAGE
from ..volumes.volume import Geometry
from .attributes import PROVENANCE
from .mrml import find_result
from .segmentation import KINDS, ROLE_NAME, segment_mask
from .stored import analysed_volumes
from .volumes import node_geometry


def corrections(scene: Any, volume: Any | None, kept: Container[tuple[str, str]] = ()) -> dict[tuple[str, str], str]:
    """Segments of the volume node's results that were edited: (scan's node, mask) → what the segment holds (`Mask.digest`).

    Edits count when they were measured already (the result says so) as well as when they were not (the segments differ from the
    result's masks). `kept` are segments, (segmentation's node, segment ID), that aren't replaced.
    """
    if volume is None:
        return {}
    return {
        (source.GetID(), name): digest for source in analysed_volumes(scene, volume) for name, digest in _edited(scene, source, kept).items()
    }


def _edited(scene: Any, source: Any, kept: Container[tuple[str, str]]) -> dict[str, str]:
    table = find_result(scene, "vtkMRMLTableNode", "measurements", source)
    segmentation = find_result(scene, "vtkMRMLSegmentationNode", ROLE_NAME, source)
    if table is None or segmentation is None or not table.GetAttribute(PROVENANCE):
        return {}
    try:
        provenance = json.loads(table.GetAttribute(PROVENANCE))
        # where the scan lay then: it may have been moved since, the segments with it or not
        grid = Geometry(**{key: tuple(values) for key, values in provenance["geometry"].items()})
        edited, measured = provenance.get("edited", ()), {name: provenance["masks"][name] for name in KINDS}
    except DAMAGE:
        # Nobody can tell what was drawn: every segment that is there may be.
        grid, edited, measured = node_geometry(source), tuple(KINDS), dict.fromkeys(KINDS)
    kinds = {name: kind for name, kind in KINDS.items() if (segmentation.GetID(), kind.segment_id) not in kept}
    masks = {name: segment_mask(segmentation, kind.segment_id, grid) for name, kind in kinds.items()}
    return {name: mask.digest for name, mask in masks.items() if mask is not None and (name in edited or mask.digest != measured[name])}
