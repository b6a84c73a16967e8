"""Whether the picture around an atrium lies as its header says: spine, aorta, lungs and ventricles are where they belong.

A cavity of about the usual shape is found, or drawn, in a scan that lies upside down as well. So what lies around it is compared with the
usual surroundings (the mean of the challenge's training scans), as it is and in the seven other ways to direct its axes.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache

import numpy as np

from ..support.flags import QualityFlag
from ..support.resources import resource_path
from ..volumes.volume import Geometry
from .masks import Mask

CELL_MM = 8.0
CELLS = (13, 15, 17)
"""Of the usual surroundings, along S, P and L: ± 52, 60 and 68 mm around the middle of the cavity's box."""
REACH = 1
"""Cells by which the middle may be off: a network's cavity in a scan that lies otherwise lies otherwise, too."""
SAMPLES = 3
"""Along each edge of a cell."""
LEAST_KNOWN = 0.25
"""Of the cells: in less of them no one could tell. A scan cropped to the atrium and 10 mm has about half."""
LEAST_LIKENESS = 0.5
"""Of the other way round: it must be much like the usual. The right one reaches it in 77 of the challenge's 80 scans, and in all of others."""
CLEARLY_MORE = 0.05
"""By so much more like the usual surroundings another way must be. None of 105 scans is flagged as it lies; upside down, mirrored or turned by
half 94 to 96 % of the challenge's 80 are, each with its patient left out, and all of 25 others (Docs/quality.md)."""
WAYS = {
    (-1, 1, 1): "upside down", (1, -1, 1): "back to front", (1, 1, -1): "mirrored left to right",
    (-1, -1, 1): "turned by half about the left–right axis", (-1, 1, -1): "turned by half about the front–back axis",
    (1, -1, -1): "turned by half about the head–feet axis", (-1, -1, -1): "upside down, back to front and mirrored",
}  # fmt: skip
"""The senses of S, P and L that a scan may have instead of its header's, and words for them."""


@dataclass(frozen=True)
class Lie:
    """How like the usual surroundings (−1…1) a scan is as its header says, and at best otherwise, which is `words`."""

    as_it_is: float
    otherwise: float
    words: str

    @property
    def is_wrong(self) -> bool:
        """Whether the other way is clearly the more likely one."""
        return self.otherwise >= LEAST_LIKENESS and self.otherwise > self.as_it_is + CLEARLY_MORE

    @property
    def reason(self) -> str:
        """Why a cavity in it is not to be taken for good; the flag says more."""
        return f"The picture around the atrium looks like a chest {self.words}."

    @property
    def sentence(self) -> str:
        """What a person should know."""
        return (
            f"The picture around the atrium looks like a chest {self.words} (likeness {self.otherwise:.2f}; as the header says {self.as_it_is:.2f}): "
            "the patient's directions in the header are probably wrong, and with them left and right, the veins and what a model finds. Compare the "
            "orientation marks with the anatomy, and export the scan again."
        )


def check_lie(scan: np.ndarray, geometry: Geometry, cavity: Mask) -> tuple[QualityFlag, ...]:
    """Flag a scan (k, j, i) whose surroundings of the cavity lie otherwise than its header says."""
    lie = lie_of(scan, geometry, cavity)
    return (QualityFlag("scan_lies_otherwise", lie.sentence),) if lie is not None and lie.is_wrong else ()


def lie_of(scan: np.ndarray, geometry: Geometry, cavity: Mask) -> Lie | None:
    """How a scan (k, j, i) lies; None when too little around the cavity is in it, or in the cavity."""
    if not cavity.voxels:
        return None
    mean, weight = usual_surroundings()
    seen = ranks(surroundings(scan, geometry, middle_lps(cavity, geometry)))
    likeness = {way: _likeness(seen[tuple(slice(None, None, sense) for sense in way)], mean, weight) for way in ((1, 1, 1), *WAYS)}
    as_it_is = likeness.pop((1, 1, 1))
    best = max(likeness, key=likeness.get)
    if not np.isfinite([as_it_is, likeness[best]]).all():
        return None
    return Lie(as_it_is, likeness[best], WAYS[best])


