"""The choices a person can make about running a network."""

from dataclasses import dataclass

from ..errors import InputError
from ..support.checks import require_number
from ..volumes.volume import Box

STANDARD_STEP = 0.5
"""Tiles lie half a patch apart (nnU-Net's `tile_step_size`)."""


@dataclass(frozen=True)
class InferenceOptions:
    """How a network is run.

    Raises
    ------
    InputError
        from the constructor, for a step that can't be.
    """

    device: str = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:N` or `mps`."""
    region_first: bool = True
    """A coarse pass finds the LA and the fine one sees only its box; False: the whole scan, which bundles without a coarse network
    see anyway."""
    roi: Box | None = None
    """Where the LA lies, on the scan's grid, from the user: the fine pass sees this, and no coarse pass is run."""
    mirror: bool = False
    """Average over mirrored tiles: up to eight times slower."""
    step: float = STANDARD_STEP
    """Distance between tiles as a part of the patch."""
    mask_prediction: bool | None = None
    """Nothing outside the system's region around the wall; None: as the system has it."""
    doubt: bool = True
    """Say how far the cavity can be trusted, where the bundle's card knows how: a third of the time more."""

    def __post_init__(self) -> None:
        require_number("step", self.step, 0.1, 1.0)
        if self.roi is not None and min(self.roi.shape) < 1:
            raise InputError(f"The region of interest {self.roi} is empty. Draw it around the left atrium.")
