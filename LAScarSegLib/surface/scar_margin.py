"""Where between two vertices scar ends: an array whose values tell scar knows it better than what is marked at the vertices."""

from __future__ import annotations

import numpy as np

from .surface import CLASS_NOT_MEASURED, Surface


def scar_margin(surface: Surface) -> np.ndarray | None:
    """By how much the value of each vertex lies above the limit of scar; below 0 is none.

    An array tells scar where all scar lies above all that is none: grey levels of a mesh whose scar was read off them by a threshold, a
    network's probabilities. The limit is the middle between the two nearest values. Grey levels that were only projected, while a layer
    or voxels of the wall said what is scar, don't tell it.

    Returns
    -------
    (N,) in the array's own unit, not finite where a vertex has no value; None where no array tells scar.
    """
    measured = np.ones(len(surface.points), dtype=bool) if surface.scar_class is None else surface.scar_class != CLASS_NOT_MEASURED
    for values in (surface.lge, surface.scar_probability):
        if values is None:
            continue
        scar, none = (values[part & measured & np.isfinite(values)].astype(float) for part in (surface.scar, ~surface.scar))
        if scar.size and none.size and none.max() < scar.min():
            return values - (none.max() + scar.min()) / 2.0
    return None
