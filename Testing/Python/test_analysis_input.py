"""The box that an analysis works in: large enough that nobody can tell from the result that there was one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from LAScarSegLib.analysis import analyse
from LAScarSegLib.settings import Settings
from LAScarSegLib.volume import Geometry, Volume

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
    image = ball.like(np.where(ball.array, 200.0, 100.0).astype(np.float32) + np.indices(ball.array.shape).sum(axis=0))
    outside = distance_transform_edt(~ball.array, sampling=sampling)
    drawn = ball.like((outside > 0) & (outside < 6.0)) if wall_given else None
    analysis = analyse(image, Settings(perturbation=False), cavity=ball, wall=drawn)
    for mask, sdm in ((analysis.cavity.array > 0, analysis.sdm_cavity.array), (analysis.wall.array > 0, analysis.sdm_wall.array)):
        expected = distance_transform_edt(mask, sampling=sampling) - distance_transform_edt(~mask, sampling=sampling)
        np.testing.assert_allclose(sdm, np.clip(expected, -12, 12), atol=1e-4)
