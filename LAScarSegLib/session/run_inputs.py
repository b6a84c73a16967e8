"""From chosen nodes to the files of a worker's request; what can't be used is said before any work."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..measure.quality import check_is_scan
from ..models.bundle import check_use
from ..scene.inputs import ScanFromScene, overlapping_segment, region_of_interest, scan_from_node
from ..scene.plane_markups import chosen_plane, cut_plane
from ..scene.selection import find_node
from ..support.whole_folder import disk_error
from ..volumes.files import write_volume
from ..volumes.volume import Volume
from .choices import MODEL, Choices, why_not

RESULT_FOLDER = "result"
"""Where the worker puts its analysis, in the temporary folder."""
AIR_HU = (-1150.0, -600.0)
"""Grey levels of air and lung in CT. An MRI of signed intensities (PSIR) spreads beyond both ends."""
AIR_SHARE, BELOW_AIR_SHARE = 0.05, 0.001
"""A CT of the heart shows at least this share of air and lung, and, padding apart, hardly anything below them."""
CT_PADDING_HU = -1500.0
"""Scanners fill what lies outside the field of view with a number below this (−2000, −2048, −3024): one value, counted apart."""


@dataclass(frozen=True, eq=False)
class RunInputs:
    """What a run starts from: the request for the worker, the scan, and which opening each plane markup cuts, by its ID."""

    request: dict[str, Any]
    scan: ScanFromScene
    planes: dict[str, str]


def write_inputs(scene: Any, choices: Choices, folder: Path) -> RunInputs:
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
    scan = scan_from_node(find_node(scene, choices.volume_id))
    check_is_scan(scan.volume, f"The volume {scan.name!r}")
    check_not_ct(scan.volume, scan.name)
    planes = tuple(cut_plane(chosen_plane(scene, plane)) for plane in choices.planes)
    masks = _masks(scene, choices, scan.volume)
    files = {name: folder / f"{name}.nrrd" for name in ("image", *masks)}
    try:
        for name, content in ({"image": scan.volume} | masks).items():
            write_volume(content, files[name])
        if planes:
            files["planes"] = folder / "planes.json"
            content = {"coordinateSystem": "LPS", "planes": [plane.to_json() for plane in planes]}
            files["planes"].write_text(json.dumps(content), encoding="utf-8")
    except (OSError, RuntimeError) as error:
        raise disk_error(error, folder / "image.nrrd") from error
    return RunInputs(_request(choices, files, folder), scan, {node_id: plane.name for plane, node_id in zip(planes, choices.planes)})


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


def _masks(scene: Any, choices: Choices, scan: Volume) -> dict[str, Volume]:
    masks = {}
    if choices.cavity_source != MODEL:
        masks["cavity"] = overlapping_segment(find_node(scene, choices.segmentation_id), choices.segment_id, scan)
    if choices.wall_segmentation_id:
        masks["wall"] = overlapping_segment(find_node(scene, choices.wall_segmentation_id), choices.wall_segment_id, scan)
    roi = find_node(scene, choices.roi_id)
    if roi is not None and choices.cavity_source == MODEL:
        masks["roi"] = region_of_interest(roi, scan)
    return masks


def _check_models(choices: Choices) -> None:
    from ..models.store import ModelStore

    for mask, reference in choices.models_by_mask.items():
        bundle = ModelStore().find(reference)
        check_use(bundle.card, stage=mask)
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
    if choices.rule is None:
        request["scar"] = choices.method
    if choices.models:
        request |= {"device": choices.device, "accept_terms": choices.accept_terms}
    return request
