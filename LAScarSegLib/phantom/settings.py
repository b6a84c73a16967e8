"""What can be chosen about a phantom; everything left at None is drawn from the seed."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from ..support.checks import require_choice, require_number
from ..volumes.volume import Geometry

KINDS = ("post_ablation", "native")
"""`post_ablation`: bands around the veins and some fibrosis; `native`: patchy fibrosis only."""

VEIN_VARIANTS = ("typical", "left_common", "right_middle")
"""Four veins; one common left trunk; a third (middle) vein on the right."""

FULL_FIELD_OF_VIEW = (576, 576, 44)
"""Voxels of the default scan: 360 × 360 × 110 mm, a usual protocol's field of view."""
HEART_FIELD_OF_VIEW = (256, 224, 40)
"""Voxels of a scan that shows little more than the LA: 160 × 140 × 100 mm, made in a third of the time."""
LGE_SPACING_MM = (0.625, 0.625, 2.5)
"""Voxel size of the usual reconstruction (1.25 mm acquired in plane, zero-filled), SCIENCE section 7."""
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True)
class PhantomSettings:
    """The choices behind one phantom. Equal settings give identical voxels.

    The constructor raises `InputError`, naming the bad value and what is allowed.
    """

    seed: int = 21
    kind: str = "post_ablation"
    size: tuple[int, int, int] = FULL_FIELD_OF_VIEW
    """Voxels of the image along (i, j, k); even in plane, because half as many are acquired."""
    spacing: tuple[float, float, float] = LGE_SPACING_MM
    """Voxel size of the image in mm; twice that is acquired in plane."""
    direction: tuple[float, ...] = AXIAL
    """The image axes in the patient (LPS, row-major 3×3, columns i, j, k): any right-handed rotation, for oblique scans."""
    snr: float | None = None
    """Blood signal over the noise's SD (per component); None: drawn from 8…15."""
    blood_cv: float = 0.12
    """Coefficient of variation of the blood pool; noise and coil profile that already exceed it are not undone."""
    vein_variant: str | None = None
    la_volume_ml: float | None = None
    """Volume of the cavity, vein stumps and appendage included; None: log-normal, median 110, clipped to 40…220."""
    scar_pct: float | None = None
    """Scar (for `native`: fibrosis) as a share of the LA wall's area, in %; None: drawn."""

    def __post_init__(self) -> None:
        require_choice("kind", self.kind, KINDS)
        if not isinstance(self.seed, int) or isinstance(self.seed, bool) or self.seed < 0:
            raise InputError(f"seed is {self.seed!r}; it must be a whole number from 0 on.")
        if self.vein_variant is not None:
            require_choice("vein_variant", self.vein_variant, VEIN_VARIANTS)
        require_number("blood_cv", self.blood_cv, 0.0, 0.5)
        for name, low, high in (("snr", 1.0, 1000.0), ("la_volume_ml", 40.0, 220.0), ("scar_pct", 2.0, 40.0)):
            if getattr(self, name) is not None:
                require_number(name, getattr(self, name), low, high)
        if len(self.size) != 3 or any(n < 16 for n in self.size) or self.size[0] % 2 or self.size[1] % 2:
            raise InputError(f"size is {self.size}; it must be three numbers of voxels from 16 on, the first two even.")
        Geometry(tuple(self.size), tuple(self.spacing), direction=tuple(self.direction))
        rotation = np.asarray(self.direction, dtype=float).reshape(3, 3)
        if not np.allclose(rotation.T @ rotation, np.eye(3), atol=1e-6):
            raise InputError(f"direction is {tuple(self.direction)}; its columns must be three perpendicular unit vectors.")

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary of every choice."""
        return asdict(self)


def oblique_direction(yaw_deg: float, pitch_deg: float, roll_deg: float) -> tuple[float, ...]:
    """Image axes turned about S by `yaw_deg`, then L by `pitch_deg`, then P by `roll_deg`; row-major 3×3."""
    yaw, pitch, roll = np.radians([yaw_deg, pitch_deg, roll_deg])
    about_s = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    about_l = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    about_p = np.array([[np.cos(roll), 0, np.sin(roll)], [0, 1, 0], [-np.sin(roll), 0, np.cos(roll)]])
    return tuple(float(v) for v in (about_p @ about_l @ about_s).ravel())
