"""Masks: voxels of a grid, and a label volume as such, with what is odd about it said."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from ..errors import InputError
from ..support.flags import NOTE, WARNING, QualityFlag
from ..volumes.volume import Box, Geometry, Volume
from .labels import EMPTY, LISTED, Label, labelled_voxels, wanted_labels

MINIMUM_CAVITY_ML = 0.5
"""Smaller than any part of an atrium that could be measured: a click by mistake."""
MAXIMUM_CAVITY_ML = 2000.0
"""Larger than any giant left atrium: the spacing in the header is wrong, and a surface of it would take hours."""
SPECKS_ML = 0.1
"""Pieces and holes of less together have less than 1 % of an atrium's surface (100 cm² and more) as long as they are compact."""
FULL_SHARE = 0.9
"""A cavity that fills more of the image than this is an inverted or foreign label."""
AXES = ("slice", "row", "column")
"""The array's axes (k, j, i), as people call them."""
ORDINALS = {2: "second", 3: "third", 4: "fourth"}
LEAST_GAPS = 2
"""One gap is an oversight; so many are a way of drawing."""
LEAST_OVERLAP = 0.5
"""Slices of one atrium share more of the smaller one: 99.9 % of those 2.5 mm apart and 98.6 % of those 5 mm apart in the 80 masks of the 2018 challenge."""
SAME_VOXEL = 0.45
"""Voxels that lie nearer than half of one to those of the same number: resampling would give the same mask, but for what rounding decides."""
ANOTHER_PLACE_MM = 1.0
"""Less moves a mask by no more than the perturbation range tries: the numbers stay within it."""
PARALLEL_COSINE = 1.0 - 1e-6
"""Axes this parallel (0.08°) drift by less than a voxel over an image; what is left is measured at the corners (`Geometry.same_grid`)."""


@dataclass(frozen=True, eq=False)
class Mask:
    """Some voxels of a grid of `shape`: `inside` (k, j, i) bool in `box`, none elsewhere. Made with `of`, the box is tight.

    Equal to another one with the same voxels, however each was made.
    """

    inside: np.ndarray
    box: Box
    shape: tuple[int, int, int]

    @classmethod
    def of(cls, array: np.ndarray, start: tuple[int, int, int] = (0, 0, 0), shape: tuple[int, int, int] | None = None) -> Mask:
        """The voxels of `array` (k, j, i) that aren't 0: a whole grid, or the part of a grid of `shape` that begins at `start`.

        What lies beyond the grid is left out.
        """
        shape = array.shape if shape is None else shape
        cut = tuple(slice(max(0, -first), max(0, size - first)) for first, size in zip(start, shape))
        array, start = array[cut], tuple(max(0, first) for first in start)
        if not array.any():
            return cls(np.zeros((0, 0, 0), dtype=bool), Box((0, 0, 0), (0, 0, 0)), shape)
        tight = Box.around(array, 0.0, (1.0, 1.0, 1.0))
        corners = (tuple(a + first for a, first in zip(corner, start)) for corner in (tight.start, tight.stop))
        return cls(np.array(array[tight.slices], dtype=bool, order="C"), Box(*corners), shape)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mask):
            return NotImplemented
        return self is other or (self.shape == other.shape and self.box == other.box and np.array_equal(self.inside, other.inside))

    def __hash__(self) -> int:
        return hash((self.shape, self.box))

    @property
    def voxels(self) -> int:
        """How many there are."""
        return int(np.count_nonzero(self.inside))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the voxels' numbers in the whole grid, whatever file they are in."""
        inside = np.unravel_index(np.flatnonzero(self.inside), self.inside.shape)
        flat = np.ravel_multi_index(tuple(axis + first for axis, first in zip(inside, self.box.start)), self.shape)
        return hashlib.sha256(flat.astype("<i8", copy=False)).hexdigest()

    def within(self, box: Box) -> np.ndarray:
        """(k, j, i) bool: the part in `box`, a new array."""
        return self.box.of_values(self.inside, box)

    def whole(self) -> np.ndarray:
        """(k, j, i) bool on the whole grid."""
        return self.within(Box((0, 0, 0), self.shape))


def mask_on_grid(
    labels: Volume, grid: Geometry, name: str, label: Label | Sequence[Label] | None = None
) -> tuple[np.ndarray, tuple[QualityFlag, ...]]:
    """The voxels of one label, or of several together, as a bool array on `grid`, and remarks.

    Parameters
    ----------
    labels
        any value > 0 counts; with several different ones `label` must say which.
    name
        "cavity", "wall" or "scar", for the messages.

    Raises
    ------
    InputError
        as `labelled_voxels`; not overlapping the grid.
    """
    array, flags = labelled_voxels(labels, name, wanted_labels(label))
    mask, more = _on_grid(labels.like(array), grid, name)
    return mask, (*flags, *more)


