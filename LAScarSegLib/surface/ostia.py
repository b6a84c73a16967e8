"""Where a vein or the appendage begins: the place on its centre line from which the cross-section spreads, and the plane across it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from .protrusions import Branch, Cavity, CrossSection, Tube, cross_section

LINE_SMOOTHING = 2.0
"""Standard deviation in points of a line, which lie about a voxel apart: the radius of a vein's slab of voxels, halved."""
STEP_MM = 0.5
DIRECTION_MM = 2.0
"""An axis is the line's mean direction so far to both sides."""
INWARDS_MM = 9.0
"""So far the line is drawn on straight towards the body: the opening's ball reaches into a vein by less than its own radius."""
LOOK_AHEAD_MM, TUBE_MM, LARGEST_GROWTH_MM, TAPERING_MM = 4.0, 6.0, 10.0, 15.0
"""Towards the body a vein's section grows by less than 6 mm² for each mm, seen over 4 mm, in the antrum by more. A stump without such a
stretch near its base tapers: then 10, or 15, must do. The walls of a vein 16 mm wide spread by 7°, 11° or 17°. Tuned on 36 phantoms (seeds
1000–1035)."""
WIDE_RADIUS_MM = 8.0
"""What tapers may grow by as much more as it is wider: the same angle."""
TUBE_REACH_MM = 4.0
"""So far out of the place where it grows by less than 10 the tube must begin: farther out any taper ends somewhere."""
JOINED_MM = 4.0
"""So far inwards of the place where another tube joins it, a tube may go on."""
USUAL_RADIUS_MM = 7.0
"""A vein that is narrower than most runs into the same rounding: inwards its section may grow by so many times as much as it is narrower."""
NARROWER, PARTED = 0.7, 1.1
"""A neighbour is narrower below 0.7 of the radius. Tubes have parted where the section grows by less than a tenth without the border between."""
WIDER_MM = 1.5
"""Inwards of the opened body a section belongs to the vein as long as its radius is no more than this larger: the antrum's rounding."""
NECK_MM = 2.5
"""The neck of an appendage lies so far outside the place where it leaves the body, on the same phantoms; looking for its narrowest section
is less exact, as lobes make several."""
TIP_MM = 3.0
"""An ostium lies at least so far from the tip."""
WIDEST_TRUNK_MM2, SHORTEST_TRUNK_MM = 600.0, 9.0
"""A stem with a fork is one vein if it is no wider than a trunk of 27 mm and as long as this; else it is part of the antrum."""


