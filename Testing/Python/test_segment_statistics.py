"""Scar numbers in Slicer's Segment Statistics: those of the analysis, and after an edit those of the edited segments."""

from __future__ import annotations

import json
import sys
from types import ModuleType

import numpy as np
import pytest
from scene_cases import analysed

slicer = pytest.importorskip("slicer", reason="the plugin measures nodes of slicer-core")

from LAScarSegLib import scene as mrml
from LAScarSegLib.scene import segment_statistics as statistics_plugin
from LAScarSegLib.scene.attributes import PROVENANCE
from LAScarSegLib.scene.mrml import nodes_of_class
from LAScarSegLib.scene.segment_statistics import ResultNumbers, ScarStatistics, coded_numbers, numbers_of_segment, register_plugin
from LAScarSegLib.scene.segmentation import SEGMENTS
from LAScarSegLib.volumes.volume import Volume

SEGMENT_IDS = [kind.segment_id for kind in SEGMENTS]
BY_KEY = coded_numbers()


@pytest.fixture
def result():
    """A scene, the nodes of a result in it, and the analysis behind them."""
    scene, analysis = mrml.new_scene(), analysed(with_plane=True)
    return scene, mrml.build_scene(scene, analysis), analysis


def numbers_of(scene, segmentation) -> dict[str, float]:
    numbers = ResultNumbers()
    return {key: value for segment in SEGMENT_IDS for key, value in numbers.of_segment(scene, segmentation, segment).items()}


def draw(segmentation, segment_id: str, mask: np.ndarray, geometry) -> None:
    """Put a mask into a segment through Slicer's own logic, as an edit would leave it."""
    scene = segmentation.GetScene()
    labelmap = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "edit")
    mrml.volume_to_node(Volume(mask.astype(np.uint8), geometry), labelmap)
    image = slicer.vtkSlicerSegmentationsModuleLogic.CreateOrientedImageDataFromVolumeNode(labelmap)
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    logic.SetBinaryLabelmapToSegment(image, segmentation, segment_id, logic.MODE_REPLACE)
    scene.RemoveNode(labelmap)


def test_the_segments_of_a_result_are_those_that_have_statistics():
    assert all(numbers_of_segment(segment) for segment in SEGMENT_IDS) and not numbers_of_segment("Segment_1")


def test_segments_as_the_analysis_left_them_have_its_numbers(result):
    scene, nodes, analysis = result
    found = numbers_of(scene, nodes.segmentation)
    assert found == {key: analysis.measurements[key].value for key in BY_KEY if analysis.measurements[key].value is not None}


def test_each_segment_has_its_own_numbers(result):
    scene, nodes, _ = result
    numbers = ResultNumbers()
    assert set(numbers.of_segment(scene, nodes.segmentation, "LA_wall")) == {"wall_volume_ml", "wall_volume_ml_wall"}
    assert "scar_area_pct" in numbers.of_segment(scene, nodes.segmentation, "LA_scar")
    assert "scar_area_pct" not in numbers.of_segment(scene, nodes.segmentation, "LA_cavity")


def test_without_planes_there_is_no_share_of_the_wall_proper():
    scene = mrml.new_scene()
    nodes = mrml.build_scene(scene, analysed())
    assert "scar_area_pct_wall" not in numbers_of(scene, nodes.segmentation)


def test_measuring_untouched_segments_anew_gives_the_numbers_of_the_analysis(result):
    scene, nodes, analysis = result
    provenance = json.loads(nodes.measurements.GetAttribute(PROVENANCE))
    provenance["masks"]["scar"] = "of another mask"
    nodes.measurements.SetAttribute(PROVENANCE, json.dumps(provenance))
    found = numbers_of(scene, nodes.segmentation)
    assert found == pytest.approx({key: analysis.measurements[key].value for key in BY_KEY if analysis.measurements[key].value is not None}, rel=1e-5)


