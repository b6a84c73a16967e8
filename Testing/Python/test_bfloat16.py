"""A processor's bfloat16 is right where a network's grid is thin."""

import pytest
import torch
from LAScarSegLib.training.bfloat16 import mend_thin_convolutions
from torch import nn

BFLOAT16_ERROR = 0.02
"""Relative; the format has 8 significant bits, a rounding error of 0.4 %."""


def gradient(convolution: nn.Conv3d, x: torch.Tensor, bfloat16: bool) -> torch.Tensor:
    convolution.zero_grad()
    # What was in memory before shows where it isn't written.
    for size in (1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 1 << 22):
        torch.full((size,), 1e30)
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        found = convolution(x)
    found.float().square().sum().backward()
    return convolution.weight.grad.clone()


@pytest.mark.parametrize(("depth", "kernel", "padding"), [(2, 3, 1), (3, 5, 2), (4, 3, 1)])
def test_gradients_of_thin_grids_are_those_of_32_bits(depth, kernel, padding):
    torch.manual_seed(0)
    convolution = nn.Conv3d(32, 32, kernel, padding=padding)
    mend_thin_convolutions(convolution)
    x = torch.randn(1, 32, depth, 4, 4)
    expected = gradient(convolution, x, bfloat16=False)

    for _ in range(10):
        error = (gradient(convolution, x, bfloat16=True) - expected).norm() / expected.norm()
        assert error < BFLOAT16_ERROR


def test_the_rest_stays_in_bfloat16():
    convolution = nn.Conv3d(4, 4, 3, padding=1)
    mend_thin_convolutions(convolution)

    with torch.autocast("cpu", torch.bfloat16):
        assert convolution(torch.zeros(1, 4, 4, 6, 6)).dtype == torch.bfloat16
        assert convolution(torch.zeros(1, 4, 2, 6, 6)).dtype == torch.float32


def test_the_names_of_the_weights_stay():
    network = nn.Sequential(nn.Conv3d(1, 2, 3), nn.ReLU())
    before = list(network.state_dict())
    mend_thin_convolutions(network)

    assert list(network.state_dict()) == before
