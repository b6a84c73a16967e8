"""UAM: how unsure a prediction is, against what is usual, and what follows."""

from __future__ import annotations

import numpy as np
import pytest
from analytic import ISOTROPIC, THIN_SLICES, Grid
from scipy import stats

from LAScarSegLib.errors import InputError
from LAScarSegLib.systems import SYSTEMS
from LAScarSegLib.systems.uncertainty import (
    UncertaintyReference, entropy, level_surface_mm2, threshold_for, uncertainty_flag, uncertainty_mm,
)  # fmt: skip
from LAScarSegLib.volumes.volume import Geometry, Volume

RADIUS_MM = 25.0
CAVITY = SYSTEMS["boundary_focused"].cavity


def blurred_ball(scale_mm: float, spacing: tuple[float, float, float] = ISOTROPIC, radius_mm: float = RADIUS_MM) -> Volume:
    """A ball whose probability is logistic across its surface."""
    grid = Grid.around(spacing, radius_mm + 12 * scale_mm + 4)
    depth = radius_mm - np.linalg.norm(grid.points()[0], axis=-1)
    return Volume((1 / (1 + np.exp(-depth / scale_mm))).astype(np.float32), grid.geometry)


def test_entropy_is_scipys() -> None:
    p = np.array([0.0, 1e-6, 0.2, 0.5, 0.9, 1.0])
    expected = [stats.entropy([q, 1 - q]) for q in p]
    assert entropy(p) == pytest.approx(expected, abs=1e-6)
    assert entropy(np.array([0.5]))[0] == pytest.approx(np.log(2))


@pytest.mark.parametrize("spacing", [ISOTROPIC, THIN_SLICES])
@pytest.mark.parametrize("scale_mm", [1.0, 2.0])
def test_the_predicted_surface_of_a_ball_is_its_area(scale_mm: float, spacing: tuple[float, float, float]) -> None:
    ball = blurred_ball(scale_mm, spacing)
    # The levels of a logistic edge lie at radii whose mean square is R² + (π s)² / 3.
    expected = 4 * np.pi * (RADIUS_MM**2 + (np.pi * scale_mm) ** 2 / 3)
    assert level_surface_mm2(ball.array, ball.geometry.spacing_kji) == pytest.approx(expected, rel=0.04)


@pytest.mark.parametrize(("spacing", "stairs"), [(ISOTROPIC, 0.10), (THIN_SLICES, 0.20)])
def test_the_surface_of_a_mask_is_over_read_by_its_stairs_only(spacing: tuple[float, float, float], stairs: float) -> None:
    grid = Grid.around(spacing, RADIUS_MM + 5)
    area = level_surface_mm2(grid.ball(RADIUS_MM).array, grid.geometry.spacing_kji)
    assert 1.0 <= area / (4 * np.pi * RADIUS_MM**2) <= 1.0 + stairs


@pytest.mark.parametrize("spacing", [ISOTROPIC, THIN_SLICES])
@pytest.mark.parametrize("scale_mm", [1.0, 2.0])
def test_a_blurred_edge_has_the_entropy_of_its_blur(scale_mm: float, spacing: tuple[float, float, float]) -> None:
    # ∫ H(σ(x / s)) dx = (π² / 3) s, and a sphere's shell is flat enough.
    assert uncertainty_mm(blurred_ball(scale_mm, spacing)) == pytest.approx(np.pi**2 / 3 * scale_mm, rel=0.06)


def test_it_does_not_grow_with_the_atrium_nor_with_the_scan() -> None:
    small, large = uncertainty_mm(blurred_ball(1.0, radius_mm=20.0)), uncertainty_mm(blurred_ball(1.0, radius_mm=40.0))
    assert large == pytest.approx(small, rel=0.02)
    ball = blurred_ball(1.0)
    wider = Volume(np.pad(ball.array, 20), Geometry(tuple(n + 40 for n in ball.geometry.size), ISOTROPIC))
    assert uncertainty_mm(wider) == pytest.approx(uncertainty_mm(ball), rel=1e-3)


def test_nearly_sure_background_does_not_count() -> None:
    ball = blurred_ball(1.0)
    noisy = ball.like(np.maximum(ball.array, np.float32(5e-4)))
    assert uncertainty_mm(noisy) == pytest.approx(uncertainty_mm(ball), rel=1e-6)


def test_a_sure_prediction_has_none_and_no_prediction_is_unsure_without_bound() -> None:
    grid = Grid.around(ISOTROPIC, 30)
    assert uncertainty_mm(grid.ball(25.0)) == 0.0
    assert uncertainty_mm(Volume(np.zeros((1, 9, 9), np.float32), Geometry((9, 9, 1)))) == float("inf")


def test_a_single_slice_can_be_judged() -> None:
    array = np.zeros((1, 20, 20), np.float32)
    array[0, 5:15, 5:15] = 0.9
    assert 0 < uncertainty_mm(Volume(array, Geometry((20, 20, 1)))) < np.inf


def test_the_threshold_falls_beyond_three_standard_deviations_above_the_mean_only() -> None:
    reference = UncertaintyReference.of([1.0, 2.0, 3.0, 4.0, 5.0])
    assert (reference.mean_mm, reference.sd_mm, reference.cases) == (3.0, pytest.approx(np.sqrt(2.5)), 5)
    limit = 3.0 + 3 * np.sqrt(2.5)
    assert threshold_for(CAVITY, 0.5, limit - 0.01, reference) == 0.5
    assert threshold_for(CAVITY, 0.5, limit + 0.01, reference) == 0.2
    assert threshold_for(CAVITY, 0.5, float("inf"), reference) == 0.2
    assert threshold_for(CAVITY, 0.5, 0.0, UncertaintyReference(3.0, 0.1, 20)) == 0.5


def test_the_threshold_stays_without_a_reference_or_in_another_system() -> None:
    reference = UncertaintyReference(3.0, 0.5, 60)
    assert threshold_for(CAVITY, 0.5, 99.0, None) == 0.5
    assert threshold_for(SYSTEMS["two_stage_sdm"].cavity, 0.5, 99.0, reference) == 0.5


def test_the_flag_warns_of_an_outlier_and_shows_the_value_otherwise() -> None:
    reference = UncertaintyReference(3.0, 0.5, 60)
    usual, outlier = uncertainty_flag(3.2, reference, 0.5), uncertainty_flag(5.0, reference, 0.2)
    assert (usual.severity, outlier.severity) == ("note", "warning") and "cut at 0.2" in outlier.message
    assert "3.20 mm" in usual.message and "5.00 mm" in outlier.message and "3.00 ± 0.50 mm in 60 scans" in outlier.message


def test_a_reference_is_json_and_back_and_a_bad_one_is_refused() -> None:
    reference = UncertaintyReference(3.0, 0.5, 60)
    assert UncertaintyReference.from_json(reference.to_json()) == reference
    with pytest.raises(InputError, match="mean_mm, sd_mm and cases"):
        UncertaintyReference.from_json({"mean_mm": 1.0})
    for numbers in ((float("nan"), 0.5, 60), (3.0, "0.5", 60), (3.0, 0.5, None)):
        with pytest.raises(InputError, match="can't be used"):
            UncertaintyReference(*numbers)
    with pytest.raises(InputError, match="has 3.0"):
        UncertaintyReference.in_scores({"uncertainty": 3.0})
    assert UncertaintyReference.in_scores({"uncertainty": reference.to_json()}) == reference
    assert UncertaintyReference.in_scores({"dice_mean": 0.9}) is None
    with pytest.raises(InputError, match="4 validation cases"):
        UncertaintyReference.of([1, 2, 3, 4])
