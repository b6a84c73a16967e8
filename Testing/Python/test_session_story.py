"""The whole story on real MRML with a real worker process, as a user lives it: with a drawn cavity, and with the model's."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

pytest.importorskip("slicer", reason="needs slicer-core")

from scene_cases import BLOOD, CENTRE_LPS, GRIDS, RADIUS_MM, points_of, scan  # noqa: E402
from scene_cases import SCAR as SCAR_LEVEL  # noqa: E402
from session_cases import PYTHON, add_volume, ball_nodes, left_in, snapshot, wait_until  # noqa: E402

from LAScarSegLib import scene as mrml
from LAScarSegLib.datasets import sample_data
from LAScarSegLib.scene import review
from LAScarSegLib.scene.bundle import read_mrb, save_scene  # noqa: E402
from LAScarSegLib.scene.inputs import load_sample  # noqa: E402
from LAScarSegLib.scene.mrml import ROLE, nodes_of_class  # noqa: E402
from LAScarSegLib.scene.segmentation import CAVITY, SCAR, segment_from_node, set_segment  # noqa: E402
from LAScarSegLib.scene.selection import likely_volume  # noqa: E402
from LAScarSegLib.session import export
from LAScarSegLib.session.choices import MODEL, Choices, read_choices, why_not  # noqa: E402
from LAScarSegLib.session.edit_session import EditSession, set_threshold  # noqa: E402
from LAScarSegLib.session.run import AnalysisRun  # noqa: E402


@pytest.fixture
def scene():
    return mrml.new_scene()


@pytest.fixture
def temporary(tmp_path):
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


def apply(scene, choices: Choices, temporary) -> AnalysisRun:
    """A run from Apply to its end; the panel's checks come first."""
    assert why_not(scene, choices) == ""
    run = AnalysisRun(scene, choices, PYTHON, temporary)
    run.start()
    wait_until(lambda: run.poll().done)
    run.close()
    assert run.state.error == "", run.log
    assert left_in(temporary) == []
    return run


