"""One LA surface laid onto another: a rigid motion, and on request a smooth bending after it. Deterministic: nothing is drawn by chance.

Point-to-plane iterative closest points (Chen & Medioni 1992) between samples spread evenly over both areas, in both directions; from several
starts. Veins are cut at different lengths, so that squares would count them too much: first the farthest pairs are left out (trimmed ICP,
Chetverikov et al. 2005), then the sum of the distances is made least, which is the volume between the surfaces. Trimming alone would stay in a
wrong place, since the place chooses the pairs that speak for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from .closest_points import ClosestPoints
from .mesh_repair import triangle_areas_mm2
from .surface import Surface

COARSE_SAMPLES, FINE_SAMPLES = (300, 3000), (4000, 30000)
"""Points that look for a partner, and points among which it is looked for (on an atrium 7 and 2 mm apart at first, 2 and 0.7 mm at the end)."""
COARSE_STEPS, FINE_STEPS = 30, 80
KEPT = 0.7
"""Of the pairs, at first, and of the residual: vein stumps of another length, the appendage and the mitral lid are some 20 to 30 % of an
atrium's area."""
SMALLEST_GAP_MM = 0.1
"""Distances are made least by squares that are weighted with one over the distance (Weiszfeld), and a smaller one counts as this."""
CAP_MM = 10.0
"""A vein that is not there in the other surface is wrong by this, however long it is."""
ALIKE_COSINE = 0.5
"""Two points are no pair when their normals differ by more than 60°: opposite sides of a vein, of the ridge beside the appendage."""
STILL_MM, STILL_RAD = 1e-3, 1e-5
START_DEG = 20.0
"""The starts beside the plain one are turned by this about each axis: the atrium's tilt differs by less between two scans of a patient."""
RESIDUAL_SAMPLES = 4000
BENDING_REACH_MM, BENDING_STEPS, BENDING_MAX_MM = 20.0, 4, 6.0
"""The bending is an average over a Gaussian of this width: a phase of the heartbeat, not a fold; beyond 6 mm nothing is bent."""
BENDING_SAMPLES, BLOCK, LEAST_WEIGHT = 800, 4000, 1e-3
"""Points that say which way to bend, 4 mm apart; points that are bent at once; less weight than this is no knowledge."""
PLASTIC = 1.32471795724474602596
"""The root of x³ = x + 1: its powers spread pairs of numbers evenly (Roberts 2018, R2 sequence)."""


@dataclass(frozen=True, eq=False)
class RigidMotion:
    """A turn and a shift: `matrix` (4, 4) takes the moving surface's LPS mm to the fixed one's; `centre` (3,) the moving one's centroid."""

    matrix: np.ndarray
    centre: np.ndarray

    @property
    def angle_deg(self) -> float:
        """By how much it turns."""
        return float(np.rad2deg(Rotation.from_matrix(self.matrix[:3, :3]).magnitude()))

    @property
    def shift_mm(self) -> float:
        """How far the moving surface's centroid goes."""
        return float(np.linalg.norm(self.apply(self.centre[None])[0] - self.centre))

    def apply(self, points: np.ndarray) -> np.ndarray:
        """(n, 3) points moved."""
        return points @ self.matrix[:3, :3].T + self.matrix[:3, 3]

    def turn(self, vectors: np.ndarray) -> np.ndarray:
        """(n, 3) directions turned."""
        return vectors @ self.matrix[:3, :3].T


@dataclass(frozen=True)
class Residual:
    """What is left between two surfaces, mm, over the area of both: the mean, the 95th percentile, and the mean of the nearer `KEPT`."""

    mean_mm: float
    p95_mm: float
    trimmed_mean_mm: float

    def to_json(self) -> dict[str, float]:
        return {"mean_mm": self.mean_mm, "p95_mm": self.p95_mm, "trimmed_mean_mm": self.trimmed_mean_mm}


@dataclass(frozen=True, eq=False)
class Registration:
    """`moved`: the moving surface where it comes to lie; `motion`; what is left after it, and after bending where that was asked for."""

    moved: Surface
    motion: RigidMotion
    residual: Residual
    bent_residual: Residual | None = None
    bent_by_mm: float = 0.0
    """The largest bending."""


@dataclass(frozen=True, eq=False)
class _Cloud:
    """Points (n, 3) spread evenly over a surface's area, with its normals there (n, 3)."""

    points: np.ndarray
    normals: np.ndarray

    @cached_property
    def tree(self) -> KDTree:
        return KDTree(self.points)

    def moved(self, motion: RigidMotion) -> _Cloud:
        return _Cloud(motion.apply(self.points), motion.turn(self.normals))


@dataclass(frozen=True, eq=False)
class _Shape:
    """A surface as the registration sees it: few points that look for a partner, many among which it is looked for."""

    few: _Cloud
    many: _Cloud

    @classmethod
    def of(cls, surface: Surface, samples: tuple[int, int]) -> _Shape:
        few, many = samples
        return cls(spread(surface, few), spread(surface, many))


