"""The losses of two_stage_sdm and boundary_focused, against values worked out by hand and against other libraries."""

from __future__ import annotations

from math import log, sqrt

import pytest

torch = pytest.importorskip("torch", reason="the networks' extra is not installed")
pytest.importorskip("monai", reason="the networks' extra is not installed")

from LAScarSegLib.losses import (  # noqa: E402
    CrossEntropy,
    DeepSupervision,
    RegionBCE,
    RegionDice,
    SoftDice,
    TopK,
    cross_entropy_dice,
    dice_topk,
    region_loss,
)
from LAScarSegLib.losses.deep_supervision import at_size, level_weights  # noqa: E402
from LAScarSegLib.losses.region_bce import positive_weight  # noqa: E402

ALL = [CrossEntropy, TopK, SoftDice, RegionDice, RegionBCE, cross_entropy_dice, dice_topk, region_loss]


def patch(values: list[float], batch: int = 1) -> torch.Tensor:
    """(batch, 1, 1, 1, n) float32."""
    return torch.tensor(values, dtype=torch.float32).reshape(batch, 1, 1, 1, -1)


def logits_of(probability: torch.Tensor) -> torch.Tensor:
    """Logits (B, 2, …) whose foreground softmax is `probability` (B, 1, …)."""
    return torch.cat([torch.log1p(-probability), torch.log(probability)], dim=1)


def random_batch(shape: tuple[int, ...] = (2, 1, 4, 6, 6)) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn((shape[0], 2, *shape[2:]), generator=random)
    return logits, (torch.rand(shape, generator=random) > 0.8).long(), torch.rand(shape, generator=random) > 0.5


# Four voxels: scar predicted 0.9, 0.6, 0.2, 0.3; the first and the last are scar; the last lies outside the region.
P, Y, R = patch([0.9, 0.6, 0.2, 0.3]), patch([1, 0, 0, 1]), patch([1, 1, 1, 0])
ROI_DICE = 1 - 2 * 0.9 / (1.7 + 1)
ROI_BCE = -(sqrt(2) * log(0.9) + log(0.4) + log(0.8)) / 3
GLOBAL_DICE = 1 - 2 * 1.2 / (2 + 2)


def test_roi_dice_counts_the_region_alone() -> None:
    assert float(RegionDice()(logits_of(P), Y, R)) == pytest.approx(ROI_DICE, abs=1e-5)


def test_roi_bce_weighs_scar_by_the_root_of_its_rarity() -> None:
    # P = 1 and N = 2 in the region: w⁺ = √2.
    assert float(RegionBCE()(logits_of(P), Y, R)) == pytest.approx(ROI_BCE, abs=1e-5)


@pytest.mark.parametrize(
    ("scar", "other", "weight"), [(1, 4, 2.0), (1, 9, 3.0), (4, 1, 1.0), (1, 400, 10.0), (0, 5, 10.0), (5, 0, 1.0), (0, 0, 1.0)]
)
def test_the_weight_lies_between_1_and_10(scar: int, other: int, weight: float) -> None:
    labels = patch([1.0] * scar + [0.0] * other + [1.0])
    inside = patch([1.0] * (scar + other) + [0.0])
    assert positive_weight(labels, inside).tolist() == pytest.approx([weight], abs=1e-4)


def test_each_patch_has_its_own_weight() -> None:
    labels, inside = patch([1, 0, 0, 0, 0, 1, 1, 1, 1, 0], batch=2), patch([1.0] * 10, batch=2)
    assert positive_weight(labels, inside).tolist() == pytest.approx([2.0, 1.0], abs=1e-4)


def test_roi_losses_are_the_mean_over_patches() -> None:
    logits, target, region = random_batch()
    for loss in (RegionDice(), RegionBCE()):
        alone = [float(loss(logits[b : b + 1], target[b : b + 1], region[b : b + 1])) for b in range(2)]
        assert float(loss(logits, target, region)) == pytest.approx(sum(alone) / 2, rel=1e-5)


def test_the_scar_loss_is_dice_twice_bce_and_a_tenth_of_global_dice() -> None:
    expected = ROI_DICE + 2 * ROI_BCE + 0.1 * GLOBAL_DICE
    assert float(region_loss()(logits_of(P), Y, R)) == pytest.approx(expected, abs=1e-5)


