"""The laws of ARCHITECTURE for what lies around the veins: gaps after a change are those of an analysis from nothing; found planes are kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from gap_cases import NUMBER, with_gaps
from law_cases import CARRIERS, QUICK, check_written, phantom, scan_file
from same_analysis import assert_equal

from LAScarSegLib.analysis import Analysis, Change, Drawn, Given, Mask, analyse, revise
from LAScarSegLib.analysis.sources import Sources
from LAScarSegLib.analysis.surface_findings import findings_digest
from LAScarSegLib.surface.findings import Findings


def from_nothing(analysis: Analysis) -> Analysis:
    """`analyse` of the sources of an analysis."""
    sources: Sources = analysis.sources
    return analyse(
        phantom(NUMBER).image, QUICK, cavity=sources.cavity, wall=sources.wall, scar=sources.scar, planes=sources.planes, ranges=analysis.has_ranges
    )


def assert_same_findings(one: Findings, other: Findings) -> None:
    for name in ("regions", "encirclements", "region_ranges", "gap_ranges", "unsteady"):
        assert_equal(getattr(one, name), getattr(other, name), name)
    assert one.landmarks.problems == other.landmarks.problems


def check(change: Change, ranges: bool = False) -> None:
    """Law 1, and that the change is one: it gives other findings, with another digest."""
    before = with_gaps()
    after = revise(before, change, ranges=ranges)
    assert after.known_findings is None
    assert_same_findings(after.findings, from_nothing(after).findings)
    assert findings_digest(after) != findings_digest(before) and after.findings.to_json() != before.findings.to_json()


def test_moved_ostia_give_the_gaps_of_an_analysis_from_nothing():
    outwards = tuple(replace(plane, origin=tuple(np.add(plane.origin, 2.0 * np.array(plane.normal)))) for plane in with_gaps().planes)
    check(Change(planes=outwards))


def test_a_band_of_scar_that_was_moved_gives_the_gaps_of_an_analysis_from_nothing():
    """A line of scar across the posterior wall, first here and then 10 mm higher."""
    wall = with_gaps().masks["wall"].whole()
    rows = np.flatnonzero(wall.any(axis=(1, 2)))
    bands = []
    for shift in (0, 4):
        band = np.zeros_like(wall)
        band[rows.mean().astype(int) + shift :][:3] = True
        bands.append(Mask.of(band & wall))
    drawn = revise(with_gaps(), Change(scar=bands[0]), ranges=False)
    _ = drawn.findings
    moved = revise(drawn, Change(scar=bands[1]), ranges=False)
    assert isinstance(moved.sources.scar, Drawn)
    assert_same_findings(moved.findings, from_nothing(moved).findings)
    assert moved.findings.to_json() != drawn.findings.to_json()


def test_a_cavity_that_was_drawn_on_gives_the_gaps_of_an_analysis_from_nothing_with_their_ranges():
    from scipy import ndimage

    check(Change(cavity=Mask.of(ndimage.binary_dilation(phantom(NUMBER).cavity.array > 0))), ranges=True)


def test_found_planes_that_were_taken_up_are_given_and_stay_known_as_found():
    found = with_gaps(find=True)
    taken = revise(found, Change(planes=found.sources.search.planes), ranges=False)
    assert (found.sources.planes_source, taken.sources.planes_source) == ("none", "given")
    assert taken.sources.search is found.sources.search
    assert not {"planes_unsure", "planes_found"} & {flag.code for flag in taken.flags}


@pytest.mark.parametrize("taken_up", [False, True])
@pytest.mark.parametrize("carrier", CARRIERS)
def test_found_planes_are_read_back_as_they_were_written(tmp_path, carrier, taken_up):
    if carrier == "scene":
        pytest.importorskip("slicer", reason="scenes need slicer-core")
    written = with_gaps(find=True)
    if taken_up:
        written = revise(written, Change(planes=written.sources.search.planes), ranges=False)
    assert isinstance(written.sources.cavity, Given) and written.sources.search.planes
    check_written(carrier, written, scan_file(NUMBER, tmp_path), tmp_path, "scar")
