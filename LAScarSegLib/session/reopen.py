"""A result that a scene holds, ready to be reviewed and edited again: the scene was loaded, or the module reloaded."""

from typing import Any

from ..errors import InputError
from ..scene.build import SceneNodes, update_scene
from ..scene.plane_markups import plane_nodes, show_planes
from ..scene.segmentation import KINDS
from ..scene.stored import find_source, read_result, require_result, result_nodes
from .edit_session import EditSession
from .edits import Segments, ShownState


def has_result(scene: Any, volume: Any | None) -> bool:
    """Whether the scene holds a result of the volume node, or of its hardened copy, that `reopen` could take up."""
    return volume is not None and find_source(scene, volume) is not None


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
    source = require_result(scene, volume)
    table, segmentation = result_nodes(scene, source)
    stored = read_result(scene, source, table, segmentation)
    cavity = stored.masks["cavity"]
    if cavity is None or not cavity.voxels:
        raise InputError("The cavity of this result is empty. Press Apply for a new one.")
    analysis = stored.analyse(ranges=ranges)
    if not plane_nodes(scene, source):
        # A result of the command line has planes, but no markups to drag them by.
        show_planes(scene, source, analysis.planes)
    wrong = ShownState.of(analysis).differing(Segments(**stored.masks, planes=analysis.planes))
    nodes = update_scene(scene, analysis, SceneNodes.of(source, segmentation), [KINDS[name] for name in wrong])
    return EditSession(scene, nodes, analysis)
