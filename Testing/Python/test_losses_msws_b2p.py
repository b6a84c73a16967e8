"""The losses of msws_b2p against values worked out by hand, finite differences and MONAI."""

from __future__ import annotations

from math import exp, log

import pytest

torch = pytest.importorskip("torch", reason="the networks' extra is not installed")

from LAScarSegLib.losses import LOSSES, FocalTversky, OneLogitBCE, SoftIoU, make_loss  # noqa: E402

NAMES = [
    "focal_tversky_cavity", "focal_tversky_scar", "focal_tversky_cavity_gamma", "focal_tversky_scar_gamma", "one_logit_bce", "soft_iou",
]  # fmt: skip


def row(values: list[float], dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """(1, 1, 1, 1, n)."""
    return torch.tensor(values, dtype=dtype).reshape(1, 1, 1, 1, -1)


def logits_of(probabilities: list[float]) -> torch.Tensor:
    return torch.logit(row(probabilities, torch.float64))


# Right 0.9 + 0.5 = 1.4, missed 0.1 + 0.5 = 0.6, wrongly found 0.6 + 0.2 = 0.8.
P, Y = [0.9, 0.6, 0.2, 0.5], row([1, 0, 0, 1])
# 1 − TI = (β·0.6 + α·0.8) / (1.4 + β·0.6 + α·0.8 + ε), ε = 1e-4.
CAVITY, SCAR = 0.66 / 2.0601, 0.68 / 2.0801


@pytest.mark.parametrize(("name", "value"), [
    ("focal_tversky_cavity", CAVITY ** (1 / 0.75)),
    ("focal_tversky_scar", SCAR ** (1 / 0.75)),
    ("focal_tversky_cavity_gamma", CAVITY**0.75),
    ("focal_tversky_scar_gamma", SCAR**0.75),
    ("one_logit_bce", -(log(0.9) + log(0.4) + log(0.8) + log(0.5)) / 4),
    # Σp = 2.2, Σy = 2, both 1.4: union 2.8.
    ("soft_iou", 1 - 2.4 / 3.8),
])  # fmt: skip
def test_each_loss_is_what_a_hand_calculation_gives(name: str, value: float) -> None:
    assert float(make_loss(name)(logits_of(P), Y)) == pytest.approx(value, rel=1e-9)
    assert float(make_loss(name)(logits_of(P).float(), Y)) == pytest.approx(value, rel=1e-5)


def test_the_gradient_is_what_a_hand_calculation_gives() -> None:
    logits = logits_of(P).requires_grad_()
    make_loss("focal_tversky_cavity")(logits, Y).backward()
    # q = m / (r + m + ε): a pixel of the cavity changes r by 1 and m by −0.7, another one m by 0.3; then (4/3) q^(1/3) and p(1 − p).
    slope, whole = (4 / 3) * CAVITY ** (1 / 3), 2.0601
    of_cavity = (-0.7 * whole - 0.66 * 0.3) / whole**2
    of_other = (0.3 * whole - 0.66 * 0.3) / whole**2
    expected = [slope * g * p * (1 - p) for g, p in zip((of_cavity, of_other, of_other, of_cavity), P)]
    assert logits.grad.flatten().tolist() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_equal_finite_differences(name: str) -> None:
    random = torch.Generator().manual_seed(2)
    logits = torch.randn((2, 1, 1, 3, 4), generator=random, dtype=torch.float64, requires_grad=True)
    target = (torch.rand((2, 1, 1, 3, 4), generator=random) > 0.6).double()
    assert torch.autograd.gradcheck(lambda x: make_loss(name)(x, target), (logits,))
    assert torch.autograd.gradcheck(lambda x: make_loss(name)(x, torch.zeros_like(target)), (logits,))


def test_both_readings_of_the_exponent_focus_on_opposite_errors() -> None:
    """As printed (4/3) the slope falls towards a perfect prediction; as in the public code (3/4) it grows."""
    slopes = {}
    for name in ("focal_tversky_cavity", "focal_tversky_cavity_gamma"):
        for quality in (0.6, 0.99):
            logits = logits_of([quality, 1 - quality]).requires_grad_()
            make_loss(name)(logits, row([1, 0])).backward()
            # By the probability, not by the logit.
            slopes[name, quality] = abs(float(logits.grad.flatten()[0])) / (quality * (1 - quality))
    assert slopes["focal_tversky_cavity", 0.99] < 0.5 * slopes["focal_tversky_cavity", 0.6]
    assert slopes["focal_tversky_cavity_gamma", 0.99] > slopes["focal_tversky_cavity_gamma", 0.6]


def test_the_tversky_index_is_that_of_monai() -> None:
    losses = pytest.importorskip("monai.losses", reason="MONAI is not installed")
    random = torch.Generator().manual_seed(5)
    logits = torch.randn((3, 1, 1, 8, 8), generator=random)
    target = (torch.rand((3, 1, 1, 8, 8), generator=random) > 0.7).float()
    theirs = losses.TverskyLoss(sigmoid=True, alpha=0.3, beta=0.7, smooth_nr=1e-4, smooth_dr=1e-4, batch=True)(logits, target)
    assert float(FocalTversky(0.3, 0.7, exponent=1.0)(logits, target)) == pytest.approx(float(theirs), rel=1e-6)
    # The paper's weights are even with Dice's at (½, ½): a missed pixel of the cavity costs more than a wrong one.
    missing, wrong = (float(LOSSES["focal_tversky_cavity"]()(logits_of(p), row([1, 0]))) for p in ([0.5, 0.01], [0.99, 0.5]))
    assert missing > wrong


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("certain", [-200.0, 200.0])
@pytest.mark.parametrize("foreground", [0.0, 1.0])
def test_losses_and_gradients_are_finite_at_the_ends(name: str, certain: float, foreground: float) -> None:
    """No foreground or nothing else, and a network as sure as 32 bits can be."""
    for dtype in (torch.float32, torch.bfloat16):
        logits = torch.full((2, 1, 1, 4, 4), certain, dtype=dtype, requires_grad=True)
        loss = make_loss(name)(logits, torch.full((2, 1, 1, 4, 4), foreground))
        loss.backward()
        assert loss.dtype == torch.float32 and torch.isfinite(loss) and torch.isfinite(logits.grad).all()
        if (certain > 0) == (foreground > 0):
            assert float(loss.detach()) < 1e-5


def test_losses_of_a_batch_are_of_all_its_pixels_together() -> None:
    # 1 of 2 right with p = 1/(1 + e^−1) in one slice, nothing to be found in the other.
    logits, target = (torch.tensor(rows).reshape(2, 1, 1, 1, 2) for rows in ([[1.0, -50.0], [-50.0, -50.0]], [[1.0, 0.0], [0.0, 0.0]]))
    p = 1 / (1 + exp(-1))
    assert float(FocalTversky(0.3, 0.7, 1.0)(logits, target)) == pytest.approx(0.7 * (1 - p) / (p + 0.7 * (1 - p) + 1e-4), rel=1e-5)
    assert float(SoftIoU()(logits, target)) == pytest.approx(1 - (p + 1) / 2, rel=1e-5)
    assert float(OneLogitBCE()(logits, target)) == pytest.approx(-log(p) / 4, rel=1e-5)
