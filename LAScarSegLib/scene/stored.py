"""A result that a scene holds, read back: its segments, what a person has corrected in them, and what it follows from."""

from collections.abc import Container
from typing import Any

from ..analysis.description import DAMAGE, Stored, on_described_grid, read_description
from ..analysis.legacy import LegacyResult
from ..analysis.sources import CAVITY, MASKS, SCAR, Probability
from ..errors import InputError
from ..support.json_text import parse_json
from ..volumes.volume import Geometry
from .attributes import MEASUREMENTS, PROVENANCE, SETTINGS, SOURCES
from .mrml import HARDENED_ROLE, find_result
from .segmentation import KINDS, ROLE_NAME, segment_mask
from .volumes import node_geometry, volume_from_node

LARGEST_NOTE = 32 << 20
"""Of a node's attribute: a result's sources hold the masks that were given, packed."""


def analysed_volumes(scene: Any, volume: Any) -> tuple[Any, ...]:
    """The volume nodes that results of a scan belong to: its own, and the hardened copy, if there is one."""
    copy = find_result(scene, "vtkMRMLScalarVolumeNode", HARDENED_ROLE, volume)
    return (volume,) if copy is None else (volume, copy)


def result_nodes(scene: Any, volume: Any) -> tuple[Any, Any] | None:
    """The measurements table and the segmentation of the volume node's result; None when the scene holds none that can be read."""
    table = find_result(scene, "vtkMRMLTableNode", "measurements", volume)
    segmentation = find_result(scene, "vtkMRMLSegmentationNode", ROLE_NAME, volume)
    return (table, segmentation) if is_result(table) and segmentation is not None else None


def find_source(scene: Any, volume: Any) -> Any | None:
    """The volume node that a scan's result belongs to, its own or the hardened copy; None when there is no result."""
    return next((node for node in analysed_volumes(scene, volume) if result_nodes(scene, node) is not None), None)


def require_result(scene: Any, volume: Any) -> Any:
    """As `find_source`; `InputError` when there is no result."""
    source = find_source(scene, volume)
    if source is None:
        raise InputError(f"There is no result of {volume.GetName()!r} in this scene. Press Apply.")
    return source


def is_result(table: Any | None) -> bool:
    """Whether a table says what its result was measured with."""
    return table is not None and all(table.GetAttribute(name) for name in (MEASUREMENTS, PROVENANCE, SETTINGS))


def read_result(scene: Any, volume: Any, table: Any, segmentation: Any) -> Stored:
    """The result of the volume node, as its table describes it and its segments hold it now.

    Raises
    ------
    InputError
        the scan's node can't be used, or what the table says is damaged.
    """
    scan = volume_from_node(volume)
    probabilities = {name: _probability(scene, volume, name, scan.geometry) for name in (CAVITY, SCAR)}
    probabilities = {name: found for name, found in probabilities.items() if found is not None}
    masks = {name: segment_mask(segmentation, kind.segment_id, scan.geometry) for name, kind in KINDS.items()}
    try:
        provenance, described = parse_json(table.GetAttribute(PROVENANCE), LARGEST_NOTE), table.GetAttribute(SOURCES)
        if described:
            scan, settings, sources = read_description(parse_json(described, LARGEST_NOTE), scan, probabilities)
        else:
            measured = parse_json(table.GetAttribute(MEASUREMENTS), LARGEST_NOTE)
            scan = on_described_grid(scan, provenance["geometry"])
            settings, sources = LegacyResult(provenance, measured, masks, probabilities).sources()
        digests = {name: provenance["masks"][name] for name in MASKS}
    except DAMAGE as error:
        raise InputError(
            f"The result of {volume.GetName()!r} in this scene is damaged or of another version ({error!r}). Press Apply for a new one."
        ) from error
    return Stored(scan, settings, sources, masks, digests, provenance)


def _probability(scene: Any, source: Any, name: str, grid: Geometry) -> Probability | None:
    """A network's probability on the scan's grid, whichever part of it the node holds."""
    node = find_result(scene, "vtkMRMLScalarVolumeNode", f"{name}_probability", source)
    if node is None or node.GetImageData() is None:
        return None
    part = volume_from_node(node)
    start = grid.start_of(part.geometry)
    if start is None:
        return None
    return Probability.of(part.array, start, grid.shape)


def corrections(scene: Any, volume: Any | None, kept: Container[tuple[str, str]] = ()) -> dict[tuple[str, str], str]:
    """Segments of the volume node's results that were edited: (scan's node, mask) → what the segment holds (`Mask.digest`).

    Edits count when they were measured already (the result says so) as well as when they were not (the segments differ from the
    result's masks). `kept` are segments, (segmentation's node, segment ID), that aren't replaced.
    """
    if volume is None:
        return {}
    return {
        (source.GetID(), name): digest
        for source in analysed_volumes(scene, volume)
        for name, digest in _edited(scene, source, kept).items()
    }


def _edited(scene: Any, source: Any, kept: Container[tuple[str, str]]) -> dict[str, str]:
    table = find_result(scene, "vtkMRMLTableNode", "measurements", source)
    segmentation = find_result(scene, "vtkMRMLSegmentationNode", ROLE_NAME, source)
    if table is None or segmentation is None or not table.GetAttribute(PROVENANCE):
        return {}
    try:
        provenance = parse_json(table.GetAttribute(PROVENANCE), LARGEST_NOTE)
        # where the scan lay then: it may have been moved since, the segments with it or not
        grid = Geometry(**{key: tuple(values) for key, values in provenance["geometry"].items()})
        edited, measured = provenance.get("edited", ()), {name: provenance["masks"][name] for name in KINDS}
    except DAMAGE:
        # Nobody can tell what was drawn: every segment that is there may be.
        grid, edited, measured = node_geometry(source), tuple(KINDS), dict.fromkeys(KINDS)
    kinds = {name: kind for name, kind in KINDS.items() if (segmentation.GetID(), kind.segment_id) not in kept}
    masks = {name: segment_mask(segmentation, kind.segment_id, grid) for name, kind in kinds.items()}
    return {name: mask.digest for name, mask in masks.items() if mask is not None and (name in edited or mask.digest != measured[name])}