def test_nothing_outside_the_region_is_learned_from_the_roi_losses() -> None:
    for loss in (RegionDice(), RegionBCE()):
        logits, target, region = random_batch()
        logits.requires_grad_()
        loss(logits, target, region).backward()
        outside = ~region.expand_as(logits)
        assert (logits.grad[outside] == 0).all() and (logits.grad[~outside] != 0).any()


def test_topk_is_the_mean_of_the_worst_tenth_of_the_batch() -> None:
    # 20 voxels in two patches; the two worst, 0.05 and 0.1 of being right, lie in the second.
    right = [0.9] * 10 + [0.8] * 8 + [0.1, 0.05]
    target = patch([1.0] * 20, batch=2)
    assert float(TopK()(logits_of(patch(right, batch=2)), target)) == pytest.approx(-(log(0.1) + log(0.05)) / 2, rel=1e-5)


def test_topk_of_fewer_than_ten_voxels_is_the_worst_one() -> None:
    assert float(TopK()(logits_of(P), Y)) == pytest.approx(-log(0.3), rel=1e-5)


def test_topk_of_all_voxels_is_cross_entropy() -> None:
    logits, target, _ = random_batch()
    assert float(TopK(share=1.0)(logits, target)) == pytest.approx(float(CrossEntropy()(logits, target)), rel=1e-5)


def test_cross_entropy_is_torchs() -> None:
    logits, target, _ = random_batch()
    expected = torch.nn.functional.cross_entropy(logits, target[:, 0])
    assert float(CrossEntropy()(logits, target)) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("over_batch", [True, False])
def test_dice_is_monais(over_batch: bool) -> None:
    from monai.losses import DiceLoss

    logits, target, _ = random_batch()
    theirs = DiceLoss(include_background=False, to_onehot_y=True, softmax=True, batch=over_batch, smooth_nr=1e-5, smooth_dr=1e-5)
    assert float(SoftDice(over_batch)(logits, target)) == pytest.approx(float(theirs(logits, target)), rel=1e-5)


def test_roi_dice_of_everything_is_dice() -> None:
    logits, target, region = random_batch()
    assert float(RegionDice()(logits, target, torch.ones_like(region))) == pytest.approx(float(SoftDice(False)(logits, target)), rel=1e-5)


def test_unweighted_roi_bce_is_torchs_bce_of_the_regions_voxels() -> None:
    logits, target, region = random_batch((1, 1, 4, 6, 6))
    margin = (logits[:, 1:] - logits[:, :1])[region]
    expected = torch.nn.functional.binary_cross_entropy_with_logits(margin, target[region].float())
    assert float(RegionBCE(largest_weight=1.0)(logits, target, region)) == pytest.approx(float(expected), rel=1e-5)


def test_compound_losses_are_nnu_nets() -> None:
    pytest.importorskip("nnunetv2", reason="nnunetv2 is not in this environment")
    from nnunetv2.training.loss.compound_losses import DC_and_CE_loss, DC_and_topk_loss
    from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss

    logits, target, _ = random_batch()
    dice = {"batch_dice": True, "smooth": 1e-5, "do_bg": False, "ddp": False}
    # nnU-Net's Dice loss is −Dice, ours 1 − Dice.
    ce = DC_and_CE_loss(dice, {}, dice_class=MemoryEfficientSoftDiceLoss)(logits, target) + 1
    topk = DC_and_topk_loss(dice, {"k": 10})(logits, target) + 1
    assert float(cross_entropy_dice()(logits, target)) == pytest.approx(float(ce), rel=1e-5)
    assert float(dice_topk()(logits, target)) == pytest.approx(float(topk), rel=1e-5)


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("scar", [0, 1])
@pytest.mark.parametrize("inside", [0, 1])
@pytest.mark.parametrize("margin", [-200.0, 0.0, 200.0])
def test_every_loss_is_finite_where_scar_or_region_fill_or_leave_the_patch(make: type, scar: int, inside: int, margin: float) -> None:
    logits = torch.zeros((2, 2, 4, 4, 4))
    logits[:, 1] = margin
    logits.requires_grad_()
    shape = (2, 1, 4, 4, 4)
    value = make()(logits, torch.full(shape, scar), torch.full(shape, inside, dtype=torch.bool))
    value.backward()
    assert torch.isfinite(value) and value >= 0 and torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("make", [RegionDice, RegionBCE])
