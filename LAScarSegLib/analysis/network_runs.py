"""A bundle as the source of a mask: the networks look at the scan once, and what they found is kept whole."""

from dataclasses import replace

import numpy as np

from ..anatomy.masks import Mask
from ..anatomy.surroundings import lie_of
from ..inference.options import InferenceOptions
from ..models.bundle import Bundle
from ..support.doubt import Doubt
from ..support.progress import Progress
from ..volumes.files import SIMULATED
from ..volumes.volume import Volume
from .sources import Network, Probability


def find_cavity(scan: Volume, bundle: Bundle, options: InferenceOptions, progress: Progress | None = None) -> Network:
    """The cavity that a bundle's networks find in a scan.

    Raises
    ------
    InputError, ProcessingError, Cancelled
        as `BundleCavityModel.predict_with_doubt`.
    """
    from ..inference.bundle_models import BundleCavityModel

    model = BundleCavityModel.from_bundle(bundle, options, progress)
    probability, mask, doubt = model.predict_with_doubt(scan)
    found, said = Mask.of(mask.array), Probability.of(probability.array)
    doubt = _unless_it_lies_otherwise(doubt, scan, found)
    return Network(_described(bundle, options), bundle.card.threshold_of("cavity"), found, said, flags=mask.flags, doubt=doubt)


def find_both(scan: Volume, bundle: Bundle, options: InferenceOptions, progress: Progress | None = None) -> tuple[Network, Network]:
    """The cavity, and the scar around it, that a network of both finds in one run.

    Raises
    ------
    InputError, ProcessingError, Cancelled
        as `BundleCavityModel.predict_both`.
    """
    from ..inference.bundle_models import BundleCavityModel

    card, described = bundle.card, _described(bundle, options) | {"one_run": list(bundle.card.finds)}
    probability, mask, doubt, scar = BundleCavityModel.from_bundle(bundle, options, progress).predict_both(scan)
    found, threshold = Mask.of(mask.array), card.threshold_of("scar")
    doubt = _unless_it_lies_otherwise(doubt, scan, found)
    cavity = Network(described, card.threshold_of("cavity"), found, Probability.of(probability.array), flags=mask.flags, doubt=doubt)
    said = Probability.of(scar.array)
    return cavity, Network(described, threshold, said.above(threshold), said, found.digest, scar.flags)


def find_scar(scan: Volume, cavity: Mask, bundle: Bundle, options: InferenceOptions, progress: Progress | None = None) -> Network:
    """The scar that a bundle's network finds around a cavity, wherever it lies.

    Raises
    ------
    InputError, ProcessingError, Cancelled
        as `BundleScarModel.predict`.
    """
    from ..inference.bundle_models import BundleScarModel

    # A region of interest is drawn for the cavity; the scar's follows from it.
    model = BundleScarModel.from_bundle(bundle, replace(options, roi=None), progress)
    found = model.predict(scan, scan.like(cavity.whole().astype(np.uint8)))
    probability, threshold = Probability.of(found.array), bundle.card.threshold_of("scar")
    return Network(_described(bundle, options), threshold, probability.above(threshold), probability, cavity.digest, found.flags)


def _unless_it_lies_otherwise(doubt: Doubt | None, scan: Volume, cavity: Mask) -> Doubt | None:
    """A cavity is not *good* in a scan that lies upside down: a network draws the usual atrium there, too."""
    lie = None if doubt is None or SIMULATED in scan.flags else lie_of(scan.array, scan.geometry, cavity)
    return doubt if lie is None or not lie.is_wrong else doubt.looked_at(lie.reason)


def _described(bundle: Bundle, options: InferenceOptions) -> dict[str, object]:
    asked = {} if options.mask_prediction is None else {"mask_prediction": options.mask_prediction}
    return bundle.describe() | {"mirror": options.mirror, "region_first": options.region_first} | asked
