"""The flat map: openings where the standard has them, no triangle face down, and back again."""

import numpy as np
import pytest
from atrium_model import BALL_MM, VEINS, ball_with_openings

from LAScarSegLib.errors import InputError
from LAScarSegLib.surface.flat_map import flatten
from LAScarSegLib.surface.foldovers import signed_areas, unfolded
from LAScarSegLib.surface.surface import REGION_BODY, REGION_EXCLUDED, REGION_LABELS

STANDARD = {
    "RSPV": ((0.205, 0.084), 0.041), "RIPV": ((0.205, -0.109), 0.033), "LIPV": ((-0.25, -0.10), 0.030), "LSPV": ((-0.25, 0.075), 0.033),
    "LAA": ((-0.28, 0.285), 0.041),
}  # fmt: skip
"""As published with LA_flattening (SCIENCE section 9)."""


def edge_of(flat, atrium, label):
    """The map's vertices whose surface neighbours lie beyond the opening with this region label."""
    near = atrium.region[atrium.triangles]
    touching = np.unique(atrium.triangles[(near == label).any(axis=1)])
    return flat.points[np.isin(flat.vertex, touching)]


def test_no_triangle_lies_face_down(flat):
    a, b, c = (flat.points[flat.triangles[:, n]] for n in range(3))
    turn = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    assert (turn > 0).all()
    assert flat.flipped_pct == 0.0


@pytest.mark.parametrize("name", STANDARD)
def test_each_opening_lies_where_the_standard_has_it(atrium, flat, name):
    (x, y), radius = STANDARD[name]
    assert flat.holes[name] == ((x, y), radius)
    edge = edge_of(flat, atrium, REGION_LABELS[name])
    on_circle = np.abs(np.hypot(*(edge - (x, y)).T) - radius) < 1e-12
    assert on_circle.mean() > 0.8  # the rest was trimmed at the edge's corners
    angles = np.sort(np.arctan2(*(edge[on_circle] - (x, y)).T[::-1]))
    assert np.diff(angles, append=angles[0] + 2 * np.pi).max() < 0.6  # all around


def test_mitral_annulus_is_the_rim(atrium, flat):
    edge = edge_of(flat, atrium, REGION_EXCLUDED)
    assert (np.abs(np.hypot(*edge.T) - 0.5) < 1e-12).mean() > 0.8
    assert np.hypot(*flat.points.T).max() <= 0.5 + 1e-12


def test_map_shows_the_atrium_from_behind_and_outside(flat):
    """The patient's right (low x of LPS) is on the right of the back wall, the anterior wall above it, the floor below."""
    behind, front, below = flat.to_disk([[0, BALL_MM, 0], [0, -BALL_MM * 0.8, BALL_MM * 0.6], [0, BALL_MM * 0.8, -BALL_MM * 0.6]])
    assert np.hypot(*behind) < 0.12
    assert front[1] > 0.15 and below[1] < -0.15
    left, right = flat.to_disk([[5, BALL_MM, 0], [-5, BALL_MM, 0]])
    assert left[0] < right[0]


def test_points_of_the_surface_come_back(atrium, flat):
    corners = flat.surface_points[flat.triangles[::7]]
    points = corners.mean(axis=1)
    assert np.linalg.norm(flat.to_surface(flat.to_disk(points)) - points, axis=1).max() < 1e-6
    body = atrium.points[atrium.region == REGION_BODY]
    back = flat.to_surface(flat.to_disk(body))
    assert np.linalg.norm(back - body, axis=1).max() < 2.5  # a vertex trimmed at an opening goes to the edge, a side away


def test_places_without_surface_and_points_off_the_body_are_nan(flat):
    outside = flat.to_surface([(0.51, 0.0), STANDARD["RSPV"][0], (0.0, 0.0), (np.nan, 0.0)])
    assert np.isnan(outside).all(axis=1).tolist() == [True, True, False, True]
    off = flat.to_disk([[0.0, 0.0, 0.0], [0.0, BALL_MM + 4.0, 0.0], [0.0, BALL_MM + 1.0, 0.0]])
    assert np.isnan(off).all(axis=1).tolist() == [True, True, False]


def test_turning_the_patient_changes_nothing(atrium, flat):
    a, b = np.deg2rad(40.0), np.deg2rad(70.0)
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]]) @ np.array(
        [[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]]
    )
    turned = flatten(type(atrium)(atrium.points @ turn.T + 50.0, atrium.triangles, atrium.normals @ turn.T, region=atrium.region))
    assert np.abs(turned.points - flat.points).max() < 1e-4


def test_area_distortion_is_the_ratio_of_shares(flat):
    corners = flat.surface_points[flat.triangles]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    assert np.average(flat.area_distortion, weights=area) == pytest.approx(1.0)


def test_common_trunk_lies_between_its_veins():
    flat = flatten(ball_with_openings({"LCPV": (1.0, 0.35, 0.1, 12.0), **{n: VEINS[n] for n in ("RSPV", "RIPV", "LAA")}}))
    (x, y), radius = flat.holes["LCPV"]
    assert (x, y) == pytest.approx((-0.25, -0.0125))
    assert radius**2 == pytest.approx(0.033**2 + 0.030**2)
    assert flat.flipped_pct <= 0.1


