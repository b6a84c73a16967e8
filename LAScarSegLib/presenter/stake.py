"""What Apply would replace: segments of an earlier result that somebody has corrected by hand."""

from __future__ import annotations

import json
from typing import Any

from ..provenance import mask_digest
from ..scene.mrml import find_result
from ..scene.provenance import PROVENANCE
from ..scene.segmentation import ROLE_NAME, segment_voxels
from ..volume import Geometry
from .choices import SEGMENT, Choices, chosen_node
from .editing import KINDS
from .run import analysed_volumes


def edits_at_stake(scene: Any, choices: Choices) -> str:
    """A question for the user, "" when nothing is lost.

    Edits are lost when they were measured already (the result says so) as well as when they were not (the segments differ from
    the result's masks); a segment that the run starts from is not lost.
    """
    volume = chosen_node(scene, choices.volume_id)
    if volume is None:
        return ""
    lost = [name for source in analysed_volumes(scene, volume) for name in _edited(scene, source, choices)]
    if not lost:
        return ""
    return f"The earlier result was corrected by hand ({', '.join(lost)}). Apply replaces these corrections. Go on?"


def _edited(scene: Any, source: Any, choices: Choices) -> list[str]:
    table = find_result(scene, "vtkMRMLTableNode", "measurements", source)
    segmentation = find_result(scene, "vtkMRMLSegmentationNode", ROLE_NAME, source)
    if table is None or segmentation is None or not table.GetAttribute(PROVENANCE):
        return []
    provenance = json.loads(table.GetAttribute(PROVENANCE))
    # where the scan lay then: it may have been moved since, the segments with it or not
    grid = Geometry(**{key: tuple(values) for key, values in provenance["geometry"].items()})
    taken = {(choices.wall_segmentation_id, choices.wall_segment_id)}
    if choices.cavity_source == SEGMENT:
        taken.add((choices.segmentation_id, choices.segment_id))
    return [
        name
        for name, kind in KINDS.items()
        if (segmentation.GetID(), kind.segment_id) not in taken
        and (name in provenance.get("edited", ()) or _differs(segmentation, kind.segment_id, grid, provenance["masks"][name]))
    ]


def _differs(segmentation: Any, segment_id: str, grid: Geometry, digest: str) -> bool:
    mask = segment_voxels(segmentation, segment_id, grid)
    return mask is not None and mask_digest(mask) != digest
