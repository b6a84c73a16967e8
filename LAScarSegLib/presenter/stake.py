"""What Apply would replace: segments of an earlier result that somebody has corrected by hand."""

from __future__ import annotations

import json
from typing import Any

from ..analysis.content import DAMAGE
from ..scene.mrml import find_result
from ..scene.provenance import PROVENANCE
from ..scene.segmentation import ROLE_NAME, segment_mask
from ..scene.stored import KINDS, analysed_volumes
from ..scene.volumes import node_geometry
from ..volume import Geometry
from .choices import SEGMENT, Choices, chosen_node


def edits_at_stake(scene: Any, choices: Choices) -> str:
    """A question for the user, "" when nothing is lost.

    Edits are lost when they were measured already (the result says so) as well as when they were not (the segments differ from
    the result's masks); a segment that the run starts from is not lost.
    """
    lost = [name for _, name in corrections(scene, choices)]
    if not lost:
        return ""
    return f"The earlier result was corrected by hand ({', '.join(lost)}). Apply replaces these corrections. Go on?"


def corrections(scene: Any, choices: Choices) -> dict[tuple[str, str], str]:
    """What a run of `choices` would replace of somebody's corrections: (scan's node, mask) → what the segment holds (`Mask.digest`)."""
    volume = chosen_node(scene, choices.volume_id)
    if volume is None:
        return {}
    return {
        (source.GetID(), name): digest
        for source in analysed_volumes(scene, volume)
        for name, digest in _edited(scene, source, choices).items()
    }


def _edited(scene: Any, source: Any, choices: Choices) -> dict[str, str]:
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
    taken = {(choices.wall_segmentation_id, choices.wall_segment_id)}
    if choices.cavity_source == SEGMENT:
        taken.add((choices.segmentation_id, choices.segment_id))
    kinds = {name: kind for name, kind in KINDS.items() if (segmentation.GetID(), kind.segment_id) not in taken}
    masks = {name: segment_mask(segmentation, kind.segment_id, grid) for name, kind in kinds.items()}
    return {name: mask.digest for name, mask in masks.items() if mask is not None and (name in edited or mask.digest != measured[name])}
