"""What lies around the left atrium, as a painter would do it: from the chest wall inwards, the nearest structure last.

Positions follow axial LGE scans; grey levels (blood = 1) are SCIENCE section 7's. Origin: centre of the LA body, LPS mm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..volumes.volume import Geometry
from .atrium import Atrium, on_body
from .shapes import Shape, box_on_grid, curve, dot, ellipsoid, tube, union

LV_AXIS = np.array([0.70, -0.56, -0.44])
HEAD, FOOT = 95.0, -95.0
"""Long structures end this far above and below the LA, beyond any scan of it."""
NEAR_MM = 1.0
"""Between the LA's wall and the descending aorta at the nearest."""
MEDIASTINAL_FAT_MM = 5.0
SPINE_RADII_MM, RIM_MM = (18.0, 16.0), 2.4
"""Vertebral bodies, and the bright ligaments around them."""


@dataclass(frozen=True)
class Tissue:
    """Grey levels over blood, drawn once per phantom (ranges of SCIENCE section 7)."""

    fat: float
    lung: float
    muscle: float
    myocardium: float
    right_blood: float
    vessel_wall: float
    oesophagus: float
    annulus: float
    wall: float
    bone: float = 0.30
    rim: float = 0.95
    soft: float = 0.50
    liver: float = 0.55

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Tissue:
        suppressed = rng.random() < 0.80
        return cls(
            fat=float(rng.uniform(0.22, 0.40) if suppressed else rng.uniform(1.2, 1.6)),
            lung=float(rng.uniform(0.02, 0.08)),
            muscle=float(rng.uniform(0.32, 0.45)),
            myocardium=float(rng.uniform(0.25, 0.42)),
            right_blood=float(rng.uniform(0.90, 1.0)),
            vessel_wall=float(rng.uniform(1.0, 1.4)),
            oesophagus=float(rng.uniform(1.05, 1.45)),
            annulus=float(rng.uniform(1.1, 1.5)),
            wall=float(rng.uniform(0.75, 0.90)),
        )


