"""From shapes to voxels: the LA at 0.3 × 0.3 × 0.5 mm, averaged to the acquired voxels; labels by majority."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..volumes.volume import Box
from .scar import ScarPattern

PER_VOXEL = 2
"""Fine samples per image voxel along each in-plane axis: 0.31 mm at the usual 0.625 mm."""
PER_SLICE = 5
"""Fine samples through a slice: 0.5 mm at the usual 2.5 mm."""
ZERO_FILL = 2
"""Image voxels per acquired voxel along each in-plane axis."""

# Published grey levels are read in images, where a 2 mm wall mixes with blood and fat: these, of the tissue itself, are set
# so that the image shows SCIENCE section 7's (scar 1.25 ± 0.25, fibrosis 1.14 ± 0.15). Measured in Docs/phantom.md.
SCAR_MEAN, SCAR_SD, SCAR_RANGE = 1.36, 0.36, (0.75, 2.2)
CORE_BOOST = 0.28
"""Where a second noise field exceeds 0.8 SD scar has a core, so much brighter for each SD."""
FIBROSIS_MEAN, FIBROSIS_SD, FIBROSIS_RANGE = 1.32, 0.22, (0.80, 1.9)
PATCH_MM = 2.2
"""Correlation length of the grey levels within scar."""
WALL_SD, WALL_PATCH_MM = 0.32, 3.5
"""Healthy wall is uneven: diffuse fibrosis that nobody would call scar."""
BORDER_MM, BORDER_SHARE = 2.0, 0.5
"""Around scar the wall is half as bright as the scar and fades to healthy within 2 mm: a border zone."""
SHEATH_MM, SHEATH_GREY = 1.8, 1.35
"""Enhancing tissue on the outer side of the wall (pericardial folds, vein sheaths), in patches: the confounder that no
threshold can tell from scar."""
SHEATH_SHARE = (0.20, 0.50)


@dataclass(frozen=True, eq=False)
class Rendering:
    """The LA in the block `box` of the image grid.

    `acquired` (k, j/2, i/2) grey levels averaged over the acquired voxels; `cavity`, `wall`, `scar` (k, j, i) bool;
    `volumes_ml` of the LA's cavity, of wall and of scar, counted on the fine samples, by their keys in the truth.
    """

    box: Box
    acquired: np.ndarray
    cavity: np.ndarray
    wall: np.ndarray
    scar: np.ndarray
    volumes_ml: dict[str, float]


def draw_wall_greys(pattern: ScarPattern, wall_level: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Patchy fields (k, j, i) on the nodes (SCIENCE section 7): grey levels of the wall without scar, and of scar (fibrosis
    included); the third is positive where enhancing tissue lies on the wall."""
    nodes = pattern.nodes
    texture, cores = nodes.noise(rng, PATCH_MM), nodes.noise(rng, 1.5 * PATCH_MM)
    ablation = SCAR_MEAN + SCAR_SD * texture + CORE_BOOST * np.clip(cores - 0.8, 0, 1.5)
    scar = np.clip(FIBROSIS_MEAN + FIBROSIS_SD * texture, *FIBROSIS_RANGE)
    ablated = nodes.band[pattern.ablation_mm(nodes.band_points) > pattern.fibrosis_mm(nodes.band_points)]
    scar.flat[ablated] = np.clip(ablation.flat[ablated], *SCAR_RANGE)
    wall = wall_level + WALL_SD * nodes.noise(rng, WALL_PATCH_MM)
    folds = nodes.noise(rng, 3.5)
    sheath = folds - np.quantile(folds.flat[nodes.band], 1 - rng.uniform(*SHEATH_SHARE))
    return wall.astype(np.float32), scar.astype(np.float32), sheath.astype(np.float32)


def scar_field(pattern: ScarPattern) -> np.ndarray:
    """(k, j, i) on the nodes, positive in scar: every node takes the value of the surface point below it."""
    nodes = pattern.nodes
    gradient = np.stack([g.flat[nodes.band] for g in np.gradient(nodes.distance, *nodes.geometry.spacing_kji)][::-1], axis=1)
    gradient /= np.maximum(np.linalg.norm(gradient, axis=1, keepdims=True), 1e-6)
    below = nodes.band_points - nodes.distance.flat[nodes.band][:, None] * (gradient @ nodes.geometry.rotation.T)
    return nodes.from_band(np.clip(pattern.signed_mm(below), -10, 10), -10.0)


