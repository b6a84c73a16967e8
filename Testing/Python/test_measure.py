"""Numbers, ranges, stages and flags."""

import numpy as np
import pytest
from analytic import BLOOD, ISOTROPIC, LUNG, Grid, ellipsoid_volume_ml, sphere_area_mm2
from scene_cases import network_of

from LAScarSegLib.analysis import ByRule, Change, analyse, revise
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.errors import InputError
from LAScarSegLib.intensity.blood_pool import BloodPool
from LAScarSegLib.intensity.curve import share_above
from LAScarSegLib.measure.numbers import NUMBERS, utah_stage
from LAScarSegLib.measure.quality import check_is_scan, check_level, check_lge_like
from LAScarSegLib.volumes.volume import Geometry, Volume

RADIUS_MM = 25.0


@pytest.fixture(scope="module")
def grid():
    return Grid.around(ISOTROPIC, 33.0)


@pytest.fixture(scope="module")
def analysis(grid):
    scan = grid.scan_of_ball(RADIUS_MM, 60, np.array([1.0, 0, 0]))
    return analyse(scan, Settings(), cavity=grid.ball(RADIUS_MM))


@pytest.mark.parametrize(
    ("percent", "utah", "utah2010"),
    [(0, 1, 1), (5, 1, 1), (5.1, 1, 2), (9.99, 1, 2), (10, 2, 2), (20, 3, 2), (20.1, 3, 3), (29.9, 3, 3), (30, 4, 3), (35, 4, 3), (35.1, 4, 4)],
)
def test_utah_stages_at_their_limits(percent, utah, utah2010):
    assert (utah_stage(percent, "utah"), utah_stage(percent, "utah2010")) == (utah, utah2010)


def test_every_key_of_the_contract_is_there(analysis):
    contract = (
        "scar_area_pct scar_area_pct_wall scar_area_cm2 scar_volume_ml scar_pct_of_wall_volume la_volume_ml la_surface_area_cm2 "
        "wall_volume_ml utah_stage blood_pool_mean blood_pool_sd threshold threshold_intensity scar_area_cm2_wall scar_volume_ml_wall "
        "scar_pct_of_wall_volume_wall wall_volume_ml_wall la_wall_area_cm2 utah_stage_wall unmeasured_area_pct dense_scar_area_pct "
        "dense_scar_area_pct_wall dense_scar_area_cm2 dense_scar_area_cm2_wall dense_scar_volume_ml threshold_dense "
        "scar_area_pct_measured dense_scar_area_pct_measured"
    ).split()
    content = analysis.measurements_json()
    assert set(contract) <= set(content)
    assert {q.key for q in NUMBERS} == set(contract)
    assert all(set(content[key]) == {"value", "unit", "low", "high"} for key in contract)
    assert {"method", "quality_flags", "headline", "planes_source", "protocol"} <= set(content)


def test_perturbation_range_is_the_ball_one_millimetre_larger_and_smaller(analysis):
    volume, area = analysis.measurements["la_volume_ml"], analysis.measurements["la_surface_area_cm2"]
    assert volume.low == pytest.approx(ellipsoid_volume_ml((24.0,) * 3), rel=0.02)
    assert volume.high == pytest.approx(ellipsoid_volume_ml((26.0,) * 3), rel=0.02)
    assert area.low == pytest.approx(sphere_area_mm2(24.0) / 100, rel=0.02)
    assert area.high == pytest.approx(sphere_area_mm2(26.0) / 100, rel=0.02)


def test_blood_pool_and_threshold(analysis):
    assert analysis.measurements["blood_pool_mean"].value == BLOOD
    assert analysis.measurements["blood_pool_sd"].value == 0.0
    assert analysis.measurements["threshold_intensity"].value == pytest.approx(1.2 * BLOOD)


