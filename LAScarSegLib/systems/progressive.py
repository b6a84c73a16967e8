"""progressive (Zhang J. et al. 2026): one SwinUNETR that learns the cavity (stage I), cavity and scar at once with a second decoder and
more weight on the wall (stage II), and the scar alone (stage III), each stage going on with the weights of the one before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..anatomy.distance import signed_distance
from ..anatomy.wall import PROGRESSIVE_INSIDE_MM, PROGRESSIVE_OUTSIDE_MM, wall_between
from ..errors import InputError
from ..networks.swin_plan import SwinPlan
from .base import SCAN, Preset, Stage, System, by_variant, scan_only
from .decoding import Output
from .progressive_tables import TABLES
from .recipe import EarlyStop, Optimiser, Part, Phase, StartWeights
from .sampling import Sampler
from .targets import Target

PAPER = (
    "Zhang J, Bergere B, Bollache E, Leite J, Laredo M, Redheuil A, Kachenoura N. Progressive learning with anatomical priors for reliable "
    "left atrial scar segmentation from late gadolinium enhancement MRI. 2026"
)
CAVITY, SCAR = "cavity", "scar"
"""Names of the two decoders, and what they give."""
EPOCHS = 250
"""At most, of each stage (section 4.2)."""
LEARNING_RATE, WEIGHT_DECAY = 1e-4, 1e-5
"""The first is the paper's (section 4.2), the second ours."""
CAUTIOUS = 0.1
"""Of the learning rate, for encoder and cavity decoder in stage II: "updated cautiously" (section 3.2), how much is not said."""
SMALL_STEPS = 300
"""Of a stage of the small network, about: some minutes on two cores."""
SHORT_RATE = 1e-3
"""Ours, for the few hundred steps of a small network: with the paper's it would hardly have moved."""
STOP = EarlyStop(patience=30, least_gain=1e-4, watched=("dice",))
"""Section 4.2."""
TASK_2_STEPS, TASK_1_STEPS = 104, 48
"""One patch of each training scan an epoch: four fifths of 130 scans in stage I, of 60 in II and III (section 4.2)."""
EARLY_ENCODER = (
    "encoder.swinViT.patch_embed.", "encoder.swinViT.layers1.", "encoder.swinViT.layers2.", "encoder.encoder1.", "encoder.encoder2.",
)  # fmt: skip
""""The early encoder parameters are frozen" in stage III (section 3.2); which these are is ours: the patch
embedding, the first two of four Swin stages, and the skips' blocks at full and at half resolution."""
CROP_MM_KJI = (100.0, 160.0, 240.0)
"""384 × 256 × 40 voxels of 0.625 × 0.625 × 2.5 mm (section 4.1)."""


def wall(masks: Mapping[str, np.ndarray], spacing_kji: Sequence[float], inside_mm: float, outside_mm: float) -> np.ndarray:
    """M_wall of eq 6 around the manual cavity, (1, k, j, i) of 0 and 1; `InputError` for a cavity around which no voxel is near enough."""
    band = wall_between(signed_distance(masks[CAVITY], spacing_kji, clip_mm=2.0 * max(inside_mm, outside_mm)), outside_mm, inside_mm)
    if not band.any():
        grid = " × ".join(f"{s:g}" for s in spacing_kji)
        raise InputError(
            f"No wall is left around the cavity: no voxel of {grid} mm lies within {inside_mm:g} mm inside or {outside_mm:g} mm outside its "
            "border. Correct the cavity's label, or leave the case out (--exclude)."
        )
    return band[None].astype(np.float32)


WALL = Target("wall", wall, (0.0,), {"inside_mm": PROGRESSIVE_INSIDE_MM, "outside_mm": PROGRESSIVE_OUTSIDE_MM})


def _presets(steps: int, *decoders: str) -> Mapping[str, Preset]:
    """`paper`: MONAI's SwinUNETR of 48 features. `small` and `tiny`, ours: the same crop in coarser pixels, fewer features.

    `steps`: of an epoch.
    """
    large = SwinPlan(1, decoders, checkpointing=True)
    # Channels in multiples of eight, which processors compute in.
    slim = SwinPlan(1, decoders, features=16, heads=(2, 4, 8, 16), window=4)
    slimmest = SwinPlan(1, decoders, features=8, depths=(1, 1, 1, 1), heads=(1, 2, 4, 8), window=4)
    return {
        # 228 of the paper is no multiple of 32.
        "paper": _preset(large, (2.5, 0.625, 0.625), (32, 192, 224), 1, EPOCHS),
        "small": _preset(slim, (2.5, 1.25, 1.25), (32, 64, 64), 1, round(SMALL_STEPS / steps), SHORT_RATE),
        "tiny": _preset(slimmest, (2.5, 1.25, 1.25), (32, 64, 64), 2, 2, SHORT_RATE),
    }