@dataclass(eq=False)
class Canvas:
    """Grey levels (k, j, i) on a grid, and painting on it with soft edges (partial volume)."""

    geometry: Geometry
    grey: np.ndarray
    softness_mm: float

    def paint(self, shape: Shape, *coats: tuple[float, float]) -> None:
        """Paint the shape in coats of (mm added all around, grey level), the widest first."""
        widest = max(grown for grown, _ in coats)
        box = box_on_grid(shape.low, shape.high, self.geometry, widest + self.softness_mm)
        if box is None:
            return
        distance = shape.on_grid(self.geometry, box, widest + self.softness_mm)
        part = self.grey[box.slices]
        for grown, grey in coats:
            share = np.clip(0.5 - (distance - np.float32(grown)) / np.float32(self.softness_mm), 0, 1)
            part += share * (np.float32(grey) - part)


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The organs around one LA, as shapes."""

    chest: tuple[Shape, Shape, Shape]
    """Skin, inner side of the fat, inner side of the muscle."""
    lungs: tuple[Shape, Shape]
    liver: tuple[Shape, ...]
    lung_vessels: tuple[Shape, ...]
    spine: tuple[Shape, ...]
    discs: tuple[Shape, ...]
    canal: Shape
    cord: Shape
    ribs: tuple[Shape, ...]
    airways: Shape
    oesophagus: Shape
    descending_aorta: Shape
    ascending_aorta: Shape
    right_heart: Shape
    right_ventricle: Shape
    left_ventricle: Shape
    annulus: Shape


def draw_neighbours(atrium: Atrium, rng: np.random.Generator) -> Neighbours:
    """Organs that fit around `atrium`, a little different for every seed."""
    a, b, _ = atrium.semi_axes
    spine_x = float(rng.uniform(-10.0, -3.0))
    oesophagus_x = float(rng.uniform(2.0, 12.0))
    back = max(_back_wall_mm(atrium, x, z) for x in (spine_x, oesophagus_x, 16.0) for z in (-15.0, 0.0, 15.0))
    spine_y = back + float(rng.uniform(5.0, 8.0)) + SPINE_RADII_MM[1]
    size = (a / 34.0) ** 0.5
    chest = _chest(spine_y, rng)
    return Neighbours(
        chest=chest,
        lungs=_lungs(chest[2], spine_y),
        liver=(ellipsoid((-72, -15, -112), (85, 80, 60)), ellipsoid((78, 5, -122), (62, 68, 58))),
        lung_vessels=_lung_vessels(atrium, rng),
        spine=_spine(spine_x, spine_y),
        discs=_discs(spine_x, spine_y, rng),
        canal=_pipe([(spine_x, spine_y + 24, FOOT), (spine_x, spine_y + 26, HEAD)], 8.5),
        cord=_pipe([(spine_x, spine_y + 24, FOOT), (spine_x, spine_y + 26, HEAD)], 4.5),
        ribs=_ribs(spine_x, spine_y, rng),
        airways=_airways(atrium),
        oesophagus=_oesophagus(atrium, oesophagus_x, spine_y),
        descending_aorta=_descending_aorta(spine_x, spine_y, back, rng),
        ascending_aorta=_ascending_aorta(atrium, size),
        right_heart=_right_heart(atrium, size),
        right_ventricle=ellipsoid((-2, -b - 56 * size, -34), (42 * size, 23 * size, 40 * size), 2.2),
        left_ventricle=_left_ventricle(atrium, size),
        annulus=_ring(atrium.mitral.origin, atrium.mitral.axis, atrium.mitral.radius_mm + 1.5, 1.6),
    )


def paint_thorax(canvas: Canvas, neighbours: Neighbours, atrium: Atrium, tissue: Tissue) -> None:
    """Paint everything, the LA with veins that go on and without its scar included, on `canvas`."""
    n, t = neighbours, tissue
    skin, fat, muscle = n.chest
    canvas.paint(skin, (0, t.fat))
    canvas.paint(fat, (0, t.muscle))
    for rib in n.ribs:
        canvas.paint(rib, (1.2, 0.12), (0, t.bone))
    canvas.paint(muscle, (0, t.fat))
    for lung in n.lungs:
        canvas.paint(lung, (0, t.lung))
    for vessel in n.lung_vessels:
        canvas.paint(vessel, (0, 0.85))
    for dome in n.liver:
        canvas.paint(dome.minus(lambda p: -muscle.distance(p) - 2.0), (0, t.liver))
    # Fat around the heart and along the spine, before the organs in it.
    canvas.paint(n.left_ventricle, (13.0, t.fat))
    canvas.paint(n.right_ventricle, (6.0, t.fat))
    canvas.paint(n.right_heart, (MEDIASTINAL_FAT_MM, t.fat))
    canvas.paint(n.descending_aorta, (4.0, t.soft))
    canvas.paint(n.oesophagus, (7.0, t.soft))
    canvas.paint(atrium.open_shape, (4.0, t.fat))
    _paint_organs(canvas, n, t)
    canvas.paint(atrium.open_shape, (atrium.wall_mm, t.wall), (0, 1.0))
    canvas.paint(n.left_ventricle, (0, 1.0))
    canvas.paint(n.annulus, (0, t.annulus))


def _paint_organs(canvas: Canvas, n: Neighbours, t: Tissue) -> None:
    for part in n.spine:
        canvas.paint(part, (RIM_MM + 1.5, t.soft), (RIM_MM, t.rim), (0, t.bone))
    for disc in n.discs:
        canvas.paint(disc, (0, 0.5))
    canvas.paint(n.canal, (1.5, 0.15), (0, 0.22))
    canvas.paint(n.cord, (0, 0.5))
    canvas.paint(n.airways, (1.3, 0.45), (0, 0.02))
    canvas.paint(n.oesophagus, (1.8, t.oesophagus), (0, 0.55))
    canvas.paint(n.descending_aorta, (1.3, t.vessel_wall), (0, 1.0))
    canvas.paint(n.right_ventricle, (3.0, t.myocardium + 0.1), (0, t.right_blood))
    canvas.paint(n.right_heart, (2.0, 0.62), (0, t.right_blood))
    canvas.paint(n.left_ventricle, (9.5, t.myocardium))
    canvas.paint(n.ascending_aorta, (1.5, t.vessel_wall), (0, 1.0))


def _back_wall_mm(atrium: Atrium, x: float, z: float) -> float:
    """How far back the LA's outer wall reaches at (x, z)."""
    y = np.linspace(-10.0, 60.0, 281, dtype=np.float32)
    outside = atrium.open_shape.distance(np.stack([np.full_like(y, x), y, np.full_like(y, z)])) > atrium.wall_mm
    return float(y[np.flatnonzero(~outside)[-1]]) if not outside.all() else 0.0


