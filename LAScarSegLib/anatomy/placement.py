"""Whether a given cavity lies where the blood is: it is compared with itself moved and mirrored."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from ..support.flags import QualityFlag
from ..volumes.volume import Geometry
from .masks import AXES, Mask

REACH_MM, STEP_MM = 12.0, 4.0
"""Moves that are tried: patients breathe and shift up to about a centimetre between the MRA a mask is drawn on and the LGE; each 4 mm
step is within what the score takes for the same place."""
LEAST_MOVE_MM = 5.9
"""Shorter moves are no misplacement: a best fit 4 mm off is usual in sound masks, since vein stumps and appendage pull."""
DEEPER_MM = 2.0
"""Inside points lie this far from the edge, beyond partial volume and an edge drawn a voxel off."""
SHELL_MM = (3.0, 8.0)
"""Outside points lie beyond the wall (1–3 mm) and before the next organs' far side."""
POINTS = 800
"""Of each kind; twice as many change the score by less than 0.02."""
CANDIDATES = 20_000
LEAST_POINTS = 100
"""Fewer say nothing."""
LEAST_SEEN = 0.9
"""Of the points that the mask itself has on the image, a place that is compared must have as many."""
CLEARLY_BETTER = 0.12
"""Gain of the score that is flagged. The masks of the 80 scans of the 2018 challenge, CARMA's and 8 phantoms gain 0.02 at most; mirrored
ones (99 %), moved by 12 mm (99 %), 9 mm (96 %) and 6 mm (81 %), and other patients' (77 %) gain more."""
SMALLEST_SD = 1e-6
"""An inside without noise is no better than this share of the whole spread."""


@dataclass(frozen=True, eq=False)
class _Place:
    """A way to place the mask: `offsets` (N, 3) mm along the array's axes, after mirroring `mirrored` axes about `centre` (index)."""

    words: str
    mirrored: tuple[int, ...]
    centre: np.ndarray
    offsets: np.ndarray


def check_placement(array: np.ndarray, geometry: Geometry, cavity: Mask) -> tuple[QualityFlag, ...]:
    """Flag a cavity that fits the scan clearly better moved by 6 to 12 mm, or mirrored; arguments as `placement_gain`."""
    gain, where = placement_gain(array, geometry, cavity)
    # No number where grey levels are too large to be squared.
    if not gain >= CLEARLY_BETTER:
        return ()
    message = (
        f"The cavity fits the image clearly better {where} (its fit grows by {gain:.2f}; {CLEARLY_BETTER:g} and more is unusual): the mask may "
        "lie in the wrong place, be mirrored, be of another scan, or be drawn far too small. Look at it on the image; copy the image's header "
        "to it, or move it."
    )
    return (QualityFlag("mask_misplaced", message),)


def placement_gain(array: np.ndarray, geometry: Geometry, cavity: Mask) -> tuple[float, str]:
    """How much better the cavity fits elsewhere, and where that is, in words; 0 where its own place is the best.

    A place fits as well as its blood is even and differs from what surrounds it: the score is half the difference of the means of
    inside and shell over the SD of both together, less the logarithm of the SD inside. A better place has more of both.

    Parameters
    ----------
    array, geometry
        the scan (k, j, i) and its grid.
    cavity
        on that grid; it is not empty.
    """
    inside, shell = _points(cavity, geometry.spacing_kji)
    if min(len(inside), len(shell)) < LEAST_POINTS:
        return 0.0, ""
    (own,), (separation,), (seen,) = _scores(array, geometry, inside, shell, _Place("", (), np.zeros(3), np.zeros((1, 3))))
    best, where = float(own), ""
    for place in _places(cavity, geometry):
        scores, separations, coverage = _scores(array, geometry, inside, shell, place)
        # Nothing is as even as what a resampled scan is padded with; it differs from nothing, too.
        scores[(coverage < LEAST_SEEN * seen) | (separations < separation)] = -np.inf
        if scores.max() > best:
            best = float(scores.max())
            where = place.words or _moved(place.offsets[scores.argmax()], geometry)
    return best - float(own), where


