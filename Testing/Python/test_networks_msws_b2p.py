"""The networks of msws_b2p (Khan et al. 2022) against the authors' public code, table 1, and operations of torch's own."""

from __future__ import annotations

import json

import pytest

torch = pytest.importorskip("torch", reason="networks need torch")

from torch.nn import functional  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from LAScarSegLib.errors import InputError  # noqa: E402
from LAScarSegLib.networks import build, read_plan  # noqa: E402
from LAScarSegLib.networks.msws_b2p_plans import MultiScalePlan, PatchUNetPlan  # noqa: E402
from LAScarSegLib.systems import SYSTEMS  # noqa: E402

SYSTEM = SYSTEMS["msws_b2p"]


def weights_of(convolutions: list[tuple[int, int]], heads: int, transposed: tuple[int, ...] = ()) -> int:
    """Of 3 × 3 convolutions (in, out) with bias and batch norm, transposed ones of 2 × 2 that keep their channels, and a 1 × 1 head."""
    return sum(9 * a * b + 3 * b for a, b in convolutions) + sum(4 * n * n + n for n in transposed) + heads + 1


def twice(*triples: tuple[int, int, int]) -> list[tuple[int, int]]:
    return [pair for a, m, b in triples for pair in ((a, m), (m, b))]


ENCODER = twice((1, 64, 64), (64, 128, 128), (128, 256, 256), (256, 512, 512), (512, 1024, 1024), (1024, 1024, 1024))
DECODER = twice((2048, 1024, 512), (1024, 512, 256), (512, 256, 128), (256, 128, 64), (128, 64, 64))
PATCHES = [
    (3, 64), (64, 64), (64, 128), (128, 128), (128, 128), (128, 256), (256, 256), (256, 256),
    *twice((256, 512, 512), (512, 512, 512), (512, 512, 512), (1024, 512, 512), (768, 256, 256), (384, 128, 128), (192, 64, 64)),
]  # fmt: skip
"""Layers of the authors' public code (github.com/kabbas570/LAScarQS2022, models/models.py)."""


@pytest.mark.parametrize(("stage", "variant", "count", "millions"), [
    ("cavity", "full", weights_of(ENCODER + DECODER, 64), "69.18"),
    # The weights are shared: no scale adds any. Without sharing each scale has an encoder of its own.
    *(("cavity", f"scales{n}", weights_of(ENCODER + DECODER, 64), "69.18") for n in (1, 3, 4)),
    ("cavity", "unshared", weights_of(2 * ENCODER + DECODER, 64), "106.92"),
    ("scar", "full", weights_of(PATCHES, 64, (256, 128)), "25.38"),
    ("scar", "one_channel", weights_of([(1, 64), *PATCHES[1:]], 64, (256, 128)), "25.38"),
])  # fmt: skip
def test_the_papers_networks_have_the_public_codes_weights(stage: str, variant: str, count: int, millions: str) -> None:
    plan = SYSTEM.stage(stage, variant).preset("paper").plan
    with torch.device("meta"):
        network = build(plan)
    assert sum(p.numel() for p in network.parameters()) == count and f"{count / 1e6:.2f}" == millions
    assert plan.parameters == sum(p.numel() for p in network.parameters() if p.ndim == 4 and p.shape[-1] > 1)


@pytest.mark.parametrize(("variant", "billions"), [("scales1", 310.80), ("full", 339.31), ("scales3", 346.44), ("scales4", 348.22)])
def test_its_operations_are_those_of_table_1(variant: str, billions: float) -> None:
    with torch.device("meta"):
        network, counted = build(SYSTEM.stage("cavity", variant).preset("paper").plan).eval(), FlopCounterMode(display=False)
        with counted:
            assert network(torch.empty(1, 1, 1, 640, 640)).shape == (1, 1, 1, 640, 640)
    # Multiplications with their additions; the paper's count has those of the norms, too.
    assert counted.get_total_flops() / 2e9 == pytest.approx(billions, rel=0.005)


def test_features_of_both_scales_go_through_one_encoder_and_are_added_at_every_level() -> None:
    network = build(MultiScalePlan(1, 1, (4, 6, 8)), seed=1).network.eval()
    seen, skips = [], []
    network.encoders[0].register_forward_hook(lambda module, given, out: seen.append((given[0], [level.clone() for level in out])))
    for step in network.decoder:
        step.register_forward_pre_hook(lambda module, given: skips.append(given[0].clone()))
    x = torch.randn((2, 1, 16, 16), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        network(x)
    inputs = {given.shape[-1]: (given, levels) for given, levels in seen}
    assert set(inputs) == {16, 8} and len(network.encoders) == 1
    assert torch.allclose(inputs[8][0], functional.avg_pool2d(x, 2), atol=1e-6)
    enlarge = torch.nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
    merged = [large + enlarge(small) for large, small in zip(inputs[16][1], inputs[8][1])]
    # From the deepest up: the skip, and what comes from below.
    assert torch.allclose(skips[0], torch.cat([merged[1], enlarge(merged[2])], dim=1), atol=1e-6)
    assert torch.allclose(skips[1][:, :4], merged[0], atol=1e-6)


@pytest.mark.parametrize("variant", ["scales1", "full", "scales3", "scales4", "unshared"])
def test_every_number_of_scales_takes_any_slice_of_the_divisor(variant: str) -> None:
    plan = SYSTEM.stage("cavity", variant).preset("tiny").plan
    network = build(plan, 0).eval()
    for height, width in ((4, 4), (4, 20), (64, 36)):
        with torch.no_grad():
            assert network(torch.zeros(1, 1, 2, height, width)).shape == (1, 1, 2, height, width)
    assert read_plan(json.loads(json.dumps(plan.to_json()))) == plan


@pytest.mark.parametrize(("change", "words"), [
    ({"scales": 5}, "scales of the network plan is 5"), ({"shared": 1}, "shared .* is 1"), ({"features": [64]}, "1 stages; 2 to 10"),
    ({"features": 64}, "features .* is 64; it must be a list"), ({"features": [64, 0]}, "features of the network plan holds 0"),
    ({"depth": 3}, "unknown depth"), ({"in_channels": 2.0}, "in_channels .* holds 2.0"),
])  # fmt: skip
def test_a_plan_that_can_not_be_is_refused(change: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_plan(MultiScalePlan(1, 1, (4, 8)).to_json() | change)


@pytest.mark.parametrize(("change", "words"), [({"features": [1, 2, 3]}, "3 stages; it must have 4"), ({"dropout": 1}, "dropout .* is 1;")])
def test_a_plan_of_patches_that_can_not_be_is_refused(change: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_plan(PatchUNetPlan(3, 1, (4, 8, 8, 8)).to_json() | change)