def _pipe(line: list[tuple[float, float, float]], radius: float) -> Shape:
    points = curve(*line, points=9)
    return tube(points, np.full(len(points), radius))


def _ring(centre: np.ndarray, axis: np.ndarray, radius: float, thickness: float) -> Shape:
    u = np.cross(axis, [0.0, 0.0, 1.0])
    u /= np.linalg.norm(u)
    turn = np.linspace(0, 2 * np.pi, 33)[:, None]
    line = centre + radius * (np.cos(turn) * u + np.sin(turn) * np.cross(axis, u))
    return tube(line, np.full(len(line), thickness))


def _chest(spine_y: float, rng: np.random.Generator) -> tuple[Shape, Shape, Shape]:
    """Skin, fat's inner side, rib cage's inner side: flat ellipses, endless along z."""
    width, depth = rng.uniform(150, 164), rng.uniform(104, 114)
    centre_y = spine_y + 62.0 - depth
    fat = rng.uniform(9, 18)
    return (
        ellipsoid((0, centre_y, 0), (width, depth, 900), 2.4),
        ellipsoid((0, centre_y + 1, 0), (width - 1.2 * fat, depth - fat, 900), 2.3),
        ellipsoid((0, centre_y - 10, 0), (width - 1.2 * fat - 15, depth - fat - 16, 900), 2.2),
    )


def _lungs(chest: Shape, spine_y: float) -> tuple[Shape, Shape]:
    """Two lungs on both sides of the mediastinum, within the rib cage; they reach back along the spine."""

    def lung(side: float) -> Shape:
        whole = ellipsoid((side * 74, spine_y - 42, 10), (60, 82, 900), 2.6)
        return Shape(lambda p: np.maximum(whole.distance(p), chest.distance(p) + 2.0), whole.low, whole.high)

    return lung(-1.0), lung(1.0)


def _lung_vessels(atrium: Atrium, rng: np.random.Generator) -> tuple[Shape, ...]:
    """Branches that leave the hila outwards, thinner and more numerous with distance, and the veins' own branches."""
    vessels = []
    for side in (-1.0, 1.0):
        hilum = np.array([side * (atrium.semi_axes[0] + 16.0), 6.0, 8.0])
        for _ in range(150):
            direction = np.array([side * rng.uniform(0.1, 1.0), rng.normal(0.25, 0.55), rng.normal(0.0, 0.8)])
            direction /= np.linalg.norm(direction)
            start = hilum + direction * rng.uniform(2.0, 75.0) + rng.normal(0, 5.0, 3)
            radius = float(np.clip(3.2 - 0.035 * np.linalg.norm(start - hilum), 0.7, 3.0)) * rng.uniform(0.6, 1.1)
            end = start + (direction + rng.normal(0, 0.35, 3)) * rng.uniform(8.0, 24.0)
            bend = (start + end) / 2 + rng.normal(0, 2.0, 3)
            vessels.append(tube(curve(start, bend, end, points=4), np.linspace(radius, 0.6 * radius, 4)))
    for line in atrium.lines.values():
        direction = line[-1] - line[-4]
        direction /= np.linalg.norm(direction)
        for at in (5, 8, len(line) - 2, len(line) - 1):
            aim = direction + rng.normal(0, 0.55, 3)
            end = line[at] + aim * rng.uniform(18.0, 34.0)
            vessels.append(tube(curve(line[at], line[at] + 8 * direction, end, points=5), np.linspace(3.6, 1.4, 5)))
    return tuple(vessels)