def render(box: Box, pattern: ScarPattern, base: np.ndarray, greys: Sequence[np.ndarray], wall_mm: float, voxel_ml: float) -> Rendering:
    """Average the LA over acquired voxels, slice by slice.

    `base` are the grey levels (k, j, i) on the nodes of all that isn't LA, `greys` those of `draw_wall_greys`; an image voxel
    has `voxel_ml`.
    """
    depth, rows, columns = box.shape
    fields = np.stack([pattern.nodes.distance, pattern.nodes.beyond, scar_field(pattern), base, *greys])
    across_j, across_i = (_taps(n * PER_VOXEL, m) for n, m in ((rows, fields.shape[2]), (columns, fields.shape[3])))
    nodes_k, weights_k = _taps(depth * PER_SLICE, fields.shape[1])
    acquired = np.zeros((depth, rows // ZERO_FILL, columns // ZERO_FILL), np.float32)
    shares = np.zeros((3, depth, rows, columns), np.float32)
    fine: dict[int, np.ndarray] = {}
    for layer, (node, weight) in enumerate(zip(nodes_k, weights_k)):
        fine = {n: fine[n] if n in fine else _refine(fields[:, n], across_j, across_i) for n in (node, node + 1)}
        grey, *masks = _compose(fine[node] + weight * (fine[node + 1] - fine[node]), wall_mm)
        k = layer // PER_SLICE
        acquired[k] += _block_mean(grey, PER_VOXEL * ZERO_FILL)
        for share, mask in zip(shares, masks):
            share[k] += _block_mean(mask.astype(np.float32), PER_VOXEL)
    shares /= PER_SLICE
    volumes = {f"{name}_volume_ml": float(share.sum(dtype=np.float64)) * voxel_ml for name, share in zip(("la", "wall", "scar"), shares)}
    # Majority of fine samples: more than half of a voxel; a wall voxel is scar when more than half of its wall is.
    cavity, wall = shares[0] > 0.5, shares[1] > 0.5
    return Rendering(box, acquired / PER_SLICE, cavity, wall, wall & (shares[2] > 0.5 * shares[1]), volumes)


def _compose(fields: np.ndarray, wall_mm: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Grey levels of one fine layer, and which of its samples are cavity, wall and scar."""
    distance, beyond, scar_mm, grey, wall_grey, scar_grey, sheath = fields
    in_la = beyond < 0
    cavity = in_la & (distance < 0)
    wall = in_la & (distance >= 0) & (distance < wall_mm)
    scarred = wall & (scar_mm > 0)
    grey[in_la & (sheath > 0) & (distance >= wall_mm) & (distance < wall_mm + SHEATH_MM)] = SHEATH_GREY
    border = BORDER_SHARE * np.clip(1 + scar_mm[wall] / BORDER_MM, 0, 1)
    grey[wall] = wall_grey[wall] + border * (scar_grey[wall] - wall_grey[wall])
    grey[scarred] = scar_grey[scarred]
    grey[cavity] = 1.0
    return grey, cavity, wall, scarred


def _taps(samples: int, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """(samples,) lower node and weight of the next one: nodes span the extent edge to edge, samples lie at cell centres."""
    position = (np.arange(samples) + 0.5) / samples * (nodes - 1)
    lower = np.minimum(position.astype(int), nodes - 2)
    return lower, (position - lower).astype(np.float32)


def _refine(plane: np.ndarray, across_j: tuple[np.ndarray, np.ndarray], across_i: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Fields (f, j, i) of one plane of nodes, linearly interpolated to the fine samples."""
    (j, weight_j), (i, weight_i) = across_j, across_i
    rows = plane[:, j] + weight_j[:, None] * (plane[:, j + 1] - plane[:, j])
    left = rows[:, :, i]
    return left + weight_i * (rows[:, :, i + 1] - left)


def _block_mean(plane: np.ndarray, n: int) -> np.ndarray:
    """Mean of n × n blocks; slices added up are several times faster than a reduction over short axes."""
    rows = sum(plane[a::n] for a in range(n))
    return sum(rows[:, a::n] for a in range(n)) / np.float32(n * n)
