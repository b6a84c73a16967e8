"""The numbers of a surface without a scan: those of the catalogue that are counted from the mesh and its scar alone."""

import numpy as np

from ..intensity.blood_pool import BloodPool
from ..surface.surface import Surface
from .counting import measurements
from .numbers import NUMBERS, Quantity, withhold_scar
from .sample import GivenScar, Levels, Sample

NOTHING = np.empty(0)
NO_BLOOD = BloodPool(float("nan"), float("nan"), 0)


def surface_sample(surface: Surface, scar: np.ndarray, values: np.ndarray | None, is_closed: bool, has_planes: bool) -> Sample:
    """What is counted on a surface alone; everything of voxels is empty.

    Parameters
    ----------
    surface
        with `region`.
    scar
        (N,) bool.
    values
        (N,) what scar was told from, NaN where nothing was measured; None: all of it was.
    """
    known = np.full(len(surface.points), 0.0) if values is None else np.where(np.isfinite(values), values, -np.inf)
    return Sample(
        NO_BLOOD, NOTHING, NOTHING, known, NOTHING, surface.vertex_area_mm2, surface.vertex_area_mm2, surface.is_wall, NOTHING.astype(bool),
        has_planes, surface.volume_ml if is_closed else float("nan"), float("nan"), GivenScar(scar, NOTHING.astype(bool), 0, 0),
    )  # fmt: skip


def surface_measurements(sample: Sample, levels: Levels, knows_scar: bool) -> dict[str, Quantity]:
    """The numbers that need no scan, without a range; None for the volume of an open mesh, and for scar where nobody said which it is."""
    counted = measurements([sample], [levels], None, numbers=[number for number in NUMBERS if not number.needs_scan])
    known = {key: Quantity(None, q.unit) if q.value is not None and not np.isfinite(q.value) else q for key, q in counted.items()}
    return known if knows_scar else withhold_scar(known)
