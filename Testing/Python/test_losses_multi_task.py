"""The losses of mtl_sesa (Li et al. 2020), against values worked out by hand and against finite differences."""

from __future__ import annotations

from math import log

import pytest

torch = pytest.importorskip("torch", reason="the networks' extra is not installed")

from LAScarSegLib.losses import Moment, make_loss  # noqa: E402
from LAScarSegLib.losses.binary_cross_entropy import binary_cross_entropy  # noqa: E402
from LAScarSegLib.losses.multi_task import BOUNDARY, OUTSIDE_MM, WALL_AND_SCAR, growth  # noqa: E402
from LAScarSegLib.losses.shape_attention import predicted_boundary, shape_attention  # noqa: E402
from LAScarSegLib.losses.spatial_encoding import distance_probability_encoding, signed_distance_encoding  # noqa: E402

START = Moment(0, 0, 48)
ALL = ("mtl_sesa", "mtl_se", "mtl_bce", "unet_cavity_se", "unet_cavity_bce", "unet_scar_se", "unet_scar_bce", "unet_scar_dice")


def row(*channels: list[float]) -> torch.Tensor:
    """(1, channels, 1, 1, n) float64."""
    return torch.tensor(channels, dtype=torch.float64).reshape(1, len(channels), 1, 1, -1)


def logits(*channels: list[float]) -> torch.Tensor:
    """The logits of these probabilities."""
    return torch.logit(row(*channels))


# Three voxels of a row: deep inside the cavity, on its boundary, 10 mm outside. The boundary is scar.
CAVITY, NORMAL, SCAR = [0.9, 0.5, 0.2], [0.1, 0.6, 0.2], [0.3, 0.9, 0.4]
SAMPLE = {
    "target": row([1, 1, 0], [0, 1, 0]),
    OUTSIDE_MM: row([-8.0, -1.0, 10.0]),
    WALL_AND_SCAR: row([0.0, 0.5, 0.0], [0.0, 1.0, 0.0]),
    BOUNDARY: row([0, 1, 0]),
}
BCE = -(log(0.9) + log(0.5) + log(0.8)) / 3
SE_CAVITY = (0.4 * -8.0 + 0.0 * -1.0 - 0.3 * 10.0) / 3
SE_SCAR = (0.1**2 + 0.1**2 + 0.2**2 + 0.3**2 + 0.1**2 + 0.4**2) / 6
# Δp̂ is −0.2, −0.3, −0.2 and Δp 0, −0.5, 0; the predicted boundary (0.1 < ŷ < 0.8) holds the second and the third voxel.
SA_MANUAL, SA_PREDICTED = 0.2**2, (0.2**2 + 0.2**2) / 2


def test_cross_entropy_has_its_minus_sign_and_is_a_mean() -> None:
    assert float(binary_cross_entropy(logits(CAVITY), SAMPLE["target"][:, :1])) == pytest.approx(BCE, rel=1e-9)


def test_spatial_encoding_of_the_cavity_weighs_by_the_signed_distance() -> None:
    assert float(signed_distance_encoding(logits(CAVITY), SAMPLE[OUTSIDE_MM])) == pytest.approx(SE_CAVITY, rel=1e-9)
    # A voxel called cavity 50 mm away costs more than one 5 mm away, and any costs more than none.
    far, near, none = (float(signed_distance_encoding(logits([p, q]), row([50.0, 5.0]))) for p, q in ((0.9, 0.1), (0.1, 0.9), (0.1, 0.1)))
    assert far - none == pytest.approx(0.8 * 50 / 2) and near - none == pytest.approx(0.8 * 5 / 2)


def test_spatial_encoding_of_the_scar_is_the_squared_error_of_both_probabilities() -> None:
    assert float(distance_probability_encoding(logits(NORMAL, SCAR), SAMPLE[WALL_AND_SCAR])) == pytest.approx(SE_SCAR, rel=1e-9)


def test_shape_attention_is_a_mean_over_its_mask_and_not_over_the_patch() -> None:
    manual = shape_attention(logits(NORMAL, SCAR), SAMPLE[WALL_AND_SCAR], SAMPLE[BOUNDARY])
    assert float(manual) == pytest.approx(SA_MANUAL, rel=1e-9)
    # A hundred voxels more that are on no boundary change nothing.
    wide = torch.nn.functional.pad
    again = shape_attention(wide(logits(NORMAL, SCAR), (0, 100)), wide(SAMPLE[WALL_AND_SCAR], (0, 100)), wide(SAMPLE[BOUNDARY], (0, 100)))
    assert float(again) == pytest.approx(SA_MANUAL, rel=1e-9)


def test_the_predicted_boundary_lies_between_one_and_eight_tenths_and_passes_no_gradient() -> None:
    cavity = logits([0.05, 0.11, 0.5, 0.79, 0.81, 0.99]).requires_grad_()
    mask = predicted_boundary(cavity)
    assert mask.flatten().tolist() == [0, 1, 1, 1, 0, 0] and not mask.requires_grad