def test_utah_stage_is_only_for_native_scans(grid, analysis):
    assert analysis.measurements["utah_stage"].value is None
    native = analyse(analysis.volume, Settings(native=True, perturbation=False), cavity=analysis.cavity)
    # A cap of 60° is a quarter of the shell: stage III.
    assert native.measurements["utah_stage"].value == 3


def test_changing_the_threshold_is_the_same_as_analysing_anew(analysis):
    changed = revise(analysis, Change(scar=ByRule("wall_nsd", 1.0)))
    anew = analyse(analysis.volume, Settings(rule="wall_nsd", threshold=1.0), cavity=analysis.cavity)
    assert changed.measurements == anew.measurements
    assert np.array_equal(changed.scar_box, anew.scar_box)
    assert np.array_equal(changed.surface.scar, anew.surface.scar)
    assert changed.method == anew.method
    assert {k: changed.provenance[k] for k in ("settings", "masks")} == {k: anew.provenance[k] for k in ("settings", "masks")}


def test_provenance_names_the_threshold_that_was_the_default(analysis):
    assert analysis.provenance["settings"]["threshold"] == analysis.settings.threshold == 1.2


def test_threshold_above_everything_gives_zero_and_says_so(analysis):
    nothing = revise(analysis, Change(scar=ByRule("iir", 50.0)))
    assert nothing.measurements["scar_area_pct"].value == 0.0
    assert "no_scar" in [flag.code for flag in nothing.flags]
    assert "no_scar" not in [flag.code for flag in revise(nothing, Change(scar=ByRule("iir", 1.2))).flags]


def test_scar_mask_gives_the_same_map_as_the_rule_that_made_it(analysis):
    by_voxels = revise(analysis, Change(scar=ByRule("iir")))
    masked = analyse(analysis.volume, Settings(perturbation=False), cavity=analysis.cavity, scar=by_voxels.scar)
    for key in ("scar_area_pct", "scar_volume_ml", "scar_pct_of_wall_volume", "wall_volume_ml"):
        assert masked.measurements[key].value == pytest.approx(by_voxels.measurements[key].value)
    assert masked.method.name == "mask"
    assert masked.measurements["threshold"].value is None


def test_a_persons_scar_counts_as_it_was_drawn_a_models_as_far_as_it_lies_in_the_wall(grid, analysis):
    """A shell of 2 mm on either side of the cavity's surface: half blood, half wall."""
    distance = np.linalg.norm(grid.points()[0], axis=-1)
    shell = Volume(np.abs(distance - RADIUS_MM) < 2.0, grid.geometry)
    in_wall = shell.array & (analysis.wall.array > 0)
    drawn = analyse(analysis.volume, Settings(), cavity=analysis.cavity, scar=shell)
    found = analyse(analysis.volume, Settings(), cavity=analysis.cavity, scar=network_of(shell.array, analysis.cavity.array))
    assert np.array_equal(drawn.scar.array > 0, shell.array) and np.array_equal(found.scar.array > 0, in_wall)
    voxel_ml = grid.geometry.voxel_volume_ml
    assert drawn.measurements["scar_volume_ml"].value == pytest.approx(shell.array.sum() * voxel_ml)
    assert found.measurements["scar_volume_ml"].value == pytest.approx(in_wall.sum() * voxel_ml)
    share = 100.0 * in_wall.sum() / (analysis.wall.array > 0).sum()
    assert drawn.measurements["scar_pct_of_wall_volume"].value == pytest.approx(share)
    assert found.measurements["scar_pct_of_wall_volume"].value == pytest.approx(share)
    # A cavity that is 1 mm larger leaves half of the 2 mm in its wall, for a model; what was drawn stays what it is.
    assert found.measurements["scar_volume_ml"].low < 0.6 * found.measurements["scar_volume_ml"].value
    assert drawn.measurements["scar_volume_ml"].low == drawn.measurements["scar_volume_ml"].value


