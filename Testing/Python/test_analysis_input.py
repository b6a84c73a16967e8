"""The box that an analysis works in: large enough that nobody can tell from the result that there was one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from LAScarSegLib.analysis import ByRule, Change, Mask, Offset, analyse, revise
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.errors import InputError
from LAScarSegLib.volumes.volume import Geometry, Volume

SPACING = (1.25, 1.25, 2.5)


@pytest.fixture(scope="module")
def ball() -> Volume:
    """A ball of 12 mm in the middle of 80 × 80 × 80 mm: 28 mm of room on every side."""
    geometry = Geometry((64, 64, 32), SPACING)
    k, j, i = np.indices(geometry.shape)
    distance = np.sqrt((1.25 * (i - 31.7)) ** 2 + (1.25 * (j - 31.6)) ** 2 + (2.5 * (k - 15.8)) ** 2)
    return Volume(distance < 12.0, geometry)


@pytest.mark.parametrize("wall_given", [False, True])
def test_both_distance_maps_are_those_of_the_whole_grid(ball: Volume, wall_given: bool) -> None:
    sampling = ball.geometry.spacing_kji
    image = ball.like(np.where(ball.array, 200.0, 10.0).astype(np.float32) + np.indices(ball.array.shape).sum(axis=0))
    outside = distance_transform_edt(~ball.array, sampling=sampling)
    drawn = ball.like((outside > 0) & (outside < 6.0)) if wall_given else None
    analysis = analyse(image, Settings(perturbation=False), cavity=ball, wall=drawn)
    for mask, sdm in ((analysis.cavity.array > 0, analysis.sdm_cavity.array), (analysis.wall.array > 0, analysis.sdm_wall.array)):
        expected = distance_transform_edt(mask, sampling=sampling) - distance_transform_edt(~mask, sampling=sampling)
        np.testing.assert_allclose(sdm, np.clip(expected, -12, 12), atol=1e-4)


@pytest.mark.parametrize(
    ("sources", "says"),
    [
        ({"cavity": ByRule("iir")}, "The cavity can't come from this source .rule iir..*a rule finds scar only"),
        ({"wall": ByRule("iir")}, "The wall can't come from this source .rule iir..*Give a mask of the wall, or nothing"),
        ({"scar": Offset()}, "The scar can't come from this source .offset..*the name of a rule"),
    ],
)
def test_a_source_that_can_not_be_is_refused(ball: Volume, sources: dict, says: str) -> None:
    image = ball.like(np.where(ball.array, 200.0, 10.0) + np.indices(ball.array.shape).sum(axis=0))
    with pytest.raises(InputError, match=says):
        analyse(image, **{"cavity": ball} | sources)


def test_a_change_that_can_not_be_is_refused_and_leaves_the_result_as_it_was(ball: Volume) -> None:
    image = ball.like(np.where(ball.array, 200.0, 10.0) + np.indices(ball.array.shape).sum(axis=0))
    analysis = analyse(image, Settings(perturbation=False), cavity=ball)
    before = dict(analysis.measurements)
    nothing = Mask.of(np.zeros_like(ball.array))
    for change in (Change(cavity=ByRule("iir")), Change(cavity=nothing), Change(wall=Mask.of(ball.array))):
        with pytest.raises(InputError):
            revise(analysis, change)
    assert analysis.measurements == before and revise(analysis, Change()).measurements == before