@pytest.mark.parametrize(("cavity", "tolerance"), [("drawn", 0.03), ("found", 0.25)])
def test_from_the_sample_to_the_restored_scene(scene, temporary, tmp_path, monkeypatch, cavity, tolerance):
    """With the sample's cavity, and with what the project's own model finds. `tolerance`: of the volume, relative."""
    volume, segmentation, planes = load_sample(scene)
    assert likely_volume(scene) is volume
    segment = segmentation.GetSegmentation().GetSegmentIdBySegmentName(sample_data.CAVITY_SEGMENT)
    choices = Choices(
        volume.GetID(), segmentation_id=segmentation.GetID(), segment_id=segment, planes=tuple(plane.GetID() for plane in planes), fast=True
    )
    if cavity == "found":
        choices = dataclasses.replace(choices, cavity_source=MODEL, cavity_model=shipped_model(tmp_path, monkeypatch), device="cpu")
    run = apply(scene, choices, temporary)
    truth = sample_data.sample().truth
    assert run.analysis.measurements["la_volume_ml"].value == pytest.approx(truth["la_volume_ml"], rel=tolerance)
    assert run.analysis.measurements["scar_area_pct_wall"].value is not None

    # Another threshold on the same nodes: less of the wall is above it, nothing else changes.
    stricter = set_threshold(run.nodes, run.analysis, 1.6)
    nodes = review.write_scar(run.nodes, stricter)
    assert stricter.measurements["scar_area_pct"].value < run.analysis.measurements["scar_area_pct"].value
    assert stricter.measurements["la_volume_ml"].value == run.analysis.measurements["la_volume_ml"].value

    # Half of the scar is rubbed out by hand; map and numbers follow.
    session = EditSession(scene, nodes, stricter)
    half = stricter.scar_box.copy()
    half[:, :, : half.shape[2] // 2] = False
    set_segment(nodes.segmentation, SCAR, dataclasses.replace(stricter, scar_box=half))
    assert session.edited() == {"scar"}
    edited = session.update()
    assert edited.measurements["scar_volume_ml"].value == pytest.approx(half.sum() * volume_of_a_voxel_ml(volume))
    assert 0 < edited.measurements["scar_area_pct"].value < stricter.measurements["scar_area_pct"].value

    # Exported, saved, cleared and opened again, everything is there, and the panel says what it said.
    export.write(edited, tmp_path / "out", report=False, scene=False)
    written = json.loads((tmp_path / "out" / "measurements.json").read_text(encoding="utf-8"))
    assert written["scar_area_pct"]["value"] == edited.measurements["scar_area_pct"].value
    save_scene(scene, tmp_path / "saved.mrb")
    scene.Clear(False)
    read_mrb(scene, tmp_path / "saved.mrb")
    (table,) = [node for node in nodes_of_class(scene, "vtkMRMLTableNode") if node.GetAttribute(ROLE) == "measurements"]
    restored = read_choices(scene, table)
    assert why_not(scene, restored) == "" and restored == choices
    reopened = scene.GetFirstNodeByName(nodes.segmentation.GetName())
    reference = mrml.volume_from_node(scene.GetNodeByID(restored.volume_id))
    scar = segment_from_node(reopened, SCAR.segment_id, reference)
    np.testing.assert_array_equal(scar.array, edited.scar.array)


def shipped_model(tmp_path, monkeypatch) -> str:
    """The cavity model that comes with the project, its terms accepted; returns its reference."""
    for package in ("torch", "monai", "safetensors"):
        pytest.importorskip(package, reason="networks need it")
    from LAScarSegLib.models.store import ModelStore

    monkeypatch.setenv("LASCARSEG_MODELS", str(tmp_path / "store"))
    bundle = ModelStore().default_cavity()
    ModelStore().accept(bundle)
    return bundle.card.reference


def volume_of_a_voxel_ml(node) -> float:
    return float(np.prod(node.GetSpacing())) / 1000.0


@pytest.fixture
def cavity_model(tmp_path, monkeypatch) -> str:
    """A model in an otherwise empty store; returns its reference."""
    pytest.importorskip("torch", reason="networks need torch")
    pytest.importorskip("safetensors", reason="networks need safetensors")
    from bright_network import add_bright_bundle

    monkeypatch.setenv("LASCARSEG_MODELS", str(tmp_path / "store"))
    return add_bright_bundle().card.reference


def test_with_a_cavity_model(scene, temporary, cavity_model):
    """Nobody draws: the model finds the ball, and the rule its scar."""
    volume = add_volume(scene, bright_ball())
    choices = Choices(volume.GetID(), fast=True)
    choices = dataclasses.replace(choices, cavity_source=MODEL, cavity_model=cavity_model, device="cpu", roi_id=roi(scene).GetID())
    run = apply(scene, choices, temporary)
    found = segment_from_node(run.nodes.segmentation, CAVITY.segment_id, run.analysis.volume).array > 0
    drawn = scan(GRIDS["axial"])[1].array > 0
    assert 2 * (found & drawn).sum() / (found.sum() + drawn.sum()) > 0.9
    assert run.analysis.provenance["models"]["cavity"]["name"] == cavity_model.partition("@")[0]
    assert run.analysis.method.name == "iir"


def test_a_model_that_was_removed_while_it_was_selected(scene, temporary, cavity_model):
    from LAScarSegLib.models.store import ModelStore

    _, _, choices = ball_nodes(scene)
    choices = dataclasses.replace(choices, cavity_source=MODEL, cavity_model=cavity_model)
    assert why_not(scene, choices) == ""
    ModelStore().remove(cavity_model)
    before = snapshot(scene)
    assert f"no model '{cavity_model}'" in why_not(scene, choices)
    run = AnalysisRun(scene, choices, PYTHON, temporary)
    run.start()
    assert f"no model '{cavity_model}'" in run.poll().error
    assert snapshot(scene) == before and left_in(temporary) == []


@pytest.mark.parametrize("broken", ["missing", "broken"])
def test_torch_missing_or_broken(scene, temporary, cavity_model, tmp_path, monkeypatch, broken):
    """A package of that name that can't be imported goes before the real one."""
    reason = "ModuleNotFoundError(\"No module named 'torch'\", name='torch')" if broken == "missing" else "OSError('libtorch.so: bad ELF')"
    (tmp_path / "stub").mkdir()
    (tmp_path / "stub" / "torch.py").write_text(f"raise {reason}\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "stub"))
    _, _, choices = ball_nodes(scene)
    before = snapshot(scene)
    run = AnalysisRun(scene, dataclasses.replace(choices, cavity_source=MODEL, cavity_model=cavity_model), PYTHON, temporary)
    run.start()
    wait_until(lambda: run.poll().done)
    assert "torch" in run.state.error and not run.state.cancelled
    assert snapshot(scene) == before and left_in(temporary) == []


def bright_ball():
    """The ball with a wall that is as dark as the rest, but for a spot of scar."""
    points = points_of(GRIDS["axial"]) - CENTRE_LPS
    distance = np.linalg.norm(points, axis=-1)
    spot = (distance < RADIUS_MM + 3) & (points[..., 0] > 0.95 * distance)
    image = np.where(distance <= RADIUS_MM, BLOOD, np.where(spot, SCAR_LEVEL, 60.0))
    image += np.random.default_rng(3).normal(0, 5, image.shape)
    return scan(GRIDS["axial"])[0].like(image.astype(np.int16))


def roi(scene):
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "ROI")
    node.SetCenter(CENTRE_LPS * [-1, -1, 1])
    node.SetSize(*[2 * RADIUS_MM + 12] * 3)
    return node