def _preset(
    plan: SwinPlan, spacing_kji: tuple[float, float, float], patch_kji: tuple[int, int, int], batch: int, epochs: int,
    rate: float | None = None,
) -> Preset:  # fmt: skip
    crop = tuple(round(mm / s) for mm, s in zip(CROP_MM_KJI, spacing_kji))
    # Table 1 has no mirroring; the z-score is taken over the crop, which is all that is looked at.
    return Preset(plan, spacing_kji, patch_kji, batch, epochs, statistics="region", mirror=False, crop_kji=crop, learning_rate=rate)


def _phase(name: str, recipe: str, steps: int, parts: tuple[Part, ...] = (), watched: tuple[str, ...] = ()) -> Phase:
    optimiser = Optimiser(
        kind="adamw", learning_rate=LEARNING_RATE, weight_decay=WEIGHT_DECAY, gradient_clip=None, schedule="constant",
        iterations_per_epoch=steps, stop=STOP,
    )  # fmt: skip
    return Phase(name, recipe, optimiser, parts=parts, watched=watched)


def _sampler(foreground: str) -> Sampler:
    """Label-guided: a patch around the label for each one anywhere."""
    return Sampler("patches", foreground_share=0.5, foreground=foreground, of_each_batch=False, augmentation="lge_mri")


def _outputs(*products: str) -> tuple[Output, ...]:
    return tuple(Output(product, (channel,), "sigmoid") for channel, product in enumerate(products))


def _first() -> Stage:
    """Stage I (eq 3)."""
    return Stage(
        key="cavity", variant="full", channels=(SCAN,), presets=_presets(TASK_2_STEPS, CAVITY), inputs=scan_only, outputs=_outputs(CAVITY),
        sampler=_sampler(CAVITY), phases=(_phase("I", "dice_ce", TASK_2_STEPS),),
    )  # fmt: skip


def _second(variant: str, after_first: bool) -> Stage:
    """Stage II (eqs 4–8), after stage I or from random weights."""
    cautious = (Part("encoder.", CAUTIOUS), Part(f"decoders.{CAVITY}.", CAUTIOUS)) if after_first else ()
    return Stage(
        key="joint", variant=variant, channels=(SCAN,), presets=_presets(TASK_1_STEPS, CAVITY, SCAR), inputs=scan_only,
        outputs=_outputs(CAVITY, SCAR), sampler=_sampler(SCAR), targets=(WALL,),
        phases=(_phase("II", "cavity_and_wall_weighted_scar", TASK_1_STEPS, cautious, watched=("scar",)),),
        start=StartWeights("cavity") if after_first else None,
    )  # fmt: skip


def _third(variant: str, start: StartWeights | None) -> Stage:
    """Stage III (eq 9), after the stage that `start` names or from random weights, which are not frozen."""
    frozen = tuple(map(Part, EARLY_ENCODER)) if start else ()
    return Stage(
        key="scar", variant=variant, channels=(SCAN,), presets=_presets(TASK_1_STEPS, SCAR), inputs=scan_only, outputs=_outputs(SCAR),
        sampler=_sampler(SCAR), phases=(_phase("III", "dice_ce", TASK_1_STEPS, frozen),), start=start,
    )  # fmt: skip


_WHOLE_NETWORK = (("encoder.", "encoder."), (f"decoders.{CAVITY}.", f"decoders.{SCAR}."))
"""Stage III right after I: the same network goes on, with another mask to draw."""

PROGRESSIVE = System(
    key="progressive",
    title="Progressive learning with SwinUNETR (Zhang J. et al. 2026)",
    paper=PAPER,
    stages={
        "cavity": by_variant(_first()),
        # Tables 2 and 3: I+II; B3, which is II alone.
        "joint": by_variant(_second("full", after_first=True), _second("ii", after_first=False)),
        # Tables 2 and 3: I+II+III; B1 (III alone); B2 (I+III); B4 (II alone, then III).
        "scar": by_variant(
            _third("full", StartWeights("joint", variant="full")),
            _third("iii", None),
            _third("i_iii", StartWeights("cavity", _WHOLE_NETWORK)),
            _third("ii_iii", StartWeights("joint", variant="ii")),
        ),
    },
    reproduction=TABLES,
)
