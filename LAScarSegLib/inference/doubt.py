"""What can be measured about a cavity that a network found, without knowing the true one.

What a calibration makes of it: `models.doubt_calibration`; how the measures tell sound cavities from others: Docs/cavity_model.md.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from ..anatomy.likeness import more_like_turned, unlikeness
from ..anatomy.masks import Mask
from ..anatomy.shape import border_share, shape_of
from ..errors import LAScarSegError
from ..models.card import NetworkSpec
from ..models.doubt_calibration import MEASURES
from ..support.progress import Progress
from ..volumes.volume import Box, Geometry, Volume
from .device import deterministic
from .own_measures import Found, edge_measures, overlap, shell_mm, sureness_measures
from .resampling import resample_mask, resample_scan, shape_at, true_spacing
from .second_looks import Look, look_again, network_runner

if TYPE_CHECKING:
    from .bundle_models import BundleCavityModel, OrientedScan

DOUBT_SHARE = 0.3
"""Of the progress of a run with doubt."""
MARGIN_MM = 12.0
"""Around the cavity: what the edge's surroundings and a move of the tile need."""
COARSE_MARGIN_MM = 45.0
"""The coarse network wants to see more of what lies around."""
LOOKS: dict[str, Look] = {
    "scaled": Look(zoom=4 / 3),
    "moved": Look(zoom=4 / 3, turn_deg=(15.0, 10.0), move_mm=(3.0, -4.0, 4.0)),
    "mirrored": Look(zoom=4 / 3, mirror=(2,)),
}
"""Other ways to ask the fine network; a tile of a third of the voxels, seen 4/3 times as coarsely, holds an atrium."""
TILE_SHARE = 0.75
"""Of the fine network's patch."""
COARSE_TILE_MM = (128.0, 128.0, 160.0)
"""The atrium and what lies around it."""
_NEEDS = {
    "scaled": ("scaled_overlap", "scaled_unsure_mm"), "moved": ("moved_overlap",), "mirrored": ("mirrored_overlap",),
    "coarse": ("coarse_overlap",), "edge": ("edge_agreement", "contrast", "uneven_blood"), "sure": ("unsure_mm", "sureness", "elsewhere"),
    "shape": ("unlikeness", "better_turned", "at_border"),
}  # fmt: skip
"""Which measures come from which piece of work."""
assert {name for names in _NEEDS.values() for name in names} == set(MEASURES)


def measures_of(
    model: BundleCavityModel, scan: OrientedScan, probability: Volume, mask: Volume, wanted: Collection[str], progress: Progress
) -> dict[str, float]:
    """{name: value} of the `wanted` ones of `MEASURES`; those that could not be had are left out.

    Parameters
    ----------
    model, scan
        what found the cavity, in what.
    probability, mask
        what it found, on the scan's own grid; the mask is not empty.

    Raises
    ------
    Cancelled
        from `progress`; nothing else.
    """
    values: dict[str, float] = {}
    work = {name: names for name, names in _NEEDS.items() if set(names) & set(wanted)}
    views: dict[str, Found] = {}
    for number, name in enumerate(work):
        progress.report("doubt", number / len(work), "How far the cavity can be trusted")
        try:
            if name == "shape":
                values |= shape_measures(Mask.of(mask.array), mask.geometry)
                continue
            role = "coarse" if name == "coarse" else "fine"
            if role not in views:
                views[role] = _around(model, scan, probability, mask, role)
            values |= _measured(model, name, views[role])
        except LAScarSegError:
            raise
        except Exception:  # noqa: BLE001
            # Out of memory, a card that vanished: the cavity is there, and that it is unchecked will be said.
            logging.getLogger(__name__).warning("The cavity was not checked by %s", name, exc_info=True)
    return {name: float(value) for name, value in values.items() if name in wanted}


def shape_measures(cavity: Mask, geometry: Geometry) -> dict[str, float]:
    """What needs no network."""
    shape = shape_of(cavity, geometry)
    distance = unlikeness(shape)
    return {
        "unlikeness": distance,
        "better_turned": distance - more_like_turned(shape).unlikeness,
        "at_border": border_share(cavity, geometry),
    }


def _measured(model: BundleCavityModel, name: str, found: Found) -> dict[str, float]:
    if name == "sure":
        return sureness_measures(found)
    if name == "edge":
        return edge_measures(found)
    spec = model.card.coarse if name == "coarse" else model.card.fine
    if spec is None:
        return {}
    look = Look(zoom=1.0) if name == "coarse" else LOOKS[name]
    with deterministic():
        run = network_runner(model.network(spec), model.device.key)
        other, covered = look_again(run, found.grey, found.spacing_mm, found.middle_mm, look, spec.spacing_mm, _tile(spec, name))
    values = {f"{name}_overlap": overlap(found, other, covered)}
    return values | ({"scaled_unsure_mm": shell_mm(np.where(covered, other, 0), found.spacing_mm)} if name == "scaled" else {})


def _tile(spec: NetworkSpec, name: str) -> tuple[int, int, int]:
    """How many voxels a look's tile has: a multiple of the network's strides."""
    wanted = [mm / s for mm, s in zip(COARSE_TILE_MM, spec.spacing_mm)] if name == "coarse" else [TILE_SHARE * n for n in spec.patch]
    return tuple(max(d, int(n) // d * d) for n, d in zip(wanted, spec.plan.divisor))


def _around(model: BundleCavityModel, scan: OrientedScan, probability: Volume, mask: Volume, role: str) -> Found:
    """The scan and what was found in it, on a network's grid, around the cavity."""
    inside, chance = scan.orientation.apply(mask.array) > 0, scan.orientation.apply(probability.array)
    if role == "coarse":
        spec, box = model.card.coarse, Box.around(inside, COARSE_MARGIN_MM, scan.spacing)
        shape = shape_at(box.shape, scan.spacing, (spec or model.card.fine).spacing_mm)
        part = scan.array[box.slices]
        grey = scan.normalisation.apply(resample_scan(part, shape, scan.spacing, true_spacing(box.shape, scan.spacing, shape), "linear"))
    else:
        grey, box = model.seen_around(Box.around(inside, MARGIN_MM, scan.spacing), scan)
    spacing = true_spacing(box.shape, scan.spacing, grey.shape)
    return Found(
        np.ascontiguousarray(grey), resample_scan(chance[box.slices], grey.shape, scan.spacing, spacing, "linear"),
        resample_mask(inside[box.slices], grey.shape), spacing,
    )  # fmt: skip
