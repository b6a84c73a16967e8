"""From chosen nodes to the files of a worker's request; what can't be used is said before any work."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..intensity.rules import RULES
from ..measure.quality import check_is_scan
from ..models.bundle import check_use
from ..scene.segmentation import segment_from_node
from ..scene.volumes import LPS_TO_RAS, hardened_from_node, matrix_from_vtk
from ..surface.planes import CutPlane
from ..volume import Geometry, Volume
from ..volume_files import write_volume
from ..whole_folder import disk_error
from .choices import MODEL, Choices, chosen_node, why_not
from .planes import opening_of, plane_of

RESULT_FOLDER = "result"
"""Where the worker puts its analysis, in the temporary folder."""
AIR_HU = (-1150.0, -600.0)
"""Grey levels of air and lung in CT. An MRI of signed intensities (PSIR) spreads beyond both ends."""
AIR_SHARE, BELOW_AIR_SHARE = 0.05, 0.001
"""A CT of the heart shows at least this share of air and lung, and, padding apart, hardly anything below them."""
CT_PADDING_HU = -1500.0
"""Scanners fill what lies outside the field of view with a number below this (−2000, −2048, −3024): one value, counted apart."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a run starts from: the request for the worker, the scan (`hardened`: resampled out of a transform), remarks for the user."""

    request: dict[str, Any]
    volume: Volume
    hardened: bool
    notes: tuple[str, ...]


def write_inputs(scene: Any, choices: Choices, folder: Path) -> Inputs:
    """Write what `choices` names into `folder`, with the request that the worker needs; the scene stays as it is.

    Raises
    ------
    InputError
        nodes that are missing, empty, of another kind or place, a CT, a label map; the message names them and says what to do.
    ProcessingError
        the folder can't be written to.
    """
    missing = why_not(scene, choices)
    if missing:
        raise InputError(missing)
    _check_models(choices)
    node = chosen_node(scene, choices.volume_id)
    volume, hardened = hardened_from_node(node)
    check_is_scan(volume, f"The volume {node.GetName()!r}")
    check_not_ct(volume, node.GetName())
    planes = tuple(cut_plane(_plane_node(scene, plane)) for plane in choices.planes)
    masks = _masks(scene, choices, volume)
    files = {name: folder / f"{name}.nrrd" for name in ("image", *masks)}
    try:
        for name, content in ({"image": volume} | masks).items():
            write_volume(content, files[name])
        if planes:
            files["planes"] = folder / "planes.json"
            content = {"coordinateSystem": "LPS", "planes": [plane.to_json() for plane in planes]}
            files["planes"].write_text(json.dumps(content), encoding="utf-8")
    except (OSError, RuntimeError) as error:
        raise disk_error(error, folder / "image.nrrd") from error
    return Inputs(_request(choices, files, folder), volume, hardened, _notes(node, hardened))


def check_not_ct(volume: Volume, name: str) -> None:
    """`InputError` when the grey levels are those of a CT (Hounsfield units); cheap: looks at about a million voxels."""
    step = max(1, round((volume.array.size / 1e6) ** (1 / 3)))
    values = volume.array[::step, ::step, ::step].ravel()
    values = values[values > CT_PADDING_HU]
    if values.size == 0:
        return
    air = np.mean((values >= AIR_HU[0]) & (values <= AIR_HU[1]))
    if air >= AIR_SHARE and np.mean(values < AIR_HU[0]) <= BELOW_AIR_SHARE:
        raise InputError(
            f"The volume {name!r} looks like a CT: {100 * air:.0f} % of it has the grey levels of air ({AIR_HU[0]:g} to {AIR_HU[1]:g}). "
            "Choose the LGE-MRI volume."
        )


def cut_plane(node: Any) -> CutPlane:
    """A markups plane as a `CutPlane` where the views show it.

    Raises
    ------
    InputError
        for a plane that doesn't say what it cuts (`planes.opening_of`), and for one that isn't placed yet.
    """
    if not node.GetIsPlaneValid():
        raise InputError(f"The plane {node.GetName()!r} is not placed yet. Place it in a view, or leave it out.")
    return replace(plane_of(node), name=opening_of(node))


