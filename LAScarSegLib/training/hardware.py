"""Where and how fast a training runs: what may be another on another machine."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InputError
from ..support.checks import require_choice
from . import VALIDATE_EVERY

PRECISIONS = {"auto": None, "32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}
"""Names for the command line, and Lightning's."""
ACCELERATORS = {"cpu": "cpu", "cuda": "gpu", "mps": "mps"}
AUGMENT_ON = ("auto", "device", "cpu")


@dataclass(frozen=True)
class Hardware:
    """Where and how fast to train; nothing here is kept with the run, so that it may go on elsewhere."""

    device: str = "auto"
    devices: int = 1
    """Graphics cards on each node (or processes, on processors)."""
    nodes: int = 1
    precision: str = "auto"
    """One of `PRECISIONS`; `auto`: bfloat16 where the machine computes with it, else 16 bits on a graphics card, else 32."""
    workers: int | None = None
    """Processes that cut and augment patches; None: half of the cores."""
    max_steps: int | None = None
    """Stop after so many optimiser steps in all; the schedule stays that of the whole training."""
    validate_every: int = VALIDATE_EVERY
    augment_on: str = "auto"
    """One of `AUGMENT_ON`. `device`: patches are augmented where the network is, a batch at once; `cpu`: by the processes that cut them;
    `auto`: on the device where that is a graphics card and can do it."""
    channels_last: bool = False
    """Keep a voxel's channels beside each other: the same sums in another order, on a processor in a sixth less time."""

    def __post_init__(self) -> None:
        require_choice("place to augment on", self.augment_on, AUGMENT_ON)
        if self.precision not in PRECISIONS:
            raise InputError(f"There is no precision {self.precision!r}; choose one of {', '.join(PRECISIONS)}.")
        for name in ("devices", "nodes", "validate_every", "max_steps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} is {value}; it must be at least 1.")


def lightning_options(machine: Hardware) -> dict[str, object]:
    """What Lightning's Trainer is told of the machine."""
    from ..inference.device import choose_device

    device = choose_device(machine.device)
    numbered = device.kind == "cuda" and machine.device.startswith("cuda:")
    devices = [int(device.key.partition(":")[2])] if numbered and machine.devices == 1 else machine.devices
    return {
        "accelerator": ACCELERATORS[device.kind], "devices": devices, "num_nodes": machine.nodes,
        "precision": PRECISIONS[machine.precision] or _best_precision(device.kind), "benchmark": device.kind == "cuda",
    }  # fmt: skip


def _best_precision(kind: str) -> str:
    import torch

    if kind == "cuda":
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"
    # oneDNN has bfloat16 convolutions from AVX-512 on: half the time of 32 bits for the small networks.
    fast = kind == "cpu" and torch.backends.mkldnn.is_available() and "AVX512" in torch.backends.cpu.get_cpu_capability()
    return "bf16-mixed" if fast else "32-true"
