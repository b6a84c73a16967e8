"""How much of a line on a surface is healthy with a scar that is not the line's own."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from atrium_model import BALL_MM, VEINS, ball_with_openings

from LAScarSegLib.surface.gap_course import scar_beside, tissue_along
from LAScarSegLib.surface.gaps import MIN_GAP_MM, Bands, Encirclement, Gap
from LAScarSegLib.surface.surface import Surface

SIDE = 31
X, Y = (axis.ravel() for axis in np.meshgrid(np.arange(SIDE, dtype=float), np.arange(SIDE, dtype=float)))
CORNERS = (np.arange(SIDE - 1)[:, None] * SIDE + np.arange(SIDE - 1)).ravel()
SQUARE = Surface(
    np.stack([X, Y, 0 * X], axis=1),
    np.concatenate([CORNERS[:, None] + (0, 1, SIDE + 1), CORNERS[:, None] + (0, SIDE + 1, SIDE)]),
    np.tile([0.0, 0.0, 1.0], (SIDE * SIDE, 1)),
)
"""A square with a vertex at each millimetre: between scar and none the border lies half-way, and where values say, if they do."""


def line(*corners: tuple[float, float]) -> np.ndarray:
    """(Q, 3) from corner to corner along the grid's lines, a point at each vertex."""
    points = [corners[0]]
    for (x, y), (to_x, to_y) in pairwise(corners):
        steps = int(max(abs(to_x - x), abs(to_y - y)))
        points += [(x + (to_x - x) * n / steps, y + (to_y - y) * n / steps) for n in range(1, steps + 1)]
    return np.column_stack([points, np.zeros(len(points))])


ALONG_X = line((0, 3), (20, 3))


def only(course, scar, unmeasured=None):
    (found,) = tissue_along(SQUARE, [course], scar, unmeasured)
    return found


def test_the_line_is_divided_by_the_borders_between_vertices():
    found = only(ALONG_X, (X >= 5) & (X <= 7), X >= 15)
    assert (found.scar_mm, found.unmeasured_mm) == pytest.approx((3.0, 5.5)) and found.healthy_mm == pytest.approx(4.5 + 7.0)


def test_values_say_where_between_two_vertices_scar_ends():
    found = only(ALONG_X, X - 4.8)
    assert (found.healthy_mm, found.scar_mm, found.unmeasured_mm) == pytest.approx((4.8, 15.2, 0.0))


def test_the_longest_stretch_ends_at_scar_and_may_end_where_nothing_was_measured():
    found = only(ALONG_X, (X >= 5) & (X <= 7), (X >= 10) & (X <= 16))
    assert found.longest_healthy_mm == pytest.approx(4.5) and found.longest_open_mm == pytest.approx(12.5)


@pytest.mark.parametrize(("from_x", "to_x", "unmeasured_to_x", "has", "may_have"), [
    (3, 20, -1, False, False),  # 2.5 mm are left
    (4, 20, -1, True, True),  # 3.5 mm
    (4, 20, 1, False, True),  # the same, of which 1.5 mm were not measured
])  # fmt: skip
def test_a_gap_is_left_where_three_millimetres_are(from_x, to_x, unmeasured_to_x, has, may_have):
    assert MIN_GAP_MM == 3.0
    found = only(ALONG_X, (X >= from_x) & (X <= to_x), X <= unmeasured_to_x)
    assert (found.has_gap, found.may_have_gap) == (has, may_have)


def test_scar_where_nothing_was_measured_is_none():
    found = only(ALONG_X, X >= 0, X >= 0)
    assert found.scar_mm == found.healthy_mm == 0.0 and found.unmeasured_mm == pytest.approx(20.0)


def test_a_closed_line_has_no_seam():
    corners = [(4, 4), (14, 4), (14, 14), (4, 14), (4, 4)]
    scar = (Y >= 7) | (X >= 7)
    # Healthy on both sides of the corner where the line begins: 2.5 mm each.
    assert only(line(*corners), scar).longest_healthy_mm == pytest.approx(5.0)
    assert only(line(*corners)[1:], scar).longest_healthy_mm == pytest.approx(2.5)


def test_each_line_is_told_by_itself_and_none_is_nothing():
    one, other = tissue_along(SQUARE, [line((0, 3), (8, 3)), line((0, 20), (0, 29))], X > 3)
    assert one.scar_mm == pytest.approx(4.5) and other.scar_mm == 0.0 and other.healthy_mm == pytest.approx(9.0)
    assert tissue_along(SQUARE, [], X > 3) == ()


def test_with_its_own_scar_a_gap_is_healthy_from_end_to_end():
    surface = ball_with_openings(VEINS)
    axis = np.array(VEINS["LSPV"][:3]) / np.linalg.norm(VEINS["LSPV"][:3])
    arc = BALL_MM * np.arccos(np.clip(surface.normals @ axis, -1, 1))
    scar = (arc > 8.5) & (arc < 13.0) & (np.abs(surface.points[:, 1] - BALL_MM * axis[1]) > 5.0)
    gaps = [gap for around in Bands.of(surface).encirclements(scar) for gap in around.gaps]
    for gap, found in zip(gaps, tissue_along(surface, [gap.points for gap in gaps], scar), strict=True):
        assert found.healthy_mm == pytest.approx(gap.length_mm) and found.longest_healthy_mm == pytest.approx(gap.length_mm)
        assert found.scar_mm == pytest.approx(0.0, abs=1e-6)
    assert len(gaps) > 5


def gap_along(course: np.ndarray) -> Gap:
    return Gap(float(np.ptp(course[:, 0])), 12.0, "", tuple(course[len(course) // 2]), course)


def beside(own_scar, unmeasured=None, *, line_is_scar: bool = True, within_mm: float = 6.0) -> float:
    """Of a line that passes 5 mm beside a gap of 10 mm, from x = 5 to 15."""
    points = line((1, 8), (29, 8), (29, 28), (1, 28), (1, 8))[:-1]
    other = Encirclement("LSPV", points, np.full(len(points), line_is_scar), 96.0, 0.0, True, (), 0.0)
    (found,) = scar_beside(SQUARE, [gap_along(line((5, 3), (15, 3)))], other, own_scar, unmeasured, within_mm=within_mm)
    return found


OWN_SCAR = (X < 5) | (X > 15)


def test_new_scar_beside_a_gap_bridges_it():
    assert beside(OWN_SCAR) == pytest.approx(11.0)  # from border to border


@pytest.mark.parametrize("never", [
    {"own_scar": X >= 0},  # what is scar with either is not new
    {"own_scar": OWN_SCAR, "line_is_scar": False}, {"own_scar": OWN_SCAR, "within_mm": 4.9}, {"own_scar": OWN_SCAR, "unmeasured": X >= 0},
])  # fmt: skip
def test_nothing_else_does(never):
    assert beside(**never) == 0.0


def test_a_bridge_ends_where_nothing_was_measured():
    assert beside(OWN_SCAR, (X >= 9) & (X <= 11)) == pytest.approx(4.0)  # from 4.5 to 8.5, and from 11.5 to 15.5
