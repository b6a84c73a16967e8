"""A left atrium as simple as can be: a ball whose openings are caps of it, labelled as cut planes would."""

from __future__ import annotations

import numpy as np
from scipy.spatial import ConvexHull

from LAScarSegLib.surface.surface import REGION_BODY, REGION_EXCLUDED, REGION_LABELS, Surface

BALL_MM, VERTICES = 30.0, 4000
VEINS = {
    "LSPV": (0.85, 0.35, 0.50, 7.0),
    "LIPV": (0.85, 0.55, -0.25, 6.5),
    "RSPV": (-0.85, 0.25, 0.45, 7.5),
    "RIPV": (-0.85, 0.55, -0.25, 6.5),
    "LAA": (0.75, -0.60, 0.45, 7.0),
}
"""Direction from the centre (LPS) and radius in mm of each opening."""
MITRAL_DIRECTION, MITRAL_MM = (0.35, -0.75, -0.55), 16.0


def ball_with_openings(openings: dict[str, tuple[float, float, float, float]], mitral: bool = True) -> Surface:
    """A ball of evenly spread vertices (a Fibonacci spiral) around 0, mm LPS, with the region of every vertex."""
    turn = np.pi * (3 - np.sqrt(5)) * np.arange(VERTICES)
    height = 1 - (2 * np.arange(VERTICES) + 1) / VERTICES
    across = np.sqrt(1 - height**2)
    normals = np.stack([across * np.cos(turn), across * np.sin(turn), height], axis=1)
    triangles = ConvexHull(normals).simplices.astype(np.int64)
    a, b, c = (normals[triangles[:, n]] for n in range(3))
    inward = np.einsum("ij,ij->i", np.cross(b - a, c - a), a) < 0
    triangles[inward] = triangles[inward][:, ::-1]
    region = np.full(VERTICES, REGION_BODY, dtype=np.uint8)
    for name, (*direction, radius_mm) in openings.items():
        region[_within(normals, direction, radius_mm)] = REGION_LABELS[name]
    if mitral:
        region[_within(normals, MITRAL_DIRECTION, MITRAL_MM)] = REGION_EXCLUDED
    return Surface(BALL_MM * normals, triangles, normals, region=region)


def _within(normals: np.ndarray, direction: tuple[float, ...] | list[float], radius_mm: float) -> np.ndarray:
    """Vertices in a cap of this radius, measured from its axis."""
    axis = np.asarray(direction) / np.linalg.norm(direction)
    return normals @ axis > np.sqrt(1 - (radius_mm / BALL_MM) ** 2)
