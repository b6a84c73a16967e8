"""Whether somebody drew in the segments that a result started from, after it was made."""

from typing import Any

from ..analysis import Analysis, base_of
from ..analysis.sources import CAVITY, WALL, Given
from ..scene.build import SceneNodes
from ..scene.segmentation import segment_mask, segment_time
from ..scene.selection import find_node
from .choices import SEGMENT, Choices, read_choices


class InputSegments:
    """Asked again and again; voxels are looked at when they were written since."""

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._seen: dict[str, tuple[tuple[Any, ...], bool]] = {}

    def redrawn(self, nodes: SceneNodes, analysis: Analysis) -> tuple[str, ...]:
        """Which masks (`CAVITY`, `WALL`) Apply would now get other voxels for, of the segments that it kept with the result.

        None of a result of a script or of the command line: of it nobody knows from which nodes it came. A segment of the result itself
        is none that was drawn in since: the result follows it. Put back as it was, by undo or by hand, a segment is what it was.
        """
        kept = read_choices(self._scene, nodes.measurements)
        return tuple(mask for mask in (CAVITY, WALL) if kept is not None and self._is_redrawn(mask, kept, nodes, analysis))

    def _is_redrawn(self, mask: str, kept: Choices, nodes: SceneNodes, analysis: Analysis) -> bool:
        segmentation_id, segment = {
            CAVITY: (kept.segmentation_id if kept.cavity_source == SEGMENT else "", kept.segment_id),
            WALL: (kept.wall_segmentation_id, kept.wall_segment_id),
        }[mask]
        node, started = find_node(self._scene, segmentation_id), base_of(getattr(analysis.sources, mask))
        if node is None or node is nodes.segmentation or not isinstance(started, Given) or started.mask is None:
            return False
        asked = (segmentation_id, segment, segment_time(node, segment), started)
        known, answer = self._seen.get(mask, ((), False))
        if known != asked:
            now = segment_mask(node, segment, analysis.geometry)
            answer = now is not None and now != started.mask
            self._seen[mask] = asked, answer
        return answer