def test_after_a_scar_edit_the_voxels_that_are_left_are_counted(result):
    scene, nodes, analysis = result
    left = analysis.scar.array.astype(bool)
    left[: left.shape[0] // 2] = False
    draw(nodes.segmentation, "LA_scar", left, analysis.geometry)
    found = numbers_of(scene, nodes.segmentation)
    assert found["scar_volume_ml"] == pytest.approx(left.sum() * np.prod(analysis.geometry.spacing) / 1000)
    assert found["scar_pct_of_wall_volume"] == pytest.approx(100 * left.sum() / analysis.wall.array.sum())
    assert 0 < found["scar_area_pct"] < analysis.measurements["scar_area_pct"].value
    assert found["la_volume_ml"] == pytest.approx(analysis.measurements["la_volume_ml"].value, rel=1e-5)


def test_scar_that_was_erased_altogether_is_zero_not_missing(result):
    scene, nodes, analysis = result
    draw(nodes.segmentation, "LA_scar", np.zeros(analysis.geometry.shape), analysis.geometry)
    found = numbers_of(scene, nodes.segmentation)
    assert found["scar_area_pct"] == 0 and found["scar_volume_ml"] == 0


def test_an_empty_cavity_has_no_numbers_and_says_why(result, caplog):
    scene, nodes, analysis = result
    draw(nodes.segmentation, "LA_cavity", np.zeros(analysis.geometry.shape), analysis.geometry)
    assert numbers_of(scene, nodes.segmentation) == {}
    assert "is empty" in caplog.text


def test_three_segments_are_measured_once(result, monkeypatch):
    scene, nodes, analysis = result
    draw(nodes.segmentation, "LA_scar", analysis.wall.array, analysis.geometry)
    calls, measured = [], statistics_plugin._measured
    monkeypatch.setattr(statistics_plugin, "_measured", lambda *arguments: calls.append(1) or measured(*arguments))
    numbers = ResultNumbers()
    for segment in SEGMENT_IDS:
        numbers.of_segment(scene, nodes.segmentation, segment)
    assert calls == [1]
    draw(nodes.segmentation, "LA_scar", analysis.scar.array, analysis.geometry)
    assert numbers.of_segment(scene, nodes.segmentation, "LA_scar")["scar_area_pct"] == analysis.measurements["scar_area_pct"].value


def test_segments_that_are_no_result_have_no_numbers(result):
    scene, nodes, _ = result
    other = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "drawn by somebody")
    other.GetSegmentation().AddEmptySegment("LA_scar", "LA scar")
    numbers = ResultNumbers()
    assert numbers.of_segment(scene, other, "LA_scar") == {}
    assert numbers.of_segment(scene, nodes.segmentation, "Segment_1") == {}
    assert numbers.of_segment(scene, None, "LA_scar") == {}


def test_a_result_in_a_segmentation_that_the_user_chose_is_found():
    scene, analysis = mrml.new_scene(), analysed()
    own = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "my segmentation")
    mrml.build_scene(scene, analysis, segmentation_node=own)
    assert numbers_of(scene, own)["la_volume_ml"] == analysis.measurements["la_volume_ml"].value


def test_a_scan_that_was_deleted_leaves_no_numbers(result):
    scene, nodes, _ = result
    scene.RemoveNode(nodes.volume)
    assert numbers_of(scene, nodes.segmentation) == {}


def test_the_numbers_survive_saving_and_loading_the_scene(tmp_path):
    analysis, scene = analysed(with_plane=True), mrml.new_scene()
    mrml.read_mrb(scene, mrml.write_mrb(analysis, tmp_path / "scene.mrb", name="LGE"))
    (segmentation,) = nodes_of_class(scene, "vtkMRMLSegmentationNode")
    assert numbers_of(scene, segmentation) == {key: analysis.measurements[key].value for key in BY_KEY if analysis.measurements[key].value is not None}


