"""Two results compared in the panel: of two scans and of one, in the scene's 3-D view, and what is refused."""

# ruff: noqa: F811 (fixtures)

from __future__ import annotations

import functools
import json

import numpy as np
import pytest
from panel_cases import dialogs, panel, put_mask, scene, wait  # noqa: F401
from scene_cases import AXIAL, scan
from vtkmodules.util.numpy_support import vtk_to_numpy

from LAScarSegLib import scene as mrml
from LAScarSegLib.analysis import Analysis, Change, analyse, revise
from LAScarSegLib.analysis.comparison import IN_BOTH, NOT_COMPARED, ONLY_A, ONLY_B, compare_surfaces
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.scene.build import update_scene
from LAScarSegLib.scene.bundle import read_mrb, save_scene
from LAScarSegLib.scene.colours import BORDER_SCAR, IN_BOTH_SCAR, SCAR
from LAScarSegLib.scene.comparison import COMPARED
from LAScarSegLib.scene.mrml import find_result
from LAScarSegLib.session.compare import OLDER, SAME_ONE, STOPPED, TOO_FEW
from LAScarSegLib.session.edit_session import EditSession

BEFORE, AFTER = 1.2, 1.55


@functools.cache
def result(threshold: float, image: str = "a") -> Analysis:
    """The ball of `scene_cases`, measured on the scan `image`."""
    volumes = scan(AXIAL)
    analysis = analyse(volumes[0], Settings("iir", threshold, perturbation=False), cavity=volumes[1])
    return analysis.described(
        {"image": {"path": f"{image}.nrrd", "sha256": 64 * image}, "cavity": {"path": "cavity.nrrd", "sha256": 64 * "c"}}
    )


def show(panel, scene, name: str, analysis: Analysis) -> EditSession:
    volume = mrml.volume_to_node(analysis.volume, scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name))
    session = EditSession(scene, mrml.build_scene(scene, analysis, volume_node=volume), analysis)
    panel.setResult(session)
    return session


@pytest.fixture
def pair(panel, scene) -> tuple[EditSession, EditSession]:
    """Two results of one scan: nothing has to be moved, which takes most of the time."""
    return show(panel, scene, "before", result(BEFORE)), show(panel, scene, "after", result(AFTER))


def compare(panel, button: str = "compareButton") -> None:
    getattr(panel.ui, button).click()
    wait(lambda: panel.ui.compareButton.text == "Compare", "the comparison")


def table(panel) -> dict[str, str]:
    shown = panel.ui.compareTable
    return {shown.item(row, 0).text(): shown.item(row, 1).text() for row in range(shown.rowCount)}


def map_of(scene):
    return find_result(scene, "vtkMRMLModelNode", "change", None)


def change_in(node) -> np.ndarray:
    return vtk_to_numpy(node.GetPolyData().GetPointData().GetArray("Change"))


def is_seen(session) -> bool:
    return bool(session.nodes.surface.GetDisplayNode().GetVisibility())


def test_two_results_are_needed(panel, scene):
    assert not panel.ui.compareButton.enabled
    show(panel, scene, "before", result(BEFORE))
    assert not panel.ui.compareButton.enabled and panel.ui.compareLabel.text == panel.ui.compareButton.toolTip == TOO_FEW
    show(panel, scene, "after", result(AFTER, image="b"))
    assert panel.ui.compareButton.enabled and panel.ui.compareLabel.text == ""
    panel.ui.compareBSelector.currentIndex = 0
    assert not panel.ui.compareButton.enabled and panel.ui.compareLabel.text == SAME_ONE


