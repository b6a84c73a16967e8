"""A result that a scene holds, ready to be reviewed and edited again: the scene was loaded, or the module reloaded."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np

from ..analysis import GIVEN, Analysis, ScarMethod
from ..errors import InputError
from ..flags import QualityFlag
from ..intensity.rules import RULES
from ..measure.quality import FOUND_BY_ANALYSIS
from ..measure.quantities import Quantity
from ..pipeline import analyse, change_threshold
from ..provenance import mask_digest
from ..scene.build import SceneNodes, update_scene
from ..scene.mrml import find_result
from ..scene.provenance import MEASUREMENTS, PROVENANCE, SETTINGS
from ..scene.segmentation import ROLE_NAME, segment_voxels
from ..scene.volumes import volume_from_node
from ..settings import Settings
from ..surface.planes import CutPlane
from ..volume import Volume
from .editing import KINDS, EditSession
from .edits import BY_HAND, SCAR, WALL, Drawn, differing, with_probability
from .planes import plane_nodes, show_planes
from .run import analysed_volumes


def has_result(scene: Any, volume: Any | None) -> bool:
    """Whether the scene holds a result of the volume node, or of its hardened copy, that `reopen` could take up."""
    return volume is not None and _source(scene, volume) is not None


def reopen(scene: Any, volume: Any) -> EditSession:
    """The session of the result that was computed from the volume node.

    Everything is measured again as it is drawn (no perturbation range, and no model runs). As long as nobody drew since the
    result was stored, its own numbers, ranges and flags count. The session knows what was edited before the scene was saved, and
    the method that had found the scar: erasing an edit brings the rule's scar back as on the day it was made.

    Raises
    ------
    InputError
        there is no result, the scan was moved, or the cavity was emptied.
    """
    source = _source(scene, volume)
    if source is None:
        raise InputError(f"There is no result of {volume.GetName()!r} in this scene. Press Apply.")
    volume = source
    table, segmentation = _table(scene, volume), _segmentation(scene, volume)
    stored, provenance = (json.loads(table.GetAttribute(name)) for name in (MEASUREMENTS, PROVENANCE))
    image, settings = volume_from_node(volume), Settings.from_json(json.loads(table.GetAttribute(SETTINGS)))
    planes = tuple(map(CutPlane.from_json, provenance["planes"]))
    masks = {name: segment_voxels(segmentation, kind.segment_id, image.geometry) for name, kind in KINDS.items()}
    drawn = Drawn(**masks, planes=planes)
    by_hand = {name for name, mask in masks.items() if mask is not None and mask_digest(mask) != provenance["masks"][name]}
    analysis = _measured(image, drawn, by_hand, settings, ScarMethod(**stored["method"]))
    probability = find_result(scene, "vtkMRMLScalarVolumeNode", "scar_probability", volume)
    if probability is not None:
        analysis = with_probability(analysis, volume_from_node(probability))
    if analysis.provenance["masks"] == provenance["masks"]:
        analysis = _as_stored(analysis, stored, provenance)
    else:
        analysis = _drawn_since(analysis, stored, provenance, by_hand)
    if not plane_nodes(scene, volume):
        # A result of the command line has planes, but no markups to drag them by.
        show_planes(scene, volume, planes)
    nodes = SceneNodes(**dict.fromkeys(SceneNodes.__dataclass_fields__) | {"volume": volume, "segmentation": segmentation})
    nodes = update_scene(scene, analysis, nodes, [KINDS[name] for name in differing(drawn, analysis)])
    return EditSession(scene, nodes, analysis, _unedited(analysis))


def _measured(image: Volume, drawn: Drawn, by_hand: set[str], settings: Settings, method: ScarMethod) -> Analysis:
    """The analysis of what is drawn; scar of `method`, or as somebody drew it."""
    if drawn.cavity is None or not drawn.cavity.any():
        raise InputError("The cavity of this result is empty. Press Apply for a new one.")
    given = {"cavity": image.like(drawn.cavity)}
    if drawn.wall is not None and (method.wall_given or "wall" in by_hand):
        given["wall"] = image.like(drawn.wall)
    if drawn.scar is not None and (method.name not in RULES or "scar" in by_hand):
        given["scar"] = image.like(drawn.scar)
    found = analyse(image, settings, planes=drawn.planes, ranges=False, **given)
    if "scar" not in given:
        return found
    if "scar" in by_hand and not method.title.endswith(BY_HAND):
        method = ScarMethod(GIVEN, method.words + BY_HAND, source=method.source)
    return replace(found, method=replace(method, wall_given=found.method.wall_given))


def _as_stored(analysis: Analysis, stored: dict[str, Any], provenance: dict[str, Any]) -> Analysis:
    """The numbers that the scene has been showing, ranges included."""
    return replace(
        analysis,
        measurements={key: Quantity(**stored[key]) for key in analysis.measurements},
        flags=tuple(QualityFlag(**flag) for flag in stored["quality_flags"]),
        method=ScarMethod(**stored["method"]),
        provenance=provenance,
    )


def _drawn_since(analysis: Analysis, stored: dict[str, Any], provenance: dict[str, Any], by_hand: set[str]) -> Analysis:
    """The analysis of what somebody drew after the last update, with what only the stored result knows: files, models, their remarks."""
    past = {key: provenance[key] for key in ("inputs", "models") if key in provenance}
    edited = [name for name in KINDS if name in by_hand or name in provenance.get("edited", ())]
    flags = (QualityFlag(**flag) for flag in stored["quality_flags"])
    carried = tuple(flag for flag in flags if flag.code not in FOUND_BY_ANALYSIS and flag not in analysis.flags)
    return replace(analysis, flags=analysis.flags + carried, provenance=analysis.provenance | past | {"edited": edited})


def _unedited(analysis: Analysis) -> Analysis:
    """What stands for the result before the first edit: its method, and masks that count as edited where a person drew."""
    edited = analysis.provenance.get("edited", ())
    masks = {name: "" if name in edited else digest for name, digest in analysis.provenance["masks"].items()}
    method, scar = _unedited_method(analysis), analysis.scar_box
    if SCAR in edited and method.name not in RULES:
        # What a model had found, or a file had held, is not stored: nothing that somebody draws shall be taken for it.
        scar = np.ones_like(scar)
    return replace(analysis, method=method, scar_box=scar, provenance=analysis.provenance | {"masks": masks})


def _unedited_method(analysis: Analysis) -> ScarMethod:
    """The method that found the scar; of one that was edited, by the settings, the models, and the words that an edit leaves."""
    method, settings, inputs = analysis.method, analysis.settings, analysis.provenance["inputs"]
    wall_given = WALL in inputs if WALL in analysis.provenance.get("edited", ()) else method.wall_given
    if method.title.endswith(BY_HAND):
        words = method.title.removesuffix(BY_HAND)
        rule = change_threshold(analysis, settings.rule, settings.threshold).method
        model = analysis.provenance.get("models", {}).get(SCAR)
        name = f"{model['name']}@{model['version']}" if model else GIVEN
        method = rule if rule.words == words else ScarMethod(name, words, source=method.source)
    return replace(method, wall_given=wall_given)


def _source(scene: Any, volume: Any) -> Any | None:
    """The volume node that the result belongs to."""
    found = (node for node in analysed_volumes(scene, volume) if None not in (_table(scene, node), _segmentation(scene, node)))
    return next(found, None)


def _table(scene: Any, volume: Any) -> Any | None:
    table = find_result(scene, "vtkMRMLTableNode", "measurements", volume)
    kept = (MEASUREMENTS, PROVENANCE, SETTINGS)
    return table if table is not None and all(table.GetAttribute(name) for name in kept) else None


def _segmentation(scene: Any, volume: Any) -> Any | None:
    return find_result(scene, "vtkMRMLSegmentationNode", ROLE_NAME, volume)
