"""Planes that lie in one opening: what the one cuts off is called after the other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from ..support.flags import QualityFlag
from .planes import LEFT_NAMES, MITRAL, RIGHT_NAMES, CutPlane, beyond_each
from .surface import Surface

ONE_OPENING = 0.8
"""Two planes lie in one opening where more than this share of what the smaller one cuts off is cut off by the other, too. Planes in one
vein share 97 % and more; the true planes of 30 phantoms up to 71 %, where a middle vein leaves close beside another."""


def remarks_on_openings(surface: Surface, planes: Sequence[CutPlane]) -> tuple[QualityFlag, ...]:
    """A warning for every two planes that lie in one opening, so that what the one cuts off is called after the other.

    A branch beyond the plane of a common trunk of its side is a part of the trunk; what hangs beyond the mitral plane is beyond it whatever
    it is called. Raises what `label_regions` raises.
    """
    area, flags = surface.vertex_area_mm2, []
    for (one, its), (other, others) in combinations(zip(planes, beyond_each(surface, planes)), 2):
        areas = [float(area[part].sum()) for part in (its, others)]
        common = float(area[its & others].sum())
        nested = MITRAL in (one.name, other.name) or _is_trunk_of(one, other) or _is_trunk_of(other, one)
        if common <= ONE_OPENING * (max if nested else min)(areas):
            continue
        message = (
            f"The planes {one.name} and {other.name} lie in one opening: {100 * common / min(areas):.0f} % of what "
            f"{(one if areas[0] <= areas[1] else other).name} cuts off is cut off by the other, too, and counts as {other.name}'s. Regions "
            f"and gaps of {one.name} and {other.name} are wrong or missing. Move each into its own vein, or leave one of them out."
        )
        flags.append(QualityFlag("planes_in_one_opening", message))
    return tuple(flags)


def _is_trunk_of(trunk: CutPlane, branch: CutPlane) -> bool:
    return any(trunk.name == names[-1] and branch.name in names[:-1] for names in (LEFT_NAMES, RIGHT_NAMES))