@pytest.mark.parametrize(("inwards_mm", "severity"), [(0.6, "note"), (6.0, "warning")])
def test_what_a_model_puts_beside_the_wall_is_said(grid, analysis, inwards_mm, severity):
    outside_mm = np.linalg.norm(grid.points()[0], axis=-1) - RADIUS_MM
    scar = Volume((outside_mm > -inwards_mm) & (outside_mm < 2.0), grid.geometry)
    network = network_of(scar.array, analysis.cavity.array)
    flagged = analyse(analysis.volume, Settings(perturbation=False), cavity=analysis.cavity, scar=network)
    flags = {flag.code: flag for flag in flagged.flags}
    assert flags["prediction_beside_wall"].severity == severity and "in the cavity" in flags["prediction_beside_wall"].message
    assert not {"scar_inside_cavity", "scar_outside_wall"} & flags.keys()
    assert "prediction_beside_wall" not in [flag.code for flag in revise(flagged, Change(scar=ByRule("iir", 1.2))).flags]


def test_scar_mask_inside_the_cavity_is_flagged(grid, analysis):
    masked = analyse(analysis.volume, Settings(perturbation=False), cavity=analysis.cavity, scar=grid.ball(5.0))
    flags = {flag.code: flag.message for flag in masked.flags}
    assert "100 % of the scar mask lies inside the cavity" in flags["scar_inside_cavity"]


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("blood_pool_uneven", lambda image, grid: np.abs(image + np.random.default_rng(0).normal(0, 0.3 * BLOOD, image.shape))),
        ("low_wall_contrast", lambda image, grid: np.where(image > LUNG, BLOOD, image) + np.random.default_rng(0).normal(0, 10, image.shape)),
    ],
)
def test_quality_flag_of_the_intensities(grid, analysis, code, change):
    image = change(analysis.volume.array, grid).astype(np.float32)
    flagged = analyse(analysis.volume.like(image), Settings(perturbation=False), cavity=analysis.cavity)
    assert code in [flag.code for flag in flagged.flags]
    assert code not in [flag.code for flag in analysis.flags]


def test_an_inverted_scan_is_flagged_and_says_what_it_looks_like(grid, analysis):
    inverted = analysis.volume.like(400.0 - analysis.volume.array)
    flagged = analyse(inverted, Settings(perturbation=False), cavity=analysis.cavity)
    message = {flag.code: flag.message for flag in flagged.flags}["not_lge_like"]
    # The ball lies in lung, which is now the brightest there is; a hundredth of what is 2.5 mm away is still the shell's scar.
    assert "1 % of what surrounds the atrium is darker" in message and "inverted" in message
    assert "not_lge_like" not in [flag.code for flag in analysis.flags]


def test_what_an_lge_scan_looks_like_does_not_depend_on_gain_and_offset():
    random = np.random.default_rng(3)
    outside_mm = np.full((20, 20, 20), 5.0, dtype=np.float32)
    image = random.gamma(2.0, 20.0, outside_mm.shape).astype(np.float32)
    for gain, offset in ((1.0, 0.0), (7.0, 0.0), (0.1, -300.0)):
        blood = BloodPool(gain * 60.0 + offset, gain * 5.0, 1000)
        assert check_lge_like(gain * image + offset, outside_mm, blood) == ()
        turned = BloodPool(-blood.mean, blood.sd, 1000)
        assert [flag.code for flag in check_lge_like(-gain * image - offset, outside_mm, turned)] == ["not_lge_like"]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_a_dull_scan_of_38_grey_levels_is_no_label_map(dtype):
    """The fewest among 80 scans of the 2018 challenge; most of it may be padding that the first look falls into."""
    dull = np.zeros((60, 200, 200), dtype=dtype)
    dull[30:33, 101:120, 101:120] = np.random.default_rng(0).integers(0, 38, (3, 19, 19))
    check_is_scan(Volume(dull, Geometry((200, 200, 60))), "scan.nrrd")


