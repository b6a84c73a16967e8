"""Which gaps hang on the threshold: those of whose own course a lower one leaves less than a gap, wherever the least path runs then."""

from __future__ import annotations

import numpy as np
import pytest
from atrium_model import BALL_MM, ball_with_openings

from LAScarSegLib.surface.findings import Findings, Landmarks
from LAScarSegLib.surface.gaps import MIN_GAP_MM, Bands
from LAScarSegLib.surface.surface import CLASS_NONE, CLASS_NOT_MEASURED, Surface

SURFACE = ball_with_openings({"LSPV": (1.0, 0.0, 0.0, 7.0)}, mitral=False)
BANDS = Bands.of(SURFACE)
ARC_MM = BALL_MM * np.arccos(np.clip(SURFACE.normals[:, 0], -1, 1))
AT_NOON_MM = np.where(SURFACE.points[:, 2] > 0, np.abs(SURFACE.points[:, 1]), np.inf)
"""How far a vertex of the upper half lies from the vein's 12 o'clock."""
NO_SCAR = np.zeros(len(ARC_MM), dtype=bool)


def ring(inner_mm: float, outer_mm: float, gap_mm: float = 0.0) -> np.ndarray:
    """(N,) bool: scar so far around the vein, open at 12 o'clock."""
    return (ARC_MM > inner_mm) & (ARC_MM < outer_mm) & (AT_NOON_MM > gap_mm / 2)


def found_with(scar: np.ndarray, lower: np.ndarray, unmeasured: np.ndarray = NO_SCAR) -> Findings:
    """The one gap of `scar`, asked with what a lower threshold adds to it."""
    classes = np.where(unmeasured, CLASS_NOT_MEASURED, CLASS_NONE).astype(np.uint8)
    surface: Surface = SURFACE.with_arrays(scar=scar, scar_class=classes)
    found = Landmarks(SURFACE, None, None, BANDS).with_scar(surface)
    assert len(found.encirclements[0].gaps) == 1
    return found.with_unsteady(surface.with_arrays(scar=(scar | lower) & ~unmeasured))


OPEN = ring(9.0, 13.0, 8.0)


def test_a_gap_whose_tissue_is_scar_then_depends_on_the_threshold():
    assert found_with(OPEN, ring(9.0, 13.0)).unsteady == {"LSPV": (0,)}


def test_a_gap_that_the_least_path_merely_leaves_does_not():
    """A whole ring farther out appears: the least path runs there, and the tissue of the gap is what it was."""
    whole = ring(17.0, 21.0)
    found = found_with(OPEN, whole)
    there = Landmarks(SURFACE, None, None, BANDS).with_scar(SURFACE.with_arrays(scar=OPEN | whole)).encirclements[0]
    assert there.encircled and found.unsteady == {}


@pytest.mark.parametrize(("left_mm", "depends"), [(1.5, True), (5.0, False)])
def test_what_is_left_of_its_course_is_measured_by_the_least_gap(left_mm, depends):
    assert MIN_GAP_MM == 3.0
    assert found_with(OPEN, ring(9.0, 13.0, left_mm)).unsteady == ({"LSPV": (0,)} if depends else {})


def test_what_was_not_measured_stays_healthy():
    assert found_with(OPEN, ring(9.0, 13.0), (AT_NOON_MM < 4.0) & (ARC_MM < 15.0)).unsteady == {}


def test_json_says_it_of_each_gap():
    for lower, says in ((ring(9.0, 13.0), True), (NO_SCAR, False)):
        assert [gap["depends_on_threshold"] for gap in found_with(OPEN, lower).to_json()["gaps"][0]["gaps"]] == [says]