def test_two_weights_grow_by_a_tenth_every_200_steps_up_to_seven() -> None:
    assert [growth(step) for step in (0, 199, 200, 399, 400)] == pytest.approx([1.0, 1.0, 1.1, 1.1, 1.21])
    # 1.1²⁰ = 6.727, 1.1²¹ = 7.400.
    assert growth(4199) == pytest.approx(6.7275, abs=1e-4) and growth(4200) == growth(12_000) == 7.0


@pytest.mark.parametrize(("name", "step", "expected"), [
    ("mtl_sesa", 0, BCE + 0.01 * SE_CAVITY + 10 * SE_SCAR + 0.01 * SA_MANUAL + 0.001 * SA_PREDICTED),
    ("mtl_sesa", 400, BCE + 0.0121 * SE_CAVITY + 10 * SE_SCAR + 0.01 * SA_MANUAL + 0.00121 * SA_PREDICTED),
    ("mtl_sesa", 9000, BCE + 0.07 * SE_CAVITY + 10 * SE_SCAR + 0.01 * SA_MANUAL + 0.007 * SA_PREDICTED),
    ("mtl_se", 400, BCE + 0.0121 * SE_CAVITY + 10 * SE_SCAR),
    ("unet_cavity_se", 200, BCE + 0.011 * SE_CAVITY),
    ("unet_cavity_bce", 200, BCE),
    ("unet_scar_se", 200, 10 * SE_SCAR),
])  # fmt: skip
def test_the_terms_add_up_with_the_papers_weights(name: str, step: int, expected: float) -> None:
    loss = make_loss(name)(logits(CAVITY, NORMAL, SCAR), SAMPLE, Moment(step, 0, 48))
    assert float(loss) == pytest.approx(expected, rel=1e-6)


def test_the_binary_ablations_compare_the_scars_voxels() -> None:
    of_scar = -(log(0.7) + log(0.9) + log(0.6)) / 3
    outputs = logits(CAVITY, SCAR)
    assert float(make_loss("mtl_bce")(outputs, SAMPLE, START)) == pytest.approx(BCE + of_scar, rel=1e-6)
    assert float(make_loss("unet_scar_bce")(outputs[:, 1:], SAMPLE, START)) == pytest.approx(of_scar, rel=1e-6)
    # 2 · 0.9 over (0.3 + 0.9 + 0.4) + 1.
    assert float(make_loss("unet_scar_dice")(outputs[:, 1:], SAMPLE, START)) == pytest.approx(1 - 1.8 / 2.6, abs=1e-4)


@pytest.mark.parametrize("name", ALL)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    random = torch.Generator().manual_seed(0)
    outputs = torch.randn((2, 3, 2, 3, 2), generator=random, dtype=torch.float64)
    sample = random_sample(outputs, random)
    loss, moment = make_loss(name), Moment(400, 1, 48)
    # The predicted boundary is a step, of which there is no gradient to be had: no voxel of this batch is near it.
    edges = torch.logit(torch.tensor([0.1, 0.8], dtype=torch.float64))
    assert all(((outputs[:, :1] - edge).abs() > 1e-4).all() for edge in edges)
    assert torch.autograd.gradcheck(lambda x: loss(x, sample, moment), (outputs.requires_grad_(),))


def random_sample(outputs: torch.Tensor, random: torch.Generator) -> dict[str, torch.Tensor]:
    def made(channels: int) -> torch.Tensor:
        return torch.rand((len(outputs), channels, *outputs.shape[2:]), generator=random, dtype=torch.float64)

    return {"target": (made(2) > 0.5).double(), OUTSIDE_MM: 20 * made(1) - 10, WALL_AND_SCAR: made(2), BOUNDARY: (made(1) > 0.7).double()}


@pytest.mark.parametrize("name", ALL)
def test_a_patch_without_cavity_and_scar_has_a_finite_loss_and_gradient(name: str) -> None:
    # Sure of no cavity, so that the predicted boundary is empty, too.
    outputs = torch.full((1, 3, 2, 2, 2), -30.0, requires_grad=True)
    nothing = torch.zeros((1, 2, 2, 2, 2))
    sample = {"target": nothing, OUTSIDE_MM: nothing[:, :1] + 50.0, WALL_AND_SCAR: nothing, BOUNDARY: nothing[:, :1]}
    loss = make_loss(name)(outputs, sample, START)
    loss.backward()
    assert loss.dtype == torch.float32 and loss.isfinite() and outputs.grad.isfinite().all()


def test_half_precision_loses_nothing_of_the_sums() -> None:
    outputs = logits(CAVITY, NORMAL, SCAR)
    small = make_loss("mtl_sesa")(outputs.bfloat16(), SAMPLE, START)
    assert float(small) == pytest.approx(float(make_loss("mtl_sesa")(outputs, SAMPLE, START)), rel=0.01)
