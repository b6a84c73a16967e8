"""The standard disk of the left atrium: where each opening of the atrium lies on it, in every patient.

Coordinates of LA_flattening (Nuñez-Garcia et al., "Fast quasi-conformal regional flattening of the left atrium", IEEE TVCG 2020):
a disk of radius 0.5 around 0 whose rim is the mitral annulus. One looks at the atrium from behind and outside: the back wall lies in the
middle, the patient's left is on the left, the roof above it, then the anterior wall up to the rim; the floor is below.
"""

from __future__ import annotations

import numpy as np

DISK_RADIUS = 0.5

STANDARD_HOLES = {
    "RSPV": ((0.205, 0.084), 0.041),
    "RIPV": ((0.205, -0.109), 0.033),
    "LIPV": ((-0.25, -0.10), 0.030),
    "LSPV": ((-0.25, 0.075), 0.033),
    "LAA": ((-0.28, 0.285), 0.041),
}
"""Centre and radius of each opening (SCIENCE section 9)."""
MIDDLE_RADIUS = 0.020
"""Of a middle vein: its ostium is 8–10 mm wide where the others have 14–17 (SCIENCE section 7), theirs are 0.030–0.041."""
TRUNKS = {"LCPV": ("LSPV", "LIPV"), "RCPV": ("RSPV", "RIPV")}
MIDDLES = {"LMPV": ("LSPV", "LIPV"), "RMPV": ("RSPV", "RIPV")}

RIM_DEGREES = {"RSPV": 22.5, "LAA": 130.5, "LIPV": 210.0, "RIPV": 330.0}
"""Where the dividing line that leaves each opening ends on the rim, degrees counter-clockwise from the right (`t_v5` … `t_v8` of
LA_flattening)."""


def standard_hole(name: str) -> tuple[tuple[float, float], float]:
    """Centre and radius of an opening on the disk.

    The standard has four veins and the appendage. Ours: a common trunk lies in the middle between its two veins and is as large as both
    together; a middle vein lies where it leaves the same room to its neighbours above and below.
    """
    if name in TRUNKS:
        (upper, r_upper), (lower, r_lower) = (STANDARD_HOLES[vein] for vein in TRUNKS[name])
        return ((upper[0] + lower[0]) / 2, (upper[1] + lower[1]) / 2), float(np.hypot(r_upper, r_lower))
    if name in MIDDLES:
        (upper, r_upper), (lower, r_lower) = (STANDARD_HOLES[vein] for vein in MIDDLES[name])
        return ((upper[0] + lower[0]) / 2, (upper[1] - r_upper + lower[1] + r_lower) / 2), MIDDLE_RADIUS
    return STANDARD_HOLES[name]


def rim_point(degrees: float | np.ndarray) -> np.ndarray:
    """(…, 2) the point of the rim at an angle counter-clockwise from the right."""
    return DISK_RADIUS * np.stack([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))], axis=-1)
