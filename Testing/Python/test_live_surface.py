"""The live surface of the report, as a browser shows it from a file: it draws, its slider counts right, and nothing is fetched."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sample_analysis import RADIUS_MM, left_side, sample_analysis

from LAScarSegLib.measure.numbers import Quantity
from LAScarSegLib.output import live_surface as live
from LAScarSegLib.output import report
from LAScarSegLib.output.findings import FindingRows
from LAScarSegLib.output.live_surface import UNIT_MM, SurfaceLabels, live_surface, outline
from LAScarSegLib.output.report import render_report
from LAScarSegLib.surface.surface import CLASS_NOT_MEASURED, Surface

CHROMIUM = Path("/usr/bin/chromium")
SOFTWARE_WEBGL = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
READY_MS = 60_000
"""Software draws slowly on a busy machine; nothing waits longer than it must."""
HOSTILE = "</script><b>LSPV & 'roof'"
LARGEST_REPORT_BYTES = 8_000_000
GAPS = {
    "gaps": [
        {
            "around": "LSPV", "rgm": 0.1, "path_mm": 60.0, "gap_mm": 6.0, "encircled": False,
            "gaps": [
                {"length_mm": 6.0, "region": HOSTILE, "clock": 3, "point_lps": [0, 20, 0], "line_lps": [[-3, 20, 0], [0, 20, 0], [3, 20, 0]]},
            ],
        }
    ]
}  # fmt: skip


def beyond(points: np.ndarray) -> np.ndarray:
    """What lies low on the ball, as if behind a plane."""
    return points[..., 2] < -15.0


def graded():
    """A ball whose intensity rises from the patient's right to the left, so that every threshold counts another number of vertices."""
    analysis = sample_analysis(left_side, excluded_at=beyond)
    surface = analysis.surface
    ratio = 1.2 + 0.5 * surface.points[:, 0] / RADIUS_MM
    classes = surface.scar_class.copy()
    classes[surface.points[:, 2] > 18.0] = CLASS_NOT_MEASURED
    return replace(
        analysis,
        surface=surface.with_arrays(
            iir=ratio, lge=ratio * analysis.blood_pool.mean, scar_class=classes, scar_probability=surface.scar * 1.0,
            scar_entropy=np.where(surface.points[:, 1] > 0, 1.0, 0.0), cavity_entropy=np.zeros(len(ratio)),
        ),  # fmt: skip
    )


