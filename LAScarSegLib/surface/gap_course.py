"""How much of a gap's own course is healthy with another scar: whether its tissue changed, wherever the least path runs then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .closest_points import ClosestPoints
from .gaps import MIN_GAP_MM, scar_levels
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


def _tissue(points: np.ndarray, level: np.ndarray, known: np.ndarray) -> CourseTissue:
    """Of a line (Q, 3); `level` (Q,) is above 0 in scar, `known` (Q,) above 0 where it was measured, both linear in between."""
    pieces = np.linalg.norm(np.diff(points, axis=0), axis=1)
    # Each piece ends at its own ends, and where it passes from scar to healthy tissue or out of what was measured.
    passes = np.sort(np.stack([0.0 * pieces, _passage(level), _passage(known), 0.0 * pieces + 1.0], axis=1), axis=1)
    lengths, middles = np.diff(passes, axis=1) * pieces[:, None], (passes[:, 1:] + passes[:, :-1]) / 2
    is_scar, measured = ((values[:-1, None] + np.diff(values)[:, None] * middles > 0) for values in (level, known))
    kept = lengths > LEAST_PIECE_MM
    lengths, is_scar, measured = lengths[kept], is_scar[kept], measured[kept]
    closed = bool((points[0] == points[-1]).all())
    healthy, open_ = measured & ~is_scar, ~measured | ~is_scar
    sums = (float(lengths[part].sum()) for part in (healthy, measured & is_scar, ~measured))
    return CourseTissue(*sums, *(_longest(lengths, part, closed) for part in (healthy, open_)))


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