def roi_mask(node: Any, geometry: Geometry) -> np.ndarray:
    """(k, j, i) bool: the voxels of a grid inside a markups ROI (its box), wherever it is turned and moved."""
    object_to_ras = matrix_from_vtk(node.GetObjectToWorldMatrix())
    index_to_object = np.linalg.inv(object_to_ras) @ LPS_TO_RAS @ geometry.index_to_lps_matrix
    k, j, i = np.ogrid[tuple(slice(0, n) for n in geometry.shape)]
    inside = np.ones(geometry.shape, dtype=bool)
    for (along_i, along_j, along_k, offset), length in zip(index_to_object[:3], node.GetSize()):
        inside &= np.abs(along_i * i + along_j * j + along_k * k + offset) <= length / 2
    return inside


def _masks(scene: Any, choices: Choices, volume: Volume) -> dict[str, Volume]:
    masks = {}
    if choices.cavity_source != MODEL:
        masks["cavity"] = _segment(scene, choices.segmentation_id, choices.segment_id, volume)
    if choices.wall_segmentation_id:
        masks["wall"] = _segment(scene, choices.wall_segmentation_id, choices.wall_segment_id, volume)
    roi = chosen_node(scene, choices.roi_id)
    if roi is not None and choices.cavity_source == MODEL:
        if not roi.IsA("vtkMRMLMarkupsROINode"):
            raise InputError(f"{roi.GetName()!r} is a {roi.GetNodeTagName()}; a region of interest is a markups ROI.")
        inside = roi_mask(roi, volume.geometry)
        if not inside.any():
            raise InputError(f"The region of interest {roi.GetName()!r} lies outside the scan. Place it around the left atrium.")
        masks["roi"] = volume.like(inside)
    return masks


def _segment(scene: Any, segmentation_id: str, segment_id: str, volume: Volume) -> Volume:
    node = chosen_node(scene, segmentation_id)
    mask = segment_from_node(node, segment_id, volume)
    if not mask.array.any():
        name = node.GetSegmentation().GetSegment(segment_id).GetName()
        raise InputError(
            f"The segment {name!r} of {node.GetName()!r} does not overlap the scan: it was drawn on another one, or one of both was moved. "
            "Choose the segment that belongs to this scan."
        )
    return mask


def _plane_node(scene: Any, node_id: str) -> Any:
    node = chosen_node(scene, node_id)
    if node is None or not node.IsA("vtkMRMLMarkupsPlaneNode"):
        raise InputError("A plane that was chosen is no longer there. Choose the planes again.")
    return node


def _check_models(choices: Choices) -> None:
    from ..models.store import ModelStore

    stages = (["cavity"] if choices.cavity_source == MODEL else []) + (["scar"] if choices.method not in RULES else [])
    for bundle, stage in zip(choices.bundles(), stages):
        check_use(bundle.card, stage=stage)
        if not choices.accept_terms and not ModelStore().accepted(bundle):
            raise InputError(f"The terms of the model {bundle.card.reference} have to be accepted first.")


def _request(choices: Choices, files: dict[str, Path], folder: Path) -> dict[str, Any]:
    request: dict[str, Any] = {
        "image": str(files["image"]),
        "cavity": choices.cavity_model if choices.cavity_source == MODEL else str(files["cavity"]),
        "output": str(folder / RESULT_FOLDER),
        "analysis": True,
        "planes": [str(files["planes"])] if "planes" in files else [],
        "settings": choices.settings.to_json(),
    }
    request |= {name: str(files[name]) for name in ("wall", "roi") if name in files}
    if choices.method not in RULES:
        request["scar"] = choices.method
    if choices.models:
        request |= {"device": choices.device, "accept_terms": choices.accept_terms}
    return request


def _notes(node: Any, hardened: bool) -> tuple[str, ...]:
    transform = node.GetParentTransformNode()
    if hardened:
        return (
            f"The scan lies under the transform {transform.GetName()!r}, which bends or shears it: a resampled copy was analysed, "
            "and is put into the scene.",
        )
    if transform is not None:
        return (f"The scan was analysed where the transform {transform.GetName()!r} puts it.",)
    return ()
