"""Published protocols: what is read, what counts as scar, over which surface, and what is not known."""

import functools
import json

import numpy as np
import pytest
from analytic import BLOOD, ISOTROPIC, LUNG, SHELL_MM, WALL, Grid, cap_share_pct
from scene_cases import network_of
from scipy.spatial.distance import cdist
from small_scan import lascarseg, write_scan

from LAScarSegLib.analysis import Analysis, ByRule, Change, Mask, analyse, revise
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.errors import InputError
from LAScarSegLib.intensity.protocols import PROTOCOLS, Reading
from LAScarSegLib.surface.layers import brightest_along_normals
from LAScarSegLib.surface.planes import CutPlane
from LAScarSegLib.surface.surface import CLASS_NOT_MEASURED
from LAScarSegLib.volumes.volume import Volume

RADIUS_MM, AXIS = 25.0, np.array([1.0, 0.0, 0.0])
DENSE, BORDER, CAP_DEGREES, DENSE_DEGREES = 1.5 * BLOOD, 1.26 * BLOOD, 60.0, 30.0
FAST = Settings(perturbation=False)


@functools.cache
def ball() -> tuple[Volume, Volume, np.ndarray]:
    """A ball with a shell of wall, in it a cap of border scar with dense scar in its middle; its cavity; points from its centre."""
    grid = Grid.around(ISOTROPIC, 37.0)
    points = grid.points()[0]
    radius = np.linalg.norm(points, axis=-1)
    angle = np.rad2deg(np.arccos(np.clip(points @ AXIS / np.maximum(radius, 1e-9), -1, 1)))
    wall = np.select([angle < DENSE_DEGREES, angle < CAP_DEGREES], [DENSE, BORDER], WALL)
    image = np.select([radius < RADIUS_MM, radius < RADIUS_MM + 2 * SHELL_MM], [BLOOD, wall], LUNG)
    return Volume(image.astype(np.float32), grid.geometry), grid.ball(RADIUS_MM), points


def plane_at(height_mm: float) -> CutPlane:
    """A mitral plane that cuts the ball off below a height over its centre, along the third axis."""
    image, _, _ = ball()
    centre = Grid.around(ISOTROPIC, 37.0).centre
    assert image.geometry == Grid.around(ISOTROPIC, 37.0).geometry
    return CutPlane("MV", tuple(centre + [0, 0, height_mm]), (0.0, 0.0, 1.0))


@functools.cache
def analysed(protocol: str = "barcelona", cut: bool = False, ranges: bool = False) -> Analysis:
    image, cavity, _ = ball()
    planes = (plane_at(-10.0),) if cut else ()
    return analyse(image, Settings(protocol=protocol), cavity=cavity, planes=planes, ranges=ranges)


# What is read, and what counts as scar


def test_nothing_said_is_barcelona():
    image, cavity, _ = ball()
    found = analyse(image, FAST, cavity=cavity)
    assert found.method.protocol == "barcelona" and found.measurements["threshold"].value == 1.20
    assert found.measurements["threshold_dense"].value == 1.32 and found.reading is Reading.MID_WALL


