"""Gaps around veins: rings of scar with known gaps on a ball with veins, and the least path against all paths of small meshes."""

import json

import numpy as np
import pytest
from scipy.sparse import block_array, coo_array
from scipy.sparse.csgraph import dijkstra

from LAScarSegLib.errors import InputError
from LAScarSegLib.output.findings import GapRow
from LAScarSegLib.phantom.wall import zero_level
from LAScarSegLib.surface.band_paths import edge_costs
from LAScarSegLib.surface.encircling_paths import CutGraph, lexicographic_cost
from LAScarSegLib.surface.gaps import Bands, find_encirclements, gaps_against_threshold
from LAScarSegLib.surface.mesh import oriented_surface
from LAScarSegLib.surface.surface import CLASS_NOT_MEASURED, REGION_EXCLUDED, REGION_LABELS, Surface
from LAScarSegLib.volumes.volume import Geometry

RADIUS_MM, VEIN_MM, STUMP_MM = 25.0, 8.0, 14.0
RING_MM = (14.0, 20.0)
"""The ring of scar: from and to so far from the vein's axis, along the ball."""
LEFT, RIGHT = np.array([1.0, 0.0, 0.0]), np.array([-1.0, 0.0, 0.0])
INNER_MM = RADIUS_MM * np.sin(RING_MM[0] / RADIUS_MM)
"""Radius of the ring's inner edge."""


def ball_with_veins(edge_mm, **axes):
    """A ball with a tube along each axis (3,); its regions are the tubes from 1 mm beyond the ball, called after the keyword."""
    count = int(2 * (RADIUS_MM + STUMP_MM + 3) / edge_mm)
    geometry = Geometry((count,) * 3, (edge_mm,) * 3, tuple((np.array([0.1, 0.23, 0.37]) - (count - 1) / 2) * edge_mm))
    z, y, x = np.meshgrid(*[geometry.origin[n] + edge_mm * np.arange(count, dtype=np.float32) for n in (2, 1, 0)], indexing="ij")
    field = np.sqrt(x * x + y * y + z * z) - RADIUS_MM
    for a in axes.values():
        along = a[0] * x + a[1] * y + a[2] * z
        across = np.sqrt(np.maximum(x * x + y * y + z * z - along**2, 0))
        field = np.minimum(field, np.maximum.reduce([across - VEIN_MM, along - RADIUS_MM - STUMP_MM, -along]))
    surface = zero_level(field.astype(np.float32), geometry)
    region = np.ones(len(surface.points), dtype=np.uint8)
    for name, a in axes.items():
        along = surface.points @ a
        region[(along > RADIUS_MM + 1) & (np.linalg.norm(surface.points - along[:, None] * a, axis=1) < VEIN_MM + 1)] = REGION_LABELS[name]
    return surface.with_arrays(region=region)


@pytest.fixture(scope="module")
def left_vein():
    return Bands.of(ball_with_veins(1.0, LSPV=LEFT))


@pytest.fixture(scope="module")
def fine_left_vein():
    return Bands.of(ball_with_veins(0.6, LSPV=LEFT))


@pytest.fixture(scope="module")
def two_veins():
    """Their axes are 52° apart: 23 mm along the ball, of which their tubes take 16."""
    angle = np.deg2rad(26)
    upper, lower = (np.array([np.cos(angle), 0.0, sign * np.sin(angle)]) for sign in (1, -1))
    return Bands.of(ball_with_veins(1.0, LSPV=upper, LIPV=lower)), upper, lower


def arc_mm(surface, axis):
    """(N,) mm along the ball from the point where the axis leaves it."""
    return RADIUS_MM * np.arccos(np.clip(surface.points @ axis / np.linalg.norm(surface.points, axis=1), -1, 1))


def hour(surface, axis=LEFT):
    """(N,) clock hours about an axis along x: 12 superior (z), 3 to the right of who looks along it."""
    return np.arctan2(surface.points @ np.cross(axis, [0.0, 0.0, 1.0]), surface.points[:, 2]) * 6 / np.pi % 12


def half_angle(gap_mm):
    """Half the angle about the axis of a gap whose inner corners are `gap_mm` apart on a great circle."""
    return np.arcsin(np.sin(gap_mm / 2 / RADIUS_MM) * RADIUS_MM / INNER_MM)


