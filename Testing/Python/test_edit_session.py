"""Correcting a result: what was drawn counts, what was not drawn follows, and nothing else is touched."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scene_cases import GRIDS, RADIUS_MM, analysed, network_of, scan

slicer = pytest.importorskip("slicer", reason="edits need slicer-core")

from editing_cases import RIGHT, ball, bench

from LAScarSegLib.analysis import ByRule, Change, analyse, revise
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.errors import InputError
from LAScarSegLib.support.flags import simulated_model
from LAScarSegLib.volumes.volume import Volume

GRID = "oblique"
BULGE = ball(GRID, RIGHT * (RADIUS_MM - 2), 6.0)
"""A piece that a person adds to the cavity, on the side without scar."""
SPOT = ball(GRID, RIGHT * (RADIUS_MM + 1), 4.0)
"""Where a person paints scar."""


@pytest.fixture
def made():
    return bench()


def values(analysis) -> dict:
    return {key: quantity.value for key, quantity in analysis.measurements.items()}


def analysed_with(analysis, **masks: np.ndarray):
    """The ball analysed from the start with these masks."""
    given = {name: Volume(mask, analysis.geometry) for name, mask in masks.items()}
    return analyse(analysis.volume, analysis.settings, planes=analysis.planes, **given)


def with_model_scar():
    """A network's result: it says scar in a ball on the patient's left, inside the wall and outside."""
    image, cavity = scan(GRIDS[GRID])
    probability = np.where(ball(GRID, -RIGHT * RADIUS_MM, 9.0), 0.75, 0.125)
    network = replace(network_of(probability, cavity.array), flags=(simulated_model("net"),))
    return analyse(image, Settings(perturbation=False), cavity=cavity, scar=network, files={"image": {"path": "lge.nrrd", "sha256": ""}})


def test_right_after_a_run_nothing_is_edited(made):
    assert made.session.edited() == frozenset()
    before = made.session.analysis
    assert made.session.update() is before


@pytest.mark.parametrize("grid", GRIDS)
def test_segments_are_read_back_voxel_by_voxel_on_every_grid(grid):
    made = bench(grid=grid)
    for name in ("cavity", "wall", "scar"):
        np.testing.assert_array_equal(made.held(name), getattr(made.session.analysis, name).array > 0)


def test_a_cavity_edit_gives_what_an_analysis_of_the_new_cavity_gives(made):
    cavity = made.held("cavity") | BULGE
    made.draw("cavity", cavity)
    assert made.session.edited() == {"cavity"}
    new = made.session.update()
    expected = analysed_with(analysed(), cavity=cavity)
    assert values(new) == values(expected)
    for name in ("cavity", "wall", "scar"):
        np.testing.assert_array_equal(made.held(name), getattr(expected, name).array > 0)
    np.testing.assert_array_equal(new.sdm_wall.array, expected.sdm_wall.array)
    assert new.method == expected.method


def test_the_nodes_follow_and_are_the_same_nodes(made):
    from LAScarSegLib.scene import volume_from_node

    made.draw("cavity", made.held("cavity") | BULGE)
    count, before = made.scene.GetNumberOfNodes(), made.nodes
    new = made.session.update()
    assert made.session.nodes == before and made.scene.GetNumberOfNodes() == count
    assert before.surface.GetPolyData().GetNumberOfPoints() == len(new.surface.points)
    for node, expected in ((before.sdm_cavity, new.sdm_cavity), (before.sdm_wall, new.sdm_wall)):
        np.testing.assert_array_equal(volume_from_node(node).array, expected.array)
    shown = json.loads(before.measurements.GetAttribute("LAScarSeg.measurements"))
    assert shown["la_volume_ml"]["value"] == new.measurements["la_volume_ml"].value


def test_a_scar_edit_is_kept_as_drawn_and_said_in_the_methods_words(made):
    scar = made.held("scar") | (SPOT & made.held("wall"))
    made.draw("scar", scar)
    assert made.session.edited() == {"scar"}
    new = made.session.update(full=False)
    np.testing.assert_array_equal(new.scar.array > 0, scar)
    assert new.method.label == "Image intensity ratio > 1.20, edited by hand" and new.method.name == "mask"
    assert new.provenance["edited"] == ["scar"]


def test_the_quick_look_at_a_scar_edit_has_the_numbers_of_a_full_analysis(made):
    scar = made.held("scar") ^ (SPOT & made.held("wall"))
    made.draw("scar", scar)
    quick = made.session.update(full=False)
    expected = analysed_with(analysed(), cavity=made.held("cavity"), scar=scar)
    assert values(quick) == values(expected)
    np.testing.assert_array_equal(quick.surface.scar, expected.surface.scar)
    assert {f.code for f in quick.flags} == {f.code for f in expected.flags}


def test_a_scar_edit_leaves_cavity_wall_and_distance_maps_alone(made):
    maps = made.nodes.sdm_cavity.GetImageData(), made.nodes.sdm_wall.GetImageData()
    made.draw("scar", made.held("scar") | (SPOT & made.held("wall")))
    made.session.update(full=False)
    assert (made.nodes.sdm_cavity.GetImageData(), made.nodes.sdm_wall.GetImageData()) == maps


def test_a_cavity_edit_keeps_scar_that_was_drawn_by_hand(made):
    scar = SPOT & made.held("wall")
    made.draw("scar", scar)
    made.session.update(full=False)
    made.draw("cavity", made.held("cavity") | ball(GRID, -RIGHT * RADIUS_MM, 5.0))
    new = made.session.update(full=False)
    np.testing.assert_array_equal(made.held("scar"), scar)
    assert new.method.label.endswith("edited by hand") and new.provenance["edited"] == ["cavity", "scar"]


def test_a_wall_that_was_drawn_by_hand_is_kept_and_counts_as_given(made):
    wall = made.held("wall") & ~SPOT
    made.draw("wall", wall)
    new = made.session.update(full=False)
    assert new.method.wall_given and values(new) == values(analysed_with(analysed(), cavity=made.held("cavity"), wall=wall))
    np.testing.assert_array_equal(made.held("wall"), wall)


def test_ranges_come_with_the_full_update():
    image, cavity = scan(GRIDS[GRID])
    made = bench(analyse(image, Settings(), cavity=cavity))
    made.draw("cavity", made.held("cavity") | BULGE)
    quick = made.session.update(full=False)
    assert quick.measurements["scar_area_pct"].low is None
    full = made.session.update(full=True)
    assert values(full) == values(quick)
    area = full.measurements["scar_area_pct"]
    assert area.low <= area.value <= area.high and area.low < area.high


def test_an_edit_that_was_taken_back_is_no_edit(made):
    before = {name: made.held(name) for name in ("cavity", "wall", "scar")}
    made.draw("cavity", before["cavity"] & ~BULGE)
    made.draw("scar", before["scar"] | (SPOT & before["wall"]))
    assert made.session.update(full=False).method.name == "mask"
    for name, mask in before.items():
        made.draw(name, mask)
    again = made.session.update(full=False)
    assert again.method == analysed().method and values(again) == values(analysed())
    assert again.provenance["edited"] == []


def test_what_painting_over_other_segments_took_off_them_is_no_edit_of_theirs(made):
    before = {name: made.held(name) for name in ("cavity", "wall", "scar")}
    stroke = ball(GRID, -RIGHT * RADIUS_MM, 5.0)  # across cavity, wall and scar
    made.draw("cavity", before["cavity"] | stroke)
    made.draw("wall", before["wall"] & ~stroke)
    made.draw("scar", before["scar"] & ~stroke)
    assert made.session.edited() == {"cavity"}
    assert made.session.update(full=False).method.name == "iir"


def test_scar_painted_with_overwriting_leaves_the_wall_whole(made):
    wall, stroke = made.held("wall"), SPOT & made.held("wall")
    made.draw("scar", made.held("scar") | stroke)
    made.draw("wall", wall & ~stroke)
    assert made.session.edited() == {"scar"}
    made.session.update(full=False)
    np.testing.assert_array_equal(made.held("wall"), wall)


def test_a_models_scar_outlives_a_cavity_edit_with_its_probability_and_a_warning():
    made = bench(with_model_scar())
    whole = made.session.analysis.sources.scar.probability.whole()
    made.draw("cavity", made.held("cavity") | BULGE)
    new = made.session.update(full=False)
    # What the network found, inside the new wall: as with every method that is no person's.
    np.testing.assert_array_equal(new.scar.array > 0, (whole > 0.5) & (new.wall.array > 0))
    np.testing.assert_array_equal(new.scar_probability_box, whole[new.box.slices])
    assert new.surface.scar_probability.shape == new.surface.scar.shape
    assert new.method.name == "net@1.0"
    codes = {flag.code: flag for flag in new.flags}
    assert "net@1.0" in codes["scar_older_than_cavity"].message and codes["scar_older_than_cavity"].severity == "warning"
    assert "simulated" in codes and new.provenance["models"] and new.provenance["inputs"]


def test_a_models_scar_that_was_edited_says_so_and_taking_it_back_gives_the_model_its_name_again():
    made = bench(with_model_scar())
    scar = made.held("scar")
    made.draw("scar", scar | (SPOT & made.held("wall")))
    assert made.session.update(full=False).method.label.startswith("Model net@1.0 (")
    assert made.session.analysis.method.label.endswith("probability > 0.5, edited by hand")
    made.draw("scar", scar)
    back = made.session.update(full=False)
    assert back.method.name == "net@1.0" and "scar_older_than_cavity" not in {flag.code for flag in back.flags}


def test_a_networks_map_of_the_cavity_outlives_every_edit_and_stays_what_the_network_said():
    image, cavity = scan(GRIDS[GRID])
    network = network_of(np.where(cavity.array, 0.75, 0.0))
    made = bench(analyse(image, Settings(perturbation=False), cavity=network))
    made.draw("scar", made.held("scar") | (made.held("wall") & BULGE))
    made.session.update(full=False)
    made.draw("cavity", made.held("cavity") | BULGE)
    new = made.session.update(full=False)
    np.testing.assert_array_equal(new.cavity_probability_box, network.probability.whole()[new.box.slices])
    assert new.provenance["models"]["cavity"]["name"] == "net" and new.provenance["edited"] == ["cavity", "scar"]


def test_another_threshold_starts_anew(made):
    made.session.rebase(revise(analysed(), Change(scar=ByRule("iir", 0.7))))
    made.draw("scar", made.session.analysis.scar.array > 0)
    assert made.session.edited() == frozenset()


def test_after_another_threshold_an_edited_cavity_is_still_an_edited_one(made):
    made.draw("cavity", made.held("cavity") | BULGE)
    edited = made.session.update(full=False)
    made.session.rebase(revise(edited, Change(scar=ByRule("iir", 1.3))))
    made.draw("scar", made.held("wall") & BULGE)
    assert made.session.update(full=False).provenance["edited"] == ["cavity", "scar"]


def test_what_was_drawn_while_it_was_measured_is_not_overwritten(made):
    made.draw("cavity", made.held("cavity") | BULGE)
    drawn = made.session.snapshot()
    analysis = made.session.measure(drawn, full=False)
    more = made.held("cavity") | BULGE | ball(GRID, RIGHT * (RADIUS_MM + 4), 4.0)
    made.draw("cavity", more)
    wall = made.held("wall")
    assert made.session.apply(analysis, drawn) is False
    np.testing.assert_array_equal(made.held("cavity"), more)
    np.testing.assert_array_equal(made.held("wall"), wall)
    assert made.session.edited() == {"cavity"}


def test_scar_drawn_far_from_the_atrium_is_counted_too(made):
    far = np.zeros(analysed().geometry.shape, dtype=bool)
    far[0, 0, 0] = True
    assert not far[analysed().box.slices].any() or analysed().box.start == (0, 0, 0)
    scar = made.held("scar") | far
    made.draw("scar", scar)
    np.testing.assert_array_equal(made.session.update(full=False).scar.array > 0, scar)


def test_an_emptied_scar_is_no_scar(made):
    made.draw("scar", np.zeros(analysed().geometry.shape, dtype=bool))
    new = made.session.update(full=False)
    assert new.measurements["scar_area_pct"].value == 0 and "no_scar" in {flag.code for flag in new.flags}


def test_an_emptied_cavity_is_refused_and_the_result_stays(made):
    made.draw("cavity", np.zeros(analysed().geometry.shape, dtype=bool))
    wall = made.held("wall")
    with pytest.raises(InputError, match="The cavity mask is empty"):
        made.session.update(full=False)
    np.testing.assert_array_equal(made.held("wall"), wall)


@pytest.mark.parametrize("what", ["volume", "segmentation"])
def test_without_volume_or_segmentation_it_says_what_to_do(made, what):
    made.scene.RemoveNode(getattr(made.nodes, what))
    for ask in (made.session.edited, made.session.update, lambda: made.session.prepare_editor("scar")):
        with pytest.raises(InputError, match=f"The {what} .* is no longer in the scene. Load it again and press Apply."):
            ask()


def test_a_segmentation_that_was_moved_is_no_edit_and_says_what_to_do():
    made = bench()
    transform = made.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "registration")
    made.nodes.segmentation.SetAndObserveTransformNodeID(transform.GetID())
    for act in (made.session.edited, made.session.update, lambda: made.session.prepare_editor("scar")):
        with pytest.raises(InputError, match="under the transform 'registration'.*Take it out"):
            act()
    made.nodes.segmentation.SetAndObserveTransformNodeID(None)
    assert made.session.edited() == frozenset()


def test_after_the_scene_was_closed_it_says_what_to_do(made):
    made.scene.Clear(0)
    with pytest.raises(InputError, match="no longer in the scene"):
        made.session.update()


@pytest.mark.parametrize("what", ["surface", "sdm_wall", "measurements", "curve", "curve_chart"])
def test_other_results_that_were_deleted_come_back(made, what):
    made.scene.RemoveNode(getattr(made.nodes, what))
    made.draw("scar", made.held("scar") | (SPOT & made.held("wall")))
    made.session.update(full=False)
    assert getattr(made.session.nodes, what).GetScene() is made.scene


def test_a_removed_scar_segment_comes_back_with_the_next_edit(made):
    made.nodes.segmentation.GetSegmentation().RemoveSegment("LA_scar")
    assert made.session.prepare_editor("scar").segment_id == "LA_scar"
    np.testing.assert_array_equal(made.held("scar"), analysed().scar.array > 0)


def test_editing_scar_is_masked_to_the_wall_and_overwrites_nothing(made):
    setup = made.session.prepare_editor("scar")
    editor = made.scene.AddNode(slicer.vtkMRMLSegmentEditorNode())
    setup.apply(editor)
    assert editor.GetSegmentationNode() is made.nodes.segmentation and editor.GetSourceVolumeNode() is made.nodes.volume
    assert editor.GetSelectedSegmentID() == "LA_scar" and editor.GetMaskSegmentID() == "LA_wall"
    assert editor.GetOverwriteMode() == editor.OverwriteNone
    assert editor.GetMaskMode() == slicer.vtkMRMLSegmentationNode.EditAllowedInsideSingleSegment


def test_editing_the_cavity_is_allowed_everywhere_and_overwrites_nothing(made):
    editor = made.scene.AddNode(slicer.vtkMRMLSegmentEditorNode())
    made.session.prepare_editor("scar").apply(editor)
    made.session.prepare_editor("cavity").apply(editor)
    assert (editor.GetSelectedSegmentID(), editor.GetMaskSegmentID() or "") == ("LA_cavity", "")
    assert editor.GetOverwriteMode() == editor.OverwriteNone
    assert editor.GetMaskMode() == slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere


def test_only_cavity_and_scar_are_offered_to_be_edited(made):
    with pytest.raises(InputError, match="'vein' can't be edited here; choose 'cavity' or 'scar'"):
        made.session.prepare_editor("vein")