def _spine(x: float, y: float) -> tuple[Shape, ...]:
    body = ellipsoid((x, y, 0), (*SPINE_RADII_MM, 900), 2.5)
    arch = union([_pipe([(x - 9, y + 14, z) for z in (FOOT, HEAD)], 4.0), _pipe([(x + 9, y + 14, z) for z in (FOOT, HEAD)], 4.0)])
    process = ellipsoid((x, y + 42, 0), (3.5, 14, 900))
    transverse = ellipsoid((x, y + 30, 0), (22, 4.5, 900))
    return (arch, transverse, process, body)


def _discs(x: float, y: float, rng: np.random.Generator) -> tuple[Shape, ...]:
    first = rng.uniform(0, 25)
    return tuple(ellipsoid((x, y, z + first), (17.5, 14.5, 2.6), 4.0) for z in np.arange(FOOT, HEAD, 25.0))


def _ribs(x: float, y: float, rng: np.random.Generator) -> tuple[Shape, ...]:
    """Arcs from the spine around the chest, sloping down to the front."""
    ribs = []
    for level in np.arange(FOOT, HEAD + 60, 24.0) + rng.uniform(-12, 12):
        for side in (-1.0, 1.0):
            turn = np.linspace(0.15, 2.5, 12)
            line = np.stack([x + side * 127 * np.sin(turn) ** 0.8, y - 57 + 82 * np.cos(turn), level - 22 * turn], axis=1)
            ribs.append(tube(line, np.full(len(line), 4.0)))
    return tuple(ribs)


def _airways(atrium: Atrium) -> Shape:
    _, b, c = atrium.semi_axes
    fork = np.array([-3.0, 0.55 * b, c + 34.0])
    left = curve(fork, fork + [16, 3, -12], fork + [52, 10, -24])
    right = curve(fork, fork + [-12, 2, -12], fork + [-48, 6, -28])
    trachea = curve(fork + [0, -2, 70], fork, points=4)
    return union([tube(left, np.linspace(6.5, 4.5, 11)), tube(right, np.linspace(7.5, 5.0, 11)), tube(trachea, np.full(4, 8.5))], 3.0)


def _oesophagus(atrium: Atrium, x: float, spine_y: float) -> Shape:
    """A flat tube that lies on the LA's back wall, above and below it on the spine."""
    half_depth, coat = 2.2, 1.8
    z = np.arange(FOOT, HEAD + 1, 5.0)
    across = x + np.interp(z, [FOOT, -30, 30, HEAD], [10.0, 2.0, 0.0, -4.0])
    free = spine_y - SPINE_RADII_MM[1] - 5.0
    touching = [max(_back_wall_mm(atrium, xi, zi) + half_depth + coat - 0.3, free) if abs(zi) < 45 else free for xi, zi in zip(across, z)]
    line = np.stack([across, ndimage.gaussian_filter1d(touching, 1.0, mode="nearest"), z], axis=1)
    return tube(line, np.full(len(line), half_depth * 1.9), np.array([0.0, 1.0, 0.0]), 1.9)


