"""boundary_focused (Zhang Y. et al. 2022): nnU-Net with Dice + TopK for the cavity, its threshold lowered where it is unusually
uncertain; nnU-Net on [LGE, signed distance of the cavity's boundary] for the scar, read at 0.2."""

import numpy as np
from scipy import ndimage

from ..anatomy.anatomy import Anatomy
from ..anatomy.distance import depth_inside, distance_to
from ..errors import InputError
from .base import SCAN, InputChannel, Stage, System, by_variant, scan_only, z_score
from .boundary_focused_tables import TABLES
from .nnunet import cavity_presets, scar_presets

PAPER = (
    "Zhang Y, Meng Y, Zheng Y. Automatically segment the left atrium and scars from LGE-MRIs using a boundary-focused nnU-Net. "
    "LAScarQS 2022, LNCS 13586"
)
TASK1_CAVITY_EPOCHS, TASK2_CAVITY_EPOCHS, SCAR_EPOCHS = 500, 1000, 130
"""Section 3, implementation details."""
SCAR_THRESHOLD = 0.2
"""For all cases (section 3)."""
UNCERTAIN_THRESHOLD = 0.2
"""For a cavity three standard deviations more uncertain than usual (section 2, UAM)."""
DILATION_PX, EROSION_PX = 5, 3
"""Widths of the square windows of eq 4: 2 pixels outwards, 1 inwards."""
INSIDE_OFFSET = 1.0
"""Subtracted from distances inside the boundary mask (eq 6, as printed: one voxel where distances count voxels, 1 mm here)."""
MEAN_DISTANCE = 0.0
"""Padding of the z-scored distance, as nnU-Net pads: the scan's mean distance, tens of mm outside."""


def boundary_mask(cavity: np.ndarray) -> np.ndarray:
    """Slice by slice, dilation by 5×5 XOR erosion by 3×3 of the cavity (eq 4). (k, j, i) bool in and out."""
    dilated = ndimage.binary_dilation(cavity, np.ones((1, DILATION_PX, DILATION_PX), dtype=bool))
    # The scan's border is not background: the paper's max pooling pads with nothing.
    return dilated ^ ndimage.binary_erosion(cavity, np.ones((1, EROSION_PX, EROSION_PX), dtype=bool), border_value=1)


def boundary_distance(cavity: np.ndarray, spacing_kji: tuple[float, float, float]) -> np.ndarray:
    """Signed distance (k, j, i) float32 of the boundary mask as printed (eqs 5–6): mm outside it, −(mm − 1) inside; not clipped.

    Positive *outside*, the opposite of every map that is shown or written. `InputError` for an empty cavity.
    """
    if not cavity.any():
        raise InputError("The cavity is empty, so nothing has a distance to its boundary. Give a cavity that holds the atrium.")
    boundary = boundary_mask(cavity)
    inside = depth_inside(boundary, spacing_kji) - np.float32(INSIDE_OFFSET)
    return np.where(boundary, -inside, distance_to(boundary, spacing_kji))


def scar_inputs(lge: np.ndarray, anatomy: Anatomy | None) -> np.ndarray:
    """(2, k, j, i) float32: the normalised scan, and the boundary distance z-scored over the scan."""
    return np.stack([lge, z_score(boundary_distance(anatomy.cavity, anatomy.geometry.spacing_kji))]).astype(np.float32)


def _cavity_stage(variant: str, epochs: int, recipe: str = "dice_topk", uam: bool = True) -> Stage:
    """`uam`: the threshold falls where the prediction is unusually uncertain."""
    return Stage(
        key="cavity",
        variant=variant,
        channels=(SCAN,),
        presets=cavity_presets(epochs),
        inputs=scan_only,
        recipe=recipe,
        uncertain_threshold=UNCERTAIN_THRESHOLD if uam else None,
    )


def _scar_stage(variant: str, distance: bool = True) -> Stage:
    channels = (SCAN, InputChannel("sdm_boundary", MEAN_DISTANCE)) if distance else (SCAN,)
    return Stage(
        key="scar",
        variant=variant,
        channels=channels,
        presets=scar_presets(len(channels), SCAR_EPOCHS),
        inputs=scar_inputs if distance else scan_only,
        threshold=SCAR_THRESHOLD,
        whole_scan_inputs=distance,
    )


BOUNDARY_FOCUSED = System(
    key="boundary_focused",
    title="Boundary-focused nnU-Net (Zhang Y. et al. 2022)",
    paper=PAPER,
    stages={
        "cavity": by_variant(
            _cavity_stage("full", TASK2_CAVITY_EPOCHS),
            _cavity_stage("task1", TASK1_CAVITY_EPOCHS),
            _cavity_stage("plain", TASK2_CAVITY_EPOCHS, "cross_entropy_dice", uam=False),
            # Table 1: K of TopK in per cent, cross-entropy (`plain`) being 100.
            _cavity_stage("topk5", TASK2_CAVITY_EPOCHS, "dice_topk_5", uam=False),
            _cavity_stage("topk10", TASK2_CAVITY_EPOCHS, uam=False),
            _cavity_stage("topk20", TASK2_CAVITY_EPOCHS, "dice_topk_20", uam=False),
            # Tables 2 and 3: the cavities of Task 1, without TopK and UAM, and without UAM.
            _cavity_stage("task1_plain", TASK1_CAVITY_EPOCHS, "cross_entropy_dice", uam=False),
            _cavity_stage("task1_topk", TASK1_CAVITY_EPOCHS, uam=False),
        ),
        "scar": by_variant(_scar_stage("full"), _scar_stage("plain", distance=False)),
    },
    reproduction=TABLES,
)
