"""Solid shapes as functions: negative inside, growing in about millimetres outside.

Points are arrays of shape (3, …) in LPS mm. A shape knows the box it lies in, so that it is evaluated only there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..volumes.volume import Box, Geometry

FAR_MM = 60.0
"""The value of a shape outside its box: far outside."""

Field = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Shape:
    """A solid: `distance(points)` is negative inside (about mm near the surface); `low`, `high` are its box's corners (3,).

    A union keeps its `parts` and `blend_mm`, so that on a grid each part is evaluated only where it lies.
    """

    distance: Field
    low: np.ndarray
    high: np.ndarray
    parts: tuple[Shape, ...] = ()
    blend_mm: float = 0.0

    def where(self, field: Field) -> Shape:
        """The part of the shape where `field` is positive."""
        return Shape(lambda p: np.maximum(self.distance(p), -field(p)), self.low, self.high)

    def on_grid(self, geometry: Geometry, box: Box, reach_mm: float) -> np.ndarray:
        """`distance` at the voxel centres in `box` (k, j, i); farther than `reach_mm` from a part it may read `FAR_MM`."""
        if not self.parts:
            return self.distance(grid_points(geometry, box))
        total = np.full(box.shape, np.float32(FAR_MM))
        for part in self.parts:
            own = box.within(box_on_grid(part.low, part.high, geometry, reach_mm + self.blend_mm))
            if min(own.shape) > 0:
                inner = own.seen_from(box).slices
                total[inner] = smooth_minimum(total[inner], part.distance(grid_points(geometry, own)), self.blend_mm)
        return total


def ellipsoid(centre: Sequence[float], radii: Sequence[float], power: float = 2.0, axes: np.ndarray | None = None) -> Shape:
    """Superellipsoid (power 2: ellipsoid; above: boxier). `axes` (3, 3) holds its axes in columns, LPS by default.

    The value is (g − 1)/|∇g| with g the shape's gauge: the distance to first order.
    """
    centre, radii = np.asarray(centre, np.float32), np.asarray(radii, np.float32)
    axes = np.eye(3, dtype=np.float32) if axes is None else np.asarray(axes, np.float32)

    def distance(p: np.ndarray) -> np.ndarray:
        offset = p - spread(centre, p)
        scaled = [np.abs(dot(axes[:, a], offset)) / radii[a] + np.float32(1e-4) for a in range(3)]
        gauge = sum(q**power for q in scaled) ** (1 / power)
        slope = sum(((q / gauge) ** (power - 1) / r) ** 2 for q, r in zip(scaled, radii))
        return (gauge - 1) / np.sqrt(slope)

    reach = np.abs(axes) @ radii
    return Shape(distance, centre - reach, centre + reach)


def tube(line: np.ndarray, radii: np.ndarray | float, flat: np.ndarray | None = None, flatness: float = 1.0) -> Shape:
    """A tube with round ends along the polyline `line` (n, 3) with one radius, or one (n,) at every point.

    With `flat` (unit vector) and `flatness` > 1 the section is oval: `flatness` times thinner along `flat`.
    """
    line = np.asarray(line, np.float32)
    radii = np.broadcast_to(np.asarray(radii, np.float32), len(line))
    flat = np.zeros(3, np.float32) if flat is None else np.asarray(flat, np.float32)
    middle = line.mean(axis=0)
    stretch = np.float32(flatness - 1)
    bent = line + stretch * ((line - middle) @ flat)[:, None] * flat

    def distance(p: np.ndarray) -> np.ndarray:
        if stretch:
            p = p + stretch * dot(flat, p - spread(middle, p)) * spread(flat, p)
        best = np.full(p.shape[1:], np.float32(FAR_MM * 4))
        for a, b, ra, rb in zip(bent[:-1], bent[1:], radii[:-1], radii[1:]):
            along = b - a
            offset = p - spread(a, p)
            t = np.clip(dot(along / (along @ along), offset), 0, 1)
            squared = sum((offset[axis] - t * along[axis]) ** 2 for axis in range(3))
            np.minimum(best, np.sqrt(squared) - (ra + t * (rb - ra)), out=best)
        return best

    return Shape(distance, line.min(axis=0) - radii.max(), line.max(axis=0) + radii.max())


def union(shapes: Sequence[Shape], blend_mm: float = 0.0) -> Shape:
    """All shapes together; with `blend_mm` the seams are rounded (polynomial smooth minimum)."""

    def distance(p: np.ndarray) -> np.ndarray:
        total = shapes[0].distance(p)
        for shape in shapes[1:]:
            total = smooth_minimum(total, shape.distance(p), blend_mm)
        return total

    low = np.min([s.low for s in shapes], axis=0) - blend_mm
    return Shape(distance, low, np.max([s.high for s in shapes], axis=0) + blend_mm, tuple(shapes), blend_mm)


def dot(vector: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Scalar product of a vector (3,) with points (3, …), in the points' type.

    Written out: numpy's own hands so small a product to BLAS, whose threads wait for each other on a busy machine.
    """
    x, y, z = np.asarray(vector, points.dtype)
    return x * points[0] + y * points[1] + z * points[2]


