"""scene.mrb: whole, exact, ready to look at, written by any process."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from scene_cases import GRIDS, analysed

from LAScarSegLib.errors import InputError, ProcessingError

slicer = pytest.importorskip("slicer", reason="the scene layer needs slicer-core")

from LAScarSegLib import scene as mrml
from LAScarSegLib.scene.mrml import find_result, nodes_of_class


def named(scene, class_name: str) -> dict[str, object]:
    return {node.GetName(): node for node in nodes_of_class(scene, class_name)}


@pytest.fixture
def reloaded(tmp_path):
    """The scene of an analysis after a trip through its file."""
    scene = mrml.new_scene()
    mrml.read_mrb(scene, mrml.write_mrb(analysed(with_plane=True), tmp_path / "scene.mrb", name="LGE"))
    return scene


@pytest.mark.parametrize("name", GRIDS)
def test_voxels_and_geometry_survive_the_file(tmp_path, name):
    analysis, scene = analysed(name), mrml.new_scene()
    mrml.read_mrb(scene, mrml.write_mrb(analysis, tmp_path / "scene.mrb", name="LGE"))
    volumes = named(scene, "vtkMRMLScalarVolumeNode")
    for node_name, volume in (("LGE", analysis.volume), ("SDM cavity (mm)", analysis.sdm_cavity), ("SDM wall (mm)", analysis.sdm_wall)):
        back = mrml.volume_from_node(volumes[node_name])
        assert back.geometry.same_grid(analysis.geometry)
        np.testing.assert_array_equal(back.array, volume.array)
        assert back.array.dtype == volume.array.dtype
    (segmentation,) = nodes_of_class(scene, "vtkMRMLSegmentationNode")
    for segment, mask in (("LA_cavity", analysis.cavity), ("LA_wall", analysis.wall), ("LA_scar", analysis.scar)):
        back = mrml.segment_from_node(segmentation, segment, analysis.volume)
        assert back.geometry.same_grid(analysis.geometry)
        np.testing.assert_array_equal(back.array, mask.array)


def test_surface_colours_and_legend_survive_the_file(reloaded):
    from vtkmodules.util.numpy_support import vtk_to_numpy

    surface = analysed(with_plane=True).surface
    node = find_result(reloaded, "vtkMRMLModelNode", "surface", None)
    np.testing.assert_allclose(vtk_to_numpy(node.GetPolyData().GetPoints().GetData()), surface.points * [-1, -1, 1], atol=1e-9)
    display = node.GetDisplayNode()
    assert display.GetActiveScalarName() == "ScarClass" and display.GetScalarVisibility()
    assert [display.GetColorNode().GetColorName(n) for n in (0, 1, 255)] == ["no scar found", "scar", "not measured"]
    assert slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(node) is not None
    assert find_result(reloaded, "vtkMRMLModelNode", "left_out", None) is not None


def test_provenance_with_quotes_colons_and_letters_survives_the_file(reloaded):
    node = find_result(reloaded, "vtkMRMLTableNode", "measurements", None)
    assert json.loads(node.GetAttribute("LAScarSeg.measurements")) == json.loads(json.dumps(analysed(with_plane=True).measurements_json(findings=False)))
    assert json.loads(node.GetAttribute("LAScarSeg.settings"))["rule"] == "iir"


def test_tables_survive_the_file(reloaded):
    analysis = analysed(with_plane=True)
    table = find_result(reloaded, "vtkMRMLTableNode", "measurements", None).GetTable()
    assert table.GetValueByName(0, "Value").ToString() == f"{analysis.measurements['scar_area_pct_wall'].value:.1f}"
    keys = [table.GetValueByName(row, "Key").ToString() for row in range(table.GetNumberOfRows())]
    assert "utah_stage" not in keys  # of a scan nobody declared native
    curve = find_result(reloaded, "vtkMRMLTableNode", "curve", None).GetTable()
    back = [curve.GetValueByName(row, "scar_area_pct").ToDouble() for row in range(curve.GetNumberOfRows())]
    np.testing.assert_allclose(back, analysis.curve.scar_area_pct, rtol=1e-4)


def test_the_scene_opens_ready_to_look_at(reloaded):
    layout = reloaded.GetSingletonNode("vtkMRMLLayoutNode", "vtkMRMLLayoutNode")
    assert layout.GetViewArrangement() == slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView
    lge = named(reloaded, "vtkMRMLScalarVolumeNode")["LGE"]
    assert reloaded.GetSingletonNode("Red", "vtkMRMLSliceCompositeNode").GetBackgroundVolumeID() == lge.GetID()
    assert lge.GetDisplayNode().GetLevel() == pytest.approx(200, rel=0.02)
    assert reloaded.GetSingletonNode("1", "vtkMRMLCameraNode") is not None
    selection = reloaded.GetSingletonNode("Singleton", "vtkMRMLSelectionNode")
    assert selection.GetActiveTableID() == find_result(reloaded, "vtkMRMLTableNode", "measurements", None).GetID()


def test_a_scene_loaded_beside_other_nodes_is_still_updated_not_doubled(tmp_path):
    mrml.write_mrb(analysed(), tmp_path / "scene.mrb")
    scene = mrml.new_scene()
    mrml.build_scene(scene, analysed("axial"))  # takes the IDs that the file's nodes have
    mrml.read_mrb(scene, tmp_path / "scene.mrb")
    kinds = ("vtkMRMLScalarVolumeNode", "vtkMRMLSegmentationNode", "vtkMRMLModelNode")
    count = {kind: scene.GetNumberOfNodesByClass(kind) for kind in kinds}
    nodes = mrml.build_scene(scene, analysed(threshold=0.7))
    assert {kind: scene.GetNumberOfNodesByClass(kind) for kind in kinds} == count
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    folders = {hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) for node in nodes.results()}
    assert len(folders) == 1


def test_trame_slicers_scene_reads_it_too(tmp_path):
    core = pytest.importorskip("trame_slicer.core", reason="trame-slicer is an extra")
    mrml.write_mrb(analysed(), tmp_path / "scene.mrb", name="LGE")
    scene = core.SlicerApp().scene
    mrml.read_mrb(scene, tmp_path / "scene.mrb")
    np.testing.assert_array_equal(mrml.volume_from_node(scene.GetFirstNodeByName("LGE")).array, analysed().volume.array)


def test_slicer_is_given_no_reason_to_warn_about_a_foreign_file(tmp_path):
    mrml.write_mrb(analysed(), tmp_path / "scene.mrb")
    with zipfile.ZipFile(tmp_path / "scene.mrb") as bundle:
        text = bundle.read("scene/scene.mrml").decode()
    version = text.split('version="', 1)[1].split('"', 1)[0]
    parse = slicer.vtkMRMLScene.ParseVersion
    from vtkmodules.vtkCommonCore import reference

    assert not parse(version, reference(""), reference(0), reference(0), reference(0), reference(0))


def test_only_the_file_is_left_behind(tmp_path):
    mrml.write_mrb(analysed(), tmp_path / "Büro 1.mrb")
    assert [file.name for file in tmp_path.iterdir()] == ["Büro 1.mrb"]


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(ProcessingError, match="the folder .*nowhere does not exist"):
        mrml.write_mrb(analysed(), tmp_path / "nowhere" / "scene.mrb")


def test_what_is_no_scene_is_refused(tmp_path):
    (tmp_path / "a.mrb").write_text("not a zip")
    with pytest.raises(InputError, match="not a Slicer scene bundle"):
        mrml.read_mrb(mrml.new_scene(), tmp_path / "a.mrb")


def test_a_process_without_display_writes_it_and_keeps_standard_output_clean(tmp_path):
    program = (
        "import sys; sys.path[:0] = sys.argv[2:]; from scene_cases import analysed; from LAScarSegLib.scene import write_mrb; "
        "write_mrb(analysed(), sys.argv[1])"
    )
    here = [path for path in sys.path if path]
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "scene.mrb"), *here],
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin"},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert zipfile.is_zipfile(tmp_path / "scene.mrb")


@pytest.mark.parametrize("other_package", [False, True])
def test_without_slicers_library_the_remedy_is_named(tmp_path, monkeypatch, other_package):
    import types

    replacement = types.ModuleType("slicer") if other_package else None  # None makes the import fail
    if replacement is not None:
        replacement.__file__ = "site-packages/slicer/__init__.py"
    monkeypatch.setitem(sys.modules, "slicer", replacement)
    with pytest.raises(ProcessingError, match=r"pip install lascarseg\[scene\]"):
        mrml.write_mrb(analysed(), tmp_path / "scene.mrb")
    assert not list(tmp_path.iterdir())


def test_a_written_scene_gives_its_memory_back(tmp_path):
    import gc

    gone = []
    scene = mrml.new_scene()
    scene.AddObserver("DeleteEvent", lambda *_: gone.append(True))
    mrml.build_scene(scene, analysed())
    del scene
    gc.collect()
    assert gone
