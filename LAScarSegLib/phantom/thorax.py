"""What lies around the left atrium, as a painter would do it: from the chest wall inwards, the nearest structure last.

Positions follow axial LGE scans; grey levels (blood = 1) are SCIENCE section 7's. Origin: centre of the LA body, LPS mm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..volumes.volume import Geometry
from .atrium import Atrium, on_body
from .shapes import Shape, box_on_grid, curve, ellipsoid, in_front_of, tube, union, unit

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


@dataclass(frozen=True, eq=False)
class Thorax:
    """One LA with what lies around it: the shapes of every organ, the tissues' grey levels, how thick the LA's wall is."""

    organs: dict[str, Sequence[Shape]]
    tissue: Tissue
    wall_mm: float

    @classmethod
    def draw(cls, atrium: Atrium, rng: np.random.Generator) -> Thorax:
        """Organs that fit around `atrium`, a little different for every seed."""
        return cls(_draw_organs(atrium, rng), Tissue.draw(rng), atrium.wall_mm)

    def paint(self, geometry: Geometry, softness_mm: float) -> np.ndarray:
        """(k, j, i) float32 grey levels of everything on a grid, the LA with veins that go on and without its scar included.

        Edges are as soft as `softness_mm` says (partial volume). A stroke is an organ and its coats of (mm added all around,
        grey level), the widest first.
        """
        t = self.tissue
        strokes = (
            ("skin", (0, t.fat)),
            ("fat", (0, t.muscle)),
            ("ribs", (1.2, 0.12), (0, t.bone)),
            ("muscle", (0, t.fat)),
            ("lungs", (0, t.lung)),
            ("lung vessels", (0, 0.85)),
            ("liver", (0, t.liver)),
            # Fat around the heart and along the spine, before the organs in it.
            ("left ventricle", (13.0, t.fat)),
            ("right ventricle", (6.0, t.fat)),
            ("right heart", (MEDIASTINAL_FAT_MM, t.fat)),
            ("descending aorta", (4.0, t.soft)),
            ("oesophagus", (7.0, t.soft)),
            ("left atrium", (4.0, t.fat)),
            ("spine", (RIM_MM + 1.5, t.soft), (RIM_MM, t.rim), (0, t.bone)),
            ("discs", (0, 0.5)),
            ("canal", (1.5, 0.15), (0, 0.22)),
            ("cord", (0, 0.5)),
            ("airways", (1.3, 0.45), (0, 0.02)),
            ("oesophagus", (1.8, t.oesophagus), (0, 0.55)),
            ("descending aorta", (1.3, t.vessel_wall), (0, 1.0)),
            ("right ventricle", (3.0, t.myocardium + 0.1), (0, t.right_blood)),
            ("right heart", (2.0, 0.62), (0, t.right_blood)),
            ("left ventricle", (9.5, t.myocardium)),
            ("ascending aorta", (1.5, t.vessel_wall), (0, 1.0)),
            ("left atrium", (self.wall_mm, t.wall), (0, 1.0)),
            ("left ventricle", (0, 1.0)),
            ("annulus", (0, t.annulus)),
        )
        picture = np.zeros(geometry.shape, np.float32)
        for organ, *coats in strokes:
            for shape in self.organs[organ]:
                _paint(picture, geometry, softness_mm, shape, coats)
        return picture


def _paint(picture: np.ndarray, geometry: Geometry, softness_mm: float, shape: Shape, coats: list[tuple[float, float]]) -> None:
    """Put the coats of one shape on `picture` (k, j, i), which lies on `geometry`."""
    reach = max(grown for grown, _ in coats) + softness_mm
    box = box_on_grid(shape.low, shape.high, geometry, reach)
    if min(box.shape) <= 0:
        return
    distance = shape.on_grid(geometry, box, reach)
    part = picture[box.slices]
    for grown, grey in coats:
        share = np.clip(0.5 - (distance - np.float32(grown)) / np.float32(softness_mm), 0, 1)
        part += share * (np.float32(grey) - part)


def _draw_organs(atrium: Atrium, rng: np.random.Generator) -> dict[str, Sequence[Shape]]:
    a, b, _ = atrium.semi_axes
    spine_x = float(rng.uniform(-10.0, -3.0))
    oesophagus_x = float(rng.uniform(2.0, 12.0))
    back = max(_back_wall_mm(atrium, x, z) for x in (spine_x, oesophagus_x, 16.0) for z in (-15.0, 0.0, 15.0))
    spine_y = back + float(rng.uniform(5.0, 8.0)) + SPINE_RADII_MM[1]
    size = (a / 34.0) ** 0.5
    skin, fat, muscle = _chest(spine_y, rng)
    cord = ((spine_x, spine_y + 24, FOOT), (spine_x, spine_y + 26, HEAD))

    def in_rib_cage(whole: Shape) -> Shape:
        return whole.where(lambda p: -muscle.distance(p) - 2.0)

    return {
        "skin": [skin],
        "fat": [fat],
        "muscle": [muscle],
        # On both sides of the mediastinum; they reach back along the spine.
        "lungs": [in_rib_cage(ellipsoid((side * 74, spine_y - 42, 10), (60, 82, 900), 2.6)) for side in (-1.0, 1.0)],
        "liver": [in_rib_cage(ellipsoid((-72, -15, -112), (85, 80, 60))), in_rib_cage(ellipsoid((78, 5, -122), (62, 68, 58)))],
        "lung vessels": _lung_vessels(atrium, rng),
        "spine": _spine(spine_x, spine_y),
        "discs": [ellipsoid((spine_x, spine_y, z), (17.5, 14.5, 2.6), 4.0) for z in np.arange(FOOT, HEAD, 25.0) + rng.uniform(0, 25)],
        "canal": [_pipe(8.5, *cord)],
        "cord": [_pipe(4.5, *cord)],
        "ribs": _ribs(spine_x, spine_y, rng),
        "airways": [_airways(atrium)],
        "oesophagus": [_oesophagus(atrium, oesophagus_x, spine_y)],
        "descending aorta": [_descending_aorta(spine_x, spine_y, back, rng)],
        "ascending aorta": [_ascending_aorta(atrium, size)],
        "right heart": [_right_heart(atrium, size)],
        "right ventricle": [ellipsoid((-2, -b - 56 * size, -34), (42 * size, 23 * size, 40 * size), 2.2)],
        "left ventricle": [_left_ventricle(atrium, size)],
        "left atrium": [atrium.open_shape],
        "annulus": [_ring(atrium.mitral.origin, atrium.mitral.axis, atrium.mitral.radius_mm + 1.5, 1.6)],
    }


def _back_wall_mm(atrium: Atrium, x: float, z: float) -> float:
    """How far back the LA's outer wall reaches at (x, z)."""
    y = np.linspace(-10.0, 60.0, 281, dtype=np.float32)
    outside = atrium.open_shape.distance(np.stack([np.full_like(y, x), y, np.full_like(y, z)])) > atrium.wall_mm
    return float(y[np.flatnonzero(~outside)[-1]]) if not outside.all() else 0.0


