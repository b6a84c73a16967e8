"""The flat map: openings where the standard has them, no triangle face down, and back again."""

import numpy as np
import pytest
from atrium_model import BALL_MM, MITRAL_DIRECTION, VEINS, ball_with_openings
from scipy.spatial import Delaunay

from LAScarSegLib.errors import InputError
from LAScarSegLib.surface.flat_map import flatten
from LAScarSegLib.surface.foldovers import Holds, signed_areas, unfolded
from LAScarSegLib.surface.mesh import cavity_surface
from LAScarSegLib.surface.mesh_files import read_surface_file
from LAScarSegLib.surface.openings import find_planes
from LAScarSegLib.surface.planes import label_regions
from LAScarSegLib.surface.surface import REGION_BODY, REGION_EXCLUDED, REGION_LABELS, Surface
from LAScarSegLib.volumes.files import read_volume

STANDARD = {
    "RSPV": ((0.205, 0.084), 0.041), "RIPV": ((0.205, -0.109), 0.033), "LIPV": ((-0.25, -0.10), 0.030), "LSPV": ((-0.25, 0.075), 0.033),
    "LAA": ((-0.28, 0.285), 0.041),
}  # fmt: skip
"""As published with LA_flattening (SCIENCE section 9)."""
TUNNEL = "Q0MEX9ZIKAGJORSPLQ3Y"
"""A cavity of the 2018 challenge with a tunnel through it."""


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
    with pytest.raises(InputError, match=f"{words}.* Give a plane"):
        flatten(surface)


def test_a_given_plane_that_lies_too_deep_is_not_asked_for():
    """What lies beyond the valve's plane takes in the wall around the only left vein."""
    surface = ball_with_openings({name: VEINS[name] for name in ("LSPV", "RSPV")})
    axis = np.array(VEINS["LSPV"][:3]) / np.linalg.norm(VEINS["LSPV"][:3])
    around = (surface.normals @ axis > np.cos(np.deg2rad(35))) & (surface.region == REGION_BODY)
    with pytest.raises(InputError, match="the plane LSPV is given.* lies too deep") as said:
        flatten(surface.with_arrays(region=np.where(around, REGION_EXCLUDED, surface.region)))
    assert "Give a plane" not in str(said.value)


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


def test_an_appendage_that_meets_a_vein_is_said(atrium):
    region = atrium.region.copy()
    between = (region == REGION_BODY) & (np.linalg.norm(atrium.points / BALL_MM - (0.84, -0.13, 0.52), axis=1) < 0.3)
    toward = {name: atrium.points @ (np.array(VEINS[name][:3]) / np.linalg.norm(VEINS[name][:3])) for name in ("LAA", "LSPV")}
    nearer = toward["LAA"] > toward["LSPV"]
    region[between & nearer], region[between & ~nearer] = REGION_LABELS["LAA"], REGION_LABELS["LSPV"]
    flat = flatten(atrium.with_arrays(region=region))
    assert len({"LAA", "LSPV"} & set(flat.holes)) == 1
    assert any("LAA and LSPV meet" in remark for remark in flat.remarks)
    assert flat.flipped_pct == 0.0


def test_an_appendage_that_meets_the_valve_is_said_and_does_not_turn_the_rest_of_the_rim():
    """The appendage's cap (radius 13.5°) 46° from the middle of the valve's (32.2°) leaves no triangle between them, 54° away it does."""
    valve, appendage = np.array(MITRAL_DIRECTION) / np.linalg.norm(MITRAL_DIRECTION), np.array(VEINS["LAA"][:3])
    across = appendage - (appendage @ valve) * valve
    across /= np.linalg.norm(across)
    maps, angles = [], []
    for apart in np.radians([54.0, 46.0]):
        openings = {**VEINS, "LAA": (*(np.cos(apart) * valve + np.sin(apart) * across), VEINS["LAA"][3])}
        flat = flatten(ball_with_openings(openings))
        rim = np.hypot(*flat.points.T) > 0.499
        maps.append(flat)
        angles.append(dict(zip(flat.vertex[rim], np.arctan2(flat.points[rim, 1], flat.points[rim, 0]))))
    assert "LAA" in maps[0].holes and "LAA" not in maps[1].holes
    assert any("LAA cannot be told from the mitral opening" in remark for remark in maps[1].remarks)
    shared = angles[0].keys() & angles[1].keys()
    turned = [np.angle(np.exp(1j * (angles[1][vertex] - angles[0][vertex]))) for vertex in shared]
    assert len(shared) > 50 and np.abs(turned).max() < np.radians(15.0)