@pytest.mark.parametrize("labels", [(0, 1), (0.0, 0.5), (-1, 1), (0, 205, 420, 500, 550, 600, 820, 850)], ids=str)
def test_a_label_map_is_told_by_its_few_values(labels):
    image = np.random.default_rng(0).choice(labels, (20, 30, 30))
    with pytest.raises(InputError, match=f"scan.nrrd is a mask or label map.*only {len(labels)} different values"):
        check_is_scan(Volume(image, Geometry((30, 30, 20))), "scan.nrrd")


def test_quality_flags_of_the_geometry(grid):
    small = analyse(grid.scan_of_ball(15.0, 40, np.array([0, 0, 1.0])), Settings(perturbation=False), cavity=grid.ball(15.0))
    message = {flag.code: flag.message for flag in small.flags}["la_volume_unusual"]
    assert "The LA volume is 14 mL, outside 37–250 mL" in message


def test_field_of_view_of_a_wrong_header_is_flagged():
    wide = Grid.around((12.0, 12.0, 5.0), 280.0)
    cavity = wide.ball(40.0)
    scan = Volume(np.where(cavity.array, 200.0, 100.0).astype(np.float32), wide.geometry)
    analysis = analyse(scan, Settings(perturbation=False, wall_outside_mm=10.0), cavity=cavity)
    assert "field_of_view" in [flag.code for flag in analysis.flags]


def test_threshold_within_the_noise_of_blood_is_said():
    blood = BloodPool(mean=100.0, sd=16.0, voxels=1000)
    assert [flag.message for flag in check_level(120.0, blood, 300.0)] == [
        "The threshold (grey level 120) lies only 1.2 standard deviations above the blood pool's mean: blood and noise pass it too, "
        "so scattered specks need not be scar."
    ]
    assert "below the blood pool's mean" in check_level(97.0, blood, 300.0)[0].message
    assert check_level(132.0, blood, 300.0) == check_level(None, blood, 300.0) == ()


def test_surface_that_no_wall_lies_in_front_of_is_flagged(analysis):
    """Slices 4 mm apart: the next one over roof and floor is farther than the wall's 2.5 mm."""
    thick = Grid.around((1.25, 1.25, 4.0), 33.0)
    scan = thick.scan_of_ball(RADIUS_MM, 60, np.array([1.0, 0, 0]))
    flagged = analyse(scan, Settings("iir", perturbation=False), cavity=thick.ball(RADIUS_MM))
    assert "surface_without_wall" in [flag.code for flag in flagged.flags]
    assert "surface_without_wall" not in [flag.code for flag in analysis.flags]


def test_wall_mask_that_lies_elsewhere_is_flagged(grid, analysis):
    elsewhere = Volume(np.linalg.norm(grid.points()[0] - [29.0, 29.0, 29.0], axis=-1) < 3.0, grid.geometry)
    flagged = analyse(analysis.volume, Settings("iir", perturbation=False), cavity=analysis.cavity, wall=elsewhere)
    assert "100 % of the surface was not measured" in {flag.code: flag.message for flag in flagged.flags}["surface_without_wall"]
    with pytest.raises(InputError, match="where the wall mask does not reach"):
        analyse(analysis.volume, Settings(perturbation=False), cavity=analysis.cavity, wall=elsewhere)


def test_share_above_counts_strictly_and_by_weight():
    values, weights = np.array([3.0, 1.0, 2.0]), np.array([1.0, 2.0, 1.0])
    np.testing.assert_allclose(share_above(values, weights, np.array([0.0, 1.0, 2.5, 3.0])), [100.0, 50.0, 25.0, 0.0])


def test_curve_passes_through_the_result(analysis):
    at = int(np.argmin(np.abs(analysis.curve.iir - 1.2)))
    assert analysis.curve.scar_area_pct[at] == pytest.approx(analysis.measurements["scar_area_pct"].value)
    assert analysis.curve.scar_pct_of_wall_volume[at] == pytest.approx(analysis.measurements["scar_pct_of_wall_volume"].value)
    assert (np.diff(analysis.curve.scar_area_pct) <= 0).all()
