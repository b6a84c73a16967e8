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
from ..models.doubt_calibration import MEASURES
from ..support.progress import Progress
from ..volumes.volume import Box, Geometry, Volume
from .device import deterministic
from .own_measures import Found, edge_measures, overlap, shell_mm, sureness_measures
from .preparation import OrientedScan
from .resampling import resample_mask, resample_scan, true_spacing
from .second_looks import Look, look_again, network_runner

if TYPE_CHECKING:
    from .bundle_models import BundleCavityModel

DOUBT_SHARE = 0.3
"""Of the progress of a run with doubt."""
MARGIN_MM = 12.0
"""Around the cavity: what the edge's surroundings and a move of the tile need."""
LOOKS: dict[str, Look] = {"scaled": Look(), "moved": Look(turn_deg=(15.0, 10.0), move_mm=(3.0, -4.0, 4.0))}
"""How the fine network is asked again. Mirrored looks, and the coarse network's, told no more (Docs/cavity_model.md)."""
TILE_SHARE = 0.75
"""Of the fine network's patch along each axis: a third of the voxels, and seen in larger ones an atrium still has room."""
_NEEDS = {
    "looks": ("scaled_overlap", "scaled_unsure_mm", "moved_overlap"), "edge": ("edge_agreement", "uneven_blood"),
    "sure": ("unsure_mm", "sureness"), "shape": ("unlikeness", "better_turned", "at_border"),
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
    found: Found | None = None
    for number, name in enumerate(work):
        progress.report("doubt", number / len(work), "How far the cavity can be trusted")
        try:
            if name == "shape":
                values |= shape_measures(Mask.of(mask.array), mask.geometry)
                continue
            found = found or _around(model, scan, probability, mask)
            values |= _measured(model, name, found)
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
    spec = model.card.fine
    tile = tuple(max(d, int(TILE_SHARE * n) // d * d) for n, d in zip(spec.patch, spec.plan.divisor))
    with deterministic():
        run = network_runner(model.network(spec), model.device.key, model.stage.output("cavity"))
        answers = look_again(run, found.grey, found.spacing_mm, found.middle_mm, list(LOOKS.values()), spec.spacing_mm, tile)
    values = {f"{look}_overlap": overlap(found, *answer) for look, answer in zip(LOOKS, answers)}
    other, covered = answers[list(LOOKS).index("scaled")]
    return values | {"scaled_unsure_mm": shell_mm(np.where(covered, other, 0), found.spacing_mm)}


def _around(model: BundleCavityModel, scan: OrientedScan, probability: Volume, mask: Volume) -> Found:
    """The scan and what was found in it, on the fine network's grid, around the cavity."""
    inside, chance = scan.orientation.apply(mask.array) > 0, scan.orientation.apply(probability.array)
    grey, box = model.seen_around(Box.around(inside, MARGIN_MM, scan.spacing), scan)
    spacing = true_spacing(box.shape, scan.spacing, grey.shape)
    return Found(
        np.ascontiguousarray(grey), resample_scan(chance[box.slices], grey.shape, scan.spacing, spacing, "linear"),
        resample_mask(inside[box.slices], grey.shape), spacing,
    )  # fmt: skip
