"""Intensity rules: the known answers of a real scan, the CARMA toolkit's k-means, and distributions solved by hand."""

import numpy as np
import pytest
import SimpleITK as sitk

from LAScarSegLib.anatomy.distance import distance_to
from LAScarSegLib.errors import InputError
from LAScarSegLib.intensity.automatic_thresholds import brightest_cluster_threshold, mixture_threshold, otsu_threshold
from LAScarSegLib.intensity.blood_pool import BloodPool, measure_blood_pool
from LAScarSegLib.intensity.rules import RULES, Intensities, find_rule, parse_threshold
from LAScarSegLib.volumes.files import read_volume


@pytest.fixture(scope="module")
def carma(data_dir):
    names = {"lge": "data", "cavity": "endo", "wall": "wall", "kmeans": "kmeans-scar"}
    volumes = {key: read_volume(data_dir / "carma" / f"autoscar-{name}.nrrd") for key, name in names.items()}
    return {key: volume.array if key == "lge" else volume.array > 0 for key, volume in volumes.items()} | {"geometry": volumes["lge"].geometry}


@pytest.fixture(scope="module")
def tissue(carma):
    depth = distance_to(~carma["cavity"], carma["geometry"].spacing_kji)
    blood = measure_blood_pool(carma["lge"], depth, 3.0)
    return Intensities(blood, carma["lge"][carma["wall"]], carma["lge"][carma["cavity"]])


def test_blood_pool_of_the_real_scan(tissue):
    assert tissue.blood.voxels == 39_548
    assert tissue.blood.mean == pytest.approx(204.3, abs=0.05)
    assert tissue.blood.sd == pytest.approx(15.3, abs=0.05)


@pytest.mark.parametrize(
    ("rule", "threshold", "percent"),
    [("iir", 0.97, 66.94), ("iir", 1.16, 16.57), ("iir", 1.20, 12.23), ("iir", 1.32, 5.44), ("iir", 1.61, 0.12),
     ("nsd", 2, 18.84), ("nsd", 2.3, 15.33), ("nsd", 3, 10.30), ("nsd", 3.3, 9.08), ("nsd", 4, 6.33)],
)  # fmt: skip
def test_share_of_the_wall_of_the_real_scan(tissue, rule, threshold, percent):
    """SCIENCE section 4: % of the 13,787 wall voxels."""
    assert tissue.wall.size == 13_787
    level = RULES[rule].grey_level(tissue, threshold)
    assert 100 * np.mean(tissue.wall > level) == pytest.approx(percent, abs=0.005)


def test_kmeans_is_the_carma_toolkits_voxel_by_voxel(tissue, carma):
    scar = carma["wall"] & (carma["lge"] > RULES["kmeans"].grey_level(tissue, None))
    assert scar.sum() == 2_113
    assert np.array_equal(scar, carma["kmeans"])


def test_blood_pool_that_is_not_there_says_how_deep_the_cavity_is():
    with pytest.raises(InputError, match=r"deeper than 3 mm \(the deepest is 2.0 mm\)"):
        measure_blood_pool(np.ones((2, 2, 2)), np.full((2, 2, 2), 2.0), 3.0)


def test_blood_pool_of_a_z_scored_image_is_refused():
    with pytest.raises(InputError, match="positive mean"):
        measure_blood_pool(np.full((2, 2, 2), -0.5), np.full((2, 2, 2), 5.0), 3.0)


def test_levels_follow_their_definitions():
    tissue = Intensities(BloodPool(100.0, 10.0, 50), np.arange(101.0), np.arange(10.0))
    levels = {name: RULES[name].grey_level(tissue, p) for name, p in {"iir": 1.2, "nsd": 3, "wall_nsd": 2, "percentile": 70, "fwhm": None}.items()}
    # 0 … 100: mean 50, variance (101² − 1) / 12 = 850.
    assert levels == pytest.approx({"iir": 120, "nsd": 130, "wall_nsd": 50 + 2 * 850**0.5, "percentile": 70, "fwhm": 50})


def test_otsu_agrees_with_itk_to_its_histogram():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(100, 12, 6000), rng.normal(180, 15, 3000)]).astype(np.float32)
    image = sitk.GetImageFromArray(values.reshape(10, 30, 30))
    reference = sitk.OtsuThresholdImageFilter()
    reference.SetNumberOfHistogramBins(1000)
    reference.Execute(image)

    def within_class_variance(level):
        return sum(part.size * part.var(dtype=np.float64) for part in (values[values <= level], values[values > level]))

    assert otsu_threshold(values) == pytest.approx(reference.GetThreshold(), abs=1.0)
    assert within_class_variance(otsu_threshold(values)) <= within_class_variance(reference.GetThreshold())


def test_otsu_of_two_levels_lies_between_them():
    assert 1.0 < otsu_threshold(np.array([1.0, 1, 1, 5, 5])) < 5.0


def test_mixture_finds_where_two_gaussians_are_equally_likely():
    # Equal weights and widths: half way.
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.normal(100, 10, 40_000), rng.normal(160, 10, 40_000)])
    assert mixture_threshold(values) == pytest.approx(130.0, abs=0.5)


def test_mixture_with_unequal_widths_solves_the_quadratic():
    # N(0, 1) and N(6, 2), equal weights: x²/2 − (x − 6)²/8 = ln 2, i.e. x = −2 + √(16 + (8/3) ln 2) between the means.
    rng = np.random.default_rng(2)
    values = np.concatenate([rng.normal(0, 1, 100_000), rng.normal(6, 2, 100_000)])
    assert mixture_threshold(values) == pytest.approx(-2 + (16 + 8 / 3 * np.log(2)) ** 0.5, abs=0.05)


@pytest.mark.parametrize("voxels", [1, 50])
@pytest.mark.parametrize("threshold", [otsu_threshold, mixture_threshold])
def test_wall_of_one_grey_level_has_nothing_above_it(threshold, voxels):
    wall = np.full(voxels, 160.1, np.float32)
    assert not (wall > threshold(wall)).any()


def test_brightest_cluster_of_separate_groups():
    groups = np.repeat([10.0, 20.0, 30.0, 90.0], 25)
    assert brightest_cluster_threshold(groups, 4) == pytest.approx(60.0)


def test_preset_names_its_publication():
    preset = RULES["iir"].preset(1.32)
    assert preset.key == "barcelona-dense"
    assert "Benito" in preset.source
    assert RULES["iir"].preset(1.25) is None


@pytest.mark.parametrize(("text", "value"), [("1.5", 1.5), ("khurram-fibrosis", 0.97), (None, None)])
def test_threshold_is_a_number_or_a_preset(text, value):
    assert parse_threshold(RULES["iir"], text) == value


@pytest.mark.parametrize(("rule", "text", "says"), [
    ("iir", "abc", "'abc' is neither a number nor a preset of 'iir'"),
    ("iir", "nan", "neither a number"),
    ("iir", "-1", "is -1; it must be 0 or more"),
    ("percentile", "101", "between 0 and 100"),
    ("otsu", "1.2", "finds its threshold by itself"),
])  # fmt: skip
def test_threshold_that_cant_be_used_is_refused(rule, text, says):
    with pytest.raises(InputError, match=says):
        parse_threshold(RULES[rule], text)


def test_unknown_rule_lists_the_known():
    with pytest.raises(InputError, match="'iirr' is neither a file nor a scar rule; the rules are iir, nsd"):
        find_rule("iirr")
