"""How much of a gap's own course is healthy with another scar: whether its tissue changed, wherever the least path runs then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from .closest_points import ClosestPoints
from .gaps import MIN_GAP_MM, Encirclement, Gap, scar_levels
from .surface import Surface

LEAST_PIECE_MM = 1e-9
"""Where a border passes through a point of a line, rounding leaves pieces of less, which are neither."""


@dataclass(frozen=True)
class CourseTissue:
    """What a scar makes of a line on the surface.

    healthy_mm, scar_mm, unmeasured_mm
        what of the line was measured and is healthy, was measured and is scar, and was not measured; they add up to its length.
    longest_healthy_mm
        the longest stretch that was measured and is healthy.
    longest_open_mm
        the same where all that was not measured is taken for healthy.
    """

    healthy_mm: float
    scar_mm: float
    unmeasured_mm: float
    longest_healthy_mm: float
    longest_open_mm: float

    @property
    def has_gap(self) -> bool:
        """Whether a gap is left for certain: a stretch of at least `MIN_GAP_MM` that was measured and is healthy."""
        return self.longest_healthy_mm >= MIN_GAP_MM

    @property
    def may_have_gap(self) -> bool:
        """Whether a gap may be left, if what was not measured is healthy."""
        return self.longest_open_mm >= MIN_GAP_MM


def tissue_along(
    surface: Surface, courses: Sequence[np.ndarray], scar: np.ndarray, unmeasured: np.ndarray | None = None
) -> tuple[CourseTissue, ...]:
    """What `scar` makes of lines that were found with another one, for each of `courses`.

    Parameters
    ----------
    surface
        the mesh that the lines lie on.
    courses
        (Q, 3) mm LPS each, every piece within a triangle, as `Gap.points` and `Encirclement.points` are; a line that ends where it
        begins is closed.
    scar, unmeasured
        (N,) as `Bands.encirclements` takes them: bool, or float above 0 in scar; by default what the surface's `scar_class` says was not
        measured.
    """
    level, unmeasured = scar_levels(surface, scar, unmeasured)
    if not len(courses):
        return ()
    closest = ClosestPoints(surface).of(np.concatenate(courses))
    ends = np.cumsum([len(course) for course in courses])[:-1]
    levels, known = (np.split(closest.interpolated(surface, values), ends) for values in (level, np.where(unmeasured, -1.0, 1.0)))
    return tuple(_tissue(*each) for each in zip(courses, levels, known))


def scar_beside(
    surface: Surface, gaps: Sequence[Gap], line: Encirclement, scar: np.ndarray, unmeasured: np.ndarray | None = None, *, within_mm: float
) -> tuple[float, ...]:
    """How much scar of another line bridges each gap beside its course: the longest stretch of the other line, no farther than `within_mm`
    from the gap, that is scar there and, with the gap's own scar, was measured and is healthy, mm.

    A least path crosses a gap where that is shortest, often along the border of its ring, and new scar may close the ring beside that.

    Parameters
    ----------
    surface, unmeasured
        as `tissue_along` takes them.
    line
        the path that was found with the other scar.
    scar
        (N,) the gaps' own.
    """
    level, unmeasured = scar_levels(surface, scar, unmeasured)
    if not len(line.points) or not gaps:
        return (0.0,) * len(gaps)
    points = np.concatenate([line.points, line.points[:1]])
    closest = ClosestPoints(surface).of(points)
    values = [closest.interpolated(surface, each) for each in (level, np.where(unmeasured, -1.0, 1.0))]
    pieces, of = _pieces(points, *values)
    bridges = line.scar[of] & ~pieces.above[0] & pieces.above[1]
    far = (KDTree(gap.points).query(pieces.middles)[0] > within_mm for gap in gaps)
    return tuple(_longest(pieces.lengths_mm, bridges & ~beyond, True) for beyond in far)


@dataclass(frozen=True, eq=False)
class _Pieces:
    """A line cut where values pass 0: (P,) lengths, (P, 3) middles, and for each of the values (P,) whether they are above 0."""

    lengths_mm: np.ndarray
    middles: np.ndarray
    above: tuple[np.ndarray, ...]


def _pieces(points: np.ndarray, *values: np.ndarray) -> tuple[_Pieces, np.ndarray]:
    """Of a line (Q, 3) with values (Q,) that are linear in between; with it (P,) the number of the line's own piece that each is of."""
    steps = np.diff(points, axis=0)
    whole = np.linalg.norm(steps, axis=1)
    cuts = np.sort(np.stack([0.0 * whole, *map(_passage, values), 0.0 * whole + 1.0], axis=1), axis=1)
    lengths, shares = np.diff(cuts, axis=1) * whole[:, None], (cuts[:, 1:] + cuts[:, :-1]) / 2
    above = (each[:-1, None] + np.diff(each)[:, None] * shares > 0 for each in values)
    middles = points[:-1, None] + steps[:, None] * shares[:, :, None]
    kept = lengths > LEAST_PIECE_MM
    return _Pieces(lengths[kept], middles[kept], tuple(each[kept] for each in above)), np.nonzero(kept)[0]


def _tissue(points: np.ndarray, level: np.ndarray, known: np.ndarray) -> CourseTissue:
    """Of a line (Q, 3); `level` (Q,) is above 0 in scar, `known` (Q,) above 0 where it was measured, both linear in between."""
    pieces, _ = _pieces(points, level, known)
    is_scar, measured = pieces.above
    healthy, open_ = measured & ~is_scar, ~measured | ~is_scar
    closed = bool((points[0] == points[-1]).all())
    sums = (float(pieces.lengths_mm[part].sum()) for part in (healthy, measured & is_scar, ~measured))
    return CourseTissue(*sums, *(_longest(pieces.lengths_mm, part, closed) for part in (healthy, open_)))


def _passage(values: np.ndarray) -> np.ndarray:
    """(Q − 1,) the share of each piece after which linear `values` (Q,) pass 0; 0 where they don't."""
    one, other = values[:-1], values[1:]
    passes = (one > 0) != (other > 0)
    return np.where(passes, one / np.where(passes, one - other, 1.0), 0.0)


def _longest(lengths: np.ndarray, inside: np.ndarray, closed: bool) -> float:
    """The longest run of pieces (P,) that are `inside`, mm; on a closed line across its seam, too."""
    if closed and not inside.all():
        lengths, inside = (np.roll(values, -int(inside.argmin())) for values in (lengths, inside))
    runs = np.cumsum(~inside)
    return float(np.bincount(runs[inside], lengths[inside]).max(initial=0.0))
