"""From a scan to a network's input channels on its working grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.ndimage import binary_fill_holes

from ..anatomy.anatomy import Anatomy, build_anatomy
from ..anatomy.wall import WALL_OUTSIDE_MM
from ..errors import InputError
from ..models.card import ModelCard, Preprocessing
from ..systems import Stage
from ..systems.base import MINIMUM_SD, mean_and_sd, z_score
from ..volumes.orientation import Orientation
from ..volumes.volume import Box, Volume
from .resampling import resample_mask, resample_scan, shape_at, true_spacing, working_geometry


@dataclass(frozen=True, eq=False)
class Normalisation:
    """The z-score of one scan: taken once over the scan, so that every region of it gets the same values.

    `box` is the part of the scan that there is to see (all of it, or the box of its non-zero voxels); `inside` (k, j, i) bool,
    on the whole scan, the voxels that are normalised, None for all.
    """

    mean: float | np.ndarray
    """Of each slice by itself (k, 1, 1)."""
    sd: float | np.ndarray
    box: Box
    inside: np.ndarray | None = None

    @classmethod
    def of(cls, scan: np.ndarray, statistics: str, region: Box | None = None) -> Normalisation:
        """`statistics` as in `models.card.STATISTICS`; `region`, where it is known, is what the network will see.

        Raises `InputError` for a scan that is 0 everywhere.
        """
        box, inside, values = Box((0, 0, 0), scan.shape), None, scan
        if statistics == "slice":
            means, sds = scan.mean(axis=(1, 2), dtype=np.float64), scan.std(axis=(1, 2), dtype=np.float64)
            return cls(means.reshape(-1, 1, 1), np.maximum(sds, MINIMUM_SD).reshape(-1, 1, 1), box)
        if statistics == "region":
            values = scan if region is None else scan[region.slices]
        elif statistics != "image":
            filled = binary_fill_holes(scan != 0)
            if not filled.any():
                raise InputError("The scan is 0 everywhere. Check the file.")
            box = Box.around(filled, 0.0, (1.0, 1.0, 1.0))
            values = scan[box.slices]
            if statistics == "nonzero":
                inside, values = filled, scan[filled]
        mean, sd = mean_and_sd(values)
        return cls(mean, max(sd, MINIMUM_SD), box, inside)

    @property
    def is_the_same_everywhere(self) -> bool:
        """Whether every voxel is normalised alike, so that it may be done after an interpolation as well."""
        return self.inside is None and np.ndim(self.mean) == 0

    def apply(self, part: np.ndarray, box: Box | None = None) -> np.ndarray:
        """Normalised float32 of `part`, a crop of the scan; `box` says which when not all voxels are normalised alike."""
        # Whole scans go through here: one new array, not three.
        mean, sd = (value if box is None or np.ndim(value) == 0 else value[box.slices[0]] for value in (self.mean, self.sd))
        scaled = np.subtract(part, np.float32(mean), dtype=np.float32)
        scaled /= np.float32(sd)
        if self.inside is not None and box is not None:
            outside = ~self.inside[box.slices]
            scaled[outside] = part[outside]
        return scaled


@dataclass(frozen=True, eq=False)
class OrientedScan:
    """A scan in the network's axes: `array` (k, j, i) with voxels of `spacing` mm, and its z-score as a whole."""

    volume: Volume
    orientation: Orientation
    array: np.ndarray
    spacing: tuple[float, ...]
    normalisation: Normalisation

    @classmethod
    def of(cls, volume: Volume, how: Preprocessing) -> Self:
        turned = Orientation.towards_lps(volume.geometry) if how.orientation == "lps" else Orientation()
        orientation = turned.then(how.axes)
        array = orientation.apply(volume.array)
        return cls(volume, orientation, array, orientation.of_axes(volume.geometry.spacing_kji), Normalisation.of(array, how.statistics))

    def box(self, roi: Box) -> Box:
        """A region of interest on the stored scan's grid, as far as it lies in the scan; `InputError` when nothing of it does."""
        shape = self.volume.array.shape
        part = roi.within(Box((0, 0, 0), shape))
        if min(part.shape) < 1:
            raise InputError(
                f"The region of interest {roi.start}–{roi.stop} lies outside the scan of {shape} voxels. Draw it around the left atrium."
            )
        return self.orientation.box(part, shape)


def channels_at(
    card: ModelCard,
    stage: Stage,
    scan: np.ndarray,
    cavity: np.ndarray | None,
    spacing: Sequence[float],
    normalisation: Normalisation,
    box: Box,
) -> np.ndarray:
    """The fine network's input (C, k, j, i) float32 at its spacing, for the part of the scan inside `box`.

    Parameters
    ----------
    scan, cavity
        (k, j, i) in the network's axes, on the scan's own voxels of `spacing` mm; `cavity` bool, None for a cavity stage.
    """
    how, target = card.preprocessing, card.fine.spacing_in(spacing)
    # A system whose channels have statistics of their own over the scan makes them for all of it.
    source = normalisation.box if stage.whole_scan_inputs else box
    part = normalisation.apply(scan[source.slices], source)
    mask = None if cavity is None else cavity[source.slices]
    shape = shape_at(source.shape, spacing, target)
    if how.resampling == "nnunet":
        # nnU-Net resamples what it was given: the channels were made on the scan's own voxels.
        geometry = working_geometry(source.shape, spacing)
        anatomy = None if mask is None else build_anatomy(np.ascontiguousarray(mask), geometry, WALL_OUTSIDE_MM)
        made = _zscored(stage.inputs(part, anatomy), card)[:, *box.within(source).seen_from(source).slices]
        shape = shape_at(box.shape, spacing, target)
        return np.stack([resample_scan(channel, shape, spacing, target, how.resampling) for channel in made])
    part = resample_scan(part, shape, spacing, target, how.resampling)
    made = _zscored(stage.inputs(part, None if mask is None else anatomy_at(mask, shape, spacing)), card)
    if source is box:
        return made
    return _cropped(made, box, source, shape_at(box.shape, spacing, target))


def anatomy_at(cavity: np.ndarray, shape: tuple[int, int, int], spacing: Sequence[float]) -> Anatomy:
    """The anatomy of a cavity (k, j, i) bool with voxels of `spacing` mm, on `shape` voxels of the same block."""
    geometry = working_geometry(shape, true_spacing(cavity.shape, spacing, shape))
    return build_anatomy(resample_mask(cavity, shape), geometry, WALL_OUTSIDE_MM)


def _zscored(channels: np.ndarray, card: ModelCard) -> np.ndarray:
    """An imported model may want its distance maps z-scored as well; the scan is already."""
    for n, entry in enumerate(card.channels[1:], start=1):
        if entry.normalisation == "zscore":
            channels[n] = z_score(channels[n])
    return channels


def _cropped(channels: np.ndarray, box: Box, source: Box, shape: Sequence[int]) -> np.ndarray:
    """The part of the working grid's channels that covers `box`, on `shape` voxels."""
    cut = []
    for a, o, n, whole, working in zip(box.start, source.start, shape, source.shape, channels.shape[1:]):
        first = max(0, min(round((a - o) * working / whole), working - n))
        cut.append(slice(first, first + n))
    return np.ascontiguousarray(channels[:, *cut])