@pytest.mark.parametrize("protocol", ["barcelona", "kcl"])
def test_a_wall_voxel_is_scar_exactly_if_its_nearest_vertex_is(protocol):
    found = analysed(protocol)
    wall = np.argwhere(found.wall.array > 0)
    some = wall[:: len(wall) // 1500]
    nearest = cdist(found.geometry.index_to_lps(some[:, ::-1]), found.surface.points).argmin(axis=1)
    np.testing.assert_array_equal(found.scar.array[tuple(some.T)] > 0, found.surface.scar[nearest])


def test_cemrgapp_counts_triangles_above_the_maximum_along_the_normal():
    image, cavity, _ = ball()
    rough = image.like(image.array + np.random.default_rng(3).normal(0, 8, image.array.shape).astype(np.float32))
    found = analyse(rough, Settings(protocol="cemrgapp", perturbation=False), cavity=cavity)
    scar = brightest_along_normals(rough.array, rough.geometry, found.surface) > 1.2 * found.blood_pool.mean
    # A triangle counts a third for each of its corners.
    share = 100.0 * scar[found.surface.triangles].mean()
    assert found.measurements["scar_area_pct"].value == pytest.approx(share, abs=1e-9)
    np.testing.assert_array_equal(found.surface.scar, scar)


def test_dense_and_border_scar_are_the_two_caps():
    numbers = analysed().measurements
    assert numbers["scar_area_pct"].value == pytest.approx(cap_share_pct(CAP_DEGREES), abs=1.0)
    assert numbers["dense_scar_area_pct"].value == pytest.approx(cap_share_pct(DENSE_DEGREES), abs=1.0)
    area_cm2 = 4 * np.pi * RADIUS_MM**2 / 100
    assert numbers["dense_scar_area_cm2"].value == pytest.approx(area_cm2 * cap_share_pct(DENSE_DEGREES) / 100, abs=1.0)
    shell_ml = 4 / 3 * np.pi * ((RADIUS_MM + SHELL_MM) ** 3 - RADIUS_MM**3) / 1000
    assert numbers["dense_scar_volume_ml"].value == pytest.approx(shell_ml * cap_share_pct(DENSE_DEGREES) / 100, rel=0.1)
    classes, counts = np.unique(analysed().surface.scar_class, return_counts=True)
    assert classes.tolist() == [0, 1, 2] and counts[2] < counts[1] < counts[0]


def test_above_the_protocols_dense_threshold_all_scar_is_dense():
    found = revise(analysed(), Change(scar=analysed().sources.scar.with_threshold(1.4)), ranges=False)
    numbers = found.measurements
    assert numbers["dense_scar_area_pct"].value == numbers["scar_area_pct"].value > 0
    back = revise(found, Change(scar=found.sources.scar.with_threshold(1.2)), ranges=False)
    assert back.measurements == analysed().measurements and not found.method.calibrated


def test_after_a_stroke_vertices_none_of_whose_voxels_changed_keep_their_value():
    before, (_, _, points) = analysed(), ball()
    stroke = np.linalg.norm(points - [-RADIUS_MM - 1, 0, 0], axis=-1) < 6.0
    painted = (before.scar.array > 0) | (stroke & (before.wall.array > 0))
    found = revise(before, Change(scar=Mask.of(painted)), ranges=False)
    np.testing.assert_array_equal(found.scar.array > 0, painted)
    from_centre = before.surface.points - Grid.around(ISOTROPIC, 37.0).centre
    far = np.linalg.norm(from_centre - [-RADIUS_MM, 0, 0], axis=1) > 12.0
    np.testing.assert_array_equal(found.surface.scar[far], before.surface.scar[far])
    assert found.surface.scar[np.linalg.norm(from_centre - [-RADIUS_MM, 0, 0], axis=1) < 4.0].all()
    assert found.measurements["dense_scar_area_pct"].value == before.measurements["dense_scar_area_pct"].value


@pytest.mark.parametrize("protocol", ["barcelona", "cemrgapp"])
def test_all_scar_erased_is_no_scar(protocol):
    erased = revise(analysed(protocol), Change(scar=Mask.of(np.zeros(ball()[0].array.shape, dtype=bool))))
    assert not erased.surface.scar.any() and erased.measurements["scar_area_pct"].value == 0


def test_a_wall_somebody_drew_is_halved_only_where_they_drew():
    before, (_, _, points) = analysed(), ball()
    grown = (np.linalg.norm(points, axis=-1) < RADIUS_MM + 4.0) & (points[..., 1] > 15.0) & ~(before.cavity.array > 0)
    found = revise(before, Change(wall=Mask.of((before.wall.array > 0) | grown)), ranges=False)
    away = (before.surface.points - Grid.around(ISOTROPIC, 37.0).centre)[:, 1] < 5.0
    one, other = (analysis.samples[0].surface_value for analysis in (before, found))
    np.testing.assert_array_equal(one[away], other[away])
    assert not np.array_equal(one, other)


# Over which surface


def test_with_planes_every_number_has_one_of_the_wall_proper():
    """Archimedes: above 10 mm below its centre a ball of 25 mm has 70 % of its area."""
    numbers, sphere_cm2 = analysed(cut=True).measurements, 4 * np.pi * RADIUS_MM**2 / 100
    assert numbers["la_wall_area_cm2"].value == pytest.approx(0.7 * sphere_cm2, rel=0.02)
    assert numbers["wall_volume_ml_wall"].value == pytest.approx(0.7 * numbers["wall_volume_ml"].value, rel=0.03)
    # The cap reaches below the plane: what is left of it, by counting points that are spread evenly over the ball.
    number = np.arange(200_000) + 0.5
    polar, around = np.arccos(1 - 2 * number / 200_000), np.pi * (1 + 5**0.5) * number
    in_cap = np.cos(around) * np.sin(polar) > np.cos(np.deg2rad(CAP_DEGREES))
    above = np.cos(polar) > -0.4
    assert numbers["scar_area_cm2_wall"].value == pytest.approx(sphere_cm2 * (in_cap & above).mean(), rel=0.03)
    assert numbers["scar_area_pct_wall"].value == pytest.approx(100 * (in_cap & above).sum() / above.sum(), abs=1.0)
    assert numbers["scar_pct_of_wall_volume_wall"].value == pytest.approx(100 * (in_cap & above).sum() / above.sum(), abs=2.0)
    assert numbers["scar_volume_ml_wall"].value == pytest.approx(
        numbers["wall_volume_ml_wall"].value * numbers["scar_pct_of_wall_volume_wall"].value / 100
    )


def test_the_headline_is_the_wall_proper_where_planes_tell_which_that_is():
    for cut, key, source in ((True, "scar_area_pct_wall", "given"), (False, "scar_area_pct", "none")):
        content = analysed(cut=cut).measurements_json()
        assert (content["headline"], content["planes_source"], content["protocol"]) == (key, source, "barcelona")
        assert (content["scar_area_cm2_wall"]["value"] is None) == (not cut)
    assert "of the LA wall" in analysed(cut=True).headline.sentence and "of the LA surface" in analysed().headline.sentence


def test_the_stage_follows_the_surface_that_is_counted():
    image, cavity, _ = ball()
    found = analyse(image, Settings(native=True, perturbation=False), cavity=cavity, planes=(plane_at(-10.0),)).measurements
    whole, proper = (found[f"scar_pct_of_wall_volume{end}"].value for end in ("", "_wall"))
    stages = [1 + sum(share >= limit for limit in (10, 20, 30)) for share in (whole, proper)]
    assert [found["utah_stage"].value, found["utah_stage_wall"].value] == stages


@pytest.mark.parametrize("protocol", ["barcelona", None])
def test_surface_without_wall_is_not_measured_and_in_no_denominator(protocol):
    image, cavity, points = ball()
    half = Volume(((np.linalg.norm(points, axis=-1) < RADIUS_MM + SHELL_MM) & (points[..., 0] > 0)).astype(np.uint8), image.geometry)
    settings = Settings(None if protocol else "iir", protocol=protocol, perturbation=False)
    found = analyse(image, settings, cavity=cavity, wall=half, planes=(plane_at(-15.0),))
    numbers = found.measurements
    assert numbers["unmeasured_area_pct"].value == pytest.approx(50.0, abs=3.5)
    assert numbers["la_wall_area_cm2"].value == pytest.approx(4 * np.pi * RADIUS_MM**2 / 100 * 0.8 / 2, rel=0.08)
    unknown = found.surface.scar_class == CLASS_NOT_MEASURED
    assert unknown[(found.surface.points - Grid.around(ISOTROPIC, 37.0).centre)[:, 0] < -5.0].all()
    assert not found.surface.scar[unknown].any()
    # The cap of 60° lies in the half that has wall: of the whole surface it is half the share that it is of the wall.
    assert numbers["scar_area_pct_wall"].value > 1.7 * numbers["scar_area_pct"].value


# What is not known


def test_other_protocols_give_what_they_give_when_they_are_chosen():
    found = analysed(ranges=True)
    others = {(other.protocol, other.threshold): other.area_pct for other in found.other_protocols}
    assert {name for name, _ in others} == {"cemrgapp", "kcl", "hopman"}
    for name in ("cemrgapp", "hopman"):
        chosen = analysed(name)
        assert others[name, chosen.method.parameter] == pytest.approx(chosen.measurements["scar_area_pct"].value)
    low, high = min(others.values()), max(others.values())
    assert found.others_line == f"Other published protocols: {low:.0f}–{high:.0f} %"
    assert analysed().other_protocols == ()


def test_each_end_of_the_range_says_which_perturbation_it_comes_from():
    quantity = analysed(ranges=True).measurements["la_volume_ml"]
    assert (quantity.low_by, quantity.high_by) == ("a cavity smaller by 1 mm", "a cavity larger by 1 mm")
    headline = analysed(ranges=True).headline
    for value, words in ((headline.quantity.low, "No perturbation lowers it"), (headline.quantity.high, "none raises it")):
        assert (value == headline.quantity.value) == (words in headline.ends)


CALIBRATED = [
    ({}, {}, "no planes"),
    ({}, {"planes": True}, ""),
    ({"threshold": 1.25}, {"planes": True}, "is not this protocol's"),
    ({"threshold": 1.32}, {"planes": True}, ""),
    ({"rule": "iir"}, {"planes": True}, "no whole protocol"),
    ({"rule": "nsd", "threshold": 2.0, "protocol": "barcelona"}, {"planes": True}, "is not this protocol's"),
    ({"blood_pool_erosion_mm": 4.0}, {"planes": True}, "not the usual ones"),
    ({"protocol": "carma"}, {"wall": True}, ""),
    ({"protocol": "khurram"}, {"planes": True, "wall": True}, "means of sectors"),
    ({"protocol": "utah"}, {"planes": True}, "an operator sets the threshold"),
]


@pytest.mark.parametrize(("settings", "given", "why_not"), CALIBRATED)
def test_calibrated_is_said_exactly_where_the_whole_protocol_applies(settings, given, why_not):
    image, cavity, points = ball()
    drawn = image.like((np.linalg.norm(points, axis=-1) < RADIUS_MM + SHELL_MM).astype(np.uint8))
    method = analyse(
        image, Settings(**settings, perturbation=False), cavity=cavity, wall=drawn if given.get("wall") else None,
        planes=(plane_at(-10.0),) if given.get("planes") else (),
    ).method  # fmt: skip
    assert method.calibrated == (why_not == "")
    assert why_not in "; ".join(method.not_calibrated_because)


# Choosing


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ByRule.of_protocol("mine"), "the protocols are barcelona, cemrgapp"),
        (lambda: ByRule.of_protocol("barcelona", 1.3, 1.25), r"dense scar \(1.25\) must lie above that of scar \(1.3\)"),
        (lambda: ByRule("otsu", None, None, 1.3), "'otsu' has none"),
        (lambda: analyse(*ball()[:1], Settings(protocol="khurram"), cavity=ball()[1]), "a wall drawn by hand and means nothing"),
        (lambda: analyse(*ball()[:1], Settings(protocol="carma"), cavity=ball()[1]), "Give the wall"),
    ],
)
def test_what_cannot_be_is_refused_in_words(make, words):
    with pytest.raises(InputError, match=words):
        make()


