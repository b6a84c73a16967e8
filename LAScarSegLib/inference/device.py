"""What computes: the processor or a graphics card, by name and memory."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ..errors import InputError

GIBIBYTE = 1024**3


@dataclass(frozen=True)
class Device:
    """`key` as torch wants it (`cuda:0`), `title` for a person, `memory_gb` of a graphics card (2³⁰ bytes), else None."""

    key: str
    title: str
    memory_gb: float | None = None

    @property
    def kind(self) -> str:
        """`cpu`, `cuda` or `mps`."""
        return self.key.partition(":")[0]

    def __str__(self) -> str:
        return self.title if self.memory_gb is None else f"{self.title}, {self.memory_gb:.0f} GB"


CPU = Device("cpu", "processor")


def list_devices() -> tuple[Device, ...]:
    """Everything torch can compute on here, the fastest first, the processor last. Imports torch."""
    import torch

    devices = []
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            card = torch.cuda.get_device_properties(number)
            devices.append(Device(f"cuda:{number}", card.name, card.total_memory / GIBIBYTE))
    if torch.backends.mps.is_available():
        devices.append(Device("mps", "Apple graphics processor"))
    return (*devices, Device("cpu", f"processor, {os.cpu_count()} cores"))


def choose_device(name: str = "auto") -> Device:
    """The device called `name`: `auto` takes the fastest, `cuda` the first graphics card.

    Raises
    ------
    InputError
        there is no such device; the message names those that are here.
    """
    devices = list_devices()
    wanted = "cuda:0" if name == "cuda" else name
    for device in devices:
        if wanted in ("auto", device.key):
            return device
    here = ", ".join(f"{device.key} ({device})" for device in devices)
    kind = name.partition(":")[0]
    if kind in ("cuda", "mps"):
        raise InputError(
            f"The device '{name}' is not here as far as torch sees; there is {here}. Check the driver and torch's build, or take auto."
        )
    raise InputError(f"There is no device '{name}'; choose auto, or one of {here}.")


@contextmanager
def deterministic() -> Iterator[None]:
    """Inside, a graphics card gives the same numbers every time: cuDNN may not try out which algorithm is faster."""
    import torch

    before = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = before