def spread(surface: Surface, count: int) -> _Cloud:
    """`count` points spread evenly over the area, always the same."""
    areas = triangle_areas_mm2(surface.points, surface.triangles)
    ends = np.cumsum(areas)
    triangle = np.searchsorted(ends, (np.arange(count) + 0.5) / count * ends[-1]).clip(max=len(areas) - 1)
    u, v = ((0.5 + np.arange(count) / PLASTIC**power) % 1.0 for power in (1, 2))
    root = np.sqrt(u)[:, None]
    corners = surface.points[surface.triangles[triangle]]
    a, b, c = np.moveaxis(corners, 1, 0)
    return _Cloud((1 - root) * a + root * (1 - v[:, None]) * b + root * v[:, None] * c, _face_normals(corners))


def _face_normals(corners: np.ndarray) -> np.ndarray:
    """(n, 3) unit normals of triangles (n, 3, 3)."""
    a, b, c = np.moveaxis(corners, 1, 0)
    normals = np.cross(b - a, c - a)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), np.finfo(float).tiny)


def register(moving: Surface, fixed: Surface, bend: bool = False) -> Registration:
    """Lay `moving` onto `fixed`.

    Parameters
    ----------
    bend
        after the rigid motion bend the moving surface smoothly towards the fixed one.
    """
    coarse = _Shape.of(moving, COARSE_SAMPLES), _Shape.of(fixed, COARSE_SAMPLES)
    tried = [_icp(*coarse, start, COARSE_STEPS, _nearer) for start in _starts(coarse[0].many.points, coarse[1].many.points)]
    best = min(tried, key=lambda motion: _misfit(*coarse, motion))
    motion = _icp(_Shape.of(moving, FINE_SAMPLES), _Shape.of(fixed, FINE_SAMPLES), best, FINE_STEPS, _least_distances)
    moved = replace(moving, points=motion.apply(moving.points), normals=motion.turn(moving.normals))
    registration = Registration(moved, motion, residual_of(moved, fixed))
    return _bent(registration, fixed) if bend else registration


def residual_of(one: Surface, other: Surface) -> Residual:
    """Distances of either surface's area to the other."""
    distances = np.concatenate(
        [ClosestPoints(target).of(spread(source, RESIDUAL_SAMPLES).points).distance_mm for source, target in ((one, other), (other, one))]
    )
    nearer = np.sort(distances)[: round(KEPT * len(distances))]
    return Residual(float(distances.mean()), float(np.percentile(distances, 95)), float(nearer.mean()))


def _starts(moving: np.ndarray, fixed: np.ndarray) -> list[RigidMotion]:
    """Where to begin: as the files lie; centroid on centroid, plain and turned about each axis; principal axis on principal axis."""
    centre = moving.mean(axis=0)
    turns = [Rotation.identity()]
    turns += [Rotation.from_rotvec(sign * np.deg2rad(START_DEG) * axis) for axis in np.eye(3) for sign in (1, -1)]
    own, others = (np.linalg.svd(points - points.mean(axis=0), full_matrices=False)[2] for points in (moving, fixed))
    for first, second in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        signs = np.array([first, second, 1.0])
        # Of the third axis the sign is what makes it a turn and no mirror image.
        signs[2] = np.sign(np.linalg.det(others) * np.linalg.det(own)) * first * second
        turns.append(Rotation.from_matrix(others.T @ (signs[:, None] * own)))
    about = [_about(turn.as_matrix(), centre, fixed.mean(axis=0)) for turn in turns]
    return [RigidMotion(np.eye(4), centre), *about]


def _about(turn: np.ndarray, centre: np.ndarray, target: np.ndarray) -> RigidMotion:
    """Turn about `centre`, which goes to `target`."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn, target - turn @ centre
    return RigidMotion(matrix, centre)


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Moved points `p` (n, 3) with their partners `q` (n, 3) on the fixed surface, the normals (n, 3) of the planes between them, and which
    of them (n,) face the same way."""

    p: np.ndarray
    q: np.ndarray
    normals: np.ndarray
    alike: np.ndarray

    @cached_property
    def gap_mm(self) -> np.ndarray:
        """(n,) how far each point lies below its plane."""
        return np.einsum("ij,ij->i", self.q - self.p, self.normals)

    @classmethod
    def between(cls, moving: _Shape, fixed: _Shape, motion: RigidMotion) -> _Pairs:
        """Each surface's few points with the nearest of the other's many."""
        few = moving.few.moved(motion)
        onto = fixed.many.tree.query(few.points)[1]
        # The fixed points are taken back instead of moving the many.
        back = RigidMotion(np.linalg.inv(motion.matrix), motion.centre)
        found = moving.many.tree.query(back.apply(fixed.few.points))[1]
        there = _Cloud(moving.many.points[found], moving.many.normals[found]).moved(motion)
        own, others = np.concatenate([few.normals, there.normals]), np.concatenate([fixed.many.normals[onto], fixed.few.normals])
        return cls(
            np.concatenate([few.points, there.points]), np.concatenate([fixed.many.points[onto], fixed.few.points]),
            np.concatenate([fixed.many.normals[onto], there.normals]), np.einsum("ij,ij->i", own, others) > ALIKE_COSINE,
        )  # fmt: skip