def _pipe(radius: np.ndarray | float, *controls: Sequence[float]) -> Shape:
    return tube(curve(*controls, points=9), radius)


def _across(axis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two unit vectors (3,) that stand on the unit vector `axis` and on each other; the first one lies in the axial plane."""
    u = unit(np.cross(axis, [0.0, 0.0, 1.0]))
    return u, np.cross(axis, u)


def _ring(centre: np.ndarray, axis: np.ndarray, radius: float, thickness: float) -> Shape:
    u, v = _across(axis)
    turn = np.linspace(0, 2 * np.pi, 33)[:, None]
    return tube(centre + radius * (np.cos(turn) * u + np.sin(turn) * v), thickness)


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


def _lung_vessels(atrium: Atrium, rng: np.random.Generator) -> list[Shape]:
    """Branches that leave the hila outwards, thinner and more numerous with distance, and the veins' own branches."""
    vessels = []
    for side in (-1.0, 1.0):
        hilum = np.array([side * (atrium.semi_axes[0] + 16.0), 6.0, 8.0])
        for _ in range(150):
            direction = unit(np.array([side * rng.uniform(0.1, 1.0), rng.normal(0.25, 0.55), rng.normal(0.0, 0.8)]))
            start = hilum + direction * rng.uniform(2.0, 75.0) + rng.normal(0, 5.0, 3)
            radius = float(np.clip(3.2 - 0.035 * np.linalg.norm(start - hilum), 0.7, 3.0)) * rng.uniform(0.6, 1.1)
            end = start + (direction + rng.normal(0, 0.35, 3)) * rng.uniform(8.0, 24.0)
            bend = (start + end) / 2 + rng.normal(0, 2.0, 3)
            vessels.append(tube(curve(start, bend, end, points=4), np.linspace(radius, 0.6 * radius, 4)))
    for line in atrium.lines:
        direction = unit(line[-1] - line[-4])
        for at in (5, 8, len(line) - 2, len(line) - 1):
            aim = direction + rng.normal(0, 0.55, 3)
            end = line[at] + aim * rng.uniform(18.0, 34.0)
            vessels.append(tube(curve(line[at], line[at] + 8 * direction, end, points=5), np.linspace(3.6, 1.4, 5)))
    return vessels


def _spine(x: float, y: float) -> list[Shape]:
    arch = union([_pipe(4.0, (x + side, y + 14, FOOT), (x + side, y + 14, HEAD)) for side in (-9, 9)])
    transverse = ellipsoid((x, y + 30, 0), (22, 4.5, 900))
    process = ellipsoid((x, y + 42, 0), (3.5, 14, 900))
    body = ellipsoid((x, y, 0), (*SPINE_RADII_MM, 900), 2.5)
    return [arch, transverse, process, body]


def _ribs(x: float, y: float, rng: np.random.Generator) -> list[Shape]:
    """Arcs from the spine around the chest, sloping down to the front."""
    ribs = []
    for level in np.arange(FOOT, HEAD + 60, 24.0) + rng.uniform(-12, 12):
        for side in (-1.0, 1.0):
            turn = np.linspace(0.15, 2.5, 12)
            line = np.stack([x + side * 127 * np.sin(turn) ** 0.8, y - 57 + 82 * np.cos(turn), level - 22 * turn], axis=1)
            ribs.append(tube(line, 4.0))
    return ribs


def _airways(atrium: Atrium) -> Shape:
    _, b, c = atrium.semi_axes
    fork = np.array([-3.0, 0.55 * b, c + 34.0])
    left = curve(fork, fork + [16, 3, -12], fork + [52, 10, -24])
    right = curve(fork, fork + [-12, 2, -12], fork + [-48, 6, -28])
    trachea = curve(fork + [0, -2, 70], fork, points=4)
    return union([tube(left, np.linspace(6.5, 4.5, 11)), tube(right, np.linspace(7.5, 5.0, 11)), tube(trachea, 8.5)], 3.0)


def _oesophagus(atrium: Atrium, x: float, spine_y: float) -> Shape:
    """A flat tube that lies on the LA's back wall, above and below it on the spine."""
    half_depth, coat = 2.2, 1.8
    z = np.arange(FOOT, HEAD + 1, 5.0)
    across = x + np.interp(z, [FOOT, -30, 30, HEAD], [10.0, 2.0, 0.0, -4.0])
    free = spine_y - SPINE_RADII_MM[1] - 5.0
    touching = [max(_back_wall_mm(atrium, xi, zi) + half_depth + coat - 0.3, free) if abs(zi) < 45 else free for xi, zi in zip(across, z)]
    line = np.stack([across, ndimage.gaussian_filter1d(touching, 1.0, mode="nearest"), z], axis=1)
    return tube(line, half_depth * 1.9, np.array([0.0, 1.0, 0.0]), 1.9)


def _descending_aorta(spine_x: float, spine_y: float, back: float, rng: np.random.Generator) -> Shape:
    radius = float(rng.uniform(10.5, 13.0))
    x = spine_x + 0.92 * SPINE_RADII_MM[0] + RIM_MM + 1.3 + 0.95 * radius
    y = max(back + radius + 1.3 + NEAR_MM, spine_y - 8.0)
    return _pipe(radius, (x + 3, y + 4, HEAD), (x, y, 10), (x - 6, y + 2, FOOT))


def _ascending_aorta(atrium: Atrium, size: float) -> Shape:
    _, b, c = atrium.semi_axes
    radius = 14.5 * size
    front = -(b + atrium.wall_mm + 1.5 + radius)
    root = atrium.mitral.origin + np.array([-17.0, -14.0, 12.0])
    arch = [(-8, front - 1, 0.4 * c), (-20, front - 4, 1.2 * c), (-18, front, HEAD)]
    line = curve(root + [10, -4, -10], root + [-2, -2, 2], *arch, points=13)
    line[:, 1] = np.minimum(line[:, 1], np.where(line[:, 2] > -0.2 * c, front, np.inf))
    return tube(line, radius)


def _right_heart(atrium: Atrium, size: float) -> Shape:
    """Right atrium, upper and lower caval vein, appendage, outflow tract, right and left pulmonary artery."""
    a, b, c = atrium.semi_axes
    septum = on_body(np.array([-0.78, -0.62, -0.25]), atrium.semi_axes)
    outward = np.array([-0.72, -0.62, -0.22])
    ra_centre = septum + outward * (24.0 * size + atrium.wall_mm) + [0, 0, -6]
    top = c + atrium.wall_mm + 14.0
    svc_x = min(ra_centre[0] + 8.0, -a * 0.75 - 12.0)
    lower_vein = curve(ra_centre + [2, 8, -20], ra_centre + [6, 18, -40], ra_centre + [6, 22, -110], points=7)
    appendage = curve(ra_centre + [4, -16, 14], ra_centre + [14, -30, 34], points=4)
    fork = (22, -b - 22, top + 2)
    return union(
        [
            ellipsoid(ra_centre, np.array([30.0, 33.0, 38.0]) * size, 2.2),
            _pipe(9.0, ra_centre + [6, 4, 20], (svc_x, -b - 8.0, 25), (svc_x + 3, -b - 6, HEAD)),
            tube(lower_vein, 11.5),
            tube(appendage, np.linspace(12, 7, 4)),
            _pipe(13.0, (16, -b - 58 * size, -14), (24, -b - 48, 22), (22, -b - 24, top + 2)),
            _pipe(np.linspace(11, 8.5, 9), fork, (0, -b * 0.5, top), (-56, -b * 0.4, top - 6)),
            _pipe(np.linspace(11, 8, 9), fork, (36, -b * 0.3, top + 4), (54, b * 0.6, top - 2)),
        ],
        4.0,
    )


def _left_ventricle(atrium: Atrium, size: float) -> Shape:
    """The blood of the left ventricle with its outflow tract, in front of the mitral plane."""
    axis = unit(LV_AXIS)
    mitral = atrium.mitral
    centre = mitral.origin + axis * 30.0 * size + np.array([-2.0, -6.0, 2.0])
    blood = ellipsoid(centre, (47 * size, 23 * size, 25 * size), 2.1, np.stack([axis, *_across(axis)], axis=1))
    outflow = curve(centre - axis * 8, mitral.origin + [-10, -14, 6], mitral.origin + [-17, -18, 14], points=5)
    return union([blood, tube(outflow, 11.0)], 6.0).where(in_front_of(mitral.origin, -mitral.axis))
