"""A way onto the standard disk without folds, in small steps: first every opening lies where it likes, then all move to their places.

A map whose rim is convex and whose openings are closed never folds (Tutte 1963; Floater 1997). From there the openings' edges are moved
a little at a time, and the vertices between follow as the mean value coordinates (Floater 2003) of the layout before: these leave an
unmoved layout as it is, so that a step that is small enough cannot fold it either (Floater and Gotsman, "How to morph tilings
injectively", 1999).
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.linalg import splu

from ..errors import InputError
from .foldovers import RINGS, signed_areas, unfolded

STEPS = 10
"""Of equal length. What a step turns over all the same, beside an opening's edge, is turned back at once, while it is little."""
HOPELESS = 0.02
"""Where a step leaves more of the triangles folded than this, later ones fold more of them, and take a minute to fail."""
QUICK_ROUNDS = 3
"""Of the search in each step; the map at the end gets all of it."""
LINE_WEIGHT = 0.3
"""How strongly vertices of a drawn line follow it, in units of their own weights together."""


def morphed(
    uv: np.ndarray, points: np.ndarray, triangles: np.ndarray, moved: np.ndarray, target: np.ndarray, lines: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """(K, 2) the layout `uv` of the surface's `points` (K, 3) after its vertices `moved` (K,) bool went to `target` (K, 2) and the others
    followed.

    `lines` are vertices (L,) that are drawn towards places (L, 2). Raises `InputError` where too much folds on the way.
    """
    for left in range(STEPS, 0, -1):
        if (share := (signed_areas(uv, triangles) <= 0).mean()) > HOPELESS:
            raise InputError(
                f"The surface is too rough to be laid flat: {100 * share:.1f} % of its triangles fold over on the way. Look at the cavity and its "
                "planes."
            )
        drawn = uv[lines[0]] + (lines[1] - uv[lines[0]]) / left
        uv = unfolded(_followed(uv, triangles, moved, uv + (target - uv) / left, lines[0], drawn), points, triangles, moved, RINGS[:1], QUICK_ROUNDS)
    return uv


def _followed(
    uv: np.ndarray, triangles: np.ndarray, moved: np.ndarray, places: np.ndarray, on_line: np.ndarray, drawn: np.ndarray
) -> np.ndarray:
    """(K, 2) the layout whose free vertices are the mean of their neighbours by the mean value weights they have in `uv`."""
    weights = _mean_value_weights(uv, triangles)
    total = weights.sum(axis=1)
    hold = np.zeros(len(uv))
    hold[on_line] = LINE_WEIGHT
    free, number = np.flatnonzero(~moved), np.arange(len(uv))
    own, shares = (coo_array((diagonal, (number, number)), shape=weights.shape) for diagonal in (1.0 + hold, 1.0 / total))
    rows = (own - shares @ weights).tocsr()[free]
    pull = np.zeros_like(uv)
    pull[on_line] = LINE_WEIGHT * drawn
    fixed = np.where(moved[:, None], places, 0.0)
    solver = splu(rows[:, free].tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    after = fixed.copy()
    after[free] = solver.solve(pull[free] - rows @ fixed)
    return after


def _mean_value_weights(uv: np.ndarray, triangles: np.ndarray) -> coo_array:
    """(K, K) weight of each neighbour in a vertex's mean: the tangents of half the angles on both sides, over the distance."""
    begin, end, value = [], [], []
    for k in range(3):
        at, one, other = (triangles[:, (k + n) % 3] for n in range(3))
        u, v = uv[one] - uv[at], uv[other] - uv[at]
        lu, lv = (np.maximum(np.hypot(*w.T), 1e-15) for w in (u, v))
        cross = np.abs(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])
        half = cross / np.maximum(lu * lv + np.einsum("ij,ij->i", u, v), 1e-18)
        begin += [at, at]
        end += [one, other]
        value += [np.maximum(half / lu, 1e-9), np.maximum(half / lv, 1e-9)]
    return coo_array((np.concatenate(value), (np.concatenate(begin), np.concatenate(end))), shape=(len(uv),) * 2).tocsr()
