"""The report: the headline first, everything in one file, and honest about what was not known."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from sample_analysis import sample_analysis, with_planes

from LAScarSegLib.analysis import Drawn, Given, Network
from LAScarSegLib.measure.numbers import Quantity
from LAScarSegLib.output.figures import FIGURES
from LAScarSegLib.output.report import flatten, render_report
from LAScarSegLib.support.flags import QualityFlag
from LAScarSegLib.surface.planes import CutPlane


class Page(HTMLParser):
    """The page's tags with their attributes, and its text outside the style sheet."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        if not {"style", "title", "script"} & set(self.open):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """A folder with the figures that need no OpenGL."""
    folder = tmp_path_factory.mktemp("figures")
    for kind in FIGURES:
        if not kind.needs_rendering and kind.can_draw(sample_analysis()):
            kind.draw(sample_analysis(), folder / kind.file_name)
    return folder


@pytest.fixture(scope="module")
def html(pictures) -> str:
    return render_report(sample_analysis(), pictures)


@pytest.fixture(scope="module")
def page(html) -> Page:
    return Page(html)


def test_the_page_starts_with_the_headline(page):
    value = sample_analysis().measurements["scar_area_pct"].value
    assert page.text.startswith(f"{value:.1f} % of the left-atrial surface is marked as scar")


def test_the_range_is_called_what_it_is(page):
    quantity = sample_analysis().measurements["scar_area_pct"]
    assert f"{quantity.low:.1f} – {quantity.high:.1f} % is the perturbation range" in page.text
    assert "not a confidence interval" in page.text


MODEL = {
    "name": "la-net", "version": "2.1", "simulated": False,
    "intended_use": "Finding the cavity for research, to be corrected by a person.",
}  # fmt: skip
SAYS_OF_USE = "Its card says: Finding the cavity for research, to be corrected by a person."
MASK = sample_analysis().sources.cavity.mask


def network(simulated: bool = False) -> Network:
    return Network(MODEL | {"simulated": simulated}, 0.5, MASK)


def given(path: str) -> Given:
    return Given(MASK, (), {"path": path, "sha256": "0"})


@pytest.mark.parametrize(
    ("cavity", "says"),
    [
        (network(), f"The cavity was found by the model la-net 2.1. {SAYS_OF_USE}"),
        (Drawn(MASK, network()), f"found by the model la-net 2.1 and then edited by hand. {SAYS_OF_USE}"),
        (network(simulated=True), "trained on simulated scans, so it says nothing about a patient."),
        (given("/data/endo.nrrd"), "The cavity was given (endo.nrrd); no model found it."),
        (Drawn(MASK, given("/data/endo.nrrd")), "The cavity was given (endo.nrrd) and then edited by hand."),
        (given("node left/atrium"), "The cavity was given (node left/atrium); no model found it."),
        (Given(MASK), "The cavity was given; no model found it."),
    ],
)
def test_beside_the_headline_it_says_where_the_cavity_comes_from(pictures, cavity, says):
    analysis = sample_analysis()
    text = Page(render_report(replace(analysis, sources=replace(analysis.sources, cavity=cavity)), pictures)).text
    assert says in text.split("How scar was found")[0]


def test_nothing_is_fetched_from_anywhere(html, page):
    # Pictures and packed scripts are letters at random; that no script fetches anything is for a browser to show (test_live_surface).
    without_data = re.sub(r"[A-Za-z0-9+/=]{200,}", "", html)
    assert not re.search(r"(?i)https?:|@import|url\(|<link|<iframe|<script[^>]* src", without_data)
    assert all(attributes["src"].startswith("data:image/png;base64,") for attributes in page.all("img"))


def test_the_page_is_accessible(page):
    assert page.open == []
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("img")) == 3 and all(len(attributes["alt"]) > 20 for attributes in page.all("img"))
    assert all(attributes.get("scope") in ("col", "row") for attributes in page.all("th"))
    assert [tag for tag, _ in page.tags if tag == "h1"] == ["h1"]


def test_without_planes_the_page_says_what_may_be_counted(page):
    assert "mitral annulus, the aorta and the oesophagus enhance too and may be counted as scar" in page.text