def spread(vector: np.ndarray, points: np.ndarray) -> np.ndarray:
    """A vector (3,) in the shape and type in which it is added to points (3, …)."""
    return vector.astype(points.dtype).reshape(3, *[1] * (points.ndim - 1))


def unit(vector: np.ndarray) -> np.ndarray:
    """The vector (3,) with a length of 1."""
    return vector / np.linalg.norm(vector)


def in_front_of(origin: np.ndarray, axis: np.ndarray) -> Field:
    """mm in front of the plane through `origin` (negative beyond it, where the unit vector `axis` points) of points (3, …)."""
    return lambda p: np.float32(origin @ axis) - dot(axis, p)


def smooth_minimum(a: np.ndarray, b: np.ndarray, blend_mm: float) -> np.ndarray:
    """min(a, b), rounded where they differ by less than `blend_mm`."""
    if blend_mm <= 0:
        return np.minimum(a, b)
    h = np.maximum(blend_mm - np.abs(a - b), 0) / np.float32(blend_mm)
    return np.minimum(a, b) - h * h * np.float32(blend_mm / 4)


def curve(*controls: Sequence[float], points: int = 11) -> np.ndarray:
    """(points, 3) along the Bézier curve of the control points."""
    level = np.repeat(np.asarray(controls, dtype=float)[:, None], points, axis=1)
    t = np.linspace(0, 1, points)[:, None]
    while len(level) > 1:
        level = level[:-1] * (1 - t) + level[1:] * t
    return level[0]


def box_on_grid(low: np.ndarray, high: np.ndarray, geometry: Geometry, margin_mm: float) -> Box:
    """The block of voxels of `geometry` that holds the LPS box low…high with a margin; without voxels when they don't meet."""
    corners = np.array(np.meshgrid(*zip(np.asarray(low) - margin_mm, np.asarray(high) + margin_mm))).reshape(3, -1).T
    index = geometry.lps_to_index(corners)[:, ::-1]
    start = np.maximum(np.floor(index.min(axis=0)).astype(int), 0)
    stop = np.minimum(np.ceil(index.max(axis=0)).astype(int) + 1, geometry.shape)
    return Box(tuple(start.tolist()), tuple(stop.tolist()))


def grid_points(geometry: Geometry, box: Box) -> np.ndarray:
    """(3, k, j, i) float32 LPS mm of the voxel centres in `box`."""
    k, j, i = np.ogrid[box.slices]
    return np.stack([(row[3] + row[2] * k + row[1] * j + row[0] * i).astype(np.float32) for row in geometry.index_to_lps_matrix[:3]])
