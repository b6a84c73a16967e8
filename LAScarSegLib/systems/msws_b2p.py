"""msws_b2p (Khan et al. 2022): MSWS-Net for the cavity, slice by slice; patches along the cavity's outline (Boundary2Patches) for the scar,
with the scar's probability by grey level as a second channel."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import ndimage

from ..anatomy.anatomy import Anatomy
from ..anatomy.distance import depth_inside, distance_to
from ..errors import InputError
from ..networks.msws_b2p_plans import MultiScalePlan, PatchUNetPlan
from .base import SCAN, InputChannel, PreparedArrays, Preset, Stage, System, by_variant, scan_only
from .decoding import ComponentFilter, Output
from .msws_b2p_tables import TABLES
from .recipe import EarlyStop, Optimiser
from .sampling import Sampler
from .targets import Masks, Spacing, Target

PAPER = (
    "Khan A, Alwazzan O, Benning M, Slabaugh G. Sequential segmentation of the left atrium and atrial scars using a multi-scale weight "
    "sharing network and boundary-based processing. LAScarQS 2022, LNCS 13586"
)
EPOCHS = 100
"""At most (section 4)."""
BATCH = 24
"""Section 4."""
CAVITY_BATCH = 4
"""Slices at once; six such batches make one step of 24. Ours: 24 slices of 640² at once take some 50 GB."""
EARLY_STOP = EarlyStop(5, watched=("dice", "loss"))
"""Section 4: either not improving for five epochs."""
CAVITY_STEPS, SCAR_STEPS = 167, 250
"""Of an epoch, ours: 70 % of the 130 scans of task 2 with 44 slices each are 167 batches of 24; nnU-Net's."""
BEST_SCALES = 2
"""n (section 2.1)."""
STEP_PX = 12
"""Between the patches along the outline, ours; every pixel within 19 of the outline lies in one of them."""
PIXEL_MM2 = 0.625**2
SMALLEST_PX, LARGEST_PX = 10, 450
"""Components that are kept (section 5.2), in the pixels of the training scans: 3.9 and 176 mm²."""
PROBABILITY_THRESHOLD = 0.5
CENTRE_CROP_PX = 384
"""Table 4, center-cropping."""
ALL_SLICES = 4096
"""A crop of so many slices leaves out none: the largest that a model's card may name."""

BESIDE_MM = 3.0
"""What counts as boundary in the histogram, ours: as far as the wall reaches inside and outside the cavity (SCIENCE section 5)."""
LOWEST_Z, HIGHEST_Z, BIN_Z = -5.0, 15.0, 0.1
"""The histogram's bins, in z-scores of a slice; what is beyond counts in the last bin. Ours."""
SMOOTHING_BINS = 2.0
"""Standard deviation of the Gaussian over the bins; ours."""
TAIL = 1e-3
"""Share of the boundary's voxels on either end for which the next bins speak: too few for a probability. Ours."""

ADAM = Optimiser(
    kind="adam", learning_rate=1e-4, betas=(0.9, 0.99), weight_decay=0.0, gradient_clip=None, schedule="constant",
    iterations_per_epoch=CAVITY_STEPS, stop=EARLY_STOP,
)  # fmt: skip
SCAR_ADAM = replace(ADAM, iterations_per_epoch=SCAR_STEPS)
QUICK_RATE = 1e-3
"""Learning rate of the presets for a processor, ours: their few steps lead nowhere at the paper's."""
ALL_ALIKE = Sampler("slices", foreground_share=0.0, augmentation="none")
"""Every slice as often as any other, as it is."""
ALONG_THE_BOUNDARY = Sampler("boundary", foreground_share=0.0, step_px=STEP_PX, augmentation="none")
"""Patches without scar are kept."""


def beside_the_boundary(masks: Masks, spacing_kji: Spacing, reach_mm: float = BESIDE_MM) -> np.ndarray:
    """(1, k, j, i) of 0 and 1: voxels within `reach_mm` of the cavity's surface, on either side, and all scar wherever it lies."""
    cavity = masks["cavity"]
    if not cavity.any():
        return masks["scar"][None].astype(np.float32)
    outside, inside = distance_to(cavity, spacing_kji, reach_mm + 1.0), depth_inside(cavity, spacing_kji, reach_mm + 1.0)
    return (((outside <= reach_mm) & (inside <= reach_mm)) | masks["scar"])[None].astype(np.float32)


