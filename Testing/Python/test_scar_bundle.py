"""The scar bundle of the tests: trained on phantoms, hidden until simulation is switched on, told in every result, better than a rule."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="networks need torch")
pytest.importorskip("safetensors", reason="networks need safetensors")

from small_scan import lascarseg, numbers, only_data_files  # noqa: E402

from LAScarSegLib.analysis import ByRule, Change, analyse, revise  # noqa: E402
from LAScarSegLib.analysis.settings import Settings  # noqa: E402
from LAScarSegLib.evaluation.metrics import DEFAULT_TOLERANCE_MM  # noqa: E402
from LAScarSegLib.evaluation.voxel import surface_dice  # noqa: E402
from LAScarSegLib.models.bundle import read_bundle  # noqa: E402
from LAScarSegLib.models.store import ModelStore  # noqa: E402
from LAScarSegLib.networks.weights import unpack_tensors
from LAScarSegLib.phantom import HEART_FIELD_OF_VIEW, Phantom, PhantomSettings, make_phantom  # noqa: E402
from LAScarSegLib.support.resources import RESOURCE_FOLDERS  # noqa: E402
from LAScarSegLib.volumes.files import read_volume, write_volume  # noqa: E402
from LAScarSegLib.volumes.volume import Volume  # noqa: E402

NAME = "two-stage-sdm-scar-phantom"
LARGEST_BYTES = 5 << 20
SEED = 301
"""Benchmarks/scar_networks/cohort.py: trained on 101 to 124, measured on 201 to 208."""


@pytest.fixture(scope="module")
def models(repository: Path) -> Path:
    """Testing/Models, a store of models."""
    return repository / "Testing" / "Models"


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    """One that the network has never seen."""
    return make_phantom(PhantomSettings(seed=SEED, size=HEART_FIELD_OF_VIEW))


@pytest.fixture
def folder(tmp_path: Path, phantom: Phantom, models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Scan and cavity, as if they were a patient's: what is said about simulation then comes from the model."""
    write_volume(Volume(phantom.image.array, phantom.image.geometry), tmp_path / "image.nii.gz")
    write_volume(Volume(phantom.cavity.array, phantom.cavity.geometry), tmp_path / "cavity.nii.gz")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LASCARSEG_MODELS", str(models))
    only_data_files(monkeypatch)
    return tmp_path


def test_the_bundle_is_whole_small_and_says_that_it_is_simulated(models: Path) -> None:
    bundle = read_bundle(models / NAME)
    bundle.verify()
    assert (bundle.card.name, bundle.card.system, bundle.card.stage, bundle.card.simulated) == (NAME, "two_stage_sdm", "scar", True)
    assert {str(tensor.dtype) for tensor in unpack_tensors(bundle.weights(bundle.card.fine.weights[0])).values()} <= {"torch.float16", "torch.float32"}
    assert sum(path.stat().st_size for path in (models / NAME).iterdir()) < LARGEST_BYTES


def test_it_does_not_come_with_the_extension(tmp_path: Path) -> None:
    """CMake and the wheel take LAScarSeg/, LAScarSegLib/ and Resources/ (test_extension_tree.py), and it lies in none of them."""
    assert not [path for resources in RESOURCE_FOLDERS for path in resources.rglob(f"*{NAME}*")]
    assert NAME not in {model.bundle.card.name for model in ModelStore(tmp_path, simulated=True).models() if model.bundle}


def test_it_is_not_found_until_simulation_is_switched_on(
    folder: Path, capfd: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LASCARSEG_SIMULATED", raising=False)
    outcome = lascarseg(capfd, "run", "image.nii.gz", "--cavity", "cavity.nii.gz", "--scar", NAME, "-o", "out")
    assert outcome.code == 2 and f"no model '{NAME}'" in outcome.err and not (folder / "out").exists()


def test_the_whole_path_runs_with_it_says_simulated_and_beats_every_rule(
    folder: Path, phantom: Phantom, capfd: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LASCARSEG_SIMULATED", "1")
    outcome = lascarseg(capfd, "run", "image.nii.gz", "--cavity", "cavity.nii.gz", "--scar", NAME, "-o", "out")
    assert outcome.code == 0, outcome.err

    flags = {flag["code"]: flag["message"] for flag in numbers(folder / "out")["quality_flags"]}
    assert NAME in flags["simulated"] and "says nothing about a patient" in flags["simulated"]
    assert json.loads((folder / "out" / "provenance.json").read_text(encoding="utf-8"))["models"]["scar"]["name"] == NAME

    found = read_volume(folder / "out" / "scar.nii.gz").array > 0
    assert dice_at_the_surface(found, phantom) > max(rules(phantom).values())


def rules(phantom: Phantom) -> dict[tuple[str, float | None], float]:
    """Surface Dice of rules at numbers around the best one of these phantoms (Docs/ablation.md), the best chosen with the truth."""
    analysis = analyse(phantom.image, Settings(perturbation=False), cavity=phantom.cavity)
    tried = [("iir", round(float(ratio), 2)) for ratio in np.arange(1.1, 1.46, 0.05)]
    tried += [("nsd", float(deviations)) for deviations in np.arange(1.5, 4.01, 0.5)]
    tried += [("percentile", 92.5), ("percentile", 95.0), ("wall_nsd", 1.5)]
    tried += [(rule, None) for rule in ("otsu", "gmm", "kmeans", "fwhm")]
    return {(rule, number): dice_at_the_surface(revise(analysis, Change(scar=ByRule(rule, number))).scar.array > 0, phantom) for rule, number in tried}


def dice_at_the_surface(found: np.ndarray, phantom: Phantom) -> float:
    """Surface Dice against the phantom's scar, as `lascarseg evaluate` has it."""
    return surface_dice(found, phantom.scar.array > 0, phantom.scar.geometry.spacing_kji, DEFAULT_TOLERANCE_MM)