def test_a_threshold_above_everything_is_said():
    flags = {flag.code: flag.message for flag in revise(analysed(), Change(scar=ByRule.of_protocol("barcelona", 5.0)), ranges=False).flags}
    assert "finds no scar anywhere" in flags["threshold_above_all"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_scan(tmp_path)
    return tmp_path


RUN = ("run", "image.nrrd", "--cavity", "cavity.nrrd", "-o", "out", "--force")


def numbers(folder, name="out"):
    return json.loads((folder / name / "measurements.json").read_text(encoding="utf-8"))


def quickly(monkeypatch):
    """Results without pictures."""
    from LAScarSegLib.jobs import remeasure, request

    plain = request.write_results
    for door in (request, remeasure):
        monkeypatch.setattr(door, "write_results", lambda *a, **k: plain(*a, **k | {"figures": False, "report": False, "scene": False}))


def test_protocol_threshold_and_rule_on_the_command_line(folder, capfd, monkeypatch):
    quickly(monkeypatch)
    for options, protocol, rule, threshold in (
        ((), "barcelona", "iir", 1.20),
        (("--threshold", "1.3"), "barcelona", "iir", 1.3),
        (("--protocol", "kcl"), "kcl", "nsd", 2.3),
        (("--protocol", "kcl", "--threshold", "3.3"), "kcl", "nsd", 3.3),
        (("--scar", "iir"), None, "iir", 1.20),
        (("--scar", "nsd", "--protocol", "barcelona"), "barcelona", "nsd", 3.0),
    ):
        outcome = lascarseg(capfd, *RUN, *options)
        assert outcome.code == 0, outcome.err
        content = numbers(folder)
        assert (content["protocol"], content["method"]["name"], content["threshold"]["value"]) == (protocol, rule, threshold)
    # Measured again: the reading stays the result's own, and a result without a protocol keeps the voxels.
    assert lascarseg(capfd, "measure", "out", "--threshold", "2", "-o", "again").code == 0
    assert numbers(folder, "again")["protocol"] == "barcelona" and numbers(folder, "again")["threshold"]["value"] == 2
    assert lascarseg(capfd, "measure", "out", "--scar", "iir", "-o", "again", "--force").code == 0
    assert lascarseg(capfd, "measure", "again", "--threshold", "1.3").code == 0 and numbers(folder, "again")["protocol"] is None
    assert lascarseg(capfd, "measure", "again", "--protocol", "hopman", "-o", "third").code == 0
    assert numbers(folder, "third")["protocol"] == "hopman"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--protocol", "mine"), "'mine' is no protocol"),
        (("--protocol", "barcelona", "--scar", "cavity.nrrd"), "A protocol (barcelona) needs a rule"),
        (("--protocol", "carma"), "a wall drawn by hand"),
        (("--threshold", "1.4", "--dense-threshold", "1.3"), "must lie above that of scar (1.4)"),
        (("--label", "x" * 81), "at most 80 characters"),
    ],
)
def test_what_cannot_be_is_refused_on_the_command_line(folder, capfd, options, words):
    outcome = lascarseg(capfd, *RUN, *options)
    assert outcome.code == 2 and words in outcome.err and not (folder / "out").exists()


def test_a_networks_and_a_persons_scar_have_no_protocol():
    image, cavity, points = ball()
    network = network_of(np.where(np.linalg.norm(points - [RADIUS_MM, 0, 0], axis=-1) < 8, 0.9, 0.0), cavity.array)
    found = analyse(image, FAST, cavity=cavity, scar=network)
    assert found.method.protocol is None and found.measurements["threshold_dense"].value is None
    assert found.settings.protocol is found.settings.rule is None


def test_every_protocol_says_what_is_done_as_published_and_what_not():
    for protocol in PROTOCOLS.values():
        assert protocol.as_published.endswith(".") and protocol.differs.endswith(".") and protocol.source
        assert protocol.threshold is None or protocol.its_rule.check_parameter(protocol.threshold) == protocol.threshold
        assert protocol.dense_threshold is None or protocol.dense_threshold > protocol.threshold
