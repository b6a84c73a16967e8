"""A result that a scene holds, ready to be reviewed and edited again: the scene was loaded, or the module reloaded."""

from __future__ import annotations

from typing import Any

from ..errors import InputError
from ..scene.build import SceneNodes, update_scene
from ..scene.stored import KINDS, analysed_volumes, read_result, result_nodes
from .editing import EditSession
from .edits import Segments, Shown
from .planes import plane_nodes, show_planes


def has_result(scene: Any, volume: Any | None) -> bool:
    """Whether the scene holds a result of the volume node, or of its hardened copy, that `reopen` could take up."""
    return volume is not None and _source(scene, volume) is not None


def reopen(scene: Any, volume: Any, ranges: bool = True) -> EditSession:
    """The session of the result that was computed from the volume node.

    It is the result that was stored, or what follows from what somebody drew since: no network runs.

    Parameters
    ----------
    ranges
        False leaves the perturbation range to a later update, which takes most of the time.

    Raises
    ------
    InputError
        there is no result, the scan was moved, or the cavity was emptied.
    """
    source = _source(scene, volume)
    if source is None:
        raise InputError(f"There is no result of {volume.GetName()!r} in this scene. Press Apply.")
    table, segmentation = result_nodes(scene, source)
    stored = read_result(scene, source, table, segmentation)
    cavity = stored.masks["cavity"]
    if cavity is None or not cavity.voxels:
        raise InputError("The cavity of this result is empty. Press Apply for a new one.")
    analysis = stored.analyse(ranges=ranges)
    if not plane_nodes(scene, source):
        # A result of the command line has planes, but no markups to drag them by.
        show_planes(scene, source, analysis.planes)
    wrong = Shown.of(analysis).differing(Segments(**stored.masks, planes=analysis.planes))
    nodes = SceneNodes(**dict.fromkeys(SceneNodes.__dataclass_fields__) | {"volume": source, "segmentation": segmentation})
    nodes = update_scene(scene, analysis, nodes, [KINDS[name] for name in wrong])
    return EditSession(scene, nodes, analysis)


def _source(scene: Any, volume: Any) -> Any | None:
    """The volume node that the result belongs to."""
    return next((node for node in analysed_volumes(scene, volume) if result_nodes(scene, node) is not None), None)
