"""Where a vein or the appendage begins: the place on its centre line where the cross-section jumps, and the plane across it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from .protrusions import Branch, Cavity, CrossSection, cross_section

LINE_SMOOTHING = 2.0
"""Standard deviation in points of a line, which lie about a voxel apart: the radius of a vein's slab of voxels, halved."""
STEP_MM = 1.0
INWARDS_MM = 9.0
"""So far the line is drawn on straight towards the body: the opening's ball reaches into a vein by less than its own radius."""
LOOK_AHEAD_MM, LARGEST_SPREAD, TAPERING_SPREAD = 4.0, 0.2, 0.3
"""Towards the body a vein's radius (of the circle of equal area) grows by less than 0.2 mm for each mm, seen over 4 mm: walls that spread
by 11°. In the antrum they spread by more. Where a stump tapers all along, 17° must do. Tuned on 30 phantoms."""
WIDER_MM = 1.5
"""Inwards of the opened body a section belongs to the vein as long as its radius is no more than this larger: the antrum's rounding."""
TIP_MM = 3.0
"""An ostium lies at least so far from the tip."""
WIDEST_TRUNK_MM2, SHORTEST_TRUNK_MM = 600.0, 9.0
"""A stem with a fork is one vein if it is no wider than a trunk of 27 mm and as long as this; else it is part of the antrum."""


@dataclass(frozen=True, eq=False)
class Ostium:
    """An opening of the body into a protrusion: `origin` (3,) mm LPS, `axis` (3,) unit vector outwards, the area there.

    `tips` (3,) each of its ends, the farthest first, `reach_mm` how far that is along the line, `volume_ml` beyond; `settled` when the
    cross-section really is that of a tube there. `line`, `axes` (n, 3) run along the centre from the tip to the ostium, a point each mm.
    """

    origin: np.ndarray
    axis: np.ndarray
    area_mm2: float
    tips: tuple[np.ndarray, ...]
    reach_mm: float
    volume_ml: float
    settled: bool
    line: np.ndarray
    axes: np.ndarray

    @property
    def tip(self) -> np.ndarray:
        return self.tips[0]

    @property
    def radius_mm(self) -> float:
        """Of the circle of the same area."""
        return float(np.sqrt(self.area_mm2 / np.pi))


def farther_out(cavity: Cavity, ostium: Ostium, out_mm: float) -> Ostium | None:
    """The same protrusion, cut so much farther out along its centre line; None where the line has ended."""
    if out_mm == 0:
        return ostium
    place = len(ostium.line) - 1 - round(out_mm / STEP_MM)
    if place < 1:
        return None
    here = cross_section(cavity, ostium.line[place], ostium.axes[place])
    return replace(
        ostium, origin=here.centre, axis=_mean_axis(ostium.axes, place), area_mm2=here.area_mm2, reach_mm=ostium.reach_mm - out_mm,
        line=ostium.line[: place + 1], axes=ostium.axes[: place + 1],
    )  # fmt: skip


def find_ostia(cavity: Cavity, branches: list[Branch]) -> list[Ostium]:
    """The ostium of every vein and appendage; a stem with a fork counts as one when it is a tube, else its branches do."""
    found = [_place(cavity, branch) for branch in _single(cavity, branches)]
    return [ostium for ostium in found if ostium is not None]


def _single(cavity: Cavity, branches: list[Branch] | tuple[Branch, ...]) -> Iterator[Branch]:
    for branch in branches:
        if branch.children and not _is_trunk(cavity, branch):
            yield from _single(cavity, branch.children)
        else:
            yield branch


def _is_trunk(cavity: Cavity, stem: Branch) -> bool:
    if not stem.way_mm or stem.way_mm[0] - stem.way_mm[-1] < SHORTEST_TRUNK_MM:
        return False
    points, axes = _centre_line(stem)
    section = cross_section(cavity, points[0], axes[0])
    return section.whole and 0 < section.area_mm2 <= WIDEST_TRUNK_MM2


