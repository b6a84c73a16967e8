"""What a system's network is shown of a scan, and the way back from its logits to the scan's own voxels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..models.card import ModelCard
from ..support.flags import QualityFlag
from ..systems import Stage
from ..volumes.volume import Box
from .boundary import boundary_tiles, points_to_look_around
from .options import STANDARD_STEP
from .preparation import Normalisation, OrientedScan, channels_at
from .region import crop_around, middle_of, voxels_around, widened
from .resampling import resample_logits, resample_logits_part, resample_mask, resample_scan_part, shape_at
from .tiles import BACKGROUND, Corner, contributing_tiles


@dataclass(frozen=True, eq=False)
class Seen:
    """What the fine network is given, and the way back.

    `channels` (C, k, j, i) at its spacing; `corners`: where its tiles start in them, None for tiles all over; `back` makes the
    logits of the channels those of the scan's own voxels inside `box`; `room` as for `tiles.predict_maps`.
    """

    channels: np.ndarray
    box: Box
    back: Callable[[np.ndarray], np.ndarray]
    corners: list[Corner] | None = None
    room: Corner = (0, 0, 0)


@dataclass(frozen=True, eq=False)
class Looking:
    """Where the fine network of a card looks, and what it sees there: tiles `step` of a patch apart, where it sees but some of them."""

    card: ModelCard
    stage: Stage
    step: float = STANDARD_STEP

    def with_room(self, box: Box, scan: OrientedScan) -> Box:
        """`box` as large as a patch, where the scan has room."""
        spec = self.card.fine
        return widened(box, scan.array.shape, shape_at(spec.patch_kji, spec.spacing_in(scan.spacing), scan.spacing))

    def crop(self, scan: OrientedScan, atrium: Box | None = None) -> Box | None:
        """The part that the network was trained to see, around `atrium` or the scan's middle; None where there is no such rule."""
        how = self.card.preprocessing
        if how.crop is None:
            return None
        size = shape_at(how.crop, self.card.fine.spacing_in(scan.spacing), scan.spacing)
        if atrium is None or how.crop_around != "atrium":
            return middle_of(scan.array.shape, size)
        return crop_around(atrium, scan.array.shape, size)

    def within_crop(self, box: Box, crop: Box, scan: OrientedScan) -> Box:
        """What of the crop shows `box`, as large as a patch; all of it where `box` lies outside."""
        common = box.within(crop)
        if min(common.shape) < 1:
            return crop
        spec = self.card.fine
        inner = widened(common.seen_from(crop), crop.shape, shape_at(spec.patch_kji, spec.spacing_in(scan.spacing), scan.spacing))
        return Box(*(tuple(a + first for a, first in zip(corner, crop.start)) for corner in (inner.start, inner.stop)))

    def all_of(self, box: Box, scan: OrientedScan, cavity: np.ndarray | None = None) -> Seen:
        """A box of the scan: what a network that was trained on boxes wants."""
        how, spec = self.card.preprocessing, self.card.fine
        # A network of a fixed part of scans was trained on that part's z-score, wherever in it there is something to see.
        part = self.crop(scan, box) or box
        normalisation = Normalisation.of(scan.array, "region", part) if how.statistics == "region" else scan.normalisation
        channels = channels_at(self.card, self.stage, scan.array, cavity, scan.spacing, normalisation, box)
        spacing, corners, room = spec.spacing_in(scan.spacing), None, (0, 0, 0)
        if self.stage.sampler.kind == "boundary":
            outline = points_to_look_around(resample_mask(cavity[box.slices], channels.shape[1:]), self.stage.sampler.step_px, spacing)
            corners, room = boundary_tiles(outline, spec.patch_kji)

        def back(logits: np.ndarray) -> np.ndarray:
            return resample_logits(logits, box.shape, spacing, scan.spacing, how.resampling)

        return Seen(channels, box, back, corners, room)

    def tiles_at(self, atrium: np.ndarray, box: Box, scan: OrientedScan) -> Seen:
        """Some of the whole scan's tiles, those that decide what comes out in the atrium: for a network that was trained on whole scans.

        Their voxels and weights are the whole scan's, so what comes out is what comes out there.

        Parameters
        ----------
        atrium
            (k, j, i) bool, the coarse mask of the whole scan.
        box
            what is wanted, in the scan's voxels.
        """
        method, whole = self.card.preprocessing.resampling, scan.normalisation.box
        patch, spacing = self.card.fine.patch_kji, self.card.fine.spacing_in(scan.spacing)
        shape = shape_at(whole.shape, scan.spacing, spacing)
        points = voxels_around(atrium, whole, scan.array.shape, shape)
        corners = contributing_tiles(points, shape, patch, self.step)
        first = np.min(corners, axis=0)
        last = np.minimum(np.max(corners, axis=0) + patch, shape)
        block = Box(tuple(map(int, first)), tuple(map(int, last)))
        part = resample_scan_part(scan.array[whole.slices], shape, block, scan.spacing, spacing, method)
        channels = self.stage.inputs(scan.normalisation.apply(part), None)
        box = box.within(whole)
        wanted = box.seen_from(whole)

        def back(logits: np.ndarray) -> np.ndarray:
            def read(place: tuple[slice, ...]) -> np.ndarray:
                return block.of_values(logits, Box(tuple(s.start for s in place), tuple(s.stop for s in place)), BACKGROUND)

            return resample_logits_part(read, shape, whole.shape, wanted, spacing, scan.spacing, method)

        return Seen(channels, box, back, [tuple(int(c - f) for c, f in zip(corner, first)) for corner in corners])


def beyond_crop(cavity: np.ndarray, crop: Box | None) -> tuple[QualityFlag, ...]:
    """A warning where a cavity (k, j, i) bool reaches out of the part of the scan that a network was trained to see."""
    if crop is None:
        return ()
    lacking = 1.0 - np.count_nonzero(cavity[crop.slices]) / np.count_nonzero(cavity)
    if not lacking:
        return ()
    message = (
        f"{100 * lacking:.1f} % of the cavity lies outside the part of the scan that the scar model looks at: it finds no scar "
        "there. Crop the scan around the left atrium, or take another method."
    )
    return (QualityFlag("cavity_beyond_crop", message),)