def _points(cavity: Mask, spacing_kji: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3) indices (k, j, i) of voxels well inside the cavity, and of ones in the shell around it, drawn at random, always the same."""
    random, spacing = np.random.default_rng(0), np.array(spacing_kji)
    padded = np.pad(cavity.inside, 1)
    border = np.argwhere(padded & ~ndimage.binary_erosion(padded)) - 1
    edge = cKDTree(border * spacing)
    voxels = np.flatnonzero(cavity.inside)
    some = voxels[random.permutation(len(voxels))[: CANDIDATES // 4]]
    inside = np.column_stack(np.unravel_index(some, cavity.inside.shape))
    inside = inside[edge.query(inside * spacing)[0] > DEEPER_MM]
    margin = np.ceil(SHELL_MM[1] / spacing).astype(int)
    around = random.integers(-margin, np.array(cavity.inside.shape) + margin, (CANDIDATES, 3))
    distance = edge.query(around * spacing, distance_upper_bound=SHELL_MM[1])[0]
    shell = around[(distance > SHELL_MM[0]) & (distance < SHELL_MM[1]) & ~_values(cavity.inside, around, False)]
    start = np.array(cavity.box.start)
    return inside[:POINTS] + start, shell[:POINTS] + start


def _places(cavity: Mask, geometry: Geometry) -> list[_Place]:
    """Moves within `REACH_MM`; mirror images about the cavity's own centre and, as a lost header mirrors, about the image's."""
    steps = np.arange(-REACH_MM, REACH_MM + STEP_MM / 2, STEP_MM)
    offsets = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    length = np.linalg.norm(offsets, axis=1)
    places = [_Place("", (), np.zeros(3), offsets[(length >= LEAST_MOVE_MM) & (length <= REACH_MM)])]
    own = (np.array(cavity.box.start) + cavity.box.stop - 1) / 2
    image = (np.array(geometry.shape) - 1) / 2
    for count in (1, 2, 3):
        for axes in itertools.combinations(range(3), count):
            named = " and ".join(f"{AXES[axis]}s" for axis in axes)
            places.append(_Place(f"mirrored along its {named}", axes, own, np.zeros((1, 3))))
            places.append(_Place(f"mirrored with the whole image along the {named}", axes, image, np.zeros((1, 3))))
    return places


def _scores(array: np.ndarray, geometry: Geometry, inside: np.ndarray, shell: np.ndarray, place: _Place) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(N,) how well each offset of a place fits, (N,) how far inside and shell differ there, (N,) the share of the points on the image."""
    offsets, found = np.rint(place.offsets / np.array(geometry.spacing_kji)).astype(int), []
    for points in (inside, shell):
        points = points.astype(float)
        for axis in place.mirrored:
            points[:, axis] = 2 * place.centre[axis] - points[:, axis]
        found.append(_values(array, np.rint(points).astype(int) + offsets[:, None], np.nan))
    both = np.concatenate(found, axis=1)
    seen = 1.0 - np.isnan(both).mean(axis=1)
    usable = np.minimum(*[(~np.isnan(values)).sum(axis=1) for values in found]) >= LEAST_POINTS
    scores, separation = np.full((2, len(offsets)), -np.inf)
    within, around, both = (values[usable] for values in (*found, both))
    with np.errstate(over="ignore", invalid="ignore"):
        spread = np.maximum(np.nanstd(both, axis=1), np.finfo(np.float64).tiny)
        separation[usable] = (np.nanmean(within, axis=1) - np.nanmean(around, axis=1)) / 2 / spread
        scores[usable] = separation[usable] - np.log(np.maximum(np.nanstd(within, axis=1), SMALLEST_SD * spread))
    return scores, separation, seen


def _values(array: np.ndarray, indices: np.ndarray, outside: float) -> np.ndarray:
    """The array at indices (…, 3), `outside` beyond it; numbers as float64."""
    there = ((indices >= 0) & (indices < array.shape)).all(axis=-1)
    values = np.full(there.shape, outside, dtype=bool if array.dtype == bool else np.float64)
    values[there] = array[tuple(indices[there].T)]
    return values


def _moved(offset_kji: np.ndarray, geometry: Geometry) -> str:
    """"8 mm to the left and 4 mm to the head", from millimetres along the array's axes."""
    lps = geometry.rotation @ offset_kji[::-1]
    names = (("left", "right"), ("back", "front"), ("head", "feet"))
    parts = [f"{abs(mm):.0f} mm to the {more if mm > 0 else less}" for mm, (more, less) in zip(lps, names) if abs(mm) >= 1.0]
    return "moved " + " and ".join(parts)
