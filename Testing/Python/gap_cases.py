"""What the tests of veins and gaps in scene and panel share: a small simulated atrium with its planes, analysed once."""

from __future__ import annotations

import functools
from dataclasses import replace

import pytest
from law_cases import QUICK, phantom

from LAScarSegLib.analysis import Analysis, PlanesToFind, analyse, measured_cavity
from LAScarSegLib.surface.band_reach import BandReach
from LAScarSegLib.surface.openings import find_planes

NUMBER = 2
"""Of the phantom: four veins, so that there are two pairs."""

NARROW = BandReach(10.0, 2.0, (("LSPV", 14.0),))
"""Bands that a person has edited: nearer to the ostia, and one vein's own."""


@functools.cache
def with_gaps(find: bool = False) -> Analysis:
    """The analysis of a small phantom: with its own planes and its findings known, or (`find`) with planes that were looked for, of which
    nobody should rely on one, and none known."""
    case = phantom(NUMBER)
    if not find:
        analysis = analyse(case.image, QUICK, cavity=case.cavity, planes=case.planes, ranges=False)
        return analysis.with_findings(analysis.findings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measured_cavity, "find_planes", lambda *of: replace(find_planes(*of), unsure={"LIPV": "Only 4 mm of it are in the mask."}))
        return analyse(case.image, QUICK, cavity=case.cavity, planes=PlanesToFind(), ranges=False)