def ring(surface, gaps=(), axis=LEFT):
    """(N,) bool: the ring of scar with gaps (clock hour, mm)."""
    arc = arc_mm(surface, axis)
    scar = (arc > RING_MM[0]) & (arc < RING_MM[1]) & (np.linalg.norm(surface.points, axis=1) < RADIUS_MM + 1)
    for at, gap_mm in gaps:
        away = np.abs((hour(surface, axis) - at + 6) % 12 - 6) * np.pi / 6
        scar &= away > half_angle(gap_mm)
    return scar


def ring_rgm(gaps):
    """Relative gap measure of the shortest path in the ring: its inner edge and great circles over the gaps."""
    gap_mm = sum(mm for _, mm in gaps)
    return gap_mm / (gap_mm + (2 * np.pi - 2 * sum(half_angle(mm) for _, mm in gaps)) * INNER_MM)


@pytest.mark.parametrize("mesh", ["left_vein", "fine_left_vein"])
@pytest.mark.parametrize("gaps", [[(12, 5), (4, 10), (8, 3)], [(1.5, 2), (7.7, 20)]])
def test_known_gaps_are_found_with_length_place_and_share(mesh, gaps, request):
    bands = request.getfixturevalue(mesh)
    (found,) = bands.encirclements(ring(bands.surface, gaps))
    for at, gap_mm in (gap for gap in gaps if gap[1] >= 5):
        (gap,) = [g for g in found.gaps if abs((g.clock - at + 6) % 12 - 6) < 0.5]
        assert gap.length_mm == pytest.approx(gap_mm, abs=1.5)
    assert sum(gap.length_mm >= 4 for gap in found.gaps) == sum(mm >= 5 for _, mm in gaps)
    assert found.rgm == pytest.approx(ring_rgm(gaps), abs=0.02)
    assert not found.encircled


@pytest.mark.parametrize("mesh", ["left_vein", "fine_left_vein"])
def test_complete_ring_has_no_gap_and_its_inner_edge_for_length(mesh, request):
    bands = request.getfixturevalue(mesh)
    (found,) = bands.encirclements(ring(bands.surface))
    assert (found.encircled, found.gaps, found.gap_mm, found.rgm) == (True, (), 0.0, 0.0)
    assert found.path_mm == pytest.approx(2 * np.pi * INNER_MM, rel=0.04)


def test_bare_vein_is_one_gap_as_long_as_the_vein_is_round(left_vein):
    (found,) = left_vein.encirclements(np.zeros(len(left_vein.surface.points), dtype=bool))
    assert (found.rgm, len(found.gaps), found.encircled) == (1.0, 1, False)
    assert found.path_mm == pytest.approx(2 * np.pi * VEIN_MM, rel=0.01)
    assert found.gaps[0].length_mm == pytest.approx(found.path_mm)


def test_a_gap_all_the_way_round_lies_at_no_hour_and_in_no_region(left_vein):
    (found,) = left_vein.encirclements(np.zeros(len(left_vein.surface.points), dtype=bool))
    told = found.gaps[0].to_json()
    assert (told["clock"], told["region"], told["all_around"], found.gaps[0].place) == (None, None, True, "all around")
    assert GapRow.from_json(told, 1).text == f"{found.gaps[0].length_mm:.1f} mm, all around"
    (short,) = left_vein.encirclements(ring(left_vein.surface, [(12, 12)]))[0].gaps
    assert short.to_json()["all_around"] is False and short.place == "body"


def test_scar_everywhere_is_a_relative_gap_of_nothing(left_vein):
    (found,) = left_vein.encirclements(np.ones(len(left_vein.surface.points), dtype=bool))
    assert (found.rgm, found.encircled) == (0.0, True)


def test_scar_border_lies_where_values_put_it(left_vein):
    """A gap's border between the vertices: the values' zero, to a tenth of an edge, and not half-way."""
    surface = left_vein.surface
    wanted = 7.0
    away_mm = np.abs((hour(surface) + 6) % 12 - 6) * np.pi / 6 * INNER_MM
    arc = arc_mm(surface, LEFT)
    level = np.minimum.reduce([arc - RING_MM[0], RING_MM[1] - arc, away_mm - wanted / 2])
    (found,) = left_vein.encirclements(level)
    assert found.gap_mm == pytest.approx(wanted, abs=0.25)