class PluginBase:
    """What the plugin uses of Slicer's SegmentStatisticsPluginBase, which itself needs Qt (same names, same arguments)."""

    def __init__(self):
        self.name, self.title, self.keys, self.defaultKeys, self.parameterNode = "", "", [], [], None

    @staticmethod
    def createCodedEntry(codeValue, codingScheme, codeMeaning, returnAsString=False):
        entry = slicer.vtkCodedEntry()
        entry.SetValueSchemeMeaning(codeValue, codingScheme, codeMeaning)
        return entry if not returnAsString else entry.GetAsString()

    @staticmethod
    def createMeasurementInfo(name, title, description, units, quantityDicomCode=None, unitsDicomCode=None,
                              measurementMethodDicomCode=None, derivationDicomCode=None, componentNames=None):  # fmt: skip
        codes = {"Quantity": quantityDicomCode, "Units": unitsDicomCode, "MeasurementMethod": measurementMethodDicomCode,
                 "Derivation": derivationDicomCode}  # fmt: skip
        info = {"name": name, "title": title, "description": description, "units": units}
        return info | {f"DICOM.{role}Code": code for role, code in codes.items() if code}

    def getParameterNode(self):
        return self.parameterNode

    def getRequestedKeys(self):
        return self.requested


class Plugin(ScarStatistics, PluginBase):
    pass


@pytest.mark.parametrize("key", BY_KEY)
def test_every_number_has_a_title_a_unit_and_codes(key):
    info = Plugin().getMeasurementInfo(key)
    assert info["title"] == BY_KEY[key].label and info["units"] == BY_KEY[key].unit
    units = slicer.vtkCodedEntry()
    assert units.SetFromString(info["DICOM.UnitsCode"]) and units.GetCodingSchemeDesignator() == "UCUM"
    assert "DICOM.QuantityCode" in info or "DICOM.DerivationCode" in info


@pytest.mark.parametrize("key", BY_KEY)
def test_codes_fit_into_their_dicom_fields(key):
    """Code value and scheme are SH (16 characters), the meaning is LO (64): PS3.5, section 6.2."""
    for name, code in Plugin().getMeasurementInfo(key).items():
        if name.startswith("DICOM."):
            entry = slicer.vtkCodedEntry()
            entry.SetFromString(code)
            assert len(entry.GetCodeValue()) <= 16 and len(entry.GetCodingSchemeDesignator()) <= 16 and len(entry.GetCodeMeaning()) <= 64


def test_volumes_and_areas_carry_the_codes_of_snomed_ct():
    info = Plugin().getMeasurementInfo("scar_volume_ml")
    assert "118565006" in info["DICOM.QuantityCode"] and "126030" in info["DICOM.MeasurementMethodCode"]
    assert "42798000" in Plugin().getMeasurementInfo("scar_area_cm2")["DICOM.QuantityCode"]


def test_keys_of_other_plugins_are_not_explained():
    assert Plugin().getMeasurementInfo("voxel_count") is None
    assert not any("." in key for key in Plugin().keys)  # a dot separates plugin and key in Slicer's parameter node


def test_the_plugin_gives_what_was_requested_of_the_segmentation_that_was_chosen(result, monkeypatch):
    scene, nodes, analysis = result
    monkeypatch.setattr(slicer, "mrmlScene", scene, raising=False)
    plugin = Plugin()
    plugin.parameterNode = scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode", "SegmentStatistics")
    plugin.parameterNode.SetParameter("Segmentation", nodes.segmentation.GetID())
    plugin.requested = ["scar_area_pct", "la_volume_ml"]
    assert plugin.computeStatistics("LA_scar") == {"scar_area_pct": analysis.measurements["scar_area_pct"].value}
    plugin.requested = []
    assert plugin.computeStatistics("LA_scar") == {}


def test_it_is_registered_once_however_often_the_module_is_reloaded(monkeypatch):
    class Logic:
        registeredPlugins: list[type] = []

        @staticmethod
        def registerPlugin(plugin):
            assert isinstance(plugin, PluginBase)
            Logic.registeredPlugins.append(plugin.__class__)

    logic_module, plugins_module = ModuleType("SegmentStatistics"), ModuleType("SegmentStatisticsPlugins")
    logic_module.SegmentStatisticsLogic, plugins_module.SegmentStatisticsPluginBase = Logic, PluginBase
    for module in (logic_module, plugins_module):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    register_plugin()
    register_plugin()
    (registered,) = Logic.registeredPlugins
    assert registered.__name__ == "LAScarSegmentStatisticsPlugin" and registered().title == "Left Atrial Scar"
