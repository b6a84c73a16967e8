"""A result in a scene: every node there, right in the patient, made once and updated after."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scene_cases import CENTRE_LPS, GRIDS, RADIUS_MM, analysed, network_of, points_of

from LAScarSegLib.analysis import Change, revise
from LAScarSegLib.errors import Cancelled, InputError
from LAScarSegLib.support.progress import Progress
from LAScarSegLib.volumes.volume import Volume

slicer = pytest.importorskip("slicer", reason="the scene layer needs slicer-core")

from LAScarSegLib import __version__
from LAScarSegLib import scene as mrml
from LAScarSegLib.analysis.settings import Settings

CENTRE_RAS = CENTRE_LPS * [-1, -1, 1]


@pytest.fixture
def scene():
    return mrml.new_scene()


def value_near(node, point_ras: np.ndarray) -> tuple[float, np.ndarray]:
    """The value of the voxel nearest to a point, and where in RAS its centre lies, both asked of Slicer's own geometry."""
    from vtkmodules.vtkCommonMath import vtkMatrix4x4

    to_index, to_ras = vtkMatrix4x4(), vtkMatrix4x4()
    node.GetRASToIJKMatrix(to_index)
    node.GetIJKToRASMatrix(to_ras)
    ijk = [int(round(x)) for x in to_index.MultiplyPoint([*point_ras, 1.0])[:3]]
    return node.GetImageData().GetScalarComponentAsDouble(*ijk, 0), np.array(to_ras.MultiplyPoint([*ijk, 1.0])[:3])


@pytest.mark.parametrize("name", GRIDS)
def test_distance_maps_are_positive_inside_and_lie_on_the_ball(scene, name):
    nodes = mrml.build_scene(scene, analysed(name))
    towards_left_front_top = np.array([-2.0, 1.0, 2.0]) / 3
    for distance_from_centre in (RADIUS_MM - 8, RADIUS_MM + 4, RADIUS_MM + 9):
        value, voxel = value_near(nodes.sdm_cavity, CENTRE_RAS + distance_from_centre * towards_left_front_top)
        # voxel-wise distances of a ball are off by up to 1.95 mm with slices of 2.5 mm (SCIENCE section 2)
        assert value == pytest.approx(RADIUS_MM - np.linalg.norm(voxel - CENTRE_RAS), abs=1.95)


@pytest.mark.parametrize("name", GRIDS)
def test_the_wall_map_is_positive_in_the_wall_only(scene, name):
    node = mrml.build_scene(scene, analysed(name)).sdm_wall
    outside_cavity_mm = np.linalg.norm(points_of(analysed(name).geometry) - CENTRE_LPS, axis=-1) - RADIUS_MM
    inside = mrml.volume_from_node(node).array > 0
    assert outside_cavity_mm[inside].min() > 0 and outside_cavity_mm[inside].max() < 2.5 + 1.95
    assert value_near(node, CENTRE_RAS)[0] == -12


