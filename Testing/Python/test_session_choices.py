"""What the panel may say: what is missing, what there is to choose from, and that it survives a saved scene."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import pytest

pytest.importorskip("slicer", reason="needs slicer-core")

from scene_cases import GRIDS, scan  # noqa: E402
from session_cases import add_segment, add_volume, ball_nodes  # noqa: E402

from LAScarSegLib import scene as mrml  # noqa: E402
from LAScarSegLib.errors import InputError  # noqa: E402
from LAScarSegLib.intensity.protocols import PROTOCOLS
from LAScarSegLib.intensity.rules import RULES  # noqa: E402
from LAScarSegLib.jobs.device_query import devices  # noqa: E402
from LAScarSegLib.scene.bundle import read_mrb, save_scene  # noqa: E402
from LAScarSegLib.scene.mrml import mark  # noqa: E402
from LAScarSegLib.scene.selection import likely_volume  # noqa: E402
from LAScarSegLib.session.choices import (  # noqa: E402
    MODEL,
    SEGMENT,
    Choices,
    cavity_sources,
    methods,
    read_choices,
    why_not,
    write_choices,
)  # fmt: skip


@pytest.fixture
def scene():
    return mrml.new_scene()


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    """An empty store of models, so that those of the developer do not count."""
    monkeypatch.setenv("LASCARSEG_MODELS", str(tmp_path / "store"))


def without(choices: Choices, **changes) -> Choices:
    return dataclasses.replace(choices, **changes)


def test_with_everything_chosen_nothing_is_missing(scene):
    _, _, choices = ball_nodes(scene)
    assert why_not(scene, choices) == ""


def test_what_is_missing_is_said(scene):
    _, cavity = scan(GRIDS["axial"])
    volume, segmentation, choices = ball_nodes(scene)
    labels = add_volume(scene, cavity, "labels", "vtkMRMLLabelMapVolumeNode")
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    assert why_not(scene, Choices()) == "Choose the LGE-MRI volume."
    assert why_not(scene, without(choices, volume_id="vtkMRMLScalarVolumeNode99")) == "Choose the LGE-MRI volume."
    assert "'labels' is a label map" in why_not(scene, without(choices, volume_id=labels.GetID()))
    assert "is a Segmentation" in why_not(scene, without(choices, volume_id=segmentation.GetID()))
    assert "'empty' holds no image" in why_not(scene, without(choices, volume_id=empty.GetID()))
    assert "Draw one if there is none" in why_not(scene, without(choices, segmentation_id=""))
    assert "no longer has the segment" in why_not(scene, without(choices, segment_id="gone"))
    assert "segment that is the wall" in why_not(scene, without(choices, wall_segmentation_id=segmentation.GetID()))
    assert "threshold by itself" in why_not(scene, without(choices, method="otsu", threshold=1.2))
    assert "between 0 and 100" in why_not(scene, without(choices, method="percentile", threshold=101.0))
    assert "Choose the model" in why_not(scene, without(choices, cavity_source=MODEL))
    assert "no model 'gone@1.0'" in why_not(scene, without(choices, cavity_source=MODEL, cavity_model="gone@1.0"))
    assert "no model 'gone@1.0'" in why_not(scene, without(choices, method="gone@1.0"))
    assert "own threshold" in why_not(scene, without(choices, method="gone@1.0", threshold=1.0))
    assert why_not(scene, without(choices, volume_id=volume.GetID())) == ""


def test_the_methods_are_the_protocols_then_the_rules_with_their_presets():
    found = methods()
    assert [method.key for method in found if not method.is_model] == [*PROTOCOLS, *RULES]
    barcelona = found[0]
    assert (barcelona.key, barcelona.parameter, barcelona.default) == ("barcelona", "IIR", 1.20)
    assert [preset.value for preset in barcelona.presets] == [1.20, 1.32]
    (iir,) = [method for method in found if method.key == "iir"]
    assert (iir.parameter, iir.default) == ("IIR", 1.20) and 1.32 in [preset.value for preset in iir.presets]
    (otsu,) = [method for method in found if method.key == "otsu"]
    assert otsu.parameter is None and otsu.default is None


def test_a_segment_is_always_a_source_of_the_cavity_and_the_first():
    assert cavity_sources()[0].key == SEGMENT and not cavity_sources()[0].is_model


def test_a_damaged_model_of_the_project_does_not_hide_the_users_own(tmp_path, monkeypatch):
    pytest.importorskip("torch", reason="the tests' weights are made with torch")
    from model_cases import small_card, weights_for

    from LAScarSegLib.models import store
    from LAScarSegLib.models.bundle import write_bundle

    (tmp_path / "Models" / "la-cavity-1.1").mkdir(parents=True)
    (tmp_path / "Models" / "la-cavity-1.1" / "model.json").write_text("{")
    monkeypatch.setattr(store, "RESOURCE_FOLDERS", (tmp_path,))
    monkeypatch.setenv("LASCARSEG_MODELS", str(tmp_path / "store"))
    store.ModelStore().add(write_bundle(small_card(), weights_for(small_card()), tmp_path / "mine").path)
    assert [source.key for source in cavity_sources()] == [SEGMENT, "small@1.0"]


def test_settings_follow_the_choices():
    settings = Choices(method="nsd", threshold=2.3, native=True, fast=True).settings
    assert (settings.rule, settings.threshold, settings.native, settings.perturbation) == ("nsd", 2.3, True, False)
    assert settings.protocol is None and Choices(method="kcl").settings.protocol == "kcl"
    with pytest.raises(InputError, match=r"\(IIR\) is -1; it must be 0 or more"):
        _ = Choices(threshold=-1.0).settings


def test_to_and_from_json():
    choices = Choices("v", MODEL, cavity_model="m@1", planes=("a", "b"), threshold=1.1, fast=True)
    assert Choices.from_json(json.loads(json.dumps(choices.to_json()))) == choices
    assert Choices.from_json({"volume_id": "v", "of_a_later_version": 1}) == Choices("v")


def test_saved_with_a_scene_and_read_back(scene, tmp_path):
    volume, segmentation, choices = ball_nodes(scene)
    plane = scene.AddNewNodeByClass("vtkMRMLMarkupsPlaneNode", "MV")
    choices = without(choices, planes=(plane.GetID(),), method="nsd", threshold=2.3, native=True)
    keeper = scene.AddNewNodeByClass("vtkMRMLTableNode", "keeper")
    write_choices(keeper, choices)
    save_scene(scene, tmp_path / "scene.mrb")
    other = mrml.new_scene()
    add_volume(other, scan(GRIDS["axial"])[0], "in the way")
    read_mrb(other, tmp_path / "scene.mrb")
    read = read_choices(other, other.GetFirstNodeByName("keeper"))
    assert other.GetNodeByID(read.volume_id).GetName() == "scan" and read.volume_id != choices.volume_id
    assert other.GetNodeByID(read.planes[0]).GetName() == "MV"
    assert without(read, volume_id="", segmentation_id="", planes=()) == without(choices, volume_id="", segmentation_id="", planes=())
    assert why_not(other, without(read, planes=())) == ""


def test_what_is_gone_is_not_chosen(scene):
    volume, _, choices = ball_nodes(scene)
    keeper = scene.AddNewNodeByClass("vtkMRMLTableNode", "keeper")
    assert read_choices(scene, keeper) is None
    write_choices(keeper, choices)
    scene.RemoveNode(volume)
    assert read_choices(scene, keeper).volume_id == ""


def test_the_scan_to_start_with(scene):
    image, cavity = scan(GRIDS["axial"])
    assert likely_volume(scene) is None
    volume = add_volume(scene, image)
    result = add_volume(scene, image, "SDM")
    mark(result, "sdm_cavity", volume)
    add_volume(scene, cavity, "labels", "vtkMRMLLabelMapVolumeNode")
    add_segment(scene, cavity)
    assert likely_volume(scene) is volume
    second = add_volume(scene, image, "second")
    assert likely_volume(scene) is None
    composite = scene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode") or scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    composite.SetBackgroundVolumeID(second.GetID())
    assert likely_volume(scene) is second


@pytest.mark.parametrize("role", ["sdm_cavity", "sdm_wall", "cavity_probability", "scar_probability", "hardened"])
def test_a_map_of_ours_is_no_scan_even_when_it_is_the_only_volume_left(scene, role):
    volume, _, choices = ball_nodes(scene)
    ours = add_volume(scene, scan(GRIDS["axial"])[0], "ours")
    mark(ours, role, volume)
    scene.RemoveNode(volume)
    composite = scene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode") or scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    composite.SetBackgroundVolumeID(ours.GetID())
    assert likely_volume(scene) is None
    assert why_not(scene, without(choices, volume_id=ours.GetID())).startswith("The volume 'ours' is a result of LAScarSeg, not a scan")


def test_the_lists_of_the_panel_need_no_torch():
    program = (
        "import sys; from LAScarSegLib.session import choices, run, run_inputs, export; from LAScarSegLib.jobs.device_query import devices; choices.methods(); choices.cavity_sources()\n"
        "print([device.key for device in devices()], [m for m in ('torch', 'monai', 'matplotlib', 'qt') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "['auto', 'cpu'] []", done.stderr


def test_without_torch_the_devices_are_still_a_list(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert [device.key for device in devices(ask_torch=True)] == ["auto", "cpu"]
