"""An atrium-like shape on any number of points, moved as wanted, with scar that is defined in space: two surfaces whose overlap is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation

from LAScarSegLib.surface.mesh import oriented_surface
from LAScarSegLib.surface.polydata import mesh_polydata
from LAScarSegLib.surface.registration import RigidMotion
from LAScarSegLib.surface.surface import Surface

VEINS = np.array([[0.7, 0.5, 0.5], [0.7, 0.5, -0.3], [-0.75, 0.5, 0.4], [-0.7, 0.55, -0.35], [0.6, -0.6, 0.5]])
"""Where four veins and an appendage leave, seen from the middle."""
ANGLE_DEG, SHIFT_MM = 5.0, 5.0


def atrium(points: int = 3000, vein_mm: float = 18.0, size: tuple[float, float, float] = (38.0, 24.0, 30.0), turn: float = 0.0) -> Surface:
    """A closed surface of so many points: an ellipsoid with five stumps, `vein_mm` long; `turn` (radians) moves the points along it."""
    step = np.arange(points) + 0.5
    z, angle = 1 - 2 * step / points, np.pi * (1 + 5**0.5) * step + turn
    directions = np.stack([np.sqrt(1 - z**2) * np.cos(angle), np.sqrt(1 - z**2) * np.sin(angle), z], axis=1)
    triangles = ConvexHull(directions).simplices
    away = VEINS / np.linalg.norm(VEINS, axis=1, keepdims=True)
    bump = np.exp((directions @ away.T - 1.0) / 0.03).sum(axis=1)
    # Flatter behind than in front, as an atrium: a plain ellipsoid looks the same from both sides.
    radius = (1.0 - 0.25 * directions[:, 1] + 0.1 * directions[:, 0]) / np.linalg.norm(directions / np.array(size), axis=1) + vein_mm * bump
    corners = directions[triangles]
    outward = np.einsum("ij,ij->i", np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), corners[:, 0]) > 0
    triangles = np.where(outward[:, None], triangles, triangles[:, ::-1])
    return oriented_surface(directions * radius[:, None], triangles.astype(np.int64))


def with_scar(surface: Surface, *places: tuple[float, float, float], reach_mm: float = 14.0) -> Surface:
    """Scar within `reach_mm` of some places, and all of the surface measured wall."""
    near = np.linalg.norm(surface.points[:, None] - np.array(places)[None], axis=2) < reach_mm
    scar = near.any(axis=1)
    return surface.with_arrays(scar=scar, scar_class=scar.astype(np.uint8), region=np.ones(len(scar), dtype=np.uint8))


def by_a_threshold(surface: Surface, *places: tuple[float, float, float], reach_mm: float = 14.0) -> Surface:
    """The same scar with the grey levels that tell it: how much nearer than `reach_mm` a place is."""
    values = reach_mm - np.linalg.norm(surface.points[:, None] - np.array(places)[None], axis=2).min(axis=1)
    return with_scar(surface, *places, reach_mm=reach_mm).with_arrays(lge=values)


def decimated(surface: Surface) -> Surface:
    """The same shape of a third of the triangles."""
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkFiltersCore import vtkQuadricDecimation

    fewer = vtkQuadricDecimation()
    fewer.SetInputData(mesh_polydata(surface.points, surface.triangles))
    fewer.SetTargetReduction(0.67)
    fewer.Update()
    points, triangles = (vtk_to_numpy(data) for data in (fewer.GetOutput().GetPoints().GetData(), fewer.GetOutput().GetPolys().GetConnectivityArray()))
    return oriented_surface(points.astype(float), triangles.reshape(-1, 3).astype(np.int64))


def known_motion(
    angle_deg: float = ANGLE_DEG, shift_mm: float = SHIFT_MM, *, axis: Sequence[float] = (1.0, 2.0, -1.0), way: Sequence[float] = (0.6, 0.0, 0.8)
) -> tuple[np.ndarray, np.ndarray]:
    """A turn (3, 3) about `axis` and a shift (3,) along `way`."""
    return Rotation.from_rotvec(np.deg2rad(angle_deg) * np.array(axis) / np.linalg.norm(axis)).as_matrix(), shift_mm * np.array(way) / np.linalg.norm(way)


def moved(surface: Surface, turn: np.ndarray, shift: np.ndarray) -> Surface:
    return replace(surface, points=surface.points @ turn.T + shift, normals=surface.normals @ turn.T)


def left_of(motion: RigidMotion, mesh: Surface, turn: np.ndarray, shift: np.ndarray) -> tuple[float, float]:
    """Degrees and millimetres (mean over the points) that a motion which was found leaves of the one that `mesh` had been `moved` by."""
    angle = np.rad2deg(Rotation.from_matrix(motion.matrix[:3, :3] @ turn).magnitude())
    return float(angle), float(np.linalg.norm(motion.apply(moved(mesh, turn, shift).points) - mesh.points, axis=1).mean())
