"""A cavity model written by hand: its network says blood where a tile is bright. No training, no random weights."""

from __future__ import annotations

import torch
from model_cases import small_card

from LAScarSegLib.models.bundle import Bundle
from LAScarSegLib.models.store import ModelStore
from LAScarSegLib.networks import build
from LAScarSegLib.networks.weights import pack_tensors

GAIN = 1000.0
"""Logits per standard deviation of the tile; large, because the last activation leaves a hundredth of what is negative."""

HALFWAY_SD = 4 / 3
"""Between the grey levels of a tile that is one tenth blood: blood lies 3 SD above the mean, the rest 1/3 SD below."""


def bright_network(plan) -> torch.nn.Module:
    """The network of a plan with one path from input to output: the first channel, normalised, through the first skip."""
    network = build(plan, seed=0)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
        skip = plan.features[0]
        centre = tuple(size // 2 for size in plan.kernel_sizes[0])
        for block, first in ((network.input_block, 0), (network.upsamples[-1].conv_block, skip)):
            block.conv1.conv.weight[(0, first, *centre)] = 1.0
            block.conv2.conv.weight[(0, 0, *centre)] = 1.0
        network.upsamples[-1].conv_block.norm2.bias[0] = -HALFWAY_SD
        head = network.output_block.conv.conv.weight
        head[0, 0], head[1, 0] = -GAIN, GAIN
    return network


def add_bright_bundle(**changes) -> Bundle:
    """The model in the user's store."""
    card = small_card(name="bright", patch=(32, 32, 32), **changes)
    (file,) = card.fine.weights
    return ModelStore().keep_new(card, {file: pack_tensors(bright_network(card.fine.plan).state_dict())})