def test_middle_vein_has_the_same_room_above_and_below():
    flat = flatten(ball_with_openings({**VEINS, "RSPV": (-0.75, 0.25, 0.65, 7.5), "RMPV": (-1.0, 0.15, 0.0, 3.0)}))
    (x, y), radius = flat.holes["RMPV"]
    assert x == 0.205
    assert (0.084 - 0.041) - (y + radius) == pytest.approx((y - radius) - (-0.109 + 0.033))
    assert flat.flipped_pct <= 0.1


@pytest.mark.parametrize("missing", ["LAA", "LIPV", "RSPV"])
def test_without_a_plane_there_is_no_hole(missing):
    flat = flatten(ball_with_openings({name: vein for name, vein in VEINS.items() if name != missing}))
    assert missing not in flat.holes and len(flat.holes) == 4
    assert np.isfinite(flat.to_surface([STANDARD[missing][0]])).all()
    assert flat.flipped_pct <= 0.1


@pytest.mark.parametrize(
    ("without", "words"), [(("MV",), "no mitral plane"), (("LSPV", "LIPV"), "left vein"), (("RSPV", "RIPV"), "right vein")]
)
def test_what_the_map_needs_is_said(without, words):
    surface = ball_with_openings({name: vein for name, vein in VEINS.items() if name not in without}, mitral="MV" not in without)
    with pytest.raises(InputError, match=words):
        flatten(surface)


def test_no_regions_is_said(atrium):
    with pytest.raises(InputError, match="no mitral plane"):
        flatten(atrium.with_arrays(region=None))


def test_an_island_cut_out_of_the_body_is_a_gap_and_said(atrium):
    region = atrium.region.copy()
    region[np.linalg.norm(atrium.points - (0.0, BALL_MM, 0.0), axis=1) < 3.0] = REGION_LABELS["LSPV"]
    flat = flatten(atrium.with_arrays(region=region))
    assert flat.holes["LSPV"] == STANDARD["LSPV"]
    assert any("LSPV leaves more than one edge" in remark for remark in flat.remarks)
    assert flat.flipped_pct <= 0.1


def test_two_veins_that_meet_are_one_opening(atrium):
    region = atrium.region.copy()
    left = atrium.points[:, 0] > 0
    between = left & np.isin(region, [REGION_BODY]) & (np.abs(atrium.points[:, 2]) < 12) & (np.abs(atrium.points[:, 1] - 9) < 6)
    region[between & (atrium.points[:, 2] > 2)], region[between & (atrium.points[:, 2] <= 2)] = REGION_LABELS["LSPV"], REGION_LABELS["LIPV"]
    flat = flatten(atrium.with_arrays(region=region))
    assert "LCPV" in flat.holes and "LSPV" not in flat.holes
    assert any("LIPV and LSPV meet" in remark for remark in flat.remarks)


def test_a_body_with_a_tunnel_is_refused(atrium):
    """Two small discs of the back wall, taken out and joined by a tube, make a handle."""
    surface = with_handle(atrium)
    with pytest.raises(InputError, match="1 tunnel"):
        flatten(surface)


def with_handle(surface):
    starts = [np.linalg.norm(surface.points - (x, BALL_MM * 0.97, 0.0), axis=1).argmin() for x in (-6.0, 6.0)]
    rings = []
    for start in starts:
        fan = surface.triangles[(surface.triangles == start).any(axis=1)]
        ahead = {int(a): int(b) for a, b in (np.roll(t, -int(np.flatnonzero(t == start)[0]))[1:] for t in fan)}
        ring = [next(iter(ahead))]
        while len(ring) < len(ahead):
            ring.append(ahead[ring[-1]])
        rings.append(ring)
    kept = surface.triangles[~np.isin(surface.triangles, starts).any(axis=1)]
    one, other = rings[0], rings[1][::-1]
    tube = [(one[(n + 1) % len(one)], one[n], other[min(n, len(other) - 1)]) for n in range(len(one))]
    tube += [(other[n], other[(n + 1) % len(other)], one[(n + 1) % len(one)]) for n in range(len(other) - 1)]
    tube += [(other[-1], other[0], one[0])] if len(one) == len(other) else []
    assert len(one) == len(other)
    return type(surface)(surface.points, np.concatenate([kept, np.array(tube)]), surface.normals, region=surface.region)


def test_folds_are_taken_out_and_fixed_vertices_stay():
    """A square grid with one vertex dragged across its neighbours."""
    x, y = np.meshgrid(np.arange(9.0), np.arange(9.0))
    points = np.stack([x.ravel(), y.ravel(), np.zeros(81)], axis=1)
    corner = (np.arange(8)[:, None] * 9 + np.arange(8)).ravel()
    triangles = np.concatenate([np.stack([corner, corner + 1, corner + 10], 1), np.stack([corner, corner + 10, corner + 9], 1)])
    uv = points[:, :2].copy()
    uv[40] += (2.3, 1.7)
    fixed = (x == 0).ravel() | (x == 8).ravel() | (y == 0).ravel() | (y == 8).ravel()
    assert (signed_areas(uv, triangles) <= 0).any()
    mended = unfolded(uv, points, triangles, fixed)
    assert (signed_areas(mended, triangles) > 0).all()
    assert (mended[fixed] == uv[fixed]).all()
