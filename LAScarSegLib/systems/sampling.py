"""Which patches a network is trained on."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor

from ..errors import InputError
from ..support.checks import require_choice

SAMPLINGS = ("patches", "slices", "boundary")
AUGMENTATIONS = ("nnunet", "quarter_turns", "none", "lge_mri")
"""`nnunet`: all of nnU-Net's; `quarter_turns`: in the plane of the slices, and mirrored there; `none`: as they are; `lge_mri`: what an
LGE-MRI's anatomy, reconstruction and acquisition vary in (Zhang J. et al. 2026, table 1)."""


@dataclass(frozen=True)
class Sampler:
    """How patches are drawn from the prepared cases.

    `patches`: anywhere in the scan; `slices`: any slice, the patch in its middle; `boundary`: around points that lie every `step_px` along
    the outline of the cavity in each slice. In use `boundary` looks at the patches around all of these points, the others at the whole
    region. The patch of `slices` and `boundary` is one slice thick.
    """

    kind: str = "patches"
    foreground_share: float = 1 / 3
    """Share of a batch's patches that must hold foreground, at least one (nnU-Net's oversampling: of two patches, one); 0: none must."""
    foreground: str = ""
    """Of which product; "": of the stage's last one."""
    of_each_batch: bool = True
    """Each batch has its share, at least one patch (nnU-Net); False: all patches together have it, evenly spread, so that of batches of a
    single patch only some must hold foreground."""
    step_px: int = 12
    augmentation: str = "nnunet"

    def __post_init__(self) -> None:
        require_choice("sampler", self.kind, SAMPLINGS)
        require_choice("augmentation", self.augmentation, AUGMENTATIONS)
        if not 0.0 <= self.foreground_share <= 1.0:
            raise InputError(f"The sampler's share of foreground is {self.foreground_share!r}; it must be from 0 to 1.")
        if self.step_px < 1:
            raise InputError(f"The sampler's step along the boundary is {self.step_px!r}; it must be at least 1 pixel.")

    def wants_foreground(self, number: int, batch: int) -> bool:
        """Whether sample `number` must hold foreground: the last third of each batch, at least one patch of it (nnU-Net's rule)."""
        if self.foreground_share == 0:
            return False
        if not self.of_each_batch:
            # Whenever the share of the samples so far passes a whole number.
            return floor((number + 1) * self.foreground_share) > floor(number * self.foreground_share)
        return number % batch >= min(batch - 1, round(batch * (1.0 - self.foreground_share)))