def test_island_in_a_gap_parts_it_and_one_beside_the_ring_changes_nothing(left_vein):
    surface = left_vein.surface
    scar = ring(surface, [(12, 14)])
    arc = arc_mm(surface, LEFT)
    on_ball = np.linalg.norm(surface.points, axis=1) < RADIUS_MM + 1
    at_noon = np.abs((hour(surface) + 6) % 12 - 6) * np.pi / 6 * INNER_MM < 2.0
    island = on_ball & at_noon & (arc > RING_MM[0]) & (arc < RING_MM[1])
    beside = on_ball & (np.abs(hour(surface) - 6) < 0.3) & (arc > 10.5) & (arc < 12.0)
    (bare,), (parted,), (same,) = (left_vein.encirclements(s) for s in (scar, scar | island, scar | beside))
    assert (len(bare.gaps), len(parted.gaps)) == (1, 2)
    assert parted.gap_mm == pytest.approx(14 - 4, abs=1.5)
    assert same.gap_mm == bare.gap_mm


@pytest.mark.parametrize(("name", "axis", "towards", "hours"), [
    ("LSPV", LEFT, (0, 0, 1), 0), ("LSPV", LEFT, (0, -1, 0), 3), ("RSPV", RIGHT, (0, 1, 0), 3), ("RSPV", RIGHT, (0, 0, -1), 6),
])  # fmt: skip
def test_clock_is_read_from_inside_the_atrium(name, axis, towards, hours):
    """LPS: y runs to the back. Three o'clock is anterior at left veins and posterior at right ones."""
    bands = Bands.of(ball_with_veins(1.5, **{name: axis}))
    (found,) = bands.encirclements(ring(bands.surface, [(hours, 12)], axis))
    (gap,) = found.gaps
    assert (gap.clock - hours + 6) % 12 - 6 == pytest.approx(0, abs=0.3)
    assert np.dot(gap.point_lps, towards) > 10


def test_regions_are_named_by_the_caller(left_vein):
    surface = left_vein.surface
    scar = ring(surface, [(12, 12)])
    names = np.where(surface.points[:, 2] > 0, "roof", "floor")
    for given, said in ((None, "body"), (names, "roof"), (lambda point: "roof" if point[2] > 0 else "floor", "roof")):
        assert left_vein.encirclements(scar, region_names=given)[0].gaps[0].region == said


def test_what_is_not_measured_counts_as_healthy_and_is_told(left_vein):
    surface = left_vein.surface
    whole, missing = ring(surface), (np.abs((hour(surface) + 6) % 12 - 6) * np.pi / 6 < half_angle(12)) & (surface.points[:, 0] < 24)
    classes = np.where(missing, CLASS_NOT_MEASURED, whole).astype(np.uint8)
    bands = Bands(surface.with_arrays(scar=whole, scar_class=classes), left_vein.mesh, left_vein.bands)
    (found,) = bands.encirclements()
    assert (len(found.gaps), found.encircled) == (1, False)
    assert found.unmeasured_mm == pytest.approx(found.gap_mm, abs=0.5)


def test_ring_around_one_of_two_veins_is_not_one_around_the_other(two_veins):
    bands, upper, _ = two_veins
    surface = bands.surface
    arc = arc_mm(surface, upper)
    found = {e.around: e for e in bands.encirclements((arc > 9.5) & (arc < 12.5))}
    assert list(found) == ["LSPV", "LIPV", "left pair"]
    assert (found["LSPV"].encircled, found["LIPV"].encircled, found["left pair"].encircled) == (True, False, False)


def test_ring_around_both_veins_leaves_each_with_a_gap_on_the_carina(two_veins):
    bands, upper, lower = two_veins
    surface = bands.surface
    arc = np.minimum(arc_mm(surface, upper), arc_mm(surface, lower))
    found = {e.around: e for e in bands.encirclements((arc > 12.5) & (arc < 16.0))}
    assert found["left pair"].encircled
    for name in ("LSPV", "LIPV"):
        (gap,) = found[name].gaps
        assert abs(gap.point_lps[2]) < 6.0  # between the veins
    assert found["LSPV"].rgm == pytest.approx(found["LIPV"].rgm, abs=0.05)


def test_path_crosses_neither_the_mitral_plane_nor_another_vein(left_vein):
    """The ring's lower part lies beyond the mitral plane: scar there is no use, however complete the ring."""
    surface = left_vein.surface
    region = surface.region.copy()
    region[surface.points[:, 2] < -12.0] = REGION_EXCLUDED
    cut = surface.with_arrays(region=region)
    (found,) = find_encirclements(cut, ring(surface))
    assert not found.encircled
    assert found.points[:, 2].min() > -12.5