def _descending_aorta(spine_x: float, spine_y: float, back: float, rng: np.random.Generator) -> Shape:
    radius = float(rng.uniform(10.5, 13.0))
    x = spine_x + 0.92 * SPINE_RADII_MM[0] + RIM_MM + 1.3 + 0.95 * radius
    y = max(back + radius + 1.3 + NEAR_MM, spine_y - 8.0)
    return _pipe([(x + 3, y + 4, HEAD), (x, y, 10), (x - 6, y + 2, FOOT)], radius)


def _ascending_aorta(atrium: Atrium, size: float) -> Shape:
    _, b, c = atrium.semi_axes
    radius = 14.5 * size
    front = -(b + atrium.wall_mm + 1.5 + radius)
    root = atrium.mitral.origin + np.array([-17.0, -14.0, 12.0])
    arch = [(-8, front - 1, 0.4 * c), (-20, front - 4, 1.2 * c), (-18, front, HEAD)]
    line = curve(root + [10, -4, -10], root + [-2, -2, 2], *arch, points=13)
    line[:, 1] = np.minimum(line[:, 1], np.where(line[:, 2] > -0.2 * c, front, np.inf))
    return tube(line, np.full(len(line), radius))


def _right_heart(atrium: Atrium, size: float) -> Shape:
    """Right atrium, caval veins, outflow tract and pulmonary arteries."""
    a, b, c = atrium.semi_axes
    septum = on_body(np.array([-0.78, -0.62, -0.25]), atrium.semi_axes)
    outward = np.array([-0.72, -0.62, -0.22])
    radii = np.array([30.0, 33.0, 38.0]) * size
    ra_centre = septum + outward * (24.0 * size + atrium.wall_mm) + [0, 0, -6]
    top = c + atrium.wall_mm + 14.0
    svc_x = min(ra_centre[0] + 8.0, -a * 0.75 - 12.0)
    svc = curve(ra_centre + [6, 4, 20], (svc_x, -b - 8.0, 25), (svc_x + 3, -b - 6, HEAD), points=9)
    ivc = curve(ra_centre + [2, 8, -20], ra_centre + [6, 18, -40], ra_centre + [6, 22, -110], points=7)
    trunk = curve((16, -b - 58 * size, -14), (24, -b - 48, 22), (22, -b - 24, top + 2), points=9)
    right = curve((22, -b - 22, top + 2), (0, -b * 0.5, top), (-56, -b * 0.4, top - 6), points=9)
    left = curve((22, -b - 22, top + 2), (36, -b * 0.3, top + 4), (54, b * 0.6, top - 2), points=9)
    appendage = curve(ra_centre + [4, -16, 14], ra_centre + [14, -30, 34], points=4)
    return union(
        [
            ellipsoid(ra_centre, radii, 2.2), tube(svc, np.full(9, 9.0)), tube(ivc, np.full(7, 11.5)),
            tube(appendage, np.linspace(12, 7, 4)), tube(trunk, np.full(9, 13.0)),
            tube(right, np.linspace(11, 8.5, 9)), tube(left, np.linspace(11, 8, 9)),
        ],
        4.0,
    )  # fmt: skip


def _left_ventricle(atrium: Atrium, size: float) -> Shape:
    """The blood of the left ventricle with its outflow tract, in front of the mitral plane."""
    axis = LV_AXIS / np.linalg.norm(LV_AXIS)
    u = np.cross(axis, [0.0, 0.0, 1.0])
    u /= np.linalg.norm(u)
    axes = np.stack([axis, u, np.cross(axis, u)], axis=1)
    mitral = atrium.mitral
    centre = mitral.origin + axis * 30.0 * size + np.array([-2.0, -6.0, 2.0])
    blood = ellipsoid(centre, (47 * size, 23 * size, 25 * size), 2.1, axes)
    outflow = curve(centre - axis * 8, mitral.origin + [-10, -14, 6], mitral.origin + [-17, -18, 14], points=5)
    shape = union([blood, tube(outflow, np.full(5, 11.0))], 6.0)
    return shape.minus(lambda p: dot(mitral.axis, p) - np.float32(mitral.origin @ mitral.axis))