def middle_lps(cavity: Mask, geometry: Geometry) -> np.ndarray:
    """(3,) the middle of the cavity's box, LPS mm."""
    middle = [(first + last - 1) / 2.0 for first, last in zip(cavity.box.start, cavity.box.stop)]
    return geometry.index_to_lps(np.array([middle[::-1]]))[0]


def surroundings(scan: np.ndarray, geometry: Geometry, middle: np.ndarray) -> np.ndarray:
    """(CELLS + 2 REACH) float32: mean grey levels of cells along S, P, L around `middle` (LPS mm), NaN where the scan has none.

    A cell with one grey level only is padding.
    """
    counts = tuple(n + 2 * REACH for n in CELLS)
    along = [(np.arange(n * SAMPLES) - (n * SAMPLES - 1) / 2.0) * (CELL_MM / SAMPLES) for n in counts]
    superior, posterior, left = np.meshgrid(*along, indexing="ij")
    places = np.stack([left, posterior, superior], axis=-1).reshape(-1, 3) + middle
    index = np.rint(geometry.lps_to_index(places)).astype(np.int64)[:, ::-1]
    inside = ((index >= 0) & (index < scan.shape)).all(axis=1)
    values = np.full(len(index), np.nan, dtype=np.float32)
    values[inside] = scan[tuple(index[inside].T)]
    shape = tuple(size for n in counts for size in (n, SAMPLES))
    cells = values.reshape(shape).transpose(0, 2, 4, 1, 3, 5).reshape(*counts, -1)
    known = np.isfinite(cells).mean(axis=-1) >= 0.5
    filled = np.where(np.isfinite(cells), cells, 0.0)
    mean = filled.sum(axis=-1) / np.maximum(np.isfinite(cells).sum(axis=-1), 1)
    flat = np.nanmax(np.where(np.isfinite(cells), cells, -np.inf), axis=-1) == np.nanmin(np.where(np.isfinite(cells), cells, np.inf), axis=-1)
    return np.where(known & ~flat, mean, np.nan).astype(np.float32)


def ranks(cells: np.ndarray) -> np.ndarray:
    """The cells' ranks from −0.5 to 0.5, NaN where nothing is known: no scaling, shading or window changes much of them."""
    known = np.isfinite(cells)
    _, place, count = np.unique(cells[known], return_inverse=True, return_counts=True)
    out = np.full(cells.shape, np.nan, dtype=np.float32)
    out[known] = ((np.cumsum(count) - (count + 1) / 2.0)[place] / max(known.sum() - 1, 1)) - 0.5
    return out


@cache
def usual_surroundings() -> tuple[np.ndarray, np.ndarray]:
    """The mean of `ranks` of the training's scans, and how much each cell counts, 0 where too few show it; both CELLS."""
    with np.load(resource_path("Anatomy/surroundings.npz"), allow_pickle=False) as file:
        return file["mean"].astype(np.float32), file["weight"].astype(np.float32)


def _likeness(seen: np.ndarray, mean: np.ndarray, weight: np.ndarray) -> float:
    """The weighted correlation where both are known, with the middle where it is highest; −inf where too little is known."""
    filled, known = np.nan_to_num(seen), np.isfinite(seen)
    best = -np.inf
    for offset in itertools.product(range(2 * REACH + 1), repeat=3):
        part = tuple(slice(first, first + n) for first, n in zip(offset, CELLS))
        w = weight * known[part]
        if np.count_nonzero(w) >= LEAST_KNOWN * weight.size:
            best = max(best, _correlation(filled[part], mean, w))
    return best


def _correlation(a: np.ndarray, b: np.ndarray, w: np.ndarray) -> float:
    total = w.sum()
    a, b = a - (w * a).sum() / total, b - (w * b).sum() / total
    size = np.sqrt((w * a * a).sum() * (w * b * b).sum())
    return float((w * a * b).sum() / size) if size > 0 else -np.inf
