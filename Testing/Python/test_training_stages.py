"""Both stages of both systems on a cohort in LAScarQS's layout: the second learns from what the first predicts out of fold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks need torch")
pytest.importorskip("lightning", reason="training needs Lightning")

from training_data import one_thread, tiny_settings  # noqa: E402, F401

from LAScarSegLib.analysis.network_runs import find_cavity, find_scar  # noqa: E402
from LAScarSegLib.datasets.phantoms import write_lascarqs_cohort  # noqa: E402
from LAScarSegLib.datasets.training_cases import find_training_cases  # noqa: E402
from LAScarSegLib.inference import device as device_module  # noqa: E402
from LAScarSegLib.inference.device import Device  # noqa: E402
from LAScarSegLib.inference.options import InferenceOptions  # noqa: E402
from LAScarSegLib.models.bundle import Bundle  # noqa: E402
from LAScarSegLib.phantom import PhantomSettings  # noqa: E402
from LAScarSegLib.training.cavities import open_cavity_model, predict_cavity  # noqa: E402
from LAScarSegLib.training.export import ExportRequest, export_runs  # noqa: E402
from LAScarSegLib.training.hardware import lightning_options  # noqa: E402
from LAScarSegLib.training.module import DISTRIBUTED_LOWEST_WEIGHT, TrainingModule  # noqa: E402
from LAScarSegLib.training.preparation import prepare  # noqa: E402
from LAScarSegLib.training.run_folder import TrainingRun  # noqa: E402
from LAScarSegLib.training.train import Hardware, start_run, train  # noqa: E402

MACHINE = Hardware(device="cpu", precision="32", workers=0, validate_every=9)
FOLDS = 2


@dataclass(frozen=True)
class Trained:
    """A system's cavity runs of both folds, and its scar run on what they predict."""

    cohort: Path
    cavities: tuple[TrainingRun, ...]
    scar: TrainingRun


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("stages") / "cohort"
    return write_lascarqs_cohort(folder, 4, seed=11, settings=PhantomSettings(size=(96, 88, 36), spacing=(1.5, 1.5, 3.0)))


@pytest.fixture(scope="module", params=["two_stage_sdm", "boundary_focused"])
def trained(request, cohort) -> Trained:
    place = cohort.parent / request.param
    place.mkdir()
    first = tiny_settings(cohort, system=request.param, epochs=1, steps_per_epoch=8, folds=FOLDS)
    cavities = tuple(train(start_run(replace(first, fold=fold), place / f"cavity_{fold}"), MACHINE) for fold in range(FOLDS))
    second = tiny_settings(
        cohort, "scar", system=request.param, epochs=1, steps_per_epoch=3, folds=FOLDS, anatomy="predicted",
        cavities=tuple(str(run.folder) for run in cavities),
    )  # fmt: skip
    return Trained(cohort, cavities, train(start_run(second, place / "scar"), MACHINE))


def test_every_distance_map_comes_from_the_fold_that_has_not_seen_the_scan(trained: Trained, tmp_path: Path) -> None:
    cases = {case.name: case for case in find_training_cases(trained.cohort, "scar")}
    settings = trained.scar.settings
    for run in trained.cavities:
        unseen = run.split.validation[0]
        assert unseen not in run.split.training
        source = open_cavity_model(run.folder, "cpu")
        other = next(r for r in trained.cavities if r != run)
        assert unseen in other.split.training
        prepared = trained.scar.part([unseen])[0]
        again = prepare(
            cases[unseen], prepared.sha256, settings.card(), settings.described, tmp_path, lambda _, scan: predict_cavity(source, scan)
        )
        assert np.array_equal(prepared.channels(trained.scar.prepared), again.channels(tmp_path))
        manual = prepare(cases[unseen], prepared.sha256, settings.card(), settings.described, tmp_path)
        mine, true = prepared.channels(trained.scar.prepared), manual.channels(tmp_path)
        assert mine.shape != true.shape or not np.allclose(mine[1:], true[1:], atol=0.05)


def test_both_bundles_run_one_after_the_other(trained: Trained, tmp_path: Path) -> None:
    models: dict[str, Bundle] = {
        "cavity": export_runs([run.folder for run in trained.cavities], tmp_path / "cavity.zip", ExportRequest(name="tiny-cavity")),
        "scar": export_runs([trained.scar.folder], tmp_path / "scar.zip", ExportRequest(name="tiny-scar")),
    }
    assert models["scar"].card.training["anatomy"] == "predicted"
    scan = find_training_cases(trained.cohort, "scar")[0].read_image()
    options = InferenceOptions(device="cpu")
    cavity = find_cavity(scan, models["cavity"], options)
    scar = find_scar(scan, cavity.mask, models["scar"], options)
    assert cavity.mask.voxels and scar.mask.shape == scan.array.shape and scar.seen_cavity == cavity.mask.digest
    assert np.isfinite(scar.probability.values).all() and scar.probability.values.max() > 0
    assert "simulated" in [flag.code for flag in scar.flags]


def test_the_networks_weights_are_moved_by_nnu_nets_optimiser() -> None:
    optimiser = TrainingModule(tiny_settings(Path("anywhere"))).configure_optimizers()
    assert isinstance(optimiser, torch.optim.SGD)
    settings = {key: optimiser.defaults[key] for key in ("lr", "momentum", "nesterov", "weight_decay")}
    assert settings == {"lr": 0.01, "momentum": 0.99, "nesterov": True, "weight_decay": 3e-5}


@pytest.mark.parametrize(
    ("machine", "lightning_is_told"),
    [
        (Hardware("cpu", precision="32"), {"accelerator": "cpu", "devices": 1, "num_nodes": 1, "precision": "32-true", "benchmark": False}),
        (
            Hardware("cuda", devices=4, nodes=2, precision="16"),
            {"accelerator": "gpu", "devices": 4, "num_nodes": 2, "precision": "16-mixed", "benchmark": True},
        ),
        (
            Hardware("cuda:1", precision="bf16"),
            {"accelerator": "gpu", "devices": [1], "num_nodes": 1, "precision": "bf16-mixed", "benchmark": True},
        ),
    ],
)
def test_lightning_is_told_about_cards_and_nodes(machine: Hardware, lightning_is_told: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tuple(Device(key, key) for key in ("cuda:0", "cuda:1", "cpu"))
    monkeypatch.setattr(device_module, "list_devices", lambda: here)
    assert lightning_options(machine) == lightning_is_told


class Launched:
    """What a module asks Lightning's trainer."""

    def __init__(self, processes: int) -> None:
        self.world_size = processes


@pytest.mark.parametrize(("processes", "weight"), [(1, 0.0), (4, DISTRIBUTED_LOWEST_WEIGHT)])
@pytest.mark.parametrize("stage", ["cavity", "scar"])
def test_with_several_processes_every_parameter_gets_a_gradient(stage: str, processes: int, weight: float) -> None:
    """DistributedDataParallel stops where one has none; a single process leaves the lowest resolution out, as nnU-Net does."""
    module = TrainingModule(tiny_settings(Path("anywhere"), stage))
    trainer = Launched(processes)
    module.trainer = trainer
    module.on_fit_start()
    assert module.loss.lowest_weight == weight
    channels = len(module.stage.channels)
    target = torch.zeros((1, 1, 16, 16, 16))
    target[..., 4:12] = 1.0
    batch = {"channels": torch.randn((1, channels, 16, 16, 16)), "target": target, "region": torch.ones_like(target)}
    module.training_step(batch, 0).backward()
    without = [name for name, parameter in module.network.named_parameters() if parameter.grad is None]
    assert bool(without) == (processes == 1)