@pytest.mark.parametrize("other", ["LIPV", "MV"])
def test_band_broken_by_a_neighbour_says_so(left_vein, other):
    """The vein meets another region along its ostium, and paths may not run inside it."""
    surface = left_vein.surface
    region = surface.region.copy()
    region[(region == 1) & (surface.points[:, 2] < 0)] = REGION_LABELS.get(other, REGION_EXCLUDED)
    found = find_encirclements(surface.with_arrays(region=region), ring(surface), inside_mm=0.0)[0]
    assert "LSPV does not close" in found.problem
    assert ("LIPV" if other == "LIPV" else "mitral") in found.problem
    content = json.loads(json.dumps(found.to_json()))
    assert (content["rgm"], content["encircled"], content["gaps"]) == (None, None, [])


def opened(surface, away):
    """The surface without the triangles of some vertices (N,) bool."""
    return Surface(surface.points, surface.triangles[~away[surface.triangles].any(axis=1)], surface.normals, region=surface.region)


def test_band_broken_by_the_border_of_the_mesh_says_so(left_vein):
    surface = left_vein.surface
    slit = (np.abs(surface.points[:, 1]) < 2.0) & (surface.points[:, 2] > 0) & (surface.points[:, 0] > -20)
    (found,) = find_encirclements(opened(surface, slit), ring(surface))
    assert "does not close: it meets the border of the mesh" in found.problem


def test_small_hole_in_the_mesh_is_passed_by(left_vein):
    surface = left_vein.surface
    middle = surface.points[np.argmin(np.abs(arc_mm(surface, LEFT) - 15.0) + np.abs(hour(surface) - 6))]
    (found,) = find_encirclements(opened(surface, np.linalg.norm(surface.points - middle, axis=1) < 2.0), ring(surface, [(12, 10)]))
    assert (found.problem, len(found.gaps)) == (None, 1)
    assert found.gap_mm == pytest.approx(10.0, abs=1.5)


def test_curve_against_the_threshold_is_the_encirclement_at_each(left_vein):
    surface = left_vein.surface
    values = np.where(ring(surface, [(12, 12)]), 1.5, np.where(ring(surface), 1.3, 0.9))
    curve = gaps_against_threshold(left_vein, values, [1.2, 1.4, 1.6])
    assert [[point.count for point in points] for points in curve] == [[0], [1], [1]]
    assert [round(points[0].rgm, 2) for points in curve[::2]] == [0.0, 1.0]
    assert curve[1][0].gap_mm == left_vein.encirclements(values - 1.4)[0].gap_mm


def test_bad_input_is_refused(left_vein):
    surface = left_vein.surface
    with pytest.raises(InputError, match="no regions"):
        Bands.of(surface.with_arrays(region=None))
    with pytest.raises(InputError, match="scar of .* vertices"):
        left_vein.encirclements(np.ones(3, dtype=bool))
    with pytest.raises(InputError, match="LSPV is -1"):
        Bands.of(surface, {"LSPV": -1})


def test_json_has_the_keys_of_the_contract(left_vein):
    (found,) = left_vein.encirclements(ring(left_vein.surface, [(12, 12)]))
    content = json.loads(json.dumps(found.to_json()))
    assert {"around", "rgm", "path_mm", "gap_mm", "encircled", "gaps"} <= set(content)
    assert set(content["gaps"][0]) == {"length_mm", "region", "clock", "all_around", "point_lps"}


def small_mesh(rng):
    """A closed mesh of 37 vertices: a bumpy ball of seven rings of five; the first two rings are a vein, the last are beyond the band."""
    heights = np.linspace(0.3, np.pi - 0.3, 7)
    angle = np.arange(5) * np.pi / 2.5 + rng.uniform(-0.2, 0.2, (7, 5))
    radius = 10 + rng.uniform(-1, 1, (7, 5))
    rings = np.stack([np.sin(heights)[:, None] * np.cos(angle), np.sin(heights)[:, None] * np.sin(angle),
                      np.broadcast_to(np.cos(heights)[:, None], angle.shape)], axis=2) * radius[..., None]  # fmt: skip
    points = np.concatenate([rings.reshape(-1, 3), [[0, 0, 10.5], [0, 0, -10.5]]])
    triangles = [t for n in range(5) for t in ([35, n, (n + 1) % 5], [36, 30 + (n + 1) % 5, 30 + n])]
    for a in range(6):
        for n in range(5):
            i, j = 5 * a + n, 5 * a + (n + 1) % 5
            triangles += [[i, i + 5, j], [j, i + 5, j + 5]]
    region = np.ones(37, dtype=np.uint8)
    region[[*range(10), 35]] = REGION_LABELS["LSPV"]
    return oriented_surface(points, np.array(triangles)).with_arrays(region=region)


