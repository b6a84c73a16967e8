"""What a loss compares with beyond the masks: distance maps, probabilities and boundaries, computed once when a case is prepared."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import ndimage

from ..anatomy.distance import depth_inside, distance_to
from ..errors import InputError

SURFACE_REACH_MM = 3.0
"""A voxel of the cavity's surface is scar when scar lies within this of it: as far as every projection here looks (SCIENCE section 5)."""

Masks = Mapping[str, np.ndarray]
Spacing = tuple[float, float, float]


@dataclass(frozen=True)
class Target:
    """One target of a training.

    `make(masks, spacing_kji, **options)` → (n, k, j, i) float32, n = `len(padding)`, from the masks (k, j, i) bool by product on the working
    grid, `cavity` always among them; `padding` is what lies beyond the scan. A change of what `make` computes needs another `name` or
    option: what was kept is found by them.
    """

    name: str
    make: Callable[..., np.ndarray]
    padding: tuple[float, ...] = (0.0,)
    options: Mapping[str, Any] = field(default_factory=dict)
    of_scar: bool = False
    """Whether `make` needs the mask `scar`, even where the network itself doesn't."""

    def __post_init__(self) -> None:
        if self.name in ("channels", "target", "region"):
            raise InputError(f"A target can't be called {self.name!r}: a sample has something else of that name.")

    def of(self, masks: Masks, spacing_kji: Spacing) -> np.ndarray:
        """The target's channels (n, k, j, i) float32."""
        made = np.asarray(self.make(masks, spacing_kji, **self.options), dtype=np.float32)
        shape = next(iter(masks.values())).shape
        if made.shape != (len(self.padding), *shape):
            raise InputError(f"The target {self.name!r} has the shape {made.shape}; {(len(self.padding), *shape)} was described.")
        return made

    def digest(self, masks: Masks, spacing_kji: Spacing) -> str:
        """SHA-256 of all that `of` depends on."""
        content = hashlib.sha256(repr((self.name, sorted(self.options.items()), spacing_kji)).encode())
        for name, mask in sorted(masks.items()):
            content.update(repr((name, mask.shape)).encode())
            content.update(np.packbits(mask).tobytes())
        return content.hexdigest()


def signed_distance_outside(masks: Masks, spacing_kji: Spacing, of: str = "cavity", clip_mm: float = 50.0) -> np.ndarray:
    """(1, k, j, i) mm, positive *outside*, clipped: φ of mtl_sesa (Li et al. 2020)."""
    mask = masks[of]
    if not mask.any():
        return np.full((1, *mask.shape), clip_mm, dtype=np.float32)
    distance = distance_to(mask, spacing_kji) - depth_inside(mask, spacing_kji)
    return np.clip(distance, -clip_mm, clip_mm)[None]


def surface_voxels(mask: np.ndarray) -> np.ndarray:
    """(k, j, i) bool: the voxels of a mask that touch what is outside it."""
    return mask & ~ndimage.binary_erosion(mask)


def boundary(masks: Masks, spacing_kji: Spacing, of: str = "cavity") -> np.ndarray:
    """(1, k, j, i) of 0 and 1: the surface voxels of a mask, M of mtl_sesa's shape attention."""
    return surface_voxels(masks[of])[None].astype(np.float32)


def distance_probabilities(masks: Masks, spacing_kji: Spacing, reach_mm: float = SURFACE_REACH_MM) -> np.ndarray:
    """(2, k, j, i): exp(−mm) to normal wall and to scar on the cavity's surface (mtl_sesa; Li et al. 2020)."""
    return np.stack([_nearness(part, spacing_kji) for part in wall_and_scar(masks, spacing_kji, reach_mm)])


def wall_and_scar(masks: Masks, spacing_kji: Spacing, reach_mm: float = SURFACE_REACH_MM) -> tuple[np.ndarray, np.ndarray]:
    """The cavity's surface voxels that are normal wall, and those that are scar, because scar lies within `reach_mm`; (k, j, i) bool."""
    surface = surface_voxels(masks["cavity"])
    near = surface & (distance_to(masks["scar"], spacing_kji) <= reach_mm)
    return surface & ~near, near


def _nearness(points: np.ndarray, spacing_kji: Spacing) -> np.ndarray:
    # To no points at all it is infinitely far: 0.
    return np.exp(-distance_to(points, spacing_kji))