def _nearer(pairs: _Pairs) -> np.ndarray:
    """(n,) weights: the nearer `KEPT` of the pairs and no others."""
    far = np.linalg.norm(pairs.p - pairs.q, axis=1)
    return (far <= np.quantile(far, KEPT)).astype(float)


def _least_distances(pairs: _Pairs) -> np.ndarray:
    """(n,) weights with which the squares of the gaps are the gaps."""
    return 1.0 / np.maximum(np.abs(pairs.gap_mm), SMALLEST_GAP_MM)


def _icp(moving: _Shape, fixed: _Shape, motion: RigidMotion, steps: int, weigh: Callable[[_Pairs], np.ndarray]) -> RigidMotion:
    for _ in range(steps):
        pairs = _Pairs.between(moving, fixed, motion)
        weight = weigh(pairs) * pairs.alike
        # Too few agree to say anything: all of them then.
        weight = weight if np.count_nonzero(weight) > len(weight) // 10 else np.ones(len(weight))
        centre, root = np.average(pairs.p, axis=0, weights=weight), np.sqrt(weight)
        system = np.concatenate([np.cross(pairs.p - centre, pairs.normals), pairs.normals], axis=1)
        change, *_ = np.linalg.lstsq(root[:, None] * system, root * pairs.gap_mm, rcond=None)
        turn = Rotation.from_rotvec(change[:3]).as_matrix()
        step = _about(turn, centre, centre + change[3:])
        motion = RigidMotion(step.matrix @ motion.matrix, motion.centre)
        if np.linalg.norm(change[3:]) < STILL_MM and np.linalg.norm(change[:3]) < STILL_RAD:
            break
    return motion


def _misfit(moving: _Shape, fixed: _Shape, motion: RigidMotion) -> float:
    """The mean distance in mm, each counted up to `CAP_MM`: veins decide which way round a body lies, though they may be cut differently."""
    back = RigidMotion(np.linalg.inv(motion.matrix), motion.centre)
    far = [fixed.many.tree.query(motion.apply(moving.few.points))[0], moving.many.tree.query(back.apply(fixed.few.points))[0]]
    return float(np.minimum(np.concatenate(far), CAP_MM).mean())


def _bent(registration: Registration, fixed: Surface) -> Registration:
    """Bend the moved surface towards the fixed one by a smooth field: Gaussian averages of the way to the nearest point."""
    moved, start = registration.moved, registration.moved.points
    target = ClosestPoints(fixed)
    fixed_normals = _face_normals(fixed.points[fixed.triangles])
    for _ in range(BENDING_STEPS):
        cloud = spread(moved, BENDING_SAMPLES)
        closest = target.of(cloud.points)
        far = closest.distance_mm
        alike = np.einsum("ij,ij->i", cloud.normals, fixed_normals[closest.triangle]) > ALIKE_COSINE
        kept = alike & (far <= min(float(np.quantile(far, KEPT)), BENDING_MAX_MM))
        if not kept.any():
            break
        points = moved.points + _smooth(moved.points, cloud.points[kept], (closest.points - cloud.points)[kept])
        way = points - start
        length = np.linalg.norm(way, axis=1, keepdims=True)
        moved = replace(moved, points=start + way * np.minimum(1.0, BENDING_MAX_MM / np.maximum(length, np.finfo(float).tiny)))
    largest = float(np.linalg.norm(moved.points - start, axis=1).max())
    return replace(registration, moved=moved, bent_residual=residual_of(moved, fixed), bent_by_mm=largest)


def _smooth(at: np.ndarray, points: np.ndarray, ways: np.ndarray) -> np.ndarray:
    """(N, 3) the average of `ways` (n, 3), known at `points` (n, 3), around each of `at` (N, 3)."""
    # Around the common middle, where the squares of the distances lose no digits.
    at, points = ((part - points.mean(axis=0)) / BENDING_REACH_MM for part in (at, points))
    smoothed = np.empty_like(at)
    for rows in np.array_split(np.arange(len(at)), len(at) // BLOCK + 1):
        square = (at[rows] ** 2).sum(axis=1)[:, None] + (points**2).sum(axis=1) - 2.0 * at[rows] @ points.T
        weight = np.exp(-0.5 * square)
        # Far from all of them hardly anything is known, and nothing is bent.
        smoothed[rows] = weight @ ways / np.maximum(weight.sum(axis=1, keepdims=True), LEAST_WEIGHT)
    return smoothed