def _centre_line(branch: Branch) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 3) every millimetre from the tip inwards, and unit vectors (n, 3) that point outwards there."""
    line = np.array(branch.line)
    if len(line) > 1:
        line = ndimage.gaussian_filter1d(line, LINE_SMOOTHING, axis=0, mode="nearest")
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    steps = np.arange(0.0, along[-1] + STEP_MM / 2, STEP_MM)
    return _resampled(line, along, steps)


def _resampled(line: np.ndarray, along: np.ndarray, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    points = np.stack([np.interp(steps, along, line[:, axis]) for axis in range(3)], axis=1)
    if len(points) < 2:
        return points, np.tile([0.0, 0.0, 1.0], (len(points), 1))
    axes = -np.gradient(points, axis=0)
    return points, axes / np.maximum(np.linalg.norm(axes, axis=1, keepdims=True), 1e-9)


def _place(cavity: Cavity, branch: Branch) -> Ostium | None:
    """The ostium of one branch: the innermost section that is a tube's, around where the branch leaves the opened body or farther out."""
    points, axes = _centre_line(branch)
    if len(points) < 3:
        return None
    base = len(points) - 1
    # The last points bend to the middle of the body: the direction a few millimetres farther out holds.
    inward = axes[max(0, base - 2)]
    beyond = np.arange(STEP_MM, INWARDS_MM + STEP_MM / 2, STEP_MM)
    points = np.concatenate([points, points[-1] - beyond[:, None] * inward])
    axes = np.concatenate([axes, np.tile(inward, (len(beyond), 1))])
    sections: dict[int, CrossSection] = {}

    def section(place: int) -> CrossSection:
        if place not in sections:
            sections[place] = cross_section(cavity, points[place], axes[place])
        return sections[place]

    def spread(place: int) -> float:
        """By how much the radius grows for each mm from 4 mm farther out to here; infinite where there is no closed section."""
        out_at = max(0, place - round(LOOK_AHEAD_MM / STEP_MM))
        here, out = section(place), section(out_at)
        if not here.whole or place == out_at or not here.area_mm2 > 0:
            return np.inf
        return (here.radius_mm - out.radius_mm) / (STEP_MM * (place - out_at))

    place, settled = _walk(section, spread, base, len(points) - 1, 0 if branch.children else round(TIP_MM / STEP_MM))
    here = section(place)
    axis = _mean_axis(axes, place)
    return Ostium(
        here.centre, axis, here.area_mm2, tuple(branch.tips), STEP_MM * place + branch.tip_way_mm - branch.way_mm[0],
        branch.volume_ml, settled, points[: place + 1], axes[: place + 1],
    )  # fmt: skip


def _walk(section: Callable[[int], CrossSection], spread: Callable[[int], float], base: int, last: int, outermost: int) -> tuple[int, bool]:
    """The place of the ostium on a line whose `base` leaves the opened body, and whether the section there is a tube's."""
    inward, widest_mm = base, section(base).radius_mm + WIDER_MM
    while inward < last and section(inward + 1).whole and 0 < section(inward + 1).radius_mm <= widest_mm:
        inward += 1
    # The innermost section of a tube, as long as no other opening joins it; else the outermost stretch of the line decides.
    for limit in (LARGEST_SPREAD, TAPERING_SPREAD):
        for place in range(inward, outermost - 1, -1):
            if spread(place) <= limit:
                return place, True
    # What tapers more than that has no such place: its ostium is left where it leaves the opened body.
    closed = [n for n in range(min(outermost, base), base + 1) if section(n).whole and section(n).area_mm2 <= WIDEST_TRUNK_MM2]
    return max(closed, default=min(outermost, base)), False


def _mean_axis(axes: np.ndarray, place: int) -> np.ndarray:
    """The direction outwards around a place of the line, over 2 mm to both sides."""
    axis = axes[max(0, place - 2) : place + 3].mean(axis=0)
    return axis / np.linalg.norm(axis)
