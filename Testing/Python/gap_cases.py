"""What the tests of veins and gaps in scene and panel share: a small simulated atrium with its planes, analysed once."""

from __future__ import annotations

import functools

from law_cases import QUICK, phantom

from LAScarSegLib.analysis import Analysis, PlanesToFind, analyse
from LAScarSegLib.surface.band_reach import BandReach

NUMBER = 2
"""Of the phantom: four veins, so that there are two pairs."""

NARROW = BandReach(10.0, 2.0, (("LSPV", 14.0),))
"""Bands that a person has edited: nearer to the ostia, and one vein's own."""


@functools.cache
def with_gaps(find: bool = False) -> Analysis:
    """The analysis of a small phantom: with its own planes and its findings known, or (`find`) with planes to look for and none known."""
    case = phantom(NUMBER)
    analysis = analyse(case.image, QUICK, cavity=case.cavity, planes=PlanesToFind() if find else case.planes, ranges=False)
    return analysis if find else analysis.with_findings(analysis.findings)
