"""The losses of progressive (Zhang J. et al. 2026), against values worked out by hand, finite differences and MONAI."""

from __future__ import annotations

from math import exp, log

import pytest

torch = pytest.importorskip("torch", reason="the networks' extra is not installed")
monai_losses = pytest.importorskip("monai.losses", reason="the networks' extra is not installed")

from LAScarSegLib.losses import CavityAndWallWeightedScar, DiceCE, Moment, make_loss  # noqa: E402
from LAScarSegLib.losses.wall_weighted import alpha  # noqa: E402


def patch(values: list[float], batch: int = 1) -> torch.Tensor:
    """(batch, 1, 1, 1, n) float64."""
    return torch.tensor(values, dtype=torch.float64).reshape(batch, 1, 1, 1, -1)


# Four voxels: predicted 0.9, 0.6, 0.2, 0.3; the first and the last are scar; the first two lie in the wall.
P, Y, M = patch([0.9, 0.6, 0.2, 0.3]), patch([1, 0, 0, 1]), patch([1, 1, 0, 0])
Z = torch.log(P / (1 - P))
PLAIN = 0.5 * (1 - 2 * 1.2 / (2.0 + 2.0)) - 0.5 * (log(0.9) + log(0.4) + log(0.8) + log(0.3)) / 4
# W = 2, 2, 1, 1: 2ΣWpy = 2 · (1.8 + 0.3), ΣWp = 1.8 + 1.2 + 0.2 + 0.3, ΣWy = 2 + 1, ΣW = 6.
WEIGHTED = 0.5 * (1 - 2 * 2.1 / (3.5 + 3.0)) - 0.5 * (2 * log(0.9) + 2 * log(0.4) + log(0.8) + log(0.3)) / 6


def test_dice_and_cross_entropy_count_half_each() -> None:
    assert float(DiceCE()(Z, Y)) == pytest.approx(PLAIN, abs=1e-5)
    assert float(DiceCE(dice_share=1.0)(Z, Y)) == pytest.approx(1 - 2 * 1.2 / 4.0, abs=1e-5)
    assert float(make_loss("dice_ce")(Z, Y, None)) == pytest.approx(PLAIN, abs=1e-5)


def test_a_voxel_of_weight_2_counts_like_two_voxels() -> None:
    assert float(DiceCE()(Z, Y, weight=1 + M)) == pytest.approx(WEIGHTED, abs=1e-5)
    twice = [torch.cat([values, values[..., :2]], dim=-1) for values in (Z, Y)]
    assert float(DiceCE()(*twice)) == pytest.approx(WEIGHTED, abs=1e-5)


def test_a_weight_that_is_the_same_everywhere_changes_nothing() -> None:
    # "When scar is correctly confined within LA wall, the weighting matrix reduces to a spatially constant factor" (section 3.2).
    assert float(DiceCE(smooth=1e-12)(Z, Y, weight=torch.full_like(Y, 7.0))) == pytest.approx(float(DiceCE(smooth=1e-12)(Z, Y)), rel=1e-9)


def test_unweighted_it_is_monais() -> None:
    random = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn((3, 1, 4, 5, 6), generator=random)
    target = (torch.rand(logits.shape, generator=random) > 0.8).float()
    theirs = monai_losses.DiceCELoss(sigmoid=True, smooth_nr=1e-5, smooth_dr=1e-5, lambda_dice=0.5, lambda_ce=0.5)
    assert float(DiceCE()(logits, target)) == pytest.approx(float(theirs(logits, target)), rel=1e-5)


def test_each_patch_has_its_own_ratio() -> None:
    both = DiceCE()(torch.cat([Z, -Z]), torch.cat([Y, Y]))
    assert float(both) == pytest.approx((float(DiceCE()(Z, Y)) + float(DiceCE()(-Z, Y))) / 2)