def _on_grid(mask: Volume, grid: Geometry, name: str) -> tuple[np.ndarray, tuple[QualityFlag, ...]]:
    """A bool volume on `grid`, without interpolation wherever its voxels coincide with the grid's, in whatever order or part of it."""
    if mask.geometry.same_grid(grid):
        return mask.array, ()
    turned, flags = _turned_to(mask, grid), ()
    if turned.geometry.same_grid(grid):
        return turned.array, ()
    apart, apart_mm = grid.apart(turned.geometry) if turned.geometry.size == grid.size else (np.inf, np.inf)
    if apart < SAME_VOXEL:
        message = (
            f"The headers of the {name} mask and the image differ by up to {apart:.2g} voxels, as rounded numbers do; each voxel of the mask "
            "was taken for the image's voxel of the same number, which is the nearest one."
        )
        return turned.array, (QualityFlag("mask_header_rounded", message),)
    start = grid.start_of(turned.geometry)
    # Whole voxels are no rounding, however few.
    if mask.geometry.size == grid.size and (apart_mm >= ANOTHER_PLACE_MM or start is not None):
        flags = (QualityFlag("mask_header_differs", _header_differs(mask.geometry, grid, name)),)
    array = mask.resample(grid, labels=True).array > 0 if start is None else Mask.of(turned.array, start, grid.shape).whole()
    # An empty scar is a finding; on the image or not, it is nowhere.
    if not array.any() and mask.array.any():
        raise InputError(
            f"The {name} mask does not overlap the image. "
            + (
                _header_differs(mask.geometry, grid, name)
                if flags
                else "Check that both are of the same scan and of the same coordinate system."
            )
        )
    if start is None:
        message = (
            f"The {name} mask was on another grid and was resampled to the image's (nearest neighbour); "
            "its edge may be off by half a voxel."
        )
        flags += (QualityFlag(f"{name}_resampled", message),)
    return array, flags


def _turned_to(mask: Volume, grid: Geometry) -> Volume:
    """The mask with its axes in the order and direction of the grid's, where they are parallel; no voxel is interpolated."""
    cosines = grid.rotation.T @ mask.geometry.rotation
    axes = np.abs(cosines).argmax(axis=1)
    if sorted(axes) != [0, 1, 2] or np.abs(cosines).max(axis=1).min() < PARALLEL_COSINE:
        return mask
    flips, geometry = cosines[range(3), axes] < 0, mask.geometry
    first = np.where(flips[np.argsort(axes)], np.array(geometry.size) - 1, 0)
    turned = Geometry(
        tuple(geometry.size[a] for a in axes), tuple(geometry.spacing[a] for a in axes), tuple(geometry.index_to_lps(first[None])[0].tolist()),
        tuple((geometry.rotation[:, axes] * np.where(flips, -1.0, 1.0)).ravel().tolist()),
    )  # fmt: skip
    # The array's axes are the grid's in reverse order.
    array = mask.array.transpose([2 - a for a in axes[::-1]])
    return Volume(np.flip(array, tuple(2 - np.flatnonzero(flips))), turned, mask.flags)


def _header_differs(header: Geometry, grid: Geometry, name: str) -> str:
    """What differs between two headers of arrays of one size, and what to do."""
    size, pairs = " × ".join(map(str, grid.size)), []
    for what, key in (("origin", "origin"), ("spacing", "spacing"), ("axes", "direction")):
        theirs, ours = (tuple(round(float(v), 4) + 0.0 for v in getattr(each, key)) for each in (header, grid))
        if theirs != ours:
            pairs.append(f"{what} {', '.join(f'{v:g}' for v in theirs)} instead of {', '.join(f'{v:g}' for v in ours)}")
    return (
        f"The {name} mask has as many voxels as the image ({size}) but another header ({'; '.join(pairs) or 'by more than rounding'}): one of "
        f"the two changed on the way, and the mask lies in another place than it was drawn. Copy the image's header to it (SimpleITK: mask.CopyInformation(image))."
    )


