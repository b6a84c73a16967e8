"""Masks: voxels of a grid, and a label volume as such, with what is odd about it said."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from ..errors import InputError
from ..support.flags import QualityFlag
from ..volumes.volume import Box, Geometry, Volume

MINIMUM_CAVITY_ML = 0.5
"""Smaller than any part of an atrium that could be measured: a click by mistake."""
MAXIMUM_CAVITY_ML = 2000.0
"""Larger than any giant left atrium: the spacing in the header is wrong, and a surface of it would take hours."""
FULL_SHARE = 0.9
"""A cavity that fills more of the image than this is an inverted or foreign label."""
EMPTY = "The {name} mask is empty: it has no voxel above 0. Give a mask that holds the {name}."


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


def mask_on_grid(labels: Volume, grid: Geometry, name: str, label: int | None = None) -> tuple[np.ndarray, tuple[QualityFlag, ...]]:
    """The voxels of one label as a bool array on `grid`, and remarks.

    Parameters
    ----------
    labels
        any value > 0 counts; with several different ones `label` must say which.
    name
        "cavity", "wall" or "scar", for the messages.

    Raises
    ------
    InputError
        no such label, several labels and none chosen, empty, or not overlapping the grid.
    """
    values = _positive_values(labels.array)
    flags = list(labels.flags)
    if values.size == 0 and name != "scar":
        raise InputError(EMPTY.format(name=name))
    if values.size > 1 and not np.equal(np.mod(values, 1), 0).all():
        raise InputError(
            f"The {name} mask holds fractions such as {values[0]:.3g}, so it is a probability map. Cut it at a threshold (0.5) first."
        )
    if label is not None and label not in values:
        raise InputError(f"The {name} mask has no label {label}; it has {_listed(values)}.")
    if label is None and values.size > 1:
        raise InputError(f"The {name} mask has several labels, {_listed(values)}. Say which is the {name} with --{name}-label.")
    if label is None and values.size and values[0] != 1:
        flags.append(QualityFlag(f"{name}_label_not_1", f"The {name} mask's value is {values[0]:g}, not 1; it was taken as the {name}."))
    # Compared with False, a bool array stays one: ten times as fast as with 0, and after every edit somebody waits for it.
    mask = labels.array == label if label is not None else np.greater(labels.array, False)
    if not labels.geometry.same_grid(grid):
        mask = labels.like(mask).resample(grid, labels=True).array > 0
        if not mask.any():
            raise InputError(
                f"The {name} mask does not overlap the image. Check that both are of the same scan and of the same coordinate system."
            )
        message = (
            f"The {name} mask was on another grid and was resampled to the image's (nearest neighbour); "
            "its edge may be off by half a voxel."
        )
        flags.append(QualityFlag(f"{name}_resampled", message))
    return mask, tuple(flags)


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
    pieces, count = ndimage.label(cavity.inside)
    if count > 1:
        sizes = np.sort(np.bincount(pieces.ravel())[1:])[::-1] * grid.voxel_volume_ml
        message = (
            f"The cavity is in {count} pieces; the largest has {sizes[0]:.1f} mL, the others {sizes[1:].sum():.2f} mL together. "
            "All were measured."
        )
        flags.append(QualityFlag("cavity_in_pieces", message))
    enclosed = _enclosed_voxels(cavity.inside)
    if enclosed:
        message = (
            f"The cavity has holes of {enclosed * grid.voxel_volume_ml:.2g} mL together, and blood inside them was measured as wall. "
            "Fill them, and measure again."
        )
        flags.append(QualityFlag("cavity_has_holes", message))
    return tuple(flags)


def _enclosed_voxels(mask: np.ndarray) -> int:
    """How many voxels outside `mask` can't be reached from its border."""
    outside, _ = ndimage.label(np.pad(~mask, 1, constant_values=True))
    return int(np.count_nonzero(outside > 1))


def _positive_values(array: np.ndarray) -> np.ndarray:
    """The different values above 0, ascending."""
    if array.dtype == bool:
        return np.ones(int(array.any()))
    return np.unique(array[array > 0])


def _listed(values: np.ndarray, most: int = 8) -> str:
    return ", ".join(f"{v:g}" for v in values[:most]) + (f" and {values.size - most} more" if values.size > most else "")


def _touched_sides(mask: Mask) -> list[str]:
    """On which sides of the image the mask goes to the border."""
    sides = []
    for axis, first, last, size in zip(("slice", "row", "column"), mask.box.start, mask.box.stop, mask.shape):
        sides += [f"first {axis}"] if first == 0 else []
        sides += [f"last {axis}"] if last == size else []
    return sides
