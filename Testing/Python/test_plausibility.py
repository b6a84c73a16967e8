"""Scans whose grey levels are not what a threshold takes them for: refused where the number would be wrong, and left alone where it holds."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from small_scan import small_scan

from LAScarSegLib.analysis import Analysis, ByRule, analyse
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.errors import Stopped
from LAScarSegLib.phantom.phantom import Phantom, make_phantom
from LAScarSegLib.phantom.settings import PhantomSettings
from LAScarSegLib.support.flags import NOTE, STOP, WARNING, QualityFlag
from LAScarSegLib.volumes.files import read_volume

Change = Callable[[np.ndarray, np.ndarray, float], np.ndarray]
"""(grey levels, cavity, the blood's mean) to other grey levels."""


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom(PhantomSettings(seed=3, size=(192, 160, 36), vein_variant="typical", la_volume_ml=50.0))


@pytest.fixture(scope="module")
def blood(phantom) -> float:
    return float(phantom.image.array[phantom.cavity.array > 0].mean())


def measured(phantom: Phantom, image: np.ndarray, rule: str, *despite: str) -> Analysis:
    return analyse(phantom.image.like(image), Settings(rule=rule, despite=despite), cavity=phantom.cavity, ranges=False)


def z_scored(grey, cavity, blood):
    return (grey - grey.mean()) / grey.std()


def from_minus_one_to_one(grey, cavity, blood):
    """Of the 99th percentile, as networks' preparations do; beyond it is not cut."""
    return 2 * grey / np.percentile(grey, 99) - 1


def z_scored_in_the_atrium(grey, cavity, blood):
    inside = ndimage.binary_dilation(cavity, iterations=4)
    return (grey - grey[inside].mean()) / grey[inside].std()


def signed_psir(grey, cavity, blood):
    return grey - 0.4 * blood


def computed_tomography(grey, cavity, blood):
    """Contrast-enhanced, in Hounsfield units: lung, soft tissue and blood with 25 HU of noise."""
    units = np.where(cavity, 320.0, np.where(ndimage.gaussian_filter(grey, 1) < 0.3 * blood, -850.0, 50.0))
    return ndimage.gaussian_filter(units, 0.7) + np.random.default_rng(1).normal(0, 25, grey.shape)


NEGATIVE = [z_scored, from_minus_one_to_one, z_scored_in_the_atrium, signed_psir, computed_tomography]


def psir_of_12_bits(grey, cavity, blood):
    return 2 * grey + 4096


def shifted_by_blood(grey, cavity, blood):
    return grey + blood


def shifted_in_a_frame_of_zeros(grey, cavity, blood):
    """As an image that was padded after its zero was lost."""
    shifted = grey + 0.5 * blood
    shifted[:, :30], shifted[:, -30:], shifted[:4] = 0, 0, 0
    return shifted


def shifted_in_a_round_field_of_view(grey, cavity, blood):
    j, i = np.indices(grey.shape[1:])
    middle = (np.array(grey.shape[1:]) - 1) / 2
    return (grey + 0.5 * blood) * (np.hypot(j - middle[0], i - middle[1]) < middle.min())


def from_half_up(grey, cavity, blood):
    return 0.5 * (1 + grey / grey.max())


def logarithm(grey, cavity, blood):
    return np.log(grey + 0.02 * blood) - np.log(0.01 * blood) + 3.0


SHIFTED = [psir_of_12_bits, shifted_by_blood, from_half_up, logarithm, shifted_in_a_frame_of_zeros, shifted_in_a_round_field_of_view]


def eight_bits(grey, cavity, blood):
    return np.minimum(np.floor(grey * 255 / blood), 255)


def windowed_narrowly(grey, cavity, blood):
    return np.clip(grey, 0.2 * blood, 1.1 * blood) - 0.2 * blood


def twelve_bits_overflown(grey, cavity, blood):
    return np.minimum(grey * 4095 / (1.15 * blood), 4095)


CLIPPED = [eight_bits, windowed_narrowly, twelve_bits_overflown]


def black_blood(grey, cavity, blood):
    return np.where(cavity, 0.1 * grey, grey)


def dark_blood(grey, cavity, blood):
    return np.where(cavity, 0.3 * grey, grey)


def blood_half_as_bright(grey, cavity, blood):
    return np.where(cavity, 0.25 * grey, 0.5 * grey + 0.2 * blood)


DARK = [black_blood, dark_blood, blood_half_as_bright]


@pytest.mark.parametrize(
    ("code", "change"),
    [
        *(("negative_values", change) for change in NEGATIVE),
        *(("zero_is_not_no_signal", change) for change in SHIFTED),
        *(("saturated", change) for change in CLIPPED),
        *(("dark_blood", change) for change in DARK),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_ratio_is_refused_where_it_means_nothing(phantom, blood, code, change):
    image = change(phantom.image.array.astype(float), phantom.cavity.array > 0, blood)
    with pytest.raises(Stopped) as stopped:
        measured(phantom, image, "iir")
    assert code in stopped.value.codes
    despite = measured(phantom, image, "iir", *stopped.value.codes)
    assert code in [flag.code for flag in despite.flags if flag.severity == STOP]


@pytest.mark.parametrize("change", [*NEGATIVE[:4], *SHIFTED[:3]], ids=lambda change: change.__name__)
def test_a_rule_that_needs_no_zero_goes_on_and_finds_the_same(phantom, blood, change):
    """A linear change of grey levels changes neither mean + n SD nor what lies above it."""
    grey = phantom.image.array.astype(float)
    changed = measured(phantom, change(grey, phantom.cavity.array > 0, blood), "nsd")
    assert changed.measurements["scar_area_pct"].value == pytest.approx(measured(phantom, grey, "nsd").measurements["scar_area_pct"].value, abs=0.05)
    assert [flag.severity for flag in changed.flags if flag.code in ("negative_values", "zero_is_not_no_signal")] == [NOTE]


@pytest.mark.parametrize(
    "change",
    [
        lambda grey, cavity, blood: grey,
        lambda grey, cavity, blood: grey * 37.5,
        lambda grey, cavity, blood: np.round(grey * 255 / grey.max()),
        lambda grey, cavity, blood: ndimage.shift(grey, 0.5, order=3),
        lambda grey, cavity, blood: z_scored(grey, cavity, blood) - z_scored(grey, cavity, blood).min(),
    ],
    ids=["as it is", "scaled", "8 bits, scaled", "splines overshoot", "z-scored from its darkest voxel"],
)
def test_what_keeps_zero_is_measured(phantom, blood, change):
    grey = phantom.image.array.astype(float)
    changed = measured(phantom, change(grey, phantom.cavity.array > 0, blood), "iir")
    assert not {flag.code for flag in changed.flags if flag.severity == STOP}


@pytest.mark.parametrize(("scar", "severity"), [("iir", STOP), ("fwhm", STOP), ("nsd", NOTE), ("mask", NOTE)])
def test_a_phase_sensitive_series_stops_ratios_only(scar, severity):
    scan, cavity = small_scan()
    psir = replace(scan, flags=(QualityFlag("psir", "It is phase-sensitive."),))
    given = cavity if scar == "mask" else ByRule(scar)
    with pytest.raises(Stopped, match="phase-sensitive") if severity == STOP else nullcontext():
        result = analyse(psir, cavity=cavity, scar=given, ranges=False)
        assert {flag.severity for flag in result.flags if flag.code == "psir"} == {NOTE}


def test_an_uneven_blood_pool_is_told_only_where_zero_means_no_signal(phantom, blood):
    grey, cavity = phantom.image.array.astype(float), phantom.cavity.array > 0
    found = {flag.code for flag in measured(phantom, z_scored(grey, cavity, blood), "nsd").flags}
    assert "negative_values" in found and "blood_pool_uneven" not in found
    uneven = {flag.code for flag in measured(phantom, grey + cavity * np.random.default_rng(2).normal(0, 0.3 * blood, grey.shape), "nsd").flags}
    assert "blood_pool_uneven" in uneven


@pytest.mark.parametrize("offset", [1000, 1024, 1124])
def test_a_ct_stored_from_zero_up_is_named(phantom, blood, offset):
    """All above 0, and dark in the lungs: only its lack of noise tells."""
    units = computed_tomography(phantom.image.array.astype(float), phantom.cavity.array > 0, blood)
    flags = measured(phantom, np.maximum(units + offset, 0), "iir").flags
    assert "CT" in next(flag.message for flag in flags if flag.code == "blood_pool_even")


@pytest.mark.parametrize("factor", [1.6, 2.5, 4.0])
def test_more_scar_than_any_atrium_has_is_flagged(phantom, factor):
    wall = ndimage.binary_dilation(phantom.cavity.array > 0, iterations=3) & ~(phantom.cavity.array > 0)
    grey = np.where(wall, np.maximum(phantom.image.array * factor, 100.0), phantom.image.array).astype(float)
    flags = {flag.code: flag.severity for flag in measured(phantom, grey, "iir", "dark_blood", "saturated").flags}
    assert flags.get("scar_share_implausible") == WARNING or flags.get("dark_blood") == STOP or "wall_brighter_than_blood" in flags


@pytest.mark.parametrize("count", [1, 3])
def test_blank_slices_are_refused(phantom, count):
    grey = phantom.image.array.astype(float)
    middle = int(np.argwhere(phantom.cavity.array > 0)[:, 0].mean())
    grey[middle : middle + count] = 0
    with pytest.raises(Stopped, match="blank"):
        measured(phantom, grey, "iir")


def test_a_mask_that_reaches_through_the_wall_is_flagged_and_a_sound_one_is_not(data_dir):
    folder = next(path for path in sorted((data_dir / "la2018").iterdir()) if path.is_dir())
    image, cavity = (read_volume(folder / name) for name in ("lge.nii.gz", "cavity.nii.gz"))
    outside = ndimage.distance_transform_edt(cavity.array == 0, sampling=image.geometry.spacing_kji)
    for beyond_mm, flagged in ((0.0, False), (4.0, True)):
        flags = analyse(image, Settings(), cavity=cavity.like((outside <= beyond_mm).astype(np.uint8)), ranges=False).flags
        assert ("mask_too_large" in {flag.code for flag in flags}) == flagged


def test_a_scan_without_late_enhancement_is_flagged(data_dir):
    folder = next((data_dir / "msd_heart").glob("la_*"))
    image, cavity = read_volume(folder / "mri.nii.gz"), read_volume(folder / "cavity.nii.gz")
    (flag,) = [flag for flag in analyse(image, Settings(), cavity=cavity, ranges=False).flags if flag.code == "not_lge_like"]
    assert "no late enhancement" in flag.message


@pytest.mark.parametrize("number", [0, 20, 40, 60])
def test_real_scans_raise_none_of_it(data_dir, number):
    folders = sorted(path for path in (data_dir / "la2018").iterdir() if path.is_dir())
    if len(folders) <= number:
        pytest.skip("no la2018 here")
    image, cavity = (read_volume(folders[number] / name) for name in ("lge.nii.gz", "cavity.nii.gz"))
    flags = analyse(image, Settings(), cavity=cavity, ranges=False).flags
    codes = {"negative_values", "zero_is_not_no_signal", "saturated", "dark_blood", "wall_brighter_than_blood", "blood_pool_even", "header_lost",
             "not_lge_like", "mask_too_large", "slices_blank"}  # fmt: skip
    assert not codes & {flag.code for flag in flags}