def test_before_and_after_are_told_in_a_table_in_words_and_on_the_surface(panel, scene, tmp_path):
    show(panel, scene, "before", result(BEFORE)), show(panel, scene, "after", result(AFTER, image="b"))
    assert panel.ui.compareHowSelector.currentIndex == 0
    compare(panel)
    expected = compare_surfaces(result(BEFORE).surface, result(AFTER).surface)
    rows = table(panel)
    assert rows["Scar that is gone"] == f"{expected.numbers['only_a_cm2']:.1f} cm²" != rows["New scar"]
    assert rows["Scar before and after"] == f"{expected.numbers['both_cm2']:.1f} cm²"
    assert rows["Overlap (Dice)"] == f"{expected.numbers['dice']:.3f}"
    assert f"{expected.residual.mean_mm:.1f} mm apart in the mean" in panel.ui.compareWordsLabel.text
    assert f"turned by {expected.registration.motion.angle_deg:.1f}°" in panel.ui.compareWordsLabel.text
    node = map_of(scene)
    np.testing.assert_array_equal(change_in(node), expected.change)
    ras = vtk_to_numpy(node.GetPolyData().GetPoints().GetData())
    np.testing.assert_allclose(ras, result(BEFORE).surface.points * [-1, -1, 1], atol=1e-9)
    colours = node.GetDisplayNode().GetColorNode()
    for code, name, colour in (
        (IN_BOTH, "scar before and after", IN_BOTH_SCAR),
        (ONLY_A, "scar that is gone", BORDER_SCAR),
        (ONLY_B, "new scar", SCAR),
    ):
        rgba = [0.0] * 4
        assert colours.GetColorDefined(code) == bool((expected.change == code).any())  # what a legend lists
        if colours.GetColorDefined(code):
            colours.GetColor(code, rgba)
            assert colours.GetColorName(code) == name and tuple(rgba[:3]) == pytest.approx(colour)
    assert node.GetDisplayNode().GetActiveScalarName() == "Change" and node.GetDisplayNode().GetScalarRange() == (0, NOT_COMPARED)
    save_scene(scene, tmp_path / "scene.mrb")
    loaded = mrml.new_scene()
    read_mrb(loaded, tmp_path / "scene.mrb")
    np.testing.assert_array_equal(change_in(map_of(loaded)), expected.change)
    assert json.loads(map_of(loaded).GetAttribute(COMPARED))["numbers"]["both_cm2"]["value"] == pytest.approx(expected.numbers["both_cm2"])


def test_the_map_of_changes_takes_the_place_of_the_scar_maps_until_it_is_put_away(panel, scene, pair):
    compare(panel)
    assert map_of(scene).GetDisplayNode().GetVisibility() and not any(map(is_seen, pair))
    panel.ui.showChangesCheckBox.click()
    assert not map_of(scene).GetDisplayNode().GetVisibility() and all(map(is_seen, pair))
    panel.ui.showChangesCheckBox.click()
    compare(panel)
    panel.ui.showChangesCheckBox.click()
    assert all(map(is_seen, pair)) and scene.GetNodesByClass("vtkMRMLModelNode").GetNumberOfItems() == 3


def test_a_loaded_scene_that_shows_changes_can_show_its_scar_maps_again(panel, scene, pair, tmp_path):
    compare(panel)
    save_scene(scene, tmp_path / "scene.mrb")
    scene.Clear(False)
    read_mrb(scene, tmp_path / "scene.mrb")
    panel.compareSection.resultChanged()
    surfaces = [scene.GetFirstNodeByName(f"{name} LA scar map") for name in ("before", "after")]
    assert panel.ui.showChangesCheckBox.checked and not any(surface.GetDisplayNode().GetVisibility() for surface in surfaces)
    panel.ui.showChangesCheckBox.click()
    assert not map_of(scene).GetDisplayNode().GetVisibility() and all(surface.GetDisplayNode().GetVisibility() for surface in surfaces)