BESIDE = Target("beside_boundary", beside_the_boundary, options={"reach_mm": BESIDE_MM}, of_scar=True)


def scar_by_grey_level(cases: Iterable[PreparedArrays]) -> dict[str, Any]:
    """P(scar | z): what share of the boundary's voxels of a grey level are scar, both histograms smoothed.

    Returns
    -------
    `lowest_z`, `bin_z` and `probability`, that of the bins from there on.

    Raises
    ------
    InputError
        no training case has scar or a boundary: both histograms would be empty.
    """
    count = round((HIGHEST_Z - LOWEST_Z) / BIN_Z)
    scar, everything = np.zeros(count), np.zeros(count)
    for case in cases:
        bins = np.clip(((case.channels[0] - LOWEST_Z) / BIN_Z).astype(int), 0, count - 1)
        scar += np.bincount(bins[case.masks["scar"]], minlength=count)
        everything += np.bincount(bins[(case.targets[BESIDE.name][0] > 0.5) | case.masks["scar"]], minlength=count)
    if not scar.any() or not everything.any():
        raise InputError(
            f"The training cases have {int(scar.sum())} voxels of scar and {int(everything.sum())} beside the cavity's boundary: "
            "without both there is no histogram of the scar's grey levels. Add cases with scar, or train the variant one_channel, which needs none."
        )
    below = np.cumsum(everything) / everything.sum()
    first, last = np.searchsorted(below, TAIL), np.searchsorted(below, 1 - TAIL)
    smooth_scar, smooth_all = (ndimage.gaussian_filter1d(h, SMOOTHING_BINS, mode="constant") for h in (scar, everything))
    share = np.divide(smooth_scar, smooth_all, out=np.zeros(count), where=smooth_all > 0)[first : last + 1]
    return {"lowest_z": LOWEST_Z + BIN_Z * int(first), "bin_z": BIN_Z, "probability": [round(float(p), 6) for p in share]}


def three_channels(patch: np.ndarray, learned: Mapping[str, Any]) -> np.ndarray:
    """(3, k, j, i): the z-scored patch, the scar's probability of its grey levels, and max(z, 0) (section 2.2)."""
    probability = np.asarray(learned["probability"])
    centres = learned["lowest_z"] + learned["bin_z"] * (np.arange(len(probability)) + 0.5)
    z = patch[0]
    # Beyond the bins the last one speaks.
    return np.stack([z, np.interp(z, centres, probability), np.maximum(z, 0)]).astype(np.float32)


def with_room_for_two(lge: np.ndarray, anatomy: Anatomy | None) -> np.ndarray:
    """(3, k, j, i): the z-scored scan; the other two channels are made of each patch."""
    channels = np.zeros((3, *lge.shape), dtype=np.float32)
    channels[0] = lge
    return channels


