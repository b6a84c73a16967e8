"""The published protocols: all that a published share of scar depends on, one entry each (ARCHITECTURE, "Protocols")."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..errors import InputError
from .rules import BARCELONA, CARMA, CEMRGAPP, HOPMAN, KHURRAM, KINGS_COLLEGE, RULES, Rule


class Reading(str, Enum):
    """What a threshold is compared with. In a layer the vertices decide, and a wall voxel is scar exactly if its nearest vertex is."""

    VOXELS = "voxels"
    """Every voxel of the wall; a vertex is scar when some scar voxel lies along its normal."""
    MID_WALL = "mid-wall"
    """One sample halfway through the wall."""
    NORMAL_MAXIMUM = "normal-maximum"
    """The brightest of the neighbourhoods of whole-millimetre steps from 1 mm inside to 3 mm outside."""

    @property
    def is_layer(self) -> bool:
        return self is not Reading.VOXELS

    @property
    def where(self) -> str:
        """In words, after "where the intensity …": "in the mid-wall layer"."""
        return {
            Reading.VOXELS: "in voxels of the wall",
            Reading.MID_WALL: "in the mid-wall layer",
            Reading.NORMAL_MAXIMUM: "as the maximum along the normal",
        }[self]


@dataclass(frozen=True)
class Protocol:
    """One way of measuring, as published.

    `rule` with `threshold` (None: the rule finds it) is what is compared with `reading`; `dense_threshold` the second one, above which
    scar is dense, None where there is one only. `published` are all thresholds it was published with: with another one a
    result is not calibrated, and never if `complete` is False, since a part of what was published can't be done here.
    `counts_triangles`: a share of the surface is one of triangles, not of area. `needs_drawn_wall`: it means nothing on the automatic wall. `leaves_out`: veins
    and valve were cut off before anything was counted. `as_published` and `differs` say what is done as published, and what not.
    """

    name: str
    title: str
    source: str
    reading: Reading
    rule: str
    threshold: float | None
    as_published: str
    differs: str
    dense_threshold: float | None = None
    published: tuple[float, ...] = ()
    counts_triangles: bool = False
    needs_drawn_wall: bool = False
    leaves_out: bool = True
    complete: bool = True

    @property
    def its_rule(self) -> Rule:
        return RULES[self.rule]


MAXIMUM_DIFFERS = (
    "CemrgApp starts at the triangles' centres, here at the vertices; its normals are rounded to whole voxels (TransformPhysicalPointToIndex "
    "on the normal, CemrgScar3D.cpp), which is not reproduced. The class itself starts at −3; its scar-projection programs set −1 … 3."
)

PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "barcelona", "Barcelona, mid-wall layer", BARCELONA, Reading.MID_WALL, "iir", 1.20,
            "The layer halfway through the wall; above 1.20 times the blood pool's mean is scar, above 1.32 dense scar.",
            "Without a drawn wall, halfway is taken as 1.25 mm outside the cavity.",
            dense_threshold=1.32, published=(1.20, 1.32),
        ),
        Protocol(
            "cemrgapp", "CemrgApp, maximum along the normal", CEMRGAPP, Reading.NORMAL_MAXIMUM, "iir", 1.20,
            "On a grid of 1 mm the brightest of the 3×3×3 neighbourhoods of −1, 0, 1, 2 and 3 mm along the normal; triangles are counted; 0.97, 1.20 "
            "or 1.32 times the blood pool's mean.",
            MAXIMUM_DIFFERS, dense_threshold=1.32, published=(0.97, 1.20, 1.32), counts_triangles=True,
        ),
        Protocol(
            "kcl", "King's College, maximum along the normal", KINGS_COLLEGE, Reading.NORMAL_MAXIMUM, "nsd", 2.3,
            "As CemrgApp; above the blood pool's mean and 2.3 standard deviations is scar, above 3.3 dense scar.",
            MAXIMUM_DIFFERS, dense_threshold=3.3, published=(2.3, 3.3), counts_triangles=True,
        ),
        Protocol(
            "hopman", "Hopman, maximum along the normal", HOPMAN, Reading.NORMAL_MAXIMUM, "nsd", 3.0,
            "CemrgApp's reading; above the blood pool's mean and 3 standard deviations.",
            MAXIMUM_DIFFERS, published=(3.0,), counts_triangles=True,
        ),
        Protocol(
            "khurram", "Khurram, drawn wall", KHURRAM, Reading.VOXELS, "iir", 0.97,
            "A wall drawn by hand; above 0.97 times the blood pool's mean is scar, above 1.61 dense scar.",
            "Published for the means of sectors of axial slices; here every voxel of the wall is compared, so it is never calibrated.",
            dense_threshold=1.61, published=(0.97, 1.61), needs_drawn_wall=True, complete=False,
        ),
        Protocol(
            "carma", "CARMA, brightest of four clusters", CARMA, Reading.VOXELS, "kmeans", None,
            "The brightest of four clusters of the voxels of cavity and drawn wall, as the CARMA toolkit finds it.",
            "Nothing: on the toolkit's own example the voxels are the same.", needs_drawn_wall=True, leaves_out=False,
        ),
        Protocol(
            "utah", "Utah, share of the wall's volume", "Oakes et al., Circulation 2009; Marrouche et al., JAMA 2014", Reading.VOXELS, "wall_nsd", 2.0,
            "The share of the wall's volume, and its stage in scans from before any ablation.",
            "An operator sets the threshold for every scan, by eye, so no number is calibrated.", complete=False,
        ),
    )
}  # fmt: skip
"""Every protocol by the name that the command line takes, the usual one first."""
USUAL_PROTOCOL = "barcelona"


def find_protocol(name: str) -> Protocol:
    """The protocol of that name; `InputError` lists the names there are."""
    if name not in PROTOCOLS:
        raise InputError(f"'{name}' is no protocol; the protocols are {', '.join(PROTOCOLS)}.")
    return PROTOCOLS[name]
