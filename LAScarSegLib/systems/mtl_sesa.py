"""mtl_sesa (Li et al. 2020): one 3-D U-Net with a decoder for the cavity and one for the scar, trained with spatial encoding (SE) and shape
attention (SA); it gives both masks at once, the scar on the cavity's surface."""

from collections.abc import Mapping

from ..networks.shared_encoder_plan import SharedEncoderPlan
from .base import SCAN, Preset, Stage, System, by_variant, scan_only
from .decoding import Output
from .mtl_sesa_tables import TABLES
from .recipe import Optimiser
from .sampling import Sampler
from .targets import SURFACE_REACH_MM, Target, boundary, distance_probabilities, signed_distance_outside

PAPER = (
    "Li L, Weng X, Schnabel JA, Zhuang X. Joint left atrial segmentation and scar quantification based on a DNN with spatial encoding and "
    "shape attention. MICCAI 2020, LNCS 12264"
)
FEATURES = (16, 32, 64, 128, 256)
"""Of each level, in the public code of the follow-up (Li et al. 2022); the paper calls it a modified U-Net."""
SPACING_MM, CROP = (1.0, 1.0, 1.0), (80, 208, 208)
"""Section 3.1: 1 mm, 208 × 208 × 80 voxels around the heart, z-scored; the network sees all of it at once."""
BATCH, ITERATIONS, EPOCH = 2, 12_000, 250
"""The batch of the public code. Iterations are given nowhere: three times the 4000 after which the learning rate falls, so that it does so
twice."""
CLIP_MM = 50.0
"""Where φ ends on both sides (public code)."""
SURFACE_MM = 5.0
"""How far the surface's values are carried to voxels: through any wall."""
CAVITY = Output("cavity", (0,), "sigmoid")
OPTIMISER = Optimiser(
    learning_rate=1e-3, momentum=0.9, nesterov=False, weight_decay=1e-4, gradient_clip=None, schedule="step", step_iterations=4000,
    step_factor=0.1, iterations_per_epoch=EPOCH,
)  # fmt: skip
"""Section 3.1."""
SAMPLER = Sampler("patches", foreground_share=0.5, foreground="", augmentation="quarter_turns")
"""Of the smaller presets half of the patches hold scar (of a cavity network: cavity); the paper's see everything."""
DISTANCE = Target("outside_mm", signed_distance_outside, (CLIP_MM,), {"clip_mm": CLIP_MM})
"""φ (eq 1), β = 1."""
PROBABILITIES = Target("wall_and_scar", distance_probabilities, (0.0, 0.0), {"reach_mm": SURFACE_REACH_MM}, of_scar=True)
"""p (section 2.2)."""
EDGE = Target("cavity_boundary", boundary)
"""M1 (section 2.3)."""


def presets(*heads: int) -> Mapping[str, Preset]:
    """For a network of these decoders."""
    around = {"statistics": "region", "mirror": False, "crop_around": "atrium"}
    return {
        "paper": Preset(SharedEncoderPlan(1, heads, FEATURES), SPACING_MM, CROP, BATCH, ITERATIONS // EPOCH, crop_kji=CROP, **around),
        # 64 mm of the same crop: the smaller a patch, the more of it is surface, and the sooner p̂ is more than its mean.
        "small": Preset(
            SharedEncoderPlan(1, heads, (8, 16, 32, 64)), (2.0, 2.0, 2.0), (32, 32, 32), BATCH, 6, crop_kji=(40, 104, 104),
            learning_rate=0.01, **around,
        ),
        "tiny": Preset(
            SharedEncoderPlan(1, heads, (4, 8, 16)), (2.5, 2.5, 2.5), (32, 32, 32), BATCH, 1, crop_kji=(32, 84, 84), learning_rate=0.01,
            **around,
        ),
    }  # fmt: skip


def _on_surface(first: int) -> Output:
    """Scar where p̂ of scar is the greater, on the cavity's surface (section 2.2); `first`: the channel of normal wall."""
    return Output("scar", (first, first + 1), "distance_pair", surface_mm=SURFACE_MM)


def _stage(key: str, variant: str, recipe: str, heads: tuple[int, ...], outputs: tuple[Output, ...], *targets: Target) -> Stage:
    return Stage(
        key=key,
        variant=variant,
        channels=(SCAN,),
        presets=presets(*heads),
        inputs=scan_only,
        recipe=recipe,
        optimiser=OPTIMISER,
        outputs=outputs,
        sampler=SAMPLER,
        targets=targets,
    )


MTL_SESA = System(
    key="mtl_sesa",
    title="Multi-task network with spatial encoding and shape attention (Li et al. 2020)",
    paper=PAPER,
    stages={
        "joint": by_variant(
            _stage("joint", "full", "mtl_sesa", (1, 2), (CAVITY, _on_surface(1)), DISTANCE, PROBABILITIES, EDGE),
            _stage("joint", "se", "mtl_se", (1, 2), (CAVITY, _on_surface(1)), DISTANCE, PROBABILITIES),
            _stage("joint", "bce", "mtl_bce", (1, 1), (CAVITY, Output("scar", (1,), "sigmoid"))),
        ),
        # U-Net LA-SE and LA-BCE of table 1.
        "cavity": by_variant(
            _stage("cavity", "full", "unet_cavity_se", (1,), (CAVITY,), DISTANCE),
            _stage("cavity", "bce", "unet_cavity_bce", (1,), (CAVITY,)),
        ),
        # U-Net scar-SE, scar-BCE and scar-Dice of table 2.
        "scar": by_variant(
            _stage("scar", "full", "unet_scar_se", (2,), (_on_surface(0),), PROBABILITIES),
            _stage("scar", "bce", "unet_scar_bce", (1,), (Output("scar", (0,), "sigmoid"),)),
            _stage("scar", "dice", "unet_scar_dice", (1,), (Output("scar", (0,), "sigmoid"),)),
        ),
    },
    reproduction=TABLES,
)