def cheapest_simple_cycle(edges, costs, angle):
    """Cost of the cheapest simple cycle that winds once about the axis: every cycle is followed until it is dearer than the best."""
    steps = {}
    for (a, b), cost in zip(edges.tolist(), costs):
        turn = (angle[b] - angle[a] + np.pi) % (2 * np.pi) - np.pi
        steps.setdefault(a, []).append((cost, b, turn))
        steps.setdefault(b, []).append((cost, a, -turn))
    steps = {node: sorted(out) for node, out in steps.items()}
    best = np.inf

    def follow(first, node, spent, turned, passed):
        nonlocal best
        for cost, there, turn in steps[node]:
            if spent + cost >= best:
                break
            if there == first and abs(abs(turned + turn) - 2 * np.pi) < 1e-6:
                best = spent + cost
            elif there > first and there not in passed:
                follow(first, there, spent + cost, turned + turn, passed | {there})

    for first in steps:
        follow(first, first, 0.0, 0.0, {first})
    return best


@pytest.mark.parametrize("seed", range(5))
def test_least_path_is_the_least_of_all_simple_cycles(seed):
    rng = np.random.default_rng(seed)
    surface = small_mesh(rng)
    bands = Bands.of(surface, band_mm=10.0, inside_mm=0.0)
    band = bands.bands[0]
    scar = rng.random(37) < rng.uniform(0.2, 0.8)
    costs = edge_costs(bands.mesh, band, np.where(scar, 1.0, -1.0))
    path = band.graph.cheapest_closed_path(costs, band.separates)
    of_edge = {frozenset(edge): cost for edge, cost in zip(band.graph.edges.tolist(), costs)}
    cost = sum(of_edge[frozenset(pair)] for pair in zip(path.tolist(), np.roll(path, -1).tolist()))
    angle = np.arctan2(surface.points[band.vertices, 1], surface.points[band.vertices, 0])
    assert cost == cheapest_simple_cycle(band.graph.edges, costs, angle)


@pytest.mark.parametrize("seed", range(3))
def test_least_path_is_the_least_through_any_node_of_the_cut(left_vein, seed):
    """3000 vertices with patches of scar: no bound may rule out the node that the least path passes."""
    rng = np.random.default_rng(seed)
    band, surface = left_vein.bands[0], left_vein.surface
    waves = np.sin(surface.points @ rng.normal(0, 0.5, (3, 6)) + rng.uniform(0, 6, 6)).sum(axis=1)
    costs = edge_costs(left_vein.mesh, band, np.where(waves > np.quantile(waves, rng.uniform(0.3, 0.7)), 1.0, -1.0))
    edges, crossed, nodes = band.graph.edges, band.graph.crossed == 1, band.graph.nodes
    same, other = (coo_array((costs[which], tuple(edges[which].T)), shape=(nodes, nodes)) for which in (~crossed, crossed))
    twice = block_array([[same, other], [other, same]]).tocsr()
    ends = np.unique(edges[crossed])
    least = min(dijkstra(twice, directed=False, indices=n)[nodes + n] for n in ends)
    of_edge = {frozenset(edge): cost for edge, cost in zip(edges.tolist(), costs)}
    path = band.graph.cheapest_closed_path(costs, band.separates)
    assert sum(of_edge[frozenset(pair)] for pair in zip(path.tolist(), np.roll(path, -1).tolist())) == least


def test_of_paths_with_equally_little_healthy_tissue_the_shortest_is_taken():
    """Two squares side by side around a cut: the same healthy length, the second one 1 mm longer."""
    edges = np.array([[0, 1], [1, 2], [2, 0], [3, 4], [4, 5], [5, 3], [0, 3]])
    crossed = np.array([1, 0, 0, 1, 0, 0, 0])
    costs = lexicographic_cost(np.array([2.0, 0, 0, 0, 2.0, 0, 0]), np.array([2.0, 3, 3, 2, 2, 3, 1]))
    path = CutGraph(6, edges, crossed, 1).cheapest_closed_path(costs, 1)
    assert set(path.tolist()) == {3, 4, 5}