def test_a_distance_map_says_its_sign_and_unit_and_shows_zero_as_a_black_line(scene):
    node = mrml.build_scene(scene, analysed()).sdm_cavity
    assert "positive inside" in node.GetDescription() and "mm" in node.GetDescription()
    assert (node.GetAttribute("LAScarSeg.unit"), node.GetAttribute("LAScarSeg.sign")) == ("mm", "positive inside")
    display = node.GetDisplayNode()
    assert (display.GetWindow(), display.GetLevel()) == (24.0, 0.0)
    colours, last = display.GetColorNode(), display.GetColorNode().GetNumberOfColors() - 1
    rgb = np.array([_colour(colours, n) for n in range(last + 1)])
    assert rgb[last, 0] > 2 * rgb[last, 2] and rgb[0, 2] > 2 * rgb[0, 0]  # red inside, blue outside
    np.testing.assert_allclose(rgb[[last // 2, last // 2 + 1]], 0)
    np.testing.assert_allclose(rgb.mean(axis=1)[last // 2 - 6], rgb.mean(axis=1)[last // 2 + 7], atol=0.02)


def _colour(colours, entry: int) -> list[float]:
    rgba = [0.0] * 4
    colours.GetColor(entry, rgba)
    return rgba[:3]


def test_an_intensity_rule_gives_no_probability_and_a_network_does(scene):
    analysis = analysed()
    assert mrml.build_scene(scene, analysis).scar_probability is None
    probability = np.where(analysis.wall.array, 0.75, 0.0)
    network = network_of(probability, analysis.cavity.array)
    found = revise(analysis, Change(scar=network))
    node = mrml.build_scene(scene, found).scar_probability
    # The node holds the part of the grid where the network looked.
    np.testing.assert_array_equal(mrml.volume_from_node(node).resample(analysis.geometry, labels=True).array, probability)
    assert mrml.build_scene(scene, found).cavity_probability is None
    assert mrml.build_scene(scene, analysis).scar_probability is None
    assert scene.GetFirstNodeByName("Scar probability") is None


def test_a_second_result_updates_the_nodes_of_the_first(scene):
    first = mrml.build_scene(scene, analysed(threshold=1.2))
    count = scene.GetNumberOfNodes()
    second = mrml.build_scene(scene, analysed(threshold=0.7))
    assert scene.GetNumberOfNodes() == count
    assert second == first
    back = mrml.segment_from_node(second.segmentation, "LA scar", analysed().volume)
    np.testing.assert_array_equal(back.array, analysed(threshold=0.7).scar.array)
    assert back.array.sum() > analysed(threshold=1.2).scar.array.sum()
    assert second.surface.GetAttribute("LAScarSeg.threshold") == "0.7"
    assert _table(second.measurements)["Threshold (the rule's parameter)"][0] == "0.70"


def test_what_the_user_chose_in_a_display_survives_an_update(scene):
    nodes = mrml.build_scene(scene, analysed())
    nodes.surface.GetDisplayNode().SetActiveScalarName("IIR")
    nodes.volume.GetDisplayNode().SetWindowLevel(77, 33)
    nodes.segmentation.GetDisplayNode().SetSegmentVisibility("LA_wall", False)
    mrml.build_scene(scene, analysed(threshold=0.7))
    assert nodes.surface.GetDisplayNode().GetActiveScalarName() == "IIR"
    assert nodes.volume.GetDisplayNode().GetWindow() == 77
    assert not nodes.segmentation.GetDisplayNode().GetSegmentVisibility("LA_wall")


def test_two_scans_in_one_scene_keep_their_own_results(scene):
    first, second = mrml.build_scene(scene, analysed("oblique"), name="A"), mrml.build_scene(scene, analysed("axial"), name="B")
    assert first.volume is not second.volume and first.segmentation is not second.segmentation
    assert mrml.build_scene(scene, analysed("oblique")) == first


def test_the_users_volume_node_is_used_and_its_display_left_alone(scene):
    node = mrml.volume_to_node(analysed().volume, scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "LGE of Ms X"))
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().AutoWindowLevelOff()
    node.GetDisplayNode().SetWindowLevel(123, 45)
    nodes = mrml.build_scene(scene, analysed(), volume_node=node)
    assert nodes.volume is node and scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 3
    assert (node.GetDisplayNode().GetWindow(), node.GetDisplayNode().GetLevel()) == (123, 45)


def test_a_volume_on_another_grid_is_refused(scene):
    other = mrml.volume_to_node(analysed("axial").volume, scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "other"))
    with pytest.raises(InputError, match="'other' is not on the grid that was analysed \\(48×44×26 voxels\\)"):
        mrml.build_scene(scene, analysed("oblique"), volume_node=other)


def test_cancelling_leaves_the_scene_as_it_was(scene):
    items, count = _hierarchy(scene).GetNumberOfItems(), scene.GetNumberOfNodes()
    for reports in range(1, 6):
        asked = iter([False] * (reports - 1) + [True])
        with pytest.raises(Cancelled):
            mrml.build_scene(scene, analysed(), progress=Progress(is_cancelled=asked.__next__))
        assert (scene.GetNumberOfNodes(), _hierarchy(scene).GetNumberOfItems()) == (count, items)


def test_removing_a_result_leaves_nothing_of_it(scene):
    mrml.build_scene(scene, analysed("axial"))  # what all results share (colours) is there from here on
    count, items = scene.GetNumberOfNodes(), _hierarchy(scene).GetNumberOfItems()
    mrml.remove_scene(scene, mrml.build_scene(scene, analysed("oblique")))
    assert scene.GetNumberOfNodes() == count
    assert _hierarchy(scene).GetNumberOfItems() == items


def _hierarchy(scene):
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)


def test_results_lie_in_one_folder_beside_the_scan_in_its_study(scene):
    hierarchy = _hierarchy(scene)
    study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "MRI of 3 May")
    node = mrml.volume_to_node(analysed().volume, scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "LGE"))
    hierarchy.CreateItem(study, node)
    nodes = mrml.build_scene(scene, analysed(), volume_node=node)
    folders = {hierarchy.GetItemParent(hierarchy.GetItemByDataNode(result)) for result in nodes.results()}
    assert len(folders) == 1
    folder = folders.pop()
    assert hierarchy.GetItemName(folder) == "LA scar: LGE" and hierarchy.GetItemParent(folder) == study
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == study
    mrml.build_scene(scene, analysed(threshold=0.7), volume_node=node)
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(nodes.surface)) == folder


