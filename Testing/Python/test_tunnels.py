"""The shortest loop around a tunnel, and the surface cut along it."""

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from LAScarSegLib.surface.tunnels import cut_along, shortest_handle

AROUND, ACROSS = 60, 24
RADIUS_MM = 3.0


@pytest.fixture(scope="module")
def ring():
    """A ring of 10 mm, 6 mm thick: points (K, 3) and triangles."""
    u, v = np.meshgrid(2 * np.pi * np.arange(AROUND) / AROUND, 2 * np.pi * np.arange(ACROSS) / ACROSS, indexing="ij")
    away = 10 + RADIUS_MM * np.cos(v)
    points = np.stack([away * np.cos(u), away * np.sin(u), RADIUS_MM * np.sin(v)], axis=-1).reshape(-1, 3)
    number = np.arange(AROUND * ACROSS).reshape(AROUND, ACROSS)
    a, b, c, d = number, np.roll(number, -1, 0), np.roll(number, (-1, -1), (0, 1)), np.roll(number, -1, 1)
    return points, np.concatenate([np.stack([x.ravel() for x in corners], axis=1) for corners in ((a, b, c), (a, c, d))])


def test_shortest_loop_goes_around_the_ring_where_it_is_thin(ring):
    points, triangles = ring
    loop, length_mm = shortest_handle(points, triangles, np.zeros(len(points), dtype=bool))
    assert length_mm == pytest.approx(ACROSS * 2 * RADIUS_MM * np.sin(np.pi / ACROSS))  # a polygon of 24 corners
    assert len(loop) == ACROSS and len(np.unique(loop // ACROSS)) == 1


def test_loop_keeps_off_the_border(ring):
    """With the ring's outer line at the border no loop can go around it; the one along its inside, 2π · 7 mm, is left."""
    points, triangles = ring
    border = np.arange(len(points)) % ACROSS == 0
    loop, length_mm = shortest_handle(points, triangles, border)
    assert length_mm == pytest.approx(2 * np.pi * 7.0, rel=0.02)
    assert not border[loop].any()


def test_a_cut_leaves_one_piece_with_two_edges(ring):
    points, triangles = ring
    loop, _ = shortest_handle(points, triangles, np.zeros(len(points), dtype=bool))
    cut, *edges = cut_along(triangles, loop, len(points))
    sides = np.concatenate([cut[:, [k, (k + 1) % 3]] for k in range(3)])
    once = {(a, b) for a, b in sides.tolist()} - {(b, a) for a, b in sides.tolist()}
    assert once == {(int(a), int(b)) for edge in edges for a, b in zip(edge, np.roll(edge, -1))}
    count = len(points) + len(loop)
    assert connected_components(coo_array((np.ones(len(sides)), sides.T), shape=(count, count)), directed=False)[0] == 1
    before = np.concatenate([np.arange(len(points)), loop])
    assert (before[cut] == triangles).all()
