"""How far a path around a vein may run: what can be chosen, and what is refused."""

import json

import pytest

from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.errors import InputError
from LAScarSegLib.surface.band_reach import BandReach


def test_one_name_may_have_a_band_of_its_own():
    reach = BandReach(18.0, 5.0, (("right pair", 12.0), ("LSPV", 25.0)))
    assert (reach.of("LSPV"), reach.of("LIPV"), reach.of("right pair")) == (25.0, 18.0, 12.0)
    assert reach == BandReach(18, 5, {"LSPV": 25, "right pair": 12})


def test_what_a_person_types_changes_what_there_is_and_nothing_else():
    reach = BandReach(15.0, 3.0, (("LSPV", 25.0),))
    assert reach.changed_by(()) == reach
    assert reach.changed_by(("12", "right pair=20"), 4.0) == BandReach(12.0, 4.0, (("LSPV", 25.0), ("right pair", 20.0)))


def test_a_band_as_everybodys_is_no_ones_own():
    assert BandReach().with_band("LSPV", 12.0).with_band("LSPV", 18.0) == BandReach()


def test_the_settings_keep_it_in_json():
    settings = Settings(bands=BandReach(12.5, 0.0, (("LIPV", 9.0),)))
    assert Settings.from_json(json.loads(json.dumps(settings.to_json()))) == settings
    assert Settings.from_json({"native": True}).bands == BandReach()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: BandReach(outside_mm=0.0), "0.0.*between 1 and 40"),
        (lambda: BandReach(outside_mm=float("nan")), "nan"),
        (lambda: BandReach(inside_mm=-1.0), "-1.0"),
        (lambda: BandReach(own_mm=(("LAA", 10.0),)), "'LAA'.*LSPV"),
        (lambda: BandReach(own_mm=(("LSPV", 100.0),)), "LSPV.*100"),
        (lambda: BandReach().changed_by(("LSPV:12",)), "'LSPV:12'.*LSPV=12"),
        (lambda: BandReach.from_json({"reach": 3}), "reach"),
        (lambda: BandReach.from_json({"own_mm": 3}), "own_mm"),
        (lambda: BandReach.from_json(7), "7"),
        (lambda: Settings(bands=18.0), "18.0"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_its_value(wrong, said):
    with pytest.raises(InputError, match=said):
        wrong()
