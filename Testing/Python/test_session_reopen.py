"""A loaded scene's result can be corrected and measured again, as on the day it was made."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("slicer", reason="needs slicer-core")

from editing_cases import RIGHT, Bench, ball, bench  # noqa: E402
from scene_cases import GRIDS, RADIUS_MM, analysed, network_of, scan  # noqa: E402

from LAScarSegLib import scene as mrml  # noqa: E402
from LAScarSegLib.analysis import Analysis, analyse  # noqa: E402
from LAScarSegLib.analysis.settings import Settings  # noqa: E402
from LAScarSegLib.errors import InputError  # noqa: E402
from LAScarSegLib.scene.bundle import read_mrb, save_scene, write_mrb  # noqa: E402
from LAScarSegLib.scene.mrml import mark  # noqa: E402
from LAScarSegLib.scene.plane_markups import plane_nodes, show_planes  # noqa: E402
from LAScarSegLib.session.edit_session import has_result, reopen, set_threshold, why_no_threshold  # noqa: E402
from LAScarSegLib.support.flags import simulated_model  # noqa: E402

BULGE = ball("oblique", RIGHT * (RADIUS_MM - 2), 6.0)


def stored_and_loaded(made: Bench, folder) -> Bench:
    """The scene saved, and opened in another one; the session begins anew."""
    save_scene(made.scene, folder / "scene.mrb")
    scene = mrml.new_scene()
    read_mrb(scene, folder / "scene.mrb")
    session = reopen(scene, scene.GetFirstNodeByName(made.nodes.volume.GetName()))
    return Bench(scene, session.nodes, session)


def numbers(analysis: Analysis) -> dict[str, float]:
    return {key: quantity.value for key, quantity in analysis.measurements.items() if quantity.value is not None}


def same_as(analysis: Analysis):
    """A file keeps the grid to 15 digits."""
    return pytest.approx(numbers(analysis), rel=1e-9)


def test_numbers_ranges_flags_and_planes_are_those_that_were_stored(tmp_path):
    image, cavity = scan(GRIDS["oblique"])
    first = analyse(image, Settings(threshold=1.3), cavity=cavity, planes=analysed(with_plane=True).planes)
    made = bench(first)
    show_planes(made.scene, made.nodes.volume, first.planes)
    again = stored_and_loaded(made, tmp_path)
    assert again.session.analysis.measurements == first.measurements and first.measurements["scar_area_pct"].low is not None
    assert again.session.analysis.flags == first.flags and again.session.analysis.method == first.method
    assert again.session.edited() == frozenset()
    assert all(node is not None for node in (again.nodes.surface, again.nodes.left_out, again.nodes.sdm_wall, again.nodes.curve_chart))


def test_it_goes_on_as_if_the_scene_had_never_been_closed(tmp_path):
    made = bench()
    again = stored_and_loaded(made, tmp_path)
    for one in (made, again):
        one.draw("cavity", one.held("cavity") | BULGE)
    assert numbers(again.session.update(full=False)) == same_as(made.session.update(full=False))
    count = again.scene.GetNumberOfNodes()
    again_stricter, stricter = (set_threshold(one.session.nodes, one.session.analysis, 1.5) for one in (again, made))
    assert numbers(again_stricter) == same_as(stricter)
    assert again.scene.GetNumberOfNodes() == count


@pytest.mark.parametrize("measured", [True, False])
def test_scar_that_was_drawn_by_hand_stays_so(tmp_path, measured):
    made = bench()
    scar = made.held("scar") | (made.held("wall") & BULGE)
    made.draw("scar", scar)
    if measured:
        made.session.update(full=False)
    again = stored_and_loaded(made, tmp_path)
    np.testing.assert_array_equal(again.session.analysis.scar.array > 0, scar)
    assert again.session.analysis.method.label == "Image intensity ratio > 1.20, edited by hand"
    assert again.session.edited() == frozenset()


def test_a_cavity_that_was_drawn_but_not_measured_gets_its_wall_and_scar(tmp_path):
    made = bench()
    made.draw("cavity", made.held("cavity") | BULGE)
    again = stored_and_loaded(made, tmp_path)
    expected = made.session.update(full=False)
    assert numbers(again.session.analysis) == same_as(expected) and again.session.analysis.method.name == "iir"
    np.testing.assert_array_equal(again.held("wall"), expected.wall.array > 0)
    assert again.session.edited() == frozenset()


def of_network() -> Analysis:
    """A scar that a network found, in the wall and beside it."""
    image, cavity = scan(GRIDS["oblique"])
    probability = np.where(ball("oblique", -RIGHT * RADIUS_MM, 9.0), 0.9, 0.1)
    return analyse(image, Settings(perturbation=False), cavity=cavity, scar=network_of(probability, cavity.array))


def test_a_models_scar_comes_back_with_its_probability(tmp_path):
    model = of_network()
    analysis = stored_and_loaded(bench(model), tmp_path).session.analysis
    assert analysis.method == model.method and analysis.measurements == model.measurements
    np.testing.assert_array_equal(analysis.scar_probability_box, model.scar_probability_box)
    np.testing.assert_array_equal(analysis.surface.scar_probability, model.surface.scar_probability)


def test_erasing_an_edit_brings_the_rules_scar_back_as_before_the_scene_was_closed(tmp_path):
    made = bench()
    found, before = made.held("scar"), numbers(made.session.analysis)
    made.draw("scar", found | (made.held("wall") & BULGE))
    made.session.update(full=False)
    again = stored_and_loaded(made, tmp_path)
    assert again.session.analysis.method.name == "mask" and again.session.analysis.provenance["edited"] == ["scar"]
    again.draw("scar", found)
    analysis = again.session.update(full=False)
    assert (analysis.method.name, analysis.method.label) == ("iir", "Image intensity ratio > 1.20")
    assert analysis.provenance["edited"] == [] and numbers(analysis) == pytest.approx(before, rel=1e-9)
    # And it is a rule's scar again: it follows the cavity, and the threshold can be moved.
    again.draw("cavity", again.held("cavity") | BULGE)
    assert again.session.update(full=False).method.name == "iir"
    assert why_no_threshold(again.session.analysis) == ""


@pytest.mark.parametrize("measured", [True, False])
def test_what_was_edited_before_stays_edited_whatever_is_drawn_next(tmp_path, measured):
    """Apply asks before it replaces what a person drew: it must know."""
    made = bench()
    made.draw("scar", made.held("scar") | (made.held("wall") & BULGE))
    if measured:
        made.session.update(full=False)
    again = stored_and_loaded(made, tmp_path)
    again.draw("cavity", again.held("cavity") | ball("oblique", RIGHT * RADIUS_MM, 3.0))
    assert again.session.update(full=False).provenance["edited"] == ["cavity", "scar"]
    last = stored_and_loaded(again, tmp_path)
    last.draw("scar", last.held("scar") & ~ball("oblique", RIGHT * RADIUS_MM, 4.0))
    analysis = last.session.update(full=False)
    assert analysis.provenance["edited"] == ["cavity", "scar"]
    assert analysis.method.label == "Image intensity ratio > 1.20, edited by hand"


def test_what_is_known_of_files_and_models_outlives_an_edit_that_was_not_measured(tmp_path):
    image, cavity = scan(GRIDS["oblique"])
    network = replace(network_of(np.where(cavity.array, 0.9, 0.0)), flags=(simulated_model("net"),))
    file = {"path": "scan.nrrd", "sha256": "0"}
    first = analyse(image, Settings(perturbation=False), cavity=network, files={"image": file})
    made = bench(first)
    made.draw("cavity", made.held("cavity") | BULGE)
    analysis = stored_and_loaded(made, tmp_path).session.analysis
    assert analysis.provenance["models"] == {"cavity": network.model} and analysis.provenance["inputs"] == {"image": file}
    assert analysis.provenance["edited"] == ["cavity"]
    assert [flag for flag in analysis.flags if flag.code == "simulated"] == [simulated_model("net")]


def test_a_networks_scar_that_was_edited_is_the_networks_again_when_the_edit_is_taken_back(tmp_path):
    model = of_network()
    made = bench(model)
    made.draw("scar", made.held("scar") | (made.held("wall") & BULGE))
    made.session.update(full=False)
    again = stored_and_loaded(made, tmp_path)
    edited = again.held("scar")
    again.draw("scar", edited & ~ball("oblique", RIGHT * RADIUS_MM, 3.0))
    assert again.session.update(full=False).origins["scar"].edited
    again.draw("scar", model.scar.array > 0)
    back = again.session.update(full=False)
    assert back.method == model.method and back.provenance["edited"] == []
    again.draw("cavity", again.held("cavity") | ball("oblique", RIGHT * RADIUS_MM, 3.0))
    assert "scar_older_than_cavity" in [flag.code for flag in again.session.update(full=False).flags]


def test_a_wall_that_was_drawn_and_is_taken_back_is_automatic_again(tmp_path):
    made = bench()
    automatic = made.held("wall")
    made.draw("wall", automatic & ~ball("oblique", RIGHT * RADIUS_MM, 6.0))
    assert made.session.update(full=False).method.wall_given
    again = stored_and_loaded(made, tmp_path)
    again.draw("wall", automatic)
    analysis = again.session.update(full=False)
    assert not analysis.method.wall_given and analysis.provenance["edited"] == []


def test_a_scene_that_the_command_line_wrote_gets_planes_to_drag(tmp_path):
    write_mrb(analysed(with_plane=True), tmp_path / "scene.mrb")
    scene = mrml.new_scene()
    read_mrb(scene, tmp_path / "scene.mrb")
    session = reopen(scene, scene.GetFirstNodeByName("LGE-MRI"))
    assert [node.GetName() for node in plane_nodes(scene, session.nodes.volume)] == ["MV"]
    assert session.edited() == frozenset() and numbers(session.analysis) == same_as(analysed(with_plane=True))


def test_a_hardened_copys_result_is_found_from_its_scan():
    made = bench()
    bent = made.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "bent scan")
    mark(made.nodes.volume, "hardened", bent)
    assert has_result(made.scene, bent)
    assert reopen(made.scene, bent).nodes == made.nodes


def test_without_a_result_or_a_cavity_it_says_what_to_do():
    made = bench()
    other = made.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "another scan")
    assert has_result(made.scene, made.nodes.volume) and not has_result(made.scene, other) and not has_result(made.scene, None)
    with pytest.raises(InputError, match="no result of 'another scan' in this scene. Press Apply"):
        reopen(made.scene, other)
    made.draw("cavity", np.zeros_like(made.held("cavity")))
    with pytest.raises(InputError, match="cavity of this result is empty"):
        reopen(made.scene, made.nodes.volume)