@dataclass(frozen=True, eq=False)
class Ostium:
    """An opening of the body into a protrusion: `origin` (3,) mm LPS, `axis` (3,) unit vector outwards, the area there.

    `tips` (3,) each of its ends, the farthest first, `reach_mm` how far that is along the line, `volume_ml` beyond; `settled` when the
    cross-section really is that of a tube there. `line`, `axes` (n, 3) run along the centre from the tip to the ostium, a point each half mm;
    `beside` are the other protrusions, which may join this one before the body; `hidden_mm` it goes on inside of a wider one.
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
    beside: tuple[Tube, ...] = ()
    hidden_mm: float = 0.0

    @property
    def tube(self) -> Tube:
        """Of all that lies beyond the ostium, drawn on straight into the body."""
        return Tube(cKDTree(_inwards(self.line, self.axes, INWARDS_MM)[0]), max(self.radius_mm, STEP_MM))

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
    return _moved(cavity, ostium, ostium.line, ostium.axes, place) if place > 0 else None


def _moved(cavity: Cavity, ostium: Ostium, points: np.ndarray, axes: np.ndarray, place: int) -> Ostium:
    """The same protrusion, cut at another place of its line, which may go on inwards."""
    by = place - (len(ostium.line) - 1)
    here = cross_section(cavity, points[place], axes[place], ostium.tube, ostium.beside)
    return replace(
        ostium, origin=here.centre, axis=_mean_axis(axes, place), area_mm2=here.area_mm2, reach_mm=ostium.reach_mm + STEP_MM * by,
        line=points[: place + 1], axes=axes[: place + 1],
    )  # fmt: skip


def at_neck(cavity: Cavity, appendage: Ostium) -> Ostium:
    """An appendage cut at its neck, a little outside the place where it leaves the body; as it is where it is too short for that."""
    room_mm = STEP_MM * (len(appendage.line) - 1) - TIP_MM
    return appendage if room_mm < NECK_MM else farther_out(cavity, appendage, NECK_MM) or appendage


def find_ostia(cavity: Cavity, branches: list[Branch]) -> list[Ostium]:
    """The ostium of every vein and appendage; a stem with a fork counts as one when it is a tube, else its branches do."""
    placed = [_place(cavity, branch) for branch in _single(cavity, branches)]
    found = [ostium for ostium in placed if ostium is not None]
    tubes = [ostium.tube for ostium in found]
    return [_farther_in(cavity, replace(ostium, beside=(*tubes[:n], *tubes[n + 1 :]))) for n, ostium in enumerate(found)]


def _inwards(points: np.ndarray, axes: np.ndarray, so_far_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """A line and its axes, drawn on straight towards the body."""
    # The last points bend to the middle of the body: the direction a few millimetres farther out holds.
    inward = axes[max(0, len(axes) - 1 - round(DIRECTION_MM / STEP_MM))]
    beyond = np.arange(STEP_MM, so_far_mm + STEP_MM / 2, STEP_MM)
    return np.concatenate([points, points[-1] - beyond[:, None] * inward]), np.concatenate([axes, np.tile(inward, (len(beyond), 1))])


def _farther_in(cavity: Cavity, ostium: Ostium) -> Ostium:
    """The same ostium deeper, as far as its tube goes on inwards of the place at which another joins it, and a narrow one's in any case.

    Two veins of like width that join leave a carina, which belongs to the body: only where they have parted again, or from a narrower
    one, the place is taken. How far it seems to go on inside of a wider one is noted.
    """
    if not ostium.settled:
        return ostium
    points, axes = _inwards(ostium.line, ostium.axes, JOINED_MM)
    tube, ahead, place, hidden = ostium.tube, round(LOOK_AHEAD_MM / STEP_MM), len(ostium.line) - 1, 0
    narrower = tuple(other for other in ostium.beside if other.radius_mm < NARROWER * tube.radius_mm)
    not_wider = tuple(other for other in ostium.beside if tube.radius_mm >= NARROWER * other.radius_mm)
    for inner in range(len(ostium.line), len(points)):
        here, out = (cross_section(cavity, points[n], axes[n], tube, ostium.beside) for n in (inner, max(0, inner - ahead)))
        limit_mm = TUBE_MM * max(1.0, USUAL_RADIUS_MM / max(out.radius_mm, STEP_MM))
        if not (here.whole and out.area_mm2 > 0 and 0 < here.area_mm2 <= out.area_mm2 + limit_mm * LOOK_AHEAD_MM):
            break
        if cross_section(cavity, points[inner], axes[inner], tube, narrower).area_mm2 <= PARTED * here.area_mm2:
            place, hidden = inner, 0
        elif cross_section(cavity, points[inner], axes[inner], tube, not_wider).area_mm2 > PARTED * here.area_mm2:
            hidden += 1
    moved = ostium if place == len(ostium.line) - 1 else _moved(cavity, ostium, points, axes, place)
    return replace(moved, hidden_mm=STEP_MM * hidden)


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
    """Points (n, 3) every half millimetre from the tip inwards, and unit vectors (n, 3) that point outwards there."""
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
    points, axes = _inwards(points, axes, INWARDS_MM)
    sections: dict[int, CrossSection] = {}

    def section(place: int) -> CrossSection:
        if place not in sections:
            sections[place] = cross_section(cavity, points[place], axes[place])
        return sections[place]

    def growth_mm(place: int) -> float:
        """mm² by which the section grows for each mm from 4 mm farther out to here; infinite where there is no closed section."""
        out_at = max(0, place - round(LOOK_AHEAD_MM / STEP_MM))
        here, out = section(place), section(out_at)
        if not here.whole or place == out_at or not here.area_mm2 > 0:
            return np.inf
        return (here.area_mm2 - out.area_mm2) / (STEP_MM * (place - out_at))

    place, settled = _walk(section, growth_mm, base, len(points) - 1, 0 if branch.children else round(TIP_MM / STEP_MM))
    here = section(place)
    axis = _mean_axis(axes, place)
    return Ostium(
        here.centre, axis, here.area_mm2, tuple(branch.tips), STEP_MM * place + branch.tip_way_mm - branch.way_mm[0],
        branch.volume_ml, settled, points[: place + 1], axes[: place + 1],
    )  # fmt: skip


def _walk(section: Callable[[int], CrossSection], growth_mm: Callable[[int], float], base: int, last: int, outermost: int) -> tuple[int, bool]:
    """The place of the ostium on a line whose `base` leaves the opened body, and whether the section there is a tube's."""
    inward, widest_mm = base, section(base).radius_mm + WIDER_MM
    while inward < last and section(inward + 1).whole and 0 < section(inward + 1).radius_mm <= widest_mm:
        inward += 1
    # The innermost section that grows no more than a stump's, and the tube that begins there or a little farther out.
    for limit_mm in (LARGEST_GROWTH_MM, TAPERING_MM):
        for place in range(inward, outermost - 1, -1):
            if growth_mm(place) <= limit_mm * max(1.0, section(place).radius_mm / WIDE_RADIUS_MM):
                near = range(place, max(outermost, place - round(TUBE_REACH_MM / STEP_MM)) - 1, -1)
                return next((out for out in near if growth_mm(out) <= TUBE_MM), place), True
    # What tapers more than that has no such place: its ostium is left where it leaves the opened body.
    closed = [n for n in range(min(outermost, base), base + 1) if section(n).whole and section(n).area_mm2 <= WIDEST_TRUNK_MM2]
    return max(closed, default=min(outermost, base)), False


def _mean_axis(axes: np.ndarray, place: int) -> np.ndarray:
    """The direction outwards around a place of the line."""
    so_far = round(DIRECTION_MM / STEP_MM)
    axis = axes[max(0, place - so_far) : place + so_far + 1].mean(axis=0)
    return axis / np.linalg.norm(axis)