def _cavity_presets(scales: int, shared: bool) -> dict[str, Preset]:
    """Slices at 0.625, 2 and 2.5 mm; `small` and `tiny` are ours, for a processor."""

    def preset(features: tuple[int, ...], spacing_mm: float, side: int, batch: int, epochs: int, **more: Any) -> Preset:
        plan = MultiScalePlan(1, 1, features, scales, shared)
        return Preset(plan, (spacing_mm, spacing_mm), (side, side), batch, epochs, "slice", mirror=False, **more)

    return {
        "paper": preset((64, 128, 256, 512, 1024, 1024), 0.625, 640, CAVITY_BATCH, EPOCHS, accumulate=BATCH // CAVITY_BATCH),
        "small": preset((8, 16, 32, 64, 128), 2.0, 128, 4, 4, learning_rate=QUICK_RATE),
        "tiny": preset((8, 16, 32), 2.5, 64, 4, 4, learning_rate=QUICK_RATE),
    }


def _scar_presets(channels: int, crop: bool = False) -> dict[str, Preset]:
    """Patches of 40 mm; with `crop` slices cut around the scan's middle."""

    def preset(features: tuple[int, ...], spacing_mm: float, sides: tuple[int, int], batch: int, epochs: int, **more: Any) -> Preset:
        plan, side = PatchUNetPlan(channels, 1, features), sides[crop]
        around = (ALL_SLICES, side, side) if crop else None
        return Preset(plan, (spacing_mm, spacing_mm), (side, side), batch, epochs, "slice", mirror=False, crop_kji=around, **more)

    at_once = CAVITY_BATCH if crop else BATCH
    return {
        "paper": preset((64, 128, 256, 512), 0.625, (64, CENTRE_CROP_PX), at_once, EPOCHS, accumulate=BATCH // at_once),
        "small": preset((12, 24, 48, 64), 1.25, (32, CENTRE_CROP_PX // 2), 1 if crop else BATCH, 4, learning_rate=QUICK_RATE),
        "tiny": preset((8, 16, 24, 32), 1.25, (32, 128), 2 if crop else 8, 4, learning_rate=QUICK_RATE),
    }


def _cavity_stage(variant: str, recipe: str = "focal_tversky_cavity", scales: int = BEST_SCALES, shared: bool = True) -> Stage:
    return Stage(
        key="cavity",
        variant=variant,
        channels=(SCAN,),
        presets=_cavity_presets(scales, shared),
        inputs=scan_only,
        recipe=recipe,
        optimiser=ADAM,
        outputs=(Output("cavity", (0,), "sigmoid", PROBABILITY_THRESHOLD),),
        sampler=ALL_ALIKE,
    )


def _scar_stage(
    variant: str, recipe: str = "focal_tversky_scar", three: bool = True, filtered: bool = True, sampler: Sampler = ALONG_THE_BOUNDARY
) -> Stage:
    """`three`: with the two further channels; `filtered`: with the filter of components."""
    extra = (InputChannel("scar_by_grey_level", 0.0), InputChannel("above_mean", 0.0)) if three else ()
    components = ComponentFilter(SMALLEST_PX * PIXEL_MM2, LARGEST_PX * PIXEL_MM2) if filtered else None
    return Stage(
        key="scar",
        variant=variant,
        channels=(SCAN, *extra),
        presets=_scar_presets(1 + len(extra), crop=sampler.kind == "slices"),
        inputs=with_room_for_two if three else scan_only,
        recipe=recipe,
        optimiser=SCAR_ADAM,
        outputs=(Output("scar", (0,), "sigmoid", PROBABILITY_THRESHOLD, components),),
        sampler=sampler,
        targets=(BESIDE,) if three else (),
        learn=scar_by_grey_level if three else None,
        patch_inputs=three_channels if three else None,
    )


MSWS_B2P = System(
    key="msws_b2p",
    title="Multi-scale weight sharing and Boundary2Patches (Khan et al. 2022)",
    paper=PAPER,
    stages={
        "cavity": by_variant(
            _cavity_stage("full"),
            # Eq 2 with the exponent of the public code.
            _cavity_stage("public_exponent", "focal_tversky_cavity_gamma"),
            # Table 1; one scale is also the standard U-Net of table 3.
            _cavity_stage("scales1", scales=1),
            _cavity_stage("scales3", scales=3),
            _cavity_stage("scales4", scales=4),
            # Table 3, without weight sharing.
            _cavity_stage("unshared", shared=False),
            # Table 2.
            _cavity_stage("bce", "one_logit_bce"),
            _cavity_stage("iou", "soft_iou"),
        ),
        # Table 4: only its last row filters components.
        "scar": by_variant(
            _scar_stage("full"),
            _scar_stage("public_exponent", "focal_tversky_scar_gamma"),
            _scar_stage("three_channels", filtered=False),
            _scar_stage("one_channel", three=False, filtered=False),
            _scar_stage("centre_crop", three=False, filtered=False, sampler=ALL_ALIKE),
        ),
    },
    reproduction=TABLES,
)