def test_with_planes_it_names_them(pictures):
    planes = (CutPlane("MV", (0, 0, 0), (0, 0, 1)), CutPlane("LSPV", (0, 0, 0), (0, 0, 1)))
    text = Page(render_report(with_planes(sample_analysis(), planes), pictures)).text
    assert "may be counted" not in text and "2 planes given (MV, LSPV)" in text


def test_an_uncalibrated_preset_is_called_so(page):
    assert "Not calibrated here: the threshold belongs to no whole protocol; this number was published for a mid-wall surface layer." in page.text
    assert "The wall is 0–2.5 mm outside the cavity" in page.text


def test_flags_are_in_plain_words_and_escaped(html, page):
    assert "The atrium is a ball of 20 mm <radius> & nothing else." in page.text
    assert "<radius>" not in html


def test_file_names_are_escaped(pictures):
    name = 'scan <b onload="x">&amp; Ünï.nrrd'
    html = render_report(sample_analysis(provenance={"inputs": {"image": {"path": f"/data/{name}"}}}), pictures)
    assert "<b onload" not in html and name in Page(html).text


def test_notes_on_what_is_missing_join_the_flags(pictures):
    note = QualityFlag("scene_missing", "scene.mrb is missing: no library.", "note")
    assert note.message in Page(render_report(sample_analysis(), pictures, [note])).text


def test_the_same_thing_is_not_said_twice_about_planes(pictures):
    flag = QualityFlag("no_planes", "No planes were given, says the flag.", "note")
    assert flag.message not in render_report(replace(sample_analysis(), flags=(flag,)), pictures)


def test_a_simulated_image_is_called_so(pictures, page):
    simulated = render_report(sample_analysis(provenance={"simulated": True}), pictures)
    assert "This is a phantom, not a patient" in Page(simulated).text
    assert "phantom" not in page.text


def test_research_use_is_stated(page):
    assert "For research use only. Not a medical device." in page.text


def test_every_preset_of_both_families_is_compared(page):
    for name in ("IIR 0.97", "IIR 1.20 used", "IIR 1.61", "mean + 2 SD", "mean + 3.3 SD"):
        assert name in page.text


def test_what_was_not_computed_is_a_dash(page):
    assert "Scar, share of the LA wall inside the cut planes –" in page.text


def test_a_utah_stage_is_a_roman_number(pictures):
    measurements = sample_analysis().measurements | {"utah_stage": Quantity(2, "", 1, 3)}
    text = Page(render_report(replace(sample_analysis(), measurements=measurements), pictures)).text
    assert "Utah-style stage (native scans only) II I – III" in text


def test_nested_provenance_becomes_rows():
    content = {"a": {"b": 1, "c": [1.5, 2]}, "d": [{"e": None, "h": [3, 4]}], "f": True, "g": {}}
    assert flatten(content) == [("a › b", "1"), ("a › c", "1.5, 2"), ("d › 1", "e –; h 3, 4"), ("f", "yes"), ("g", "–")]


def test_the_table_of_presets_gives_the_known_answers_of_a_real_scan(data_dir, pictures):
    from LAScarSegLib.analysis import analyse
    from LAScarSegLib.analysis.settings import Settings
    from LAScarSegLib.volumes.files import read_volume

    image, cavity, wall = (read_volume(data_dir / "carma" / f"autoscar-{name}.nrrd") for name in ("data", "endo", "wall"))
    text = Page(render_report(analyse(image, Settings("iir", perturbation=False), cavity=cavity, wall=wall), pictures)).text
    # SCIENCE section 4, % of the wall's voxels, computed outside this program; to one decimal as everywhere.
    known = {
        "IIR 0.97": "66.9", "IIR 1.16": "16.6", "IIR 1.20 used": "12.2", "IIR 1.32": "5.4", "IIR 1.61": "0.1",
        "mean + 2 SD": "18.8", "mean + 2.3 SD": "15.3", "mean + 3 SD": "10.3", "mean + 3.3 SD": "9.1", "mean + 4 SD": "6.3",
    }  # fmt: skip
    for name, percentage in known.items():
        assert re.search(rf"{re.escape(name)} [\d.]+ [\d.]+ {re.escape(percentage)} ", text), name