def test_alpha_grows_to_1_over_the_first_half_of_the_epochs() -> None:
    moments = [Moment(0, epoch, 250) for epoch in (0, 25, 50, 125, 249)]
    assert [alpha(moment.done) for moment in moments] == pytest.approx([0.0, 0.2, 0.4, 1.0, 1.0])


@pytest.mark.parametrize(("epoch", "scar"), [(0, PLAIN), (4, WEIGHTED), (7, WEIGHTED)])
def test_stage_ii_is_three_parts_of_the_cavity_and_seven_of_the_scar(epoch: int, scar: float) -> None:
    # The cavity's decoder says 0.5 everywhere of two voxels in four: Dice 1 − 2/4, cross-entropy log 2.
    cavity = 0.5 * 0.5 + 0.5 * log(2)
    outputs = torch.cat([torch.zeros_like(Z), Z], dim=1)
    sample = {"target": torch.cat([patch([1, 1, 0, 0]), Y], dim=1), "wall": M}
    value = make_loss("cavity_and_wall_weighted_scar")(outputs, sample, Moment(0, epoch, 8))
    assert float(value) == pytest.approx(0.3 * cavity + 0.7 * scar, abs=1e-5)


def test_halfway_up_a_voxel_of_the_wall_counts_half_as_much_again() -> None:
    outputs, sample = torch.cat([Z, Z], dim=1), {"target": torch.cat([Y, Y], dim=1), "wall": M}
    value = CavityAndWallWeightedScar()(outputs, sample, Moment(0, 2, 8))
    # W = 1.5, 1.5, 1, 1.
    dice = 1 - 2 * (1.35 + 0.3) / (1.35 + 0.9 + 0.2 + 0.3 + 2.5)
    entropy = -(1.5 * log(0.9) + 1.5 * log(0.4) + log(0.8) + log(0.3)) / 5
    assert float(value) == pytest.approx(0.3 * PLAIN + 0.7 * (0.5 * dice + 0.5 * entropy), abs=1e-5)


def random_patches() -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    random = torch.Generator().manual_seed(1)
    outputs = torch.randn((2, 2, 2, 3, 3), generator=random, dtype=torch.float64, requires_grad=True)
    target = (torch.rand(outputs.shape, generator=random) > 0.6).double()
    return outputs, {"target": target, "wall": torch.rand((2, 1, 2, 3, 3), generator=random, dtype=torch.float64)}


def test_the_gradients_are_those_of_finite_differences() -> None:
    outputs, sample = random_patches()
    assert torch.autograd.gradcheck(lambda x: DiceCE()(x[:, :1], sample["target"][:, :1], weight=1 + sample["wall"]), outputs)
    assert torch.autograd.gradcheck(lambda x: CavityAndWallWeightedScar()(x, sample, Moment(0, 1, 4)), outputs)


def test_one_voxels_gradient_is_the_formulas() -> None:
    z = torch.zeros((1, 1, 1, 1, 1), dtype=torch.float64, requires_grad=True)
    DiceCE(dice_share=0.0)(z, torch.ones_like(z)).backward()
    # d/dz of log(1 + exp(−z)) at 0.
    assert float(z.grad) == pytest.approx(-exp(0) / (1 + exp(0)))


@pytest.mark.parametrize("extreme", [-1e4, 0.0, 1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_losses_and_gradients_are_finite_without_foreground_wall_or_doubt(extreme: float, dtype: torch.dtype) -> None:
    outputs = torch.full((1, 2, 2, 4, 4), extreme, dtype=dtype, requires_grad=True)
    sample = {"target": torch.zeros((1, 2, 2, 4, 4)), "wall": torch.zeros((1, 1, 2, 4, 4))}
    value = CavityAndWallWeightedScar()(outputs, sample, Moment(0, 3, 4))
    value.backward()
    assert value.dtype == torch.float32 and bool(value.isfinite()) and bool(outputs.grad.isfinite().all())
    if extreme == -1e4:
        # Nothing there and nothing said: a perfect score.
        assert float(value) == pytest.approx(0.0, abs=1e-6)