def unpacked(packed: dict[str, str]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(packed["data"]), np.dtype(packed["type"]).newbyteorder("<"))


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """Debian's Chromium, drawing in software."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"no browser: {CHROMIUM} is not there (Debian's package chromium)")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=SOFTWARE_WEBGL)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def shown(browser, tmp_path_factory) -> Iterator:
    """The report of `graded` with its live surface drawn; `page.asked` are the addresses it asked for, `page.errors` what failed."""
    pytest.importorskip("plotly")
    path = tmp_path_factory.mktemp("live") / "report.html"
    path.write_text(render_report(graded(), path.parent, findings=FindingRows.from_json(GAPS)), encoding="utf-8")
    page = browser.new_page(viewport={"width": 640, "height": 700})
    page.asked, page.errors = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.goto(path.as_uri())
    page.evaluate("document.getElementById('live').scrollIntoView()")
    page.wait_for_selector("#live-box[data-ready]", timeout=READY_MS)
    yield page
    page.close()


def colours(page) -> np.ndarray:
    """(H·W, 3) pixels of the drawn surface."""
    from matplotlib.image import imread

    picture = page.locator("#live-plot").screenshot()
    return np.rint(255 * imread(io.BytesIO(picture))[..., :3]).astype(int).reshape(-1, 3)


def reddish(pixels: np.ndarray) -> int:
    return int(((pixels[:, 0] > 150) & (pixels[:, 1] < 90) & (pixels[:, 2] < 60)).sum())


def bluish(pixels: np.ndarray) -> int:
    return int(((pixels[:, 2] > pixels[:, 0] + 25) & (pixels[:, 2] > 120)).sum())


def press(page, title: str) -> None:
    page.get_by_role("button", name=title, exact=True).click()
    page.get_by_role("button", name=title, exact=True, pressed=True).wait_for()


def test_it_starts_from_behind_with_the_patients_left_on_the_left(shown):
    letters = {name: shown.locator(f"#live-{name}").inner_text() for name in ("left", "right", "top", "bottom")}
    assert letters == {"left": "L", "right": "R", "top": "S", "bottom": "I"}
    assert shown.errors == []


def test_it_turns_with_the_mouse_and_the_letters_with_it(shown):
    box = shown.locator("#live-plot").bounding_box()
    shown.mouse.move(box["x"] + 200, box["y"] + 200)
    shown.mouse.down()
    shown.mouse.move(box["x"] + 450, box["y"] + 200, steps=2)
    shown.mouse.up()
    shown.wait_for_function("document.getElementById('live-left').textContent !== 'L'")

    assert shown.locator("#live-top").inner_text() == "S" and shown.get_by_role("button", pressed=True).count() == 1
    press(shown, "Posterior (PA)")
    assert shown.locator("#live-left").inner_text() == "L"


def test_scar_is_drawn_where_it_lies(shown):
    # From the left the scar faces the reader; from the right it is hidden behind the rest.
    press(shown, "Left lateral")
    from_left = colours(shown)
    press(shown, "Right lateral")
    from_right = colours(shown)
    press(shown, "Posterior (PA)")

    assert reddish(from_left) > 5_000 > 100 > reddish(from_right)
    assert bluish(from_right) > 5_000


@pytest.mark.parametrize("threshold", [1.05, 1.31])
def test_the_slider_counts_the_vertices_of_the_wall_above_its_threshold(shown, threshold):
    surface = graded().surface
    counted = surface.is_wall & (surface.scar_class != CLASS_NOT_MEASURED)
    above = counted & (surface.iir.astype(np.float32).astype(float) > threshold)
    share = 100 * surface.vertex_area_mm2[above].sum() / surface.vertex_area_mm2[counted].sum()

    shown.locator("#live-threshold").fill(str(threshold))

    assert shown.locator("#live-said").get_attribute("data-vertices") == str(above.sum())
    assert f"IIR {threshold:.2f}: {share:.1f} % of the LA wall lies above" == shown.locator("#live-said").inner_text()


def test_the_slider_colours_what_lies_above(shown):
    drawn = {}
    press(shown, "Left lateral")
    for threshold in ("1.8", "0.6"):
        shown.locator("#live-threshold").fill(threshold)
        shown.wait_for_selector(f'#live-box[data-drawn="{threshold}"] #live-modes [value=threshold][aria-pressed=true]')
        drawn[threshold] = reddish(colours(shown))

    assert drawn["1.8"] < 100 and drawn["0.6"] > 20_000


def test_probability_is_drawn_where_it_is_known(shown):
    press(shown, "Left lateral")
    press(shown, "Probability")
    assert reddish(colours(shown)) > 5_000
    press(shown, "Posterior (PA)")


def test_how_unsure_a_network_is_has_its_colours(shown):
    """Undecided on the patient's back half, sure in front and of the cavity."""
    dark = {}
    for button, view in (("Scar uncertainty", "Posterior (PA)"), ("Scar uncertainty", "Anterior (AP)"), ("Cavity uncertainty", "Posterior (PA)")):
        press(shown, view)
        press(shown, button)
        picture = colours(shown).astype(int)
        dark[button, view] = int(((picture[..., 2] - picture[..., 1] > 60) & (picture[..., 0] > picture[..., 1])).sum())
    press(shown, "Posterior (PA)")
    assert dark["Scar uncertainty", "Posterior (PA)"] > 20_000
    assert max(dark["Scar uncertainty", "Anterior (AP)"], dark["Cavity uncertainty", "Posterior (PA)"]) < 500


def test_regions_have_their_colours(shown):
    press(shown, "Regions")
    press(shown, "Inferior")
    below = colours(shown)
    press(shown, "Superior")
    above = colours(shown)
    press(shown, "Posterior (PA)")

    # The low part of the ball lies "beyond a plane" and is grey, the rest is the body in its blue.
    grey = (np.ptp(below, axis=1) < 12) & (below.max(axis=1) < 200) & (below.max(axis=1) > 60)
    assert grey.sum() > 5_000 and reddish(below) < 100 and bluish(above) > 20_000


def test_gaps_are_marked_with_number_and_line_and_hostile_words_stay_words(shown):
    drawn = shown.evaluate("document.getElementById('live-plot').data.filter(one => one.type === 'scatter3d')")
    marks = [one for one in drawn if one["mode"] == "markers+text"]
    lines = [one for one in drawn if one["mode"] == "lines" and one["line"]["width"] == 8]

    assert len(marks) == 1 and len(lines) == 1
    assert "&lt;/script&gt;&lt;b&gt;LSPV" in marks[0]["hovertext"][0]
    assert HOSTILE in shown.locator(".gap").inner_text()


def test_nothing_is_asked_for_but_the_file_itself(shown):
    assert len(shown.asked) == 1 and shown.asked[0].startswith("file:///")


def test_it_is_left_out_of_print(shown):
    shown.emulate_media(media="print")
    assert not shown.locator("section.live").is_visible() and shown.locator("#veins").is_visible()
    shown.emulate_media(media="screen")


def test_the_report_stays_below_8_mb_with_figures_of_a_usual_size(tmp_path):
    pytest.importorskip("plotly")
    # What the pictures of the tutorial's phantom weigh; letters at random, as PNGs are.
    sizes = {"scar_map": 521_424, "montage": 1_261_572, "threshold_curve": 176_183, "histogram": 108_266, "iir_map": 746_504}
    for name, size in sizes.items():
        (tmp_path / f"{name}.png").write_bytes(np.random.default_rng(size).bytes(size))
    assert len(render_report(graded(), tmp_path).encode()) < LARGEST_REPORT_BYTES