def check_cavity(cavity: Mask, grid: Geometry) -> tuple[QualityFlag, ...]:
    """Refuse a mask that can't be an atrium; flag one that may be cut off, in pieces or with holes."""
    voxels = cavity.voxels
    if voxels == 0:
        raise InputError(EMPTY.format(name="cavity"))
    volume_ml, share = voxels * grid.voxel_volume_ml, voxels / np.prod(grid.size)
    if volume_ml < MINIMUM_CAVITY_ML:
        raise InputError(f"The cavity mask holds {voxels} voxels ({volume_ml:.3g} mL), too few for an atrium. Check the mask or its label.")
    if share > FULL_SHARE:
        raise InputError(
            f"The cavity mask fills {100 * share:.0f} % of the image: it is inverted or not a cavity. Check the mask or its label."
        )
    if volume_ml > MAXIMUM_CAVITY_ML:
        raise InputError(
            f"The cavity mask has {volume_ml:.0f} mL, more than any atrium: it is inverted or another organ, or the spacing in "
            "the header is wrong."
        )
    flags = []
    sides = _touched_sides(cavity)
    if sides:
        message = f"The cavity touches the image border ({', '.join(sides)}): the atrium is cut off there, and its lid counts as surface."
        flags.append(QualityFlag("cavity_touches_border", message))
    flags += _check_slices(cavity)
    pieces, count = ndimage.label(cavity.inside)
    if count > 1:
        sizes = np.sort(np.bincount(pieces.ravel())[1:])[::-1] * grid.voxel_volume_ml
        message = (
            f"The cavity is in {count} pieces; the largest has {sizes[0]:.1f} mL, the others {sizes[1:].sum():.2f} mL together. "
            "All were measured."
        )
        flags.append(QualityFlag("cavity_in_pieces", message, WARNING if sizes[1:].sum() > SPECKS_ML else NOTE))
    enclosed = _enclosed_voxels(cavity.inside)
    if enclosed:
        message = (
            f"The cavity has holes of {enclosed * grid.voxel_volume_ml:.2g} mL together, and blood inside them was measured as wall. "
            "Fill them, and measure again."
        )
        flags.append(QualityFlag("cavity_has_holes", message, WARNING if enclosed * grid.voxel_volume_ml > SPECKS_ML else NOTE))
    return tuple(flags)


def _check_slices(cavity: Mask) -> list[QualityFlag]:
    """Stop at a cavity that was drawn on some slices only; flag one slice, or a few together, that were forgotten."""
    for axis, (what, first) in enumerate(zip(AXES, cavity.box.start)):
        gaps = _gaps(np.moveaxis(cavity.inside, axis, 0))
        numbers = [f"{first + a + 1}" if b == a + 1 else f"{first + a + 1} to {first + b}" for a, b in gaps]
        if len(gaps) >= LEAST_GAPS:
            empty, drawn = sum(b - a for a, b in gaps), cavity.inside.shape[axis]
            listed = ", ".join(numbers[:LISTED]) + (" …" if len(numbers) > LISTED else "")
            message = (
                f"{_how_often(gaps, what)} ({empty} of {drawn}: {listed}): it was drawn on some {what}s only, and "
                "was not filled between them. Fill between slices (in Slicer's Segment Editor the effect of this name), and measure again."
            )
            return [QualityFlag("cavity_slices_empty", message)]
        if gaps:
            message = (
                f"The cavity has no voxel in {what} {' and '.join(numbers)} (counted from 1), but on both sides of it: it was forgotten, and "
                "blood there was measured as wall. Fill it, and measure again."
            )
            return [QualityFlag("cavity_slice_forgotten", message)]
    return []


def _gaps(slices: np.ndarray) -> list[tuple[int, int]]:
    """(first, after the last) of every run of empty slices of a tight mask, its slices along axis 0, that divides one body.

    What lies apart as a piece of its own does not continue on the other side.
    """
    filled = np.flatnonzero(slices.any(axis=(1, 2)))
    gaps = [(int(a) + 1, int(b)) for a, b in zip(filled, filled[1:]) if b > a + 1]
    return [(a, b) for a, b in gaps if _overlap(slices[a - 1], slices[b]) >= LEAST_OVERLAP]


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    """The common share of the smaller one."""
    return float(np.count_nonzero(one & other) / min(np.count_nonzero(one), np.count_nonzero(other)))


def _how_often(gaps: Sequence[tuple[int, int]], what: str) -> str:
    """"Every second slice inside the cavity is empty", where that is so."""
    steps, lengths = {b[0] - a[0] for a, b in zip(gaps, gaps[1:])}, {b - a for a, b in gaps}
    if len(steps) > 1 or len(lengths) > 1:
        return f"Some {what}s inside the cavity are empty"
    (step,), (length,) = steps, lengths
    if length > 1:
        return f"Of every {step} {what}s inside the cavity {length} are empty"
    return f"Every {ORDINALS.get(step, f'{step}th')} {what} inside the cavity is empty"


def _enclosed_voxels(mask: np.ndarray) -> int:
    """How many voxels outside `mask` can't be reached from its border."""
    outside, _ = ndimage.label(np.pad(~mask, 1, constant_values=True))
    return int(np.count_nonzero(outside > 1))


def _touched_sides(mask: Mask) -> list[str]:
    """On which sides of the image the mask goes to the border."""
    sides = []
    for axis, first, last, size in zip(AXES, mask.box.start, mask.box.stop, mask.shape):
        sides += [f"first {axis}"] if first == 0 else []
        sides += [f"last {axis}"] if last == size else []
    return sides
