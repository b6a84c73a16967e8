"""A case that the network is unusually unsure of: flagged, and read at the system's lower threshold (UAM)."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="networks need torch")

from model_cases import Contrast, small_card  # noqa: E402

from LAScarSegLib.errors import InputError  # noqa: E402
from LAScarSegLib.inference.bundle_models import BundleCavityModel  # noqa: E402
from LAScarSegLib.models.card import Preprocessing  # noqa: E402
from LAScarSegLib.volumes.volume import Geometry, Volume  # noqa: E402

RADIUS_MM, SPACING_MM, VOXELS = 22.0, 2.0, 40
SURE_MM, UNSURE_MM = 1.5, 3.0
"""Scales of the logistic edge."""
MM_OF_SCALE = np.pi**2 / 3
"""∫ entropy across a logistic edge over its scale."""
USUAL = {"mean_mm": MM_OF_SCALE * SURE_MM, "sd_mm": 0.5, "cases": 60}


def depth_map() -> Volume:
    """A scan whose grey level is the depth in mm under the surface of a ball."""
    index = (np.indices((VOXELS,) * 3) - (VOXELS - 1) / 2) * SPACING_MM
    return Volume((RADIUS_MM - np.linalg.norm(index, axis=0)).astype(np.float32), Geometry((VOXELS,) * 3, (SPACING_MM,) * 3))


def model(scale_mm: float, system: str = "boundary_focused", middle_mm: float = 0.0, **card) -> BundleCavityModel:
    """One whose probability is logistic in the depth, one half at `middle_mm`: the scan's z-score taken back."""
    scan = depth_map().array
    network = Contrast(level=float((middle_mm - scan.mean()) / scan.std()), gain=float(scan.std()) / scale_mm)
    how = Preprocessing(orientation="stored")
    return BundleCavityModel(small_card(system=system, preprocessing=how, patch=(40, 40, 40), **card), lambda spec, fold: network)


def radius_mm(mask: Volume) -> float:
    """Of a ball with the mask's volume."""
    return float((3 * mask.array.sum() * SPACING_MM**3 / (4 * np.pi)) ** (1 / 3))


def test_a_usual_case_is_read_at_one_half_and_its_uncertainty_is_noted() -> None:
    mask = model(SURE_MM, scores={"uncertainty": USUAL}).predict_mask(depth_map())
    assert radius_mm(mask) == pytest.approx(RADIUS_MM, abs=0.2)
    (flag,) = mask.flags
    assert (flag.code, flag.severity) == ("cavity_uncertainty", "note") and "4.93 ± 0.50 mm in 60 scans" in flag.message
    said = float(flag.message.split(" mm")[0].split()[-1])
    assert said == pytest.approx(MM_OF_SCALE * SURE_MM, rel=0.06)


def test_an_unusually_unsure_case_is_flagged_and_read_at_the_lower_threshold() -> None:
    mask = model(UNSURE_MM, scores={"uncertainty": USUAL}).predict_mask(depth_map())
    (flag,) = mask.flags
    assert (flag.code, flag.severity) == ("cavity_uncertain", "warning") and "cut at 0.2" in flag.message
    # σ(d / s) = 0.2 at d = −s ln 4.
    assert radius_mm(mask) == pytest.approx(RADIUS_MM + UNSURE_MM * np.log(4), abs=0.2)


def test_an_atrium_that_is_seen_at_the_lower_threshold_only_is_found() -> None:
    # One half would be reached 1 mm deeper than the ball is.
    network = {"scale_mm": 12.0, "middle_mm": RADIUS_MM + 1.0}
    mask = model(**network, scores={"uncertainty": USUAL}).predict_mask(depth_map())
    assert radius_mm(mask) == pytest.approx(12.0 * np.log(4) - 1.0, abs=0.3)
    with pytest.raises(InputError, match="left atrium was not found"):
        model(**network).predict_mask(depth_map())


@pytest.mark.parametrize(("system", "scores"), [("boundary_focused", {}), ("two_stage_sdm", {"uncertainty": USUAL})])
def test_without_a_reference_or_in_another_system_nothing_happens(system: str, scores: dict) -> None:
    mask = model(UNSURE_MM, system, scores=scores).predict_mask(depth_map())
    assert mask.flags == () and radius_mm(mask) == pytest.approx(RADIUS_MM, abs=0.2)


def test_a_bundle_with_another_threshold_keeps_it_for_usual_cases() -> None:
    mask = model(SURE_MM, scores={"uncertainty": USUAL}, threshold=0.3).predict_mask(depth_map())
    assert radius_mm(mask) == pytest.approx(RADIUS_MM + SURE_MM * np.log(7 / 3), abs=0.2)


def test_a_damaged_reference_is_refused_before_any_work() -> None:
    with pytest.raises(InputError, match="uncertainty reference"):
        model(SURE_MM, scores={"uncertainty": {"mean_mm": 1.0}})


def test_a_mask_is_the_largest_part_without_holes() -> None:
    scan = depth_map()
    middle, corner = slice(17, 23), slice(0, 4)
    scan.array[middle, middle, middle] = -20.0
    scan.array[corner, corner, corner] = 5.0
    mask = model(SURE_MM).predict_mask(scan).array
    assert mask[20, 20, 20] == 1 and not mask[corner, corner, corner].any() and mask.dtype == np.uint8
