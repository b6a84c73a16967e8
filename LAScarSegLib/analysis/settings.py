"""Every choice a person can make about the analysis, typed, validated, to and from JSON."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from ..anatomy.wall import WALL_OUTSIDE_MM
from ..errors import InputError
from ..support.checks import require_choice, require_number
from ..support.flags import FLAGS, STOP
from ..surface.band_reach import BandReach
from ..surface.region_schemes import SCHEMES, USUAL_SCHEME

PROJECTION_STATISTICS = ("max", "mean", "median", "p90")
"""How the samples along a normal become one number (SCIENCE section 5); `p90` is the 90th percentile."""

STAGINGS = ("utah", "utah2010")
"""`utah`: I < 10, II < 20, III < 30, IV ≥ 30 % of wall volume; `utah2010`: ≤ 5, ≤ 20, ≤ 35, > 35 % (SCIENCE section 5)."""

MAX_EROSION_MM = 10.0
"""Few atria hold blood deeper than this, and the distance maps that the figures look at end at 12 mm."""
LONGEST_LABEL = 80


@dataclass(frozen=True)
class Settings:
    """The choices behind one analysis. Lengths in mm.

    Raises
    ------
    InputError
        from the constructor, naming the bad value and what is allowed.
    """

    rule: str | None = None
    """The scar rule's name (`intensity.rules.RULES`), not used when a scar mask is given; None: the protocol's."""
    threshold: float | None = None
    """The rule's parameter (IIR, number of SDs, percentile); None: its usual one."""
    protocol: str | None = None
    """Whose reading decides (`intensity.protocols.PROTOCOLS`). None: voxels of the wall if there is a rule, else the usual protocol."""
    dense_threshold: float | None = None
    """The rule's parameter above which scar is dense; None: the protocol's, if it has one."""
    native: bool = False
    """The user declares the scan pre-ablation: only then is a Utah stage meaningful."""
    staging: str = "utah"
    regions: str = USUAL_SCHEME
    """The scheme that divides the wall (`surface.region_schemes.SCHEMES`)."""
    wall_outside_mm: float = WALL_OUTSIDE_MM
    """How far the measured wall reaches outside the cavity (SCIENCE section 2)."""
    blood_pool_erosion_mm: float = 3.0
    """How deep inside the cavity the blood pool starts (SCIENCE section 4)."""
    mesh_edge_mm: float = 1.0
    projection_from_mm: float = -1.0
    projection_to_mm: float = 3.0
    projection_step_mm: float = 0.5
    projection_statistic: str = "max"
    scar_reach_mm: float = 3.0
    """A vertex is scar when a scar voxel lies within this distance along its normal, either way."""
    despite: tuple[str, ...] = ()
    """Codes of the flags of severity *stop* that somebody has read and goes on despite; they stay in the result."""
    label: str = ""
    """What the case is called in report, figures and scene: chosen by a person, never read from a scan."""
    perturbation: bool = True
    """Recompute the numbers for shifted cavities and blood pools (the `low`/`high` range)."""
    bands: BandReach = BandReach()
    """How far from the veins' ostia the paths of their gaps may run."""

    def __post_init__(self) -> None:
        for name in ("rule", "protocol"):
            if not isinstance(getattr(self, name), str | None):
                raise InputError(f"{name} is {getattr(self, name)!r}; it must be a name, or null.")
        if not isinstance(self.label, str) or not self.label.isprintable() or len(self.label) > LONGEST_LABEL:
            raise InputError(f"The label is {self.label!r}; it must be one line of at most {LONGEST_LABEL} characters.")
        object.__setattr__(self, "despite", tuple(self.despite))
        stops = [code for code, kind in FLAGS.items() if kind.severity == STOP]
        if unknown := [code for code in self.despite if code not in stops]:
            raise InputError(f"Nothing stops for {', '.join(map(str, unknown))}; one can go on despite {', '.join(stops) or 'nothing'}.")
        if not isinstance(self.bands, BandReach):
            raise InputError(f"bands is {self.bands!r}; it must be a BandReach.")
        for name in ("native", "perturbation"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"{name} is {getattr(self, name)!r}; it must be true or false.")
        for name in ("threshold", "dense_threshold"):
            if getattr(self, name) is not None:
                require_number(name, getattr(self, name), 0.0, float("inf"))
        require_number("wall_outside_mm", self.wall_outside_mm, 0.5, 10.0)
        require_number("blood_pool_erosion_mm", self.blood_pool_erosion_mm, 0.0, MAX_EROSION_MM)
        require_number("mesh_edge_mm", self.mesh_edge_mm, 0.3, 5.0)
        require_number("projection_from_mm", self.projection_from_mm, -10.0, 10.0)
        require_number("projection_to_mm", self.projection_to_mm, self.projection_from_mm, 10.0)
        require_number("projection_step_mm", self.projection_step_mm, 0.1, 5.0)
        require_number("scar_reach_mm", self.scar_reach_mm, 0.5, 10.0)
        require_choice("projection_statistic", self.projection_statistic, PROJECTION_STATISTICS)
        require_choice("staging", self.staging, STAGINGS)
        require_choice("regions", self.regions, tuple(SCHEMES))

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary that `from_json` reads back to an equal object."""
        return dataclasses.asdict(self) | {"despite": list(self.despite), "bands": self.bands.to_json()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Settings:
        """From a dictionary; unknown keys are refused, missing ones take their default."""
        known = {f.name for f in dataclasses.fields(cls)}
        unknown = sorted(set(data) - known)
        if unknown:
            raise InputError(f"Unknown setting {', '.join(map(repr, unknown))}; known are {', '.join(sorted(known))}.")
        return cls(**data | ({"bands": BandReach.from_json(data["bands"])} if "bands" in data else {}))