def test_without_plotly_the_report_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "packed_script", lambda: None)
    html = render_report(graded(), tmp_path)
    assert "<script" not in html and "the Python package plotly" in html and "pip install plotly" in html


def test_a_package_that_is_not_installed_has_no_script(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert live.plotly_script() is None


def test_positions_are_rounded_to_a_tenth_of_a_millimetre_about_the_centre():
    analysis = graded()
    points = unpacked(json.loads(live_surface(analysis))["points"]).reshape(-1, 3) * UNIT_MM
    assert np.abs(points - analysis.surface.points).max() <= UNIT_MM / 2 + 1e-9


def test_what_is_no_measured_wall_is_told_apart():
    surface = graded().surface
    kinds = unpacked(json.loads(live_surface(graded()))["kind"])
    assert (kinds[beyond(surface.points)] == 1).all() and (kinds[surface.points[:, 2] > 18.0] == 2).all()


def test_a_share_of_the_whole_surface_counts_what_was_not_measured_too():
    analysis = graded()
    with_planes = unpacked(json.loads(live_surface(analysis))["share"])
    whole = replace(analysis, measurements=analysis.measurements | {"scar_area_pct_wall": Quantity(None, "%")})
    assert unpacked(json.loads(live_surface(whole))["share"]).sum() == pytest.approx(analysis.surface.area_mm2, rel=1e-5)
    assert (with_planes[analysis.surface.scar_class == CLASS_NOT_MEASURED] == 0).all()


def test_no_character_of_the_data_can_end_the_script_it_stands_in():
    regions = SurfaceLabels("Regions", graded().surface.region, {0: HOSTILE, 1: "body"}, {0: "#888888", 1: "#aecbe0"})
    content = live_surface(graded(), FindingRows.from_json(GAPS), labels=[regions])
    assert not set("<>&") & set(content) and json.loads(content)["labels"][0]["entries"]["0"][0] == HOSTILE


def test_a_value_of_region_without_a_name_keeps_its_number():
    labels = SurfaceLabels.regions(np.array([1, 11, 77], dtype=np.uint8))
    assert labels.names == {1: "LA body", 11: "LSPV", 77: "region 77"} and len(set(labels.colours.values())) == 3


def test_walls_are_named_by_number_and_what_is_none_is_left_out():
    walls = SurfaceLabels.walls("Walls", np.array([0, 1, 3], dtype=np.uint8), ("roof", "floor", "septum"))
    assert walls.names == {0: "left out", 1: "roof", 3: "septum"} and len({walls.colours[value] for value in (0, 1, 3)}) == 3


def test_the_outline_lies_halfway_between_scar_and_healthy_vertices():
    # A square of two triangles, scar on its left side: the border is its middle line.
    points = np.array([[0, 0, 0], [2, 0, 0], [2, 2, 0], [0, 2, 0]], dtype=float)
    up = np.tile([0.0, 0, 1], (4, 1))
    square = Surface(points, np.array([[0, 1, 2], [0, 2, 3]]), up, scar=np.array([True, False, False, True]))
    segments = outline(square)
    assert segments.shape == (2, 2, 3) and np.allclose(segments[..., 0], 1.0)
    assert sorted(segments[..., 1].ravel()) == [0.0, 1.0, 1.0, 2.0]


def test_a_mask_as_scar_has_no_slider(tmp_path):
    analysis = graded()
    given = replace(analysis, method=replace(analysis.method, kind="given"))
    html = render_report(given, tmp_path)
    assert json.loads(live_surface(given))["threshold"] is None and 'id="live-threshold"' not in html


def test_where_scar_is_withheld_only_the_shape_is_there(monkeypatch):
    analysis = graded()
    monkeypatch.setattr(type(analysis), "withheld", property(lambda self: True))
    content = json.loads(live_surface(analysis))
    assert content["withheld"] and not {"scar", "iir", "probability", "threshold", "own_pct"} & set(content)
    assert [one["title"] for one in content["unsure"]] == ["Cavity uncertainty"]


def test_a_surface_of_many_vertices_is_thinned_out_and_keeps_its_scar(monkeypatch):
    monkeypatch.setattr(live, "MOST_VERTICES", 700)
    analysis = sample_analysis(left_side)
    content = json.loads(live_surface(analysis))
    area, marked = unpacked(content["share"]).astype(float), unpacked(content["scar"]) > 0

    assert len(analysis.surface.points) > 1000 and 500 < len(area) <= 700 and unpacked(content["triangles"]).max() < len(area)
    # A cap beyond x = 8 mm of a ball of 20 mm is 30 % of it (Archimedes).
    assert 100 * area[marked].sum() / area.sum() == pytest.approx(30.0, abs=3.0)
