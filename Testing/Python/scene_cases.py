"""What the tests of the scene share: grids of every kind, and a ball-shaped atrium away from the origin, fully analysed."""

from __future__ import annotations

import functools

import numpy as np

from LAScarSegLib.analysis import Analysis, Mask, Network, Probability, analyse
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.surface.planes import CutPlane
from LAScarSegLib.volumes.volume import Geometry, Volume

CENTRE_LPS = np.array([12.0, -20.0, 35.0])
"""Off every axis: a sign that is wrong in one coordinate moves the ball by centimetres."""
RADIUS_MM = 18.0
BLOOD, WALL, SCAR = 200.0, 150.0, 320.0


def rotation(about_x: float, about_z: float) -> np.ndarray:
    """A rotation matrix from two angles in radians."""
    cx, sx, cz, sz = np.cos(about_x), np.sin(about_x), np.cos(about_z), np.sin(about_z)
    return np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])


def grid(direction: np.ndarray, spacing: tuple[float, float, float], size: tuple[int, int, int]) -> Geometry:
    """A grid around the ball."""
    origin = CENTRE_LPS - direction @ (np.array(spacing) * (np.array(size) - 1) / 2)
    return Geometry(size, spacing, tuple(origin), tuple(direction.ravel()))


AXIAL = grid(np.eye(3), (1.4, 1.4, 2.5), (44, 46, 26))
OBLIQUE = grid(rotation(0.4, 0.3), (1.25, 1.4, 2.5), (48, 44, 26))
FLIPPED = grid(np.diag([-1.0, 1.0, -1.0]), (1.4, 1.25, 2.5), (44, 46, 26))
LEFT_HANDED = grid(rotation(0.2, -0.5) @ np.diag([1.0, 1.0, -1.0]), (1.4, 1.25, 2.5), (44, 46, 26))
GRIDS = {"axial": AXIAL, "oblique": OBLIQUE, "flipped": FLIPPED, "left-handed": LEFT_HANDED}


def points_of(geometry: Geometry) -> np.ndarray:
    """(k, j, i, 3) LPS positions of all voxels."""
    k, j, i = np.indices(geometry.shape)
    return geometry.index_to_lps(np.stack([i, j, k], -1).reshape(-1, 3)).reshape(*geometry.shape, 3)


def scan(geometry: Geometry) -> tuple[Volume, Volume]:
    """An LGE image of the ball, its wall bright on the patient's left, and the cavity mask."""
    points = points_of(geometry)
    distance = np.linalg.norm(points - CENTRE_LPS, axis=-1)
    wall = np.where(points[..., 0] > CENTRE_LPS[0] + 6, SCAR, WALL)
    image = np.where(distance <= RADIUS_MM, BLOOD, np.where(distance <= RADIUS_MM + 3, wall, 40.0))
    image += np.random.default_rng(3).normal(0, 8, geometry.shape)
    return Volume(image.astype(np.int16), geometry), Volume((distance <= RADIUS_MM).astype(np.uint8), geometry)


def network_of(probability: np.ndarray, cavity: np.ndarray | None = None, name: str = "net") -> Network:
    """What a made-up network found: a scar probability (k, j, i) around `cavity`; without one, the probability of the cavity itself."""
    model = {"name": name, "version": "1.0", "system": "two_stage_sdm", "stage": "cavity" if cavity is None else "scar",
             "simulated": True, "intended_use": "Tests only.", "terms": None}  # fmt: skip
    found = Probability.of(probability.astype(np.float32))
    return Network(model, 0.5, found.above(0.5), found, "" if cavity is None else Mask.of(cavity).digest)


@functools.cache
def analysed(grid_name: str = "oblique", threshold: float = 1.2, with_plane: bool = False, protocol: str | None = None) -> Analysis:
    """The analysis of the ball on one of `GRIDS`, by the ratio on the wall's voxels or in a protocol's reading; with a mitral plane that
    cuts its lower part off, if asked for."""
    image, cavity = scan(GRIDS[grid_name])
    plane = CutPlane("MV", tuple(CENTRE_LPS - [0, 0, 10]), (0.0, 0.0, 1.0))
    return analyse(image, Settings("iir", threshold, protocol, perturbation=False), cavity=cavity, planes=(plane,) if with_plane else ())
