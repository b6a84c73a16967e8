"""Scans whose numbers are known by analysis: balls, ellipsoids and tubes on any grid, with a shell of wall and a cap of scar."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from LAScarSegLib.volumes.volume import Geometry, Volume

THIN_SLICES = (0.625, 0.625, 2.5)
ISOTROPIC = (1.25, 1.25, 1.25)
BLOOD, WALL, SCAR, LUNG = 200.0, 160.0, 300.0, 60.0
SHELL_MM = 2.5


def oblique(degrees_xyz: tuple[float, float, float] = (20.0, 30.0, 40.0), flip: bool = False) -> tuple[float, ...]:
    """Direction cosines of a grid turned about x, then y, then z; `flip` makes it left-handed."""
    a, b, c = np.deg2rad(degrees_xyz)
    x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return tuple((z @ y @ x @ np.diag([1.0, 1.0, -1.0 if flip else 1.0])).ravel())


@dataclass(frozen=True, eq=False)
class Grid:
    """A grid around a centre (mm LPS) that lies `offset` voxels (i, j, k) off a voxel's own centre."""

    geometry: Geometry
    centre: np.ndarray

    @classmethod
    def around(
        cls,
        spacing: tuple[float, float, float],
        reach_mm: float,
        offset: tuple[float, float, float] = (0.2, 0.3, 0.4),
        direction: tuple[float, ...] = tuple(np.eye(3).ravel()),
    ) -> Grid:
        size = tuple(int(np.ceil(2 * reach_mm / s)) + 1 for s in spacing)
        geometry = Geometry(size, spacing, (-17.0, 23.0, 41.0), direction)
        return cls(geometry, geometry.index_to_lps(np.array([[n // 2 + o for n, o in zip(size, offset)]]))[0])

    def points(self, oversampling: int = 1) -> np.ndarray:
        """(n³, k, j, i, 3) mm from the centre: n × n × n sub-voxel positions of every voxel."""
        steps = (np.arange(oversampling) + 0.5) / oversampling - 0.5
        index = np.stack(np.meshgrid(*[np.arange(n) for n in self.geometry.shape], indexing="ij"), axis=-1)[..., ::-1]
        shifts = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
        shape = (len(shifts), *self.geometry.shape, 3)
        return self.geometry.index_to_lps((index[None] + shifts[:, None, None, None, :]).reshape(-1, 3)).reshape(shape) - self.centre

    def ball(self, radius_mm: float) -> Volume:
        return Volume(np.linalg.norm(self.points()[0], axis=-1) < radius_mm, self.geometry)

    def ellipsoid(self, semi_axes_mm: tuple[float, float, float]) -> Volume:
        return Volume((np.square(self.points()[0] / semi_axes_mm).sum(axis=-1)) < 1.0, self.geometry)

    def tube(self, radius_mm: float, length_mm: float, axis: int) -> Volume:
        points = self.points()[0]
        across = np.delete(points, axis, axis=-1)
        return Volume((np.linalg.norm(across, axis=-1) < radius_mm) & (np.abs(points[..., axis]) < length_mm / 2), self.geometry)

    def scan_of_ball(self, radius_mm: float, cap_degrees: float, cap_axis: np.ndarray, oversampling: int = 1) -> Volume:
        """Blood, a shell of wall, and scar in the shell within `cap_degrees` of `cap_axis`; each voxel is the mean of
        oversampling³ positions (1: its centre; more: partial volumes, as a scanner averages)."""
        axis = np.asarray(cap_axis, dtype=float) / np.linalg.norm(cap_axis)
        image = np.zeros(self.geometry.shape)
        for points in self.points(oversampling):
            distance = np.linalg.norm(points, axis=-1)
            in_cap = points @ axis > distance * np.cos(np.deg2rad(cap_degrees))
            image += np.select([distance < radius_mm, distance < radius_mm + SHELL_MM], [BLOOD, np.where(in_cap, SCAR, WALL)], LUNG)
        return Volume((image / oversampling**3).astype(np.float32), self.geometry)


def cap_share_pct(cap_degrees: float) -> float:
    """Share of a sphere within this angle of an axis: (1 − cos θ) / 2, in %."""
    return 50.0 * (1.0 - np.cos(np.deg2rad(cap_degrees)))


def sphere_area_mm2(radius_mm: float) -> float:
    return 4.0 * np.pi * radius_mm**2


def ellipsoid_volume_ml(semi_axes_mm: tuple[float, float, float]) -> float:
    return 4.0 / 3.0 * np.pi * float(np.prod(semi_axes_mm)) / 1000.0


def ellipsoid_area_mm2(semi_axes_mm: tuple[float, float, float], steps: int = 1000) -> float:
    """By quadrature of the surface element over both angles (midpoint rule)."""
    a, b, c = semi_axes_mm
    polar, azimuth = np.meshgrid((np.arange(steps) + 0.5) * np.pi / steps, (np.arange(steps) + 0.5) * 2 * np.pi / steps, indexing="ij")
    x, y, z = b * c * np.sin(polar) * np.cos(azimuth), a * c * np.sin(polar) * np.sin(azimuth), a * b * np.cos(polar)
    return float((np.sin(polar) * np.sqrt(x**2 + y**2 + z**2)).sum() * (np.pi / steps) * (2 * np.pi / steps))