def test_an_empty_region_costs_nothing(make: type) -> None:
    logits, target, region = random_batch()
    assert float(make()(logits, target, torch.zeros_like(region))) == 0.0


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits_lose_nothing_but_their_own_rounding(make: type, dtype: torch.dtype) -> None:
    logits, target, region = random_batch((2, 1, 8, 64, 64))
    half = logits.to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype=dtype):
        value = make()(half, target, region)
    value.backward()
    assert value.dtype == torch.float32
    assert float(value.detach()) == pytest.approx(float(make()(half.detach().float(), target, region)), rel=1e-5)
    assert torch.isfinite(half.grad).all()


def test_a_sum_of_more_voxels_than_float16_can_count_is_exact() -> None:
    # float16 ends at 65504; here 131,072 voxels are summed.
    logits = torch.zeros((1, 2, 32, 64, 64), dtype=torch.float16)
    target = torch.ones((1, 1, 32, 64, 64))
    assert float(SoftDice()(logits, target)) == pytest.approx(1 - 2 * 0.5 / 1.5, rel=1e-6)
    assert float(RegionBCE()(logits, target, target)) == pytest.approx(log(2), rel=1e-6)


@pytest.mark.parametrize("make", ALL)
def test_gradients_are_those_of_finite_differences(make: type) -> None:
    logits, target, region = random_batch((2, 1, 2, 3, 4))
    step = torch.randn(logits.shape, generator=torch.Generator().manual_seed(1))
    logits.requires_grad_()
    loss = make()
    loss(logits, target, region).backward()
    with torch.no_grad():
        up, down = loss(logits + 0.01 * step, target, region), loss(logits - 0.01 * step, target, region)
    assert float((up - down) / 0.02) == pytest.approx(float((logits.grad * step).sum()), rel=0.01, abs=1e-4)


def test_deep_supervision_halves_the_weight_per_level_and_leaves_out_the_lowest() -> None:
    # nnU-Net: 1, 1/2, 1/4, 1/8, 0 over their sum of 1.875.
    assert level_weights(5) == pytest.approx([8 / 15, 4 / 15, 2 / 15, 1 / 15, 0])
    assert level_weights(2) == (1.0, 0.0) and level_weights(1) == (1.0,)
    assert all(weight > 0 for weight in level_weights(4, lowest_weight=1e-6)) and sum(level_weights(4, 1e-6)) == pytest.approx(1)


def test_deep_supervision_is_the_weighted_sum_of_the_levels() -> None:
    logits, target, region = random_batch((1, 1, 8, 8, 8))
    levels = [logits, logits[..., ::2, ::2, ::2], torch.full((1, 2, 2, 2, 2), torch.nan)]
    smaller = [mask[..., 1::2, 1::2, 1::2] for mask in (target, region)]
    loss = RegionBCE()
    expected = 2 / 3 * loss(logits, target, region) + 1 / 3 * loss(levels[1], *smaller)
    # The lowest level has weight 0 and may even be NaN.
    assert float(DeepSupervision(loss)(levels, target, region)) == pytest.approx(float(expected), rel=1e-6)


def test_deep_supervision_of_a_network_in_evaluation_mode_is_the_loss_itself() -> None:
    logits, target, region = random_batch()
    assert float(DeepSupervision(RegionBCE())(logits, target, region)) == float(RegionBCE()(logits, target, region))


def test_masks_are_made_smaller_by_nearest_neighbour_also_unevenly() -> None:
    mask = torch.zeros((1, 1, 4, 4, 4), dtype=torch.bool)
    mask[0, 0, 1, 3, 1] = True
    small = at_size(mask, (4, 2, 2))
    assert small.shape == (1, 1, 4, 2, 2) and set(small.unique().tolist()) == {0.0, 1.0}
    assert small[0, 0].nonzero().tolist() == [[1, 1, 0]]