def test_a_tunnel_is_cut_open_along_its_shortest_loop_and_said(atrium):
    """Two small discs of the back wall, taken out and joined by a tube: the shortest way around it is one of the discs' edges."""
    surface, rings = with_handles(atrium, [(-6.0, 6.0)])
    flat = flatten(surface)
    around = min(np.linalg.norm(np.diff(surface.points[[*ring, ring[0]]], axis=0), axis=1).sum() for ring in rings)
    assert [f"cut open along {around:.0f} mm" in remark for remark in flat.remarks] == [True]
    assert flat.flipped_pct == 0.0
    corners = flat.surface_points[flat.triangles]
    # Without those of the tube, which are 12 mm long and lie close under the wall.
    middles = corners[np.ptp(corners, axis=1).max(axis=1) < 5.0].mean(axis=1)
    assert np.linalg.norm(flat.to_surface(flat.to_disk(middles)) - middles, axis=1).max() < 1e-6


def test_each_of_several_tunnels_is_cut_open(atrium):
    flat = flatten(with_handles(atrium, [(-6.0, 0.0), (6.0, 11.0)])[0])
    assert sum("cut open" in remark for remark in flat.remarks) == 2
    assert flat.flipped_pct == 0.0


def with_handles(surface, places):
    """The surface with a tube between the vertices nearest to two places x (mm) of the back wall, for each pair; and the tubes' ends."""
    rings = []
    for pair in places:
        starts = [np.linalg.norm(surface.points - (x, BALL_MM * 0.97, 0.0), axis=1).argmin() for x in pair]
        one, other = (ring_around(surface, start) for start in starts)
        other = other[::-1]
        assert len(one) == len(other)
        kept = surface.triangles[~np.isin(surface.triangles, starts).any(axis=1)]
        following, after = np.roll(one, -1), np.roll(other, -1)
        tube = np.concatenate([np.stack([one, following, other], 1), np.stack([following, after, other], 1)])
        surface = type(surface)(surface.points, np.concatenate([kept, tube]), surface.normals, region=surface.region)
        rings += [one, other]
    return surface, rings


def ring_around(surface, vertex):
    """The neighbours of a vertex, counter-clockwise."""
    fan = surface.triangles[(surface.triangles == vertex).any(axis=1)]
    ahead = {int(a): int(b) for a, b in (np.roll(t, -int(np.flatnonzero(t == vertex)[0]))[1:] for t in fan)}
    ring = [next(iter(ahead))]
    while len(ring) < len(ahead):
        ring.append(ahead[ring[-1]])
    return ring


def test_a_tunnel_that_is_wide_all_along_is_refused():
    """A ring of 8 mm radius: the shortest cut that opens it is 50 mm long."""
    surface = ring_with_openings(8.0)
    with pytest.raises(InputError, match="tunnel .* no cut of at most 40 mm"):
        flatten(surface)


def ring_with_openings(radius_mm, around=96, across=32):
    u, v = np.meshgrid(2 * np.pi * np.arange(around) / around, 2 * np.pi * np.arange(across) / across, indexing="ij")
    away = 30 + radius_mm * np.cos(v)
    points = np.stack([away * np.cos(u), away * np.sin(u), radius_mm * np.sin(v)], axis=-1).reshape(-1, 3)
    number = np.arange(around * across).reshape(around, across)
    a, b, c, d = number, np.roll(number, -1, 0), np.roll(number, (-1, -1), (0, 1)), np.roll(number, -1, 1)
    triangles = np.concatenate([np.stack([x.ravel() for x in corners], axis=1) for corners in ((a, b, c), (a, c, d))])
    region = np.full(len(points), REGION_BODY, dtype=np.uint8)
    for label, x in ((REGION_LABELS["LSPV"], 38), (REGION_LABELS["RSPV"], -38)):
        region[np.linalg.norm(points - (x, 0, 0), axis=1) < 5] = label
    region[np.linalg.norm(points - (0, 38, 0), axis=1) < 6] = REGION_EXCLUDED
    return Surface(points, triangles, np.zeros_like(points), region=region)


