"""A model's part in one analysis: the cavity before it, the scar's probability after, and what the result says of the models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..analysis import Analysis, ScarMethod
from ..anatomy.masks import mask_on_grid
from ..models.bundle import Bundle
from ..progress import Progress
from ..surface.projection import NormalProbe
from ..systems import SYSTEMS
from ..volume import Volume
from .bundle_models import BundleCavityModel, BundleScarModel
from .options import InferenceOptions

CAVITY_SHARE = 0.7
"""Of the networks' progress, when there are two: the first looks at more."""


@dataclass(frozen=True, eq=False)
class Found:
    """What models found in a scan: masks by name (`cavity`, `scar`) on its grid, with their flags, and the probabilities behind them."""

    masks: dict[str, Volume]
    scar_probability: Volume | None = None
    cavity_probability: Volume | None = None


def find(
    scan: Volume,
    models: Mapping[str, Bundle],
    options: InferenceOptions,
    cavity: Volume | None = None,
    cavity_label: int | None = None,
    progress: Progress | None = None,
) -> Found:
    """Run the models of `models` (`cavity`, `scar` or both) on a scan.

    Parameters
    ----------
    cavity
        the mask that a scar model is given when there is no cavity model; of several labels, `cavity_label`.

    Raises
    ------
    InputError, ProcessingError, Cancelled
        as `BundleCavityModel.predict_mask` and `BundleScarModel.predict`.
    """
    progress = progress or Progress()
    share = CAVITY_SHARE if "scar" in models else 1.0
    masks: dict[str, Volume] = {}
    of_cavity: Volume | None = None
    if "cavity" in models:
        model = BundleCavityModel.from_bundle(models["cavity"], options, progress.part(0.0, share))
        of_cavity, masks["cavity"] = model.predict_with_mask(scan)
    if "scar" not in models:
        return Found(masks, cavity_probability=of_cavity)
    given = masks.get("cavity")
    if given is None:
        given = scan.like(mask_on_grid(cavity, scan.geometry, "cavity", cavity_label)[0])
    bundle = models["scar"]
    part = progress.part(share if "cavity" in models else 0.0, 1.0)
    # A region of interest is drawn for the cavity; the scar's follows from it.
    probability = BundleScarModel.from_bundle(bundle, replace(options, roi=None), part).predict(scan, given)
    masks["scar"] = Volume((probability.array > bundle.card.threshold).astype(np.uint8), scan.geometry, probability.flags)
    return Found(masks, probability, of_cavity)


def with_models(analysis: Analysis, models: Mapping[str, Bundle], found: Found, options: InferenceOptions) -> Analysis:
    """The analysis with what models gave it: probabilities, the method's name, provenance."""
    described = {
        name: bundle.describe() | {"mirror": options.mirror, "region_first": options.region_first} for name, bundle in models.items()
    }
    analysis = replace(analysis, flags=_once(analysis.flags), provenance=analysis.provenance | {"models": described})
    if found.cavity_probability is not None:
        analysis = replace(analysis, cavity_probability_box=np.ascontiguousarray(found.cavity_probability.array[analysis.box.slices]))
    if found.scar_probability is None:
        return analysis
    card = models["scar"].card
    inside = np.ascontiguousarray(found.scar_probability.array[analysis.box.slices])
    probe = NormalProbe.along(analysis.box_geometry, analysis.surface, analysis.settings.scar_reach_mm)
    # In the wall, where scar is counted: a vertex is scar exactly where this is above the threshold.
    along = np.maximum(probe.maximum(inside, analysis.wall_box), 0.0).astype(np.float32)
    title = f"Network {card.reference} ({SYSTEMS[card.system].title}), probability > {card.threshold:g}"
    method = ScarMethod(card.reference, title, source=SYSTEMS[card.system].paper, wall_given=analysis.method.wall_given)
    return replace(analysis, method=method, scar_probability_box=inside, surface=analysis.surface.with_arrays(scar_probability=along))


def _once(flags: tuple) -> tuple:
    """Two models may say the same (that they are simulated, that memory ran out)."""
    return tuple(dict.fromkeys(flags))