def test_every_result_tells_how_it_was_made(scene):
    analysis = analysed()
    nodes = mrml.build_scene(scene, analysis)
    for node in nodes.results():
        assert node.GetAttribute("LAScarSeg.version") == __version__
        assert node.GetAttribute("LAScarSeg.method") == "iir" and node.GetAttribute("LAScarSeg.threshold") == "1.2"
        assert Settings.from_json(json.loads(node.GetAttribute("LAScarSeg.settings"))) == analysis.settings
    assert json.loads(nodes.measurements.GetAttribute("LAScarSeg.measurements")) == json.loads(json.dumps(analysis.measurements_json(findings=False)))
    assert json.loads(nodes.measurements.GetAttribute("LAScarSeg.provenance"))["program"] == "LAScarSeg"


def _table(node) -> dict[str, list[str]]:
    """Rows of a table node by their first cell."""
    table = node.GetTable()
    columns = range(table.GetNumberOfColumns())
    rows = [[table.GetValue(row, column).ToString() for column in columns] for row in range(table.GetNumberOfRows())]
    return {row[0]: row[1:] for row in rows}


def test_the_table_shows_rounded_numbers_with_units_and_nothing_that_is_unknown(scene):
    analysis = analysed()
    rows = _table(mrml.build_scene(scene, analysis).measurements)
    assert rows["LA volume"][:2] == [f"{analysis.measurements['la_volume_ml'].value:.1f}", "mL"]
    assert "Scar, share of the LA wall inside the cut planes" not in rows


PUBLISHED = ["published: IIR 0.86 … IIR 1.61", "published: mean + 2 SD … mean + 4 SD"]


def test_the_curve_is_a_table_and_a_chart_with_presets_and_this_result(scene):
    from vtkmodules.util.numpy_support import vtk_to_numpy

    analysis = analysed()
    nodes = mrml.build_scene(scene, analysis)
    for name in ("iir", "scar_area_pct", "scar_pct_of_wall_volume"):
        np.testing.assert_allclose(vtk_to_numpy(nodes.curve.GetTable().GetColumnByName(name)), analysis.curve.columns()[name])
    assert nodes.curve.GetTable().GetColumnByName("scar_area_pct_wall") is None  # no planes, no such number
    chart = nodes.curve_chart
    names = [chart.GetNthPlotSeriesNode(n).GetName() for n in range(chart.GetNumberOfPlotSeriesNodes())]
    assert names == ["scar, % of the LA surface", "scar, % of the wall volume", *PUBLISHED, "this result"]
    chosen = chart.GetNthPlotSeriesNode(4).GetTableNode().GetTable()
    assert chosen.GetValueByName(0, "iir").ToDouble() == pytest.approx(1.2)
    assert chosen.GetValueByName(0, "scar_area_pct").ToDouble() == pytest.approx(analysis.measurements["scar_area_pct"].value)


def test_show_looks_at_the_atrium_from_behind_with_blood_in_mid_grey(scene):
    analysis = analysed()
    nodes = mrml.build_scene(scene, analysis)
    mrml.show(scene, nodes, analysis)
    display = nodes.volume.GetDisplayNode()
    assert display.GetLevel() == pytest.approx(200, rel=0.02) and display.GetWindow() == pytest.approx(400, rel=0.02)
    for tag, orientation in (("Red", "Axial"), ("Green", "Coronal"), ("Yellow", "Sagittal")):
        view = scene.GetSingletonNode(tag, "vtkMRMLSliceNode")
        assert view.GetOrientation() == orientation
        np.testing.assert_allclose([view.GetSliceToRAS().GetElement(row, 3) for row in range(3)], CENTRE_RAS, atol=0.5)
        assert view.GetFieldOfView()[0] == pytest.approx(2 * (RADIUS_MM + 30), abs=1)
        composite = scene.GetSingletonNode(tag, "vtkMRMLSliceCompositeNode")
        assert composite.GetBackgroundVolumeID() == nodes.volume.GetID() and composite.GetForegroundVolumeID() is None
    camera = scene.GetSingletonNode("1", "vtkMRMLCameraNode")
    towards = np.subtract(camera.GetFocalPoint(), camera.GetPosition())
    np.testing.assert_allclose(towards / np.linalg.norm(towards), [0, 1, 0], atol=1e-9)  # looking to anterior
    np.testing.assert_allclose(camera.GetFocalPoint(), CENTRE_RAS, atol=0.5)


def test_a_label_map_node_is_a_mask_as_it_is(scene):
    analysis = analysed()
    node = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "LA")
    mrml.volume_to_node(Volume(analysis.cavity.array * 7, analysis.geometry), node)
    np.testing.assert_array_equal(mrml.mask_from_node(node, analysis.volume).array, analysis.cavity.array * 7)