@pytest.fixture(scope="module")
def disc():
    """Rings of 6, 12, 18 … points around a middle, the last on the circle of radius 1: points (K, 2), triangles, and which are the last."""
    count = 16
    radius = np.concatenate([[0.0], *(np.full(6 * n, n / count) for n in range(1, count + 1))])
    angle = np.concatenate([[0.0], *(2 * np.pi * np.arange(6 * n) / (6 * n) for n in range(1, count + 1))])
    uv = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    triangles = Delaunay(uv).simplices.astype(np.int64)
    triangles[signed_areas(uv, triangles) < 0] = triangles[signed_areas(uv, triangles) < 0][:, ::-1]
    return uv, triangles[np.abs(signed_areas(uv, triangles)) > 1e-6], np.isclose(radius, 1.0)


def held_by_its_rim(rim):
    none = np.empty(0, dtype=int)
    return Holds(np.where(rim, 0, -1), np.zeros((1, 2)), np.ones(1), none, np.empty((0, 2)))


@pytest.mark.parametrize("spoilt", ["one inside", "two on the rim", "half of them"])
def test_folds_are_taken_out_and_the_rim_stays_on_its_circle(disc, spoilt):
    flat_disc, triangles, rim = disc
    uv = flat_disc.copy()
    if spoilt == "one inside":
        uv[200] += (0.3, 0.2)
    elif spoilt == "two on the rim":
        uv[np.flatnonzero(rim)[[3, 5]]] = uv[np.flatnonzero(rim)[[5, 3]]]
    else:
        uv[~rim & (uv[:, 0] > 0)] *= (-1, 1)
    assert (signed_areas(uv, triangles) <= 0).any()
    mended = unfolded(uv, np.pad(flat_disc, ((0, 0), (0, 1))), triangles, held_by_its_rim(rim))
    assert (signed_areas(mended, triangles) > 0).all()
    assert np.hypot(*mended[rim].T) == pytest.approx(1.0, abs=1e-12)


def test_a_single_fold_leaves_what_is_far_from_it_alone(disc):
    flat_disc, triangles, rim = disc
    uv = flat_disc.copy()
    uv[np.hypot(*(uv - (0.85, 0.0)).T).argmin()] += (0.0, 0.2)
    mended = unfolded(uv, np.pad(flat_disc, ((0, 0), (0, 1))), triangles, held_by_its_rim(rim))
    far = uv[:, 0] < -0.2
    assert (mended[far] == uv[far]).all()
    assert (signed_areas(mended, triangles) > 0).all()


def test_the_example_of_la_flattening_is_laid_flat(data_dir):
    """With the planes found on it, each opening is where its authors' map has it."""
    path = data_dir / "surfaces" / "la_flattening_mesh.vtk"
    if not path.is_file():
        pytest.skip(f"{path.name} is not there")
    check_real_map(read_surface_file(path).surface, set(STANDARD))


def test_a_drawn_cavity_with_a_tunnel_and_thousands_of_folds_on_the_way_is_laid_flat(data_dir):
    """Its left atrial appendage was not found. The harmonic map has 5 % of its triangles face down."""
    path = data_dir / "la2018" / TUNNEL / "cavity.nii.gz"
    if not path.is_file():
        pytest.skip(f"la2018/{TUNNEL} is not there")
    cavity = read_volume(path)
    flat = check_real_map(cavity_surface(cavity.array > 0, cavity.geometry, 1.5), {"LSPV", "LIPV", "RSPV", "RIPV"})
    assert any("tunnel" in remark for remark in flat.remarks)


def check_real_map(surface, openings):
    flat = flatten(surface.with_arrays(region=label_regions(surface, find_planes(surface).planes)))
    assert set(flat.holes) == openings
    assert flat.flipped_pct <= 0.1
    middles = flat.surface_points[flat.triangles[::5]].mean(axis=1)
    assert np.linalg.norm(flat.to_surface(flat.to_disk(middles)) - middles, axis=1).max() <= 0.5
    return flat
