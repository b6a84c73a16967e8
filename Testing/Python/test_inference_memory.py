"""Devices and memory: what is there, and what happens when it is not enough."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks need torch")

from model_cases import Contrast, ball, small_card  # noqa: E402

from LAScarSegLib.errors import InputError, ProcessingError  # noqa: E402
from LAScarSegLib.inference.bundle_models import BundleCavityModel  # noqa: E402
from LAScarSegLib.inference.device import CPU, Device, choose_device, list_devices  # noqa: E402
from LAScarSegLib.inference.memory import smaller_tile, with_less_memory  # noqa: E402

CARD = Device("cuda:0", "Some graphics card", 8.0)


class Greedy(Contrast):
    """A network that needs more memory than there is for tiles above a size."""

    def __init__(self, largest: int) -> None:
        super().__init__(gain=4.0)
        self.largest = largest

    def forward(self, x):
        if max(x.shape[2:]) > self.largest:
            raise torch.OutOfMemoryError("out of memory")
        return super().forward(x)


def test_a_network_that_runs_out_of_memory_gets_smaller_tiles_and_that_is_a_stop():
    volume, _ = ball((2.0, 2.0, 2.0), (48, 48, 48))
    card = small_card(patch=(64, 64, 64))
    greedy = BundleCavityModel(card, lambda spec, fold: Greedy(32)).predict(volume)
    plain = BundleCavityModel(card, lambda spec, fold: Contrast(gain=4.0)).predict(volume)
    assert np.allclose(greedy.array, plain.array, atol=1e-5)
    assert [(flag.code, flag.severity) for flag in greedy.flags] == [("smaller_tiles", "stop")]
    assert "64×64×64" in greedy.flags[0].message and "32×32×32" in greedy.flags[0].message
    assert plain.flags == ()


def test_without_memory_for_the_smallest_tile_it_says_what_to_do():
    volume, _ = ball((2.0, 2.0, 2.0), (48, 48, 48))
    with pytest.raises(ProcessingError, match="not enough memory.*region of interest"):
        BundleCavityModel(small_card(), lambda spec, fold: Greedy(1)).predict(volume)


def test_a_full_graphics_card_gives_way_to_the_processor():
    asked = []

    def work(device, tile):
        asked.append((device.kind, tile))
        if device == CARD:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return "done"

    result, notes = with_less_memory(work, CARD, (64, 64, 64), (4, 4, 4))
    assert result == "done"
    # In full tiles, so that it finds what the card would have found.
    assert asked == [("cuda", (64, 64, 64)), ("cpu", (64, 64, 64))]
    assert notes[0].code == "device_changed" and "Some graphics card ran out of memory" in notes[0].message


def test_a_graphics_card_that_vanishes_is_not_asked_again():
    asked = []

    def work(device, tile):
        asked.append(device.kind)
        if device == CARD:
            raise RuntimeError("CUDA error: device-side failure")
        return 1

    _, notes = with_less_memory(work, CARD, (64, 64, 64), (4, 4, 4))
    assert asked == ["cuda", "cpu"]
    assert "CUDA error: device-side failure" in notes[0].message


def test_an_error_that_has_nothing_to_do_with_memory_is_shown():
    def work(device, tile):
        raise ZeroDivisionError("a mistake")

    with pytest.raises(ZeroDivisionError):
        with_less_memory(work, CPU, (64, 64, 64), (4, 4, 4))


def test_the_processors_own_words_for_no_memory_are_understood():
    def work(device, tile):
        if max(tile) > 32:
            raise RuntimeError(
                "[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."
            )
        return tile

    assert with_less_memory(work, CPU, (64, 32, 32), (4, 4, 4))[0] == (32, 32, 32)


@pytest.mark.parametrize(
    ("patch", "divisor", "smaller"),
    [
        ((64, 80, 80), (16, 16, 16), (64, 32, 80)),
        ((24, 256, 256), (4, 64, 64), (24, 128, 256)),
        ((32, 32, 32), (4, 4, 4), None),
        ((96, 32, 32), (32, 32, 32), (32, 32, 32)),
    ],
)
def test_a_smaller_tile_still_fits_the_network(patch, divisor, smaller):
    assert smaller_tile(patch, divisor) == smaller


def test_auto_takes_what_is_there():
    assert choose_device("auto") == list_devices()[0]
    assert choose_device("cpu").kind == "cpu"


@pytest.mark.parametrize("name", ["gpu", "", "cpu:1", "cuda:x"])
def test_an_unknown_device_is_refused_and_those_that_exist_are_named(name):
    with pytest.raises(InputError, match="cpu"):
        choose_device(name)


def test_a_graphics_card_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="cuda:99.*not here"):
        choose_device("cuda:99")
