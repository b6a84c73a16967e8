"""The mitral plane of a cavity: the flat end that faces the left ventricle, or the neck towards a ventricle that a mask leaks into."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .planes import MITRAL, CutPlane
from .protrusions import VOXEL_MM, Cavity
from .surface import Surface

TOWARDS_VENTRICLE = np.array([0.55, -0.69, -0.47])
"""Left, anterior, inferior: the usual normal of the mitral plane (SCIENCE section 7's phantom, and the flat ends of 30 LGE-MRI)."""
CONE_DEG, CONE_SD_DEG, DIRECTIONS = 45.0, 22.0, 1800
"""Normals this far from it are looked at, the farther the less likely; so many directions over the whole sphere lie 5° apart."""
FACING_DEG, FLAT_MM = 25.0, 1.5
"""Surface belongs to a flat end when it faces its way and lies as near to its plane."""
BEYOND_COST = 1.0
"""A flat face that body lies beyond is no end: each mm² beyond counts against one mm² of face."""
FITTING_STEPS, PATCH_REACH_MM = 3, 25.0
"""The annulus is 30–38 mm wide (SCIENCE section 7)."""
CLEARLY_FLAT_MM2 = 450.0
"""Of an annulus of 30 mm (707 mm²) what the smoothed rim leaves flat; the flat ends of masks that were cut at the valve have more."""
UNUSUAL_DEG = 35.0
NECK_RATIO, VENTRICLE_ML = 1.25, 8.0
"""Beyond a neck the cavity widens by a quarter, and so much lies there: a ventricle, not a rough end."""


def find_mitral(surface: Surface, cavity: Cavity) -> tuple[CutPlane, str]:
    """The mitral plane, its normal towards the ventricle, and why it should not be relied on ("": it may be)."""
    leak = _neck(cavity)
    if leak is not None:
        why = (
            "the cavity narrows and widens again towards the ventricle: it seems to leak through the valve, and the plane lies at the neck"
        )
        return leak, why
    body = ndimage.binary_dilation(cavity.body, iterations=2)
    index = np.rint((surface.points - cavity.geometry.origin) / VOXEL_MM).astype(int)[:, ::-1]
    near = body[tuple(index.T)]
    points, normals, area = surface.points[near], surface.normals[near], surface.vertex_area_mm2[near]
    origin, normal, flat_mm2 = _flat_end(points, normals, area)
    why = []
    if flat_mm2 < CLEARLY_FLAT_MM2:
        why.append(f"the end towards the ventricle is rounded (flat: {flat_mm2 / 100:.1f} cm²), so that the valve's place is a guess")
    if (angle := np.degrees(np.arccos(np.clip(normal @ TOWARDS_VENTRICLE, -1, 1)))) > UNUSUAL_DEG:
        why.append(f"it faces {angle:.0f}° off the usual direction of the valve")
    return CutPlane(MITRAL, tuple(origin.tolist()), tuple(normal.tolist())), "; ".join(why)


def _flat_end(points: np.ndarray, normals: np.ndarray, area: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Middle (3,), outward normal (3,) and flat area in mm² of the flattest end towards the ventricle, from vertices (N, 3), areas (N,)."""
    best, normal, height = -np.inf, TOWARDS_VENTRICLE, 0.0
    # Only what faces the cone at all, so that the search is short.
    facing = normals @ TOWARDS_VENTRICLE > np.cos(np.radians(CONE_DEG + FACING_DEG))
    points_f, normals_f, area_f = (values[facing].astype(np.float32) for values in (points, normals, area))
    for direction in _cone():
        face = np.flatnonzero(normals_f @ direction > np.cos(np.radians(FACING_DEG)))
        if not face.size:
            continue
        heights = points_f @ direction
        lowest = heights.min()
        bins = ((heights - lowest) / FLAT_MM).astype(int)
        faces, all_of_it = np.bincount(bins[face], area_f[face], bins.max() + 1), np.bincount(bins, area_f)
        # Two neighbouring bins are as thick as the plane's tolerance on both sides.
        pairs = np.convolve(faces, [1, 1], "valid") if len(faces) > 1 else faces
        beyond = np.append(np.cumsum(all_of_it[::-1])[::-1][2:], [0.0])[: len(pairs)] if len(faces) > 1 else np.zeros(1)
        away = np.degrees(np.arccos(np.clip(direction @ TOWARDS_VENTRICLE, -1, 1)))
        scores = (pairs - BEYOND_COST * beyond) * np.exp(-0.5 * (away / CONE_SD_DEG) ** 2)
        place = int(scores.argmax())
        if scores[place] > best:
            best, normal, height = float(scores[place]), direction, float(lowest + (place + 1) * FLAT_MM)
    return _fitted(points, normals, area, normal, height)


def _fitted(
    points: np.ndarray, normals: np.ndarray, area: np.ndarray, normal: np.ndarray, height: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """The plane through the face found, fitted by least squares to what lies near it."""
    origin = None
    face = np.zeros(len(points), dtype=bool)
    for _ in range(FITTING_STEPS):
        face = (np.abs(points @ normal - height) < FLAT_MM) & (normals @ normal > np.cos(np.radians(FACING_DEG)))
        if origin is not None:
            face &= np.linalg.norm(points - origin, axis=1) < PATCH_REACH_MM
        if np.count_nonzero(face) < 4:
            break
        origin = np.average(points[face], axis=0, weights=area[face])
        offset = (points[face] - origin) * np.sqrt(area[face])[:, None]
        fitted = np.linalg.svd(offset, full_matrices=False)[2][2]
        normal = fitted if fitted @ normal > 0 else -fitted
        height = float(origin @ normal)
    if origin is None:
        origin = points[np.argmax(points @ normal)]
    return origin, normal, float(area[face].sum())


def _cone() -> np.ndarray:
    """(n, 3) unit vectors around `TOWARDS_VENTRICLE`, evenly spread (a Fibonacci lattice)."""
    number = np.arange(DIRECTIONS)
    z = 1 - (2 * number + 1) / DIRECTIONS
    turn = number * np.pi * (3 - np.sqrt(5))
    sphere = np.stack([np.sqrt(1 - z * z) * np.cos(turn), np.sqrt(1 - z * z) * np.sin(turn), z], axis=1)
    towards = TOWARDS_VENTRICLE / np.linalg.norm(TOWARDS_VENTRICLE)
    return sphere[sphere @ towards > np.cos(np.radians(CONE_DEG))].astype(np.float32)


def _neck(cavity: Cavity) -> CutPlane | None:
    """The plane through the narrowest place on the way to the ventricle, where the cavity widens again beyond it."""
    places = cavity.lps(np.argwhere(cavity.body))
    axis = TOWARDS_VENTRICLE / np.linalg.norm(TOWARDS_VENTRICLE)
    heights = places @ axis
    counts = ndimage.gaussian_filter1d(np.bincount(((heights - heights.min()) / VOXEL_MM).astype(int)).astype(float), 2.0)
    widest_beyond = np.maximum.accumulate(counts[::-1])[::-1]
    widest_before = np.maximum.accumulate(counts)
    ratio = np.minimum(widest_beyond, widest_before) / np.maximum(counts, 1.0)
    place = int(ratio[2:-2].argmax()) + 2 if len(ratio) > 4 else 0
    level = heights.min() + (place + 0.5) * VOXEL_MM
    if ratio[place] < NECK_RATIO or np.count_nonzero(heights > level) * VOXEL_MM**3 / 1000 < VENTRICLE_ML:
        return None
    waist = places[np.abs(heights - level) < VOXEL_MM].mean(axis=0)
    return CutPlane(MITRAL, tuple(waist.tolist()), tuple(axis.tolist()))