def test_a_kept_result_and_the_one_after_it_are_two_methods_of_one_scan(panel, scene):
    session = show(panel, scene, "scan", result(BEFORE))
    panel.ui.keepButton.click()
    panel.editSection.rebase(revise(session.analysis, Change(scar=session.analysis.sources.scar.with_threshold(AFTER)), ranges=False))
    session.nodes = update_scene(scene, session.analysis, session.nodes)
    panel.resultChanged()
    assert panel.ui.compareHowSelector.currentIndex == 1 and not panel.ui.compareSmoothCheckBox.enabled
    compare(panel)  # A is the scene's own, B the kept one
    expected = compare_surfaces(session.analysis.surface, result(BEFORE).surface, same_scan=True)
    assert table(panel)["Scar by B alone"] == f"{expected.numbers['only_b_cm2']:.1f} cm²" and expected.numbers["only_a_cm2"] == 0
    np.testing.assert_array_equal(change_in(map_of(scene)), expected.change)
    assert "turned" not in panel.ui.compareWordsLabel.text


def test_a_refusal_says_why_until_somebody_knows_better(panel, scene):
    """Two scans as two methods of one; of two patients it is the same, after the motion that takes most of the time."""
    show(panel, scene, "before", result(BEFORE)), show(panel, scene, "after", result(AFTER, image="b"))
    panel.ui.compareHowSelector.currentIndex = 1
    compare(panel)
    assert "not known to be of one scan" in panel.ui.compareLabel.text and "--" not in panel.ui.compareLabel.text
    assert map_of(scene) is None and panel.ui.compareTable.rowCount == 0
    assert panel.ui.compareForceButton.isVisibleTo(panel.ui.compareCollapsibleButton)
    panel.ui.compareHowSelector.currentIndex = 0
    assert panel.ui.compareLabel.text == "" and not panel.ui.compareForceButton.isVisibleTo(panel.ui.compareCollapsibleButton)
    panel.ui.compareHowSelector.currentIndex = 1
    compare(panel)
    compare(panel, "compareForceButton")
    assert map_of(scene) is not None and "compared where they lie" in panel.ui.compareWordsLabel.text and panel.ui.compareLabel.text == ""


def test_a_comparison_is_old_when_one_of_its_results_is_another_one(panel, scene, pair):
    compare(panel)
    ink = panel.ui.compareTable.item(0, 0).foreground().color()
    after = pair[1]
    update_scene(scene, revise(after.analysis, Change(scar=after.analysis.sources.scar.with_threshold(1.3)), ranges=False), after.nodes)
    panel.resultChanged()
    assert panel.ui.compareLabel.text == OLDER and panel.ui.compareTable.item(0, 0).foreground().color() != ink
    compare(panel)
    assert panel.ui.compareLabel.text == "" and panel.ui.compareTable.item(0, 0).foreground().color() == ink


def test_a_comparison_that_is_cancelled_leaves_the_scene_as_it_was(panel, scene, pair):
    count = scene.GetNumberOfNodes()
    panel.ui.compareButton.click()
    assert panel.ui.compareButton.text == "Cancel" and panel.ui.compareLabel.text
    panel.ui.compareButton.click()
    assert panel.ui.compareButton.text == "Compare" and panel.ui.compareLabel.text == STOPPED
    assert scene.GetNumberOfNodes() == count and map_of(scene) is None
    compare(panel)
    assert map_of(scene) is not None and panel.ui.compareTable.rowCount


def test_what_was_drawn_in_since_it_was_measured_is_not_compared(panel, scene, pair):
    before = pair[0]
    put_mask(np.roll(before.analysis.cavity.array, 2, axis=1), before.nodes.segmentation, "LA_cavity", before.nodes.volume)
    panel.ui.compareButton.click()
    assert "drew in the result of 'before' (cavity)" in panel.ui.compareLabel.text and map_of(scene) is None


def test_a_closed_scene_has_nothing_to_compare(panel, scene, pair):
    compare(panel)
    scene.Clear(False)
    assert panel.ui.compareTable.rowCount == 0 and panel.ui.compareASelector.count == 0 and not panel.ui.compareButton.enabled
