"""The one path: where each mask comes from, `analyse`, `revise`, and the result with its provenance."""

from ..anatomy.anatomy import SDM_CLIP_MM
from ..anatomy.masks import Mask
from .change import Change
from .method import ScarMethod
from .path import analyse, revise
from .result import Analysis
from .settings import Settings
from .sources import MASKS, ByRule, Drawn, Given, Kind, Network, Offset, Origin, PlanesToFind, Probability, Sources, ToRun, base_of

__all__ = [
    "MASKS", "SDM_CLIP_MM", "Analysis", "ByRule", "Change", "Drawn", "Given", "Kind", "Mask", "Network", "Offset", "Origin",
    "PlanesToFind", "Probability", "ScarMethod", "Settings", "Sources", "ToRun", "analyse", "base_of", "revise",
]  # fmt: skip
