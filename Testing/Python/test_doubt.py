"""What is said of a cavity without knowing the true one: the word, its arithmetic, and that it never gets in the way."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from LAScarSegLib.anatomy.likeness import check_shape, more_like_turned, unlikeness
from LAScarSegLib.anatomy.masks import Mask
from LAScarSegLib.anatomy.overlap import dice
from LAScarSegLib.anatomy.shape import DIRECTIONS, border_share, shape_of
from LAScarSegLib.errors import Cancelled, InputError
from LAScarSegLib.inference import doubt as measuring
from LAScarSegLib.inference.bundle_models import BundleCavityModel
from LAScarSegLib.inference.doubt import LOOKS
from LAScarSegLib.inference.options import InferenceOptions
from LAScarSegLib.inference.preparation import OrientedScan
from LAScarSegLib.inference.second_looks import Look, look_again, network_runner
from LAScarSegLib.models.bundle import Bundle, read_bundle
from LAScarSegLib.models.card import ModelCard
from LAScarSegLib.models.doubt_calibration import MEASURES, UNCHECKED, DoubtCalibration, Measure
from LAScarSegLib.phantom import PhantomSettings, make_phantom
from LAScarSegLib.support.doubt import WORDS, Doubt
from LAScarSegLib.support.progress import Progress
from LAScarSegLib.support.resources import resource_path
from LAScarSegLib.systems import Output
from LAScarSegLib.volumes.volume import Geometry, Volume

SHIPPED = "Models/la-cavity-1.1"
FIRST_CARD = Path(__file__).parents[1] / "Models" / "la-cavity-1.0.json"
"""The card of the first version, as it was published, before there was any doubt."""
GRID = Geometry((64, 64, 64))
"""1 mm voxels, LPS."""


def ellipsoid(radii_kji: tuple[float, float, float], spacing_kji: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> np.ndarray:
    """A bool array that an ellipsoid of these half axes in mm lies in the middle of."""
    shape = [int(2 * r / s) + 8 for r, s in zip(radii_kji, spacing_kji)]
    axes = [(np.arange(n) - (n - 1) / 2) * s / r for n, s, r in zip(shape, spacing_kji, radii_kji)]
    return sum(a * a for a in np.meshgrid(*axes, indexing="ij")) <= 1.0


def shape(array: np.ndarray, spacing_kji: tuple[float, float, float] = (1.0, 1.0, 1.0), direction=Geometry((1, 1, 1)).direction):
    return shape_of(Mask.of(array), Geometry(array.shape[::-1], spacing_kji[::-1], direction=direction))


def calibration(**changes) -> DoubtCalibration:
    """Overlap counts from 0.9 down to 0.5, at most 2; the unsure shell from 1 mm to 3, at most 1."""
    made = DoubtCalibration(
        (Measure("scaled_overlap", 0.9, 0.5, 2.0), Measure("unsure_mm", 1.0, 3.0, 1.0)), (0.5, 1.5, 2.5), (0.95, 0.75, 0.15), 0.7, 0.85
    )
    return replace(made, **changes)


# --- the word -----------------------------------------------------------------------------------------------------------------------------


def test_a_doubt_goes_through_json_and_back():
    doubt = Doubt("look at it", 0.81, ("One.", "Two."))

    assert Doubt.from_json(json.loads(json.dumps(doubt.to_json()))) == doubt
    assert set(doubt.to_json()) == {"word", "expected_dice", "reasons"}


@pytest.mark.parametrize(("word", "beginning"), [("do not use", "Do not use: "), ("look at it", "Look at it: ")])
def test_what_is_no_good_is_one_line_with_its_heading_and_reasons(word, beginning):
    line = Doubt(word, 0.4, ("The atrium reaches the edge of the scan.",)).line

    assert line.startswith(beginning) and "\n" not in line
    assert "0.40" in line and line.endswith("The atrium reaches the edge of the scan.")


def test_good_is_short():
    assert len(Doubt("good", 0.92).line) < 100 and "0.92" in Doubt("good", 0.92).line


@pytest.mark.parametrize(
    "wrong", [("bad", 0.5, ()), ("good", float("nan"), ()), ("good", 1.5, ()), ("good", True, ()), ("good", 0.9, ("a",) * 4)]
)
def test_what_is_no_doubt_is_refused(wrong):
    with pytest.raises(InputError):
        Doubt(*wrong)


# --- the calibration ----------------------------------------------------------------------------------------------------------------------


def test_the_score_and_the_expected_dice_by_hand():
    values = {"scaled_overlap": 0.7, "unsure_mm": 1.5}

    # Half of 2, and a quarter of 1; then three quarters of the way from (0.5, 0.95) to (1.5, 0.75).
    assert calibration().score(values) == pytest.approx(1.25)
    assert calibration().expected_dice(1.25) == pytest.approx(0.80)
    assert calibration().doubt(values).word == "look at it"


@pytest.mark.parametrize(("score", "expected"), [(0.0, 0.95), (0.5, 0.95), (2.0, 0.45), (2.5, 0.15), (9.0, 0.15)])
def test_beyond_the_knots_nothing_changes(score, expected):
    assert calibration().expected_dice(score) == pytest.approx(expected)


def test_nothing_speaks_in_favour():
    assert calibration().score({"scaled_overlap": 1.0, "unsure_mm": 0.0}) == 0.0


def test_worse_values_never_make_it_better():
    found = [
        calibration().doubt({"scaled_overlap": overlap, "unsure_mm": 4.0 - 3.0 * overlap}) for overlap in np.linspace(1.0, 0.3, 30)
    ]
    expected, words = [d.expected_dice for d in found], [WORDS.index(d.word) for d in found]

    assert expected == sorted(expected, reverse=True) and words == sorted(words)
    assert {d.word for d in found} == set(WORDS)


def test_reasons_are_those_that_speak_against_it_the_weightiest_first():
    doubt = calibration().doubt({"scaled_overlap": 0.55, "unsure_mm": 2.4})

    assert len(doubt.reasons) == 2 and "0.55" in doubt.reasons[0] and "2.4 mm" in doubt.reasons[1]
    assert all(reason.endswith(".") for reason in doubt.reasons)
    assert len(calibration().doubt({"scaled_overlap": 0.5, "unsure_mm": 1.0}).reasons) == 1
    assert calibration().doubt({"scaled_overlap": 0.95, "unsure_mm": 1.0}).reasons == ()


def test_many_equal_reasons_are_reasons_too():
    measures = tuple(Measure(name, 0.0, 1.0, 1.0) for name in MEASURES)
    doubt = calibration(measures=measures, scores=(0.0, len(measures)), dice=(0.9, 0.1)).doubt(dict.fromkeys(MEASURES, 1.0))

    assert doubt.word == "do not use" and len(doubt.reasons) == 3


@pytest.mark.parametrize("values", [{"unsure_mm": 0.5}, {"unsure_mm": 0.5, "scaled_overlap": float("nan")}])
def test_what_could_not_be_measured_is_said_and_never_good(values):
    doubt = calibration().doubt(values)

    assert doubt.word == "look at it" and doubt.reasons == (UNCHECKED,)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scores": (0.5, 1.5)}, "2 scores and 3"),
        ({"scores": (0.5, 0.5, 2.5)}, "must rise"),
        ({"dice": (0.5, 0.6, 0.1)}, "must not"),
        ({"dice": (0.95, float("nan"), 0.1)}, "dice"),
        ({"do_not_use_below": 0.9}, "do_not_use_below"),
        ({"measures": ()}, "one or more"),
        ({"measures": (Measure("unsure_mm", 1.0, 2.0, 1.0),) * 2}, "each once"),
    ],
)
def test_a_calibration_that_can_not_be_is_refused_in_words(changes, words):
    with pytest.raises(InputError, match=words):
        calibration(**changes)


@pytest.mark.parametrize(
    "wrong",
    [
        ("unknown", 0, 1, 1), ("unsure_mm", 1, 1, 1), ("unsure_mm", 0, 1, -1), ("unsure_mm", 0, float("inf"), 1), ("unsure_mm", "0", 1, 1),
    ],
)  # fmt: skip
def test_a_measure_that_can_not_be_is_refused_in_words(wrong):
    with pytest.raises(InputError, match="model.json: doubt"):
        Measure(*wrong)


def test_every_sentence_shows_the_value_or_what_is_usual():
    for name, sentence in MEASURES.items():
        assert "{value" in sentence and "{usual" in sentence and sentence.endswith("."), name


# --- the card -----------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return read_bundle(resource_path(SHIPPED))


def test_a_card_without_doubt_keeps_its_hash():
    plain = ModelCard.from_json(json.loads(FIRST_CARD.read_text(encoding="utf-8")))

    assert "doubt" not in plain.to_json()
    assert plain.sha256 == "6aed65041af00620c7a29814fbca1e5203d7669684abbca07c86f49e24de67f2"


def test_a_card_with_doubt_goes_through_json_and_back(bundle):
    card = replace(bundle.card, doubt=calibration())
    again = ModelCard.from_json(json.loads(json.dumps(card.to_json())))

    assert again.doubt == calibration() and again.sha256 == card.sha256 != replace(card, doubt=None).sha256


@pytest.mark.parametrize(
    "wrong",
    [
        {"extra": 1}, {"scores": None}, {"scores": "abc"}, {"measures": [{"name": "unsure_mm"}]}, {"measures": [3]},
        {"dice": ["a", "b", "c"]}, {"look_below": float("nan")}, {"made": []},
    ],
)  # fmt: skip
def test_a_card_with_a_broken_doubt_is_refused_in_words(bundle, wrong):
    data = replace(bundle.card, doubt=calibration()).to_json()
    data["doubt"] = data["doubt"] | wrong

    with pytest.raises(InputError, match="model.json"):
        ModelCard.from_json(data)


# --- shapes -------------------------------------------------------------------------------------------------------------------------------


def test_a_ball():
    ball = shape(ellipsoid((20.0, 20.0, 20.0)))

    assert ball.volume_ml == pytest.approx(4 / 3 * np.pi * 8.0, rel=0.03)
    assert ball.inscribed_mm == pytest.approx(20.0, abs=2.0)
    assert ball.sphericity == pytest.approx(1.0, abs=0.03)
    assert ball.protrusion < 0.05 and np.abs(ball.body_offset).max() < 0.2
    # 99 % of a ball lie below 0.882 of its radius along any line: (2 + 3 h − h³) / 4 = 0.99.
    assert ball.reach == pytest.approx(np.full(14, 0.882 * 20.0), abs=0.7)


def test_an_ellipsoid_reaches_as_far_as_its_axes_whatever_the_voxels():
    radii = (15.0, 20.0, 40.0)
    for spacing in ((1.0, 1.0, 1.0), (2.5, 0.7, 0.7)):
        found = shape(ellipsoid(radii, spacing), spacing)
        for direction, radius in (((1, 0, 0), 40.0), ((0, -1, 0), 20.0), ((0, 0, 1), 15.0)):
            assert found.reach[DIRECTIONS.index(direction)] == pytest.approx(0.882 * radius, abs=1.5)


def test_a_shape_follows_the_header():
    """The same voxels under an axis order that is named otherwise: what lay along the columns lies along S then."""
    array = ellipsoid((15.0, 20.0, 40.0))
    turned = shape(array, direction=(0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0))

    assert turned.reach[DIRECTIONS.index((0, 0, 1))] == pytest.approx(shape(array).reach[DIRECTIONS.index((1, 0, 0))])


def test_a_thin_arm_is_protrusion():
    array = np.pad(ellipsoid((20.0, 20.0, 20.0)), ((0, 0), (0, 0), (0, 40)))
    ball, body = shape(array), np.count_nonzero(array)
    array[20:28, 20:28, 40:84] = True
    arm = 1 - body / np.count_nonzero(array)

    assert shape(array).protrusion - ball.protrusion == pytest.approx(arm, abs=0.015)
    # The arm runs to the left: the body lies to the right of the whole's middle.
    assert shape(array).body_offset[0] < -1.0


def test_the_share_at_the_border_of_a_box():
    array = np.zeros((20, 20, 20), dtype=bool)
    array[:10, 5:15, 5:15] = True

    # One of a cube's six faces.
    assert border_share(Mask.of(array), Geometry((20, 20, 20))) == pytest.approx(1 / 6)
    assert border_share(Mask.of(np.roll(array, 3, axis=0)), Geometry((20, 20, 20))) == 0.0


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(PhantomSettings(seed=3, size=(128, 112, 40), spacing=(1.25, 1.25, 2.5)))


def test_an_atrium_upside_down_is_unlike_one_and_it_is_said_why(phantom):
    cavity, grid = phantom.cavity.array > 0, phantom.cavity.geometry
    right, wrong = (shape_of(Mask.of(mask), grid) for mask in (cavity, cavity[::-1]))

    assert unlikeness(right) < unlikeness(wrong)
    assert more_like_turned(wrong).unlikeness == pytest.approx(unlikeness(right))
    assert more_like_turned(wrong).words == "turned upside down"
    assert check_shape(Mask.of(cavity), grid) == ()
    (flag,) = check_shape(Mask.of(cavity[::-1]), grid)
    assert "upside down" in flag.message and "\n" not in flag.message


@pytest.mark.parametrize("which", ["one", "all", "two", "line"])
def test_no_mask_is_too_strange(which):
    array = np.zeros((12, 10, 8), dtype=bool)
    array[6, 5, 4] = True
    array |= which == "all"
    if which == "two":
        array[1, 1, 1] = True
    if which == "line":
        array[6, 5, :] = True

    assert len(check_shape(Mask.of(array), Geometry((8, 10, 12), (0.6, 0.6, 2.5)))) == 1


# --- second looks -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("look", [*LOOKS.values(), Look(zoom=1.0, turn_deg=(30.0, -20.0))])
def test_a_look_brings_the_answer_back_to_where_it_was_found(look):
    """A network that takes what is bright for the atrium, and a bright ellipsoid off the middle."""
    spacing, middle = (2.0, 1.5, 2.5), np.array([44.0, 52.0, 60.0])
    axes = [np.arange(n) * s - m for n, s, m in zip((48, 60, 44), spacing, middle)]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    bright = ((z / 15) ** 2 + (y / 18) ** 2 + (x / 25) ** 2 <= 1).astype(np.float32)

    ((probability, covered),) = look_again(lambda tiles: 20.0 * (tiles[:, 0] - 0.5), bright, spacing, middle, [look], (2.0, 2.0, 2.0), (40, 40, 48))

    assert covered[bright > 0].all()
    assert dice(probability > 0.5, bright > 0) > 0.95


@pytest.mark.parametrize("output", [Output("cavity", (0, 1)), Output("cavity", (2,), "sigmoid")], ids=["two classes", "a sigmoid"])
def test_a_look_reads_the_output_that_is_the_cavitys(output):
    torch = pytest.importorskip("torch", reason="networks need torch")
    tiles = torch.arange(8.0).reshape(1, 1, 2, 2, 2)
    found = network_runner(lambda x: torch.cat([-x, 2 * x, 3 * x], dim=1), "cpu", output)(tiles)
    # Foreground minus background is 2x + x; the sigmoid's logit is 3x.
    assert torch.equal(found, 3 * tiles[:, 0])


def test_what_lies_beyond_the_tile_is_not_covered():
    grey = np.zeros((40, 40, 40), dtype=np.float32)

    ((_, covered),) = look_again(lambda tiles: tiles[:, 0], grey, (2.0,) * 3, np.full(3, 39.0), [Look(zoom=1.0)], (2.0,) * 3, (16, 16, 16))

    assert np.count_nonzero(covered) == 16**3


# --- the model at work --------------------------------------------------------------------------------------------------------------------


def model_of(bundle: Bundle, **options) -> BundleCavityModel:
    return BundleCavityModel.from_bundle(bundle, InferenceOptions(device="cpu", **options))


@pytest.fixture(scope="module")
def found(bundle, phantom) -> tuple[Volume, Volume, Doubt | None]:
    return model_of(bundle).predict_with_doubt(phantom.image)


def measured(bundle: Bundle, phantom, found, progress: Progress = Progress()) -> dict[str, float]:
    model = model_of(bundle)
    scan = OrientedScan.of(phantom.image, model.card.preprocessing)
    return measuring.measures_of(model, scan, *found[:2], bundle.card.doubt.names, progress)


def test_a_whole_atrium_is_trusted_and_one_on_its_side_is_not(bundle, phantom, found):
    turned = np.ascontiguousarray(np.rot90(phantom.image.array, 1, (1, 2)))
    on_its_side = Volume(turned, Geometry(turned.shape[::-1], phantom.image.geometry.spacing))
    _, mask, doubt = model_of(bundle).predict_with_doubt(on_its_side)

    assert dice(found[1].array > 0, phantom.cavity.array > 0) > 0.85 and found[2].word == "good" and found[2].reasons == ()
    assert dice(mask.array > 0, np.rot90(phantom.cavity.array > 0, 1, (1, 2))) < 0.7
    assert doubt.word == "do not use" and doubt.reasons and doubt.expected_dice < found[2].expected_dice


def test_the_same_scan_gives_the_same_words(bundle, phantom, found):
    assert bundle.card.doubt.doubt(measured(bundle, phantom, found)) == found[2]


def test_the_option_leaves_it_out_and_the_mask_is_the_same(bundle, phantom, found):
    probability, mask, doubt = model_of(bundle, doubt=False).predict_with_doubt(phantom.image)

    assert doubt is None
    assert np.array_equal(mask.array, found[1].array) and np.array_equal(probability.array, found[0].array)


def test_looks_that_fail_don_t_fail_the_run(bundle, phantom, found, monkeypatch):
    def out_of_memory(*arguments):
        raise MemoryError

    monkeypatch.setattr(measuring, "look_again", out_of_memory)
    values = measured(bundle, phantom, found)

    assert values and set(values) < set(bundle.card.doubt.names)
    assert UNCHECKED in bundle.card.doubt.doubt(values).reasons


def test_it_can_be_cancelled_while_it_doubts(bundle, phantom, found):
    with pytest.raises(Cancelled):
        measured(bundle, phantom, found, Progress(is_cancelled=lambda: True))
