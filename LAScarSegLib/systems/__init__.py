"""The published systems, each described in one file, and the registry of them. Importing this package doesn't import torch."""

from collections.abc import Mapping
from types import MappingProxyType

from ..errors import InputError
from .base import InputChannel, PreparedArrays, Preset, Stage, System, z_score
from .boundary_focused import BOUNDARY_FOCUSED
from .decoding import ComponentFilter, Output
from .msws_b2p import MSWS_B2P
from .mtl_sesa import MTL_SESA
from .progressive import PROGRESSIVE
from .recipe import EarlyStop, Optimiser, Part, Phase, StartWeights
from .sampling import Sampler
from .targets import Target
from .two_stage_sdm import TWO_STAGE_SDM

SYSTEMS: Mapping[str, System] = MappingProxyType(
    {system.key: system for system in (TWO_STAGE_SDM, BOUNDARY_FOCUSED, PROGRESSIVE, MTL_SESA, MSWS_B2P)}
)
"""Every published system, by its key."""


def find_system(key: str) -> System:
    """The system called `key`; `InputError` naming those that exist."""
    if key not in SYSTEMS:
        raise InputError(f"There is no system {key!r}; choose one of {', '.join(SYSTEMS)}.")
    return SYSTEMS[key]


__all__ = [
    "SYSTEMS", "ComponentFilter", "EarlyStop", "InputChannel", "Optimiser", "Output", "Part", "Phase", "PreparedArrays", "Preset", "Sampler",
    "Stage", "StartWeights", "System", "Target", "find_system", "z_score",
]  # fmt: skip
