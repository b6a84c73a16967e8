"""msws_b2p (Khan et al. 2022): the paper's numbers, its inputs by hand, and its whole path."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks need torch")
pytest.importorskip("monai", reason="augmentation needs MONAI")
pytest.importorskip("lightning", reason="training needs Lightning")

from scipy import ndimage  # noqa: E402
from small_scan import flag_codes, lascarseg, only_data_files, small_scan  # noqa: E402
from training_data import one_thread, write_cases  # noqa: E402, F401

from LAScarSegLib.datasets.phantoms import write_lascarqs_cohort  # noqa: E402
from LAScarSegLib.errors import InputError  # noqa: E402
from LAScarSegLib.inference.bundle_models import BundleCavityModel, BundleScarModel  # noqa: E402
from LAScarSegLib.inference.options import InferenceOptions  # noqa: E402
from LAScarSegLib.models.card import NetworkSpec  # noqa: E402
from LAScarSegLib.models.store import ModelStore  # noqa: E402
from LAScarSegLib.networks import build  # noqa: E402
from LAScarSegLib.phantom import PhantomSettings  # noqa: E402
from LAScarSegLib.systems import SYSTEMS, PreparedArrays  # noqa: E402
from LAScarSegLib.systems.decoding import IN_SLICE  # noqa: E402
from LAScarSegLib.systems.msws_b2p import beside_the_boundary, scar_by_grey_level, three_channels  # noqa: E402
from LAScarSegLib.training.export import ExportRequest, export_runs  # noqa: E402
from LAScarSegLib.training.module import TrainingModule  # noqa: E402
from LAScarSegLib.training.patches import PatchDataset  # noqa: E402
from LAScarSegLib.training.run_folder import TrainingRun, read_run  # noqa: E402
from LAScarSegLib.training.settings import TrainingSettings  # noqa: E402
from LAScarSegLib.training.start import open_start  # noqa: E402
from LAScarSegLib.training.train import Hardware, start_run, train  # noqa: E402
from LAScarSegLib.volumes.files import read_volume, write_volume  # noqa: E402
from LAScarSegLib.volumes.volume import Geometry, Volume  # noqa: E402

SYSTEM = SYSTEMS["msws_b2p"]
MACHINE = Hardware(device="cpu", precision="32", workers=0, validate_every=1)
PHANTOMS = PhantomSettings(size=(80, 72, 24), spacing=(1.5, 1.5, 4.0), la_volume_ml=60.0)


def test_the_papers_numbers() -> None:
    cavity, scar = SYSTEM.cavity, SYSTEM.scar
    for stage in (cavity, scar):
        recipe, paper = stage.optimiser, stage.preset("paper")
        assert (recipe.kind, recipe.learning_rate, recipe.betas, recipe.weight_decay) == ("adam", 1e-4, (0.9, 0.99), 0)
        assert (recipe.schedule, recipe.gradient_clip) == ("constant", None)
        assert (recipe.stop.patience, recipe.stop.watched) == (5, ("dice", "loss"))
        assert (paper.batch_size * paper.accumulate, paper.epochs) == (24, 100)
        assert (paper.statistics, paper.spacing_kji) == ("slice", (0.625, 0.625))
        assert stage.sampler.augmentation == "none" and stage.sampler.foreground_share == 0
    assert (cavity.preset("paper").patch_kji, scar.preset("paper").patch_kji) == ((640, 640), (64, 64))
    assert (cavity.loss().alpha, cavity.loss().beta, cavity.loss().exponent) == (0.3, 0.7, pytest.approx(4 / 3))
    assert (scar.loss().alpha, scar.loss().beta, scar.loss().exponent) == (0.4, 0.6, pytest.approx(4 / 3))
    assert [SYSTEM.stage(key, "public_exponent").loss().exponent for key in ("cavity", "scar")] == [0.75, 0.75]
    kept = scar.output("scar").components
    assert (kept.least_mm2, kept.most_mm2) == (pytest.approx(3.90625), pytest.approx(175.78125))
    assert [SYSTEM.stage("scar", v).output("scar").components for v in ("three_channels", "one_channel", "centre_crop")] == [None] * 3
    crop = SYSTEM.stage("scar", "centre_crop")
    assert (crop.preset("paper").patch_kji, crop.preset("paper").crop_kji[1:], crop.sampler.kind) == ((384, 384), (384, 384), "slices")
    settings = TrainingSettings("msws_b2p", "cavity", "nowhere", cavity.preset("paper"), preset="paper")
    assert settings.recipe().accumulate == 6 and settings.recipe().learning_rate == 1e-4
    small = replace(settings, size=cavity.preset("small"), preset="small")
    assert small.recipe().learning_rate == 1e-3 and replace(small, learning_rate=2e-5).recipe().learning_rate == 2e-5


def test_every_preset_is_listed_with_its_weights_grid_and_epochs(repository) -> None:
    section = (repository / "Docs" / "systems.md").read_text(encoding="utf-8").partition("\n## msws_b2p\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    for stage in (stage for variants in SYSTEM.stages.values() for stage in variants.values()):
        for name, size in stage.presets.items():
            with torch.device("meta"):
                count = sum(p.numel() for p in build(size.plan).parameters())
            patch, spacing = (", ".join(f"{n:g}" for n in pair) for pair in (size.patch_kji, size.spacing_kji))
            said = (f"`{name}`, {stage.key}", f"{count:,}", patch, spacing, f"{size.epochs}")
            assert any(all(word in row for word in said) for row in rows), (stage.variant, said)


def case_of(z: np.ndarray, scar: np.ndarray, beside: np.ndarray) -> PreparedArrays:
    return PreparedArrays(z[None], {"scar": scar}, {"beside_boundary": beside[None].astype(np.float32)})


def test_the_scars_probability_is_the_ratio_of_the_histograms() -> None:
    z = np.full((2, 10, 10), -3.02, dtype=np.float32)
    z[1] = 1.98
    scar, beside = np.zeros(z.shape, dtype=bool), np.zeros(z.shape, dtype=bool)
    # Of 100 voxels beside the boundary at −3.02 a fifth is scar; of 50 at 1.98 all but ten; the other fifty are not looked at.
    scar[0, :2], beside[0], scar[1, :4], beside[1, :5] = True, True, True, True
    learned = scar_by_grey_level([case_of(z, scar, beside)])
    assert json.loads(json.dumps(learned)) == learned
    seen = three_channels(np.array([[[[-3.0, 2.0, -40.0, 40.0, 0.5]]]], dtype=np.float32), learned)
    # Beyond the bins the last one speaks; between the two heaps nothing was seen.
    assert seen[1, 0, 0].tolist() == pytest.approx([0.2, 0.8, 0.2, 0.8, 0.0], abs=1e-5)
    assert seen[0, 0, 0].tolist() == [-3.0, 2.0, -40.0, 40.0, 0.5] and seen[2, 0, 0].tolist() == [0.0, 2.0, 0.0, 40.0, 0.5]
    # Two cases are one histogram.
    left = np.arange(10) < 5
    assert scar_by_grey_level([case_of(z, scar & half, beside & half) for half in (left, ~left)]) == learned


def test_an_empty_histogram_is_refused_in_words() -> None:
    z, nothing = np.zeros((1, 4, 4), dtype=np.float32), np.zeros((1, 4, 4), dtype=bool)
    for cases in ([], [case_of(z, nothing, ~nothing)]):
        with pytest.raises(InputError, match="have 0 voxels of scar .* there is no histogram.*one_channel"):
            scar_by_grey_level(cases)


def test_beside_the_boundary_is_3_mm_to_either_side_and_all_scar() -> None:
    masks = {name: np.zeros((1, 40, 40), dtype=bool) for name in ("cavity", "scar")}
    masks["cavity"][:, 10:30, 10:30], masks["scar"][0, 1, 1], masks["scar"][0, 20, 20] = True, True, True
    found = beside_the_boundary(masks, (2.5, 1.0, 1.0))[0, 0] > 0
    # Along a row through the middle: 3 pixels outside, 3 inside on either side.
    assert np.flatnonzero(found[15]).tolist() == [7, 8, 9, 10, 11, 12, 27, 28, 29, 30, 31, 32]
    assert found[1, 1] and found[20, 20] and not found[20, 19]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    return write_lascarqs_cohort(tmp_path_factory.mktemp("khan") / "cohort", 2, seed=11, settings=PHANTOMS)


def settings_of(stage: str, data: Path, epochs: int, steps: int, **changes) -> TrainingSettings:
    size = replace(SYSTEM.stage(stage, changes.get("variant")).preset("tiny"), epochs=epochs)
    values = {"system": "msws_b2p", "stage": stage, "data": str(data), "size": size, "preset": "tiny", "steps_per_epoch": steps,
              "folds": 2, "anatomy": "truth"}  # fmt: skip
    return TrainingSettings(**(values | changes))


@pytest.fixture(scope="module")
def cavity_run(cohort: Path) -> TrainingRun:
    return train(start_run(settings_of("cavity", cohort, 2, 60), cohort.parent / "cavity"), MACHINE)


@pytest.fixture(scope="module")
def scar_run(cohort: Path) -> TrainingRun:
    return train(start_run(settings_of("scar", cohort, 2, 12), cohort.parent / "scar"), MACHINE)


@pytest.fixture
def folder(cavity_run: TrainingRun, scar_run: TrainingRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user is, with a store that has both trained models."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LASCARSEG_MODELS", str(tmp_path / "store"))
    monkeypatch.setenv("LASCARSEG_SIMULATED", "1")
    only_data_files(monkeypatch)
    for run, name in ((cavity_run, "khan-cavity"), (scar_run, "khan-scar")):
        ModelStore().add(export_runs([run.folder], tmp_path / f"{name}.zip", ExportRequest(name=name, checkpoint="last")).path)
    return tmp_path


def losses(run: TrainingRun) -> list[float]:
    return [float(line.split(",")[3]) for line in (run.folder / "curves.csv").read_text().splitlines()[1:]]


def test_a_cavity_is_learned_from_a_phantom_cohort(cavity_run):
    assert losses(cavity_run)[-1] < losses(cavity_run)[0]
    # The cavity is 59 of 1,244 mL: a network that calls everything cavity has 0.09.
    assert cavity_run.scores()["best"]["dice"] > 0.3


def test_slices_are_z_scored_one_by_one_and_padded_with_their_mean(cavity_run):
    case = cavity_run.cases[0]
    whole = case.channels(cavity_run.prepared).astype(np.float32)[0]
    # 108 × 120 mm of 2.5 mm, interpolated from 1.5 mm: the deviation of the coarser slice is a little less than the finer one's, 1.
    assert whole.shape == (24, 43, 48) and np.abs(whole.mean(axis=(1, 2))).max() < 0.05
    assert np.abs(whole.std(axis=(1, 2)) - 0.95).max() < 0.1
    item = PatchDataset([case], cavity_run.prepared, SYSTEM.cavity, cavity_run.settings.size, seed=3)[0]["channels"][0, 0].numpy()
    assert item.shape == (64, 64) and (item[:11] == 0).all() and (item[:, :8] == 0).all() and (item[-10:] == 0).all()
    assert any(np.array_equal(item[11:54, 8:56], plane) for plane in whole)


def test_scar_patches_lie_along_the_boundary_with_three_channels(scar_run):
    cases, size = scar_run.part(scar_run.split.training), scar_run.settings.size
    data = PatchDataset(cases, scar_run.prepared, SYSTEM.scar, size, 5, learned=scar_run.learned)
    items = [data[n] for n in range(40)]
    probability = np.array(scar_run.learned["probability"])
    assert 0 <= probability.min() and probability.max() < 1 and probability[-5:].mean() > 10 * probability[:5].mean()
    for item in items:
        assert item["channels"].shape == (3, 1, 32, 32) and item["target"].shape == (1, 1, 32, 32)
        assert torch.equal(item["channels"][2], item["channels"][0].clamp(min=0))
    # Negatives are kept.
    assert {bool(item["target"].any()) for item in items} == {True, False}
    assert losses(scar_run)[-1] < losses(scar_run)[0]


@pytest.mark.parametrize("variant", ["one_channel", "centre_crop"])
def test_an_ablation_of_table_4_takes_a_step(cohort, tmp_path, variant):
    run = train(start_run(settings_of("scar", cohort, 1, 1, variant=variant), tmp_path / "run"), MACHINE)
    assert run.learned == {} and np.isfinite(losses(run)).all()


@pytest.mark.parametrize("variant", ["scales3", "unshared", "bce", "iou", "public_exponent"])
def test_an_ablation_of_the_cavity_is_another_training(cohort, variant):
    module = TrainingModule(settings_of("cavity", cohort, 1, 1, variant=variant))
    batch = {"channels": torch.randn((2, 1, 1, 64, 64)), "target": torch.zeros((2, 1, 1, 64, 64))}
    value = module.loss(module.network(batch["channels"]), batch["target"])
    value.backward()
    assert all(torch.isfinite(p.grad).all() and p.grad.abs().sum() > 0 for name, p in module.named_parameters() if ".bias" not in name)


def test_a_killed_training_goes_on_bit_for_bit(scar_run, cohort):
    stopped = start_run(scar_run.settings, cohort.parent / "stopped")
    train(stopped, replace(MACHINE, max_steps=17))
    train(read_run(stopped.folder), MACHINE)
    once, twice_ = scar_run.weights("last.ckpt"), stopped.weights("last.ckpt")
    assert all(torch.equal(once[name], twice_[name]) for name in once) and any("running_var" in name for name in once)


def test_a_training_on_task_2_is_fine_tuned_on_task_1(cavity_run, cohort, tmp_path):
    """Section 5.2, as a user does it: another folder of data, `--start-from` the first run."""
    first = cohort / "task1" / "train_data"
    (tmp_path / "task1" / "train_data").mkdir(parents=True)
    for n in (1, 2):
        (tmp_path / "task1" / "train_data" / f"train_{n}").symlink_to(first / f"train_{n}")
    settings = settings_of("cavity", tmp_path / "task1", 1, 1, folds=2, start_from=str(cavity_run.folder), learning_rate=1e-5)
    run = start_run(settings, tmp_path / "fine")
    module = TrainingModule(settings)
    open_start(str(cavity_run.folder)).load_into(module.network, SYSTEM.cavity)
    begun = module.network.state_dict()
    # Also what the norms have counted.
    assert all(torch.equal(begun[name], value) for name, value in cavity_run.weights().items())
    assert "network.encoders.0.stages.0.1.running_mean" in begun
    train(run, MACHINE)
    after, trained = run.weights("last.ckpt"), [name for name, _ in module.network.named_parameters()]
    moved = max(float((after[name] - begun[name]).abs().max()) for name in trained)
    assert 0 < moved <= 1.1e-5
    assert any("Started from" in note for note in run.notes) and run.trained_on >= cavity_run.trained_on
    with pytest.raises(InputError, match="scales 2 instead of 3"):
        start_run(settings_of("cavity", cohort, 1, 1, variant="scales3", start_from=str(cavity_run.folder)), tmp_path / "other")


def test_both_bundles_run_one_after_the_other(folder, cohort, capfd):
    case = cohort / "task1" / "train_data" / "train_1"
    models = ("--cavity", "khan-cavity", "--scar", "khan-scar")
    outcome = lascarseg(capfd, "run", case / "enhanced.nii.gz", *models, "-o", "out", "--device", "cpu")
    assert outcome.code == 0, outcome.err
    cavity, truth = (read_volume(path).array > 0 for path in (folder / "out" / "cavity.nii.gz", case / "atriumSegImgMO.nii.gz"))
    assert 2 * (cavity & truth).sum() / (cavity.sum() + truth.sum()) > 0.3
    volume = read_volume(folder / "out" / "scar_probability.nii.gz")
    probability, (k_mm, j_mm, i_mm) = volume.array, volume.geometry.spacing_kji
    outline = cavity & ~ndimage.binary_erosion(cavity, IN_SLICE, border_value=1)
    far = np.full(outline[0].shape, 999.0)
    away = np.stack([ndimage.distance_transform_cdt(~plane, "chessboard") * i_mm if plane.any() else far for plane in outline])
    # A patch of 32 pixels of 1.25 mm around a point that is less than 12 pixels from the outline reaches 35 mm, and the next one's edge.
    near = probability[away < 3]
    # What the filter took is exactly 0, what no patch has seen is not.
    assert (probability[away > 36.5] < 1e-6).all() and ((near > 1e-6) | (near == 0)).all() and (near > 1e-6).mean() > 0.5
    # 4-connected parts of the slices outside 3.9 to 176 mm² are gone.
    areas = np.bincount(ndimage.label(probability > 0.5, IN_SLICE)[0].ravel())[1:] * j_mm * i_mm
    assert all(3.9 <= area <= 176 for area in areas)
    assert "simulated" in flag_codes(folder / "out")


def scar_model() -> BundleScarModel:
    return BundleScarModel.from_bundle(ModelStore().find("khan-scar"), InferenceOptions(device="cpu"))


def test_a_cavity_without_an_outline_is_refused_in_words(folder, capfd):
    scan, cavity = small_scan()
    thin = np.zeros(scan.array.shape, dtype=np.uint8)
    # A line of one voxel at 0.5 mm, and the scan as fine: nothing of it is left at 1.25 mm.
    fine = Geometry((200, 200, 4), (0.5, 0.5, 2.5))
    line = np.zeros(fine.shape, dtype=np.uint8)
    line[1:3, 100, 60:120] = 1
    with pytest.raises(InputError, match="at 2.5 × 1.25 × 1.25 mm it is so thin that nothing of it is left. Correct"):
        scar_model().predict(Volume(np.full(fine.shape, 100, dtype=np.int16) + line, fine), Volume(line, fine))
    with pytest.raises(InputError, match="it fills all that the network sees"):
        scar_model().predict(scan, cavity.like(np.ones_like(thin)))
    # Through the command line: the message, and nothing left behind.
    write_volume(Volume(np.random.default_rng(0).normal(100, 10, fine.shape).astype(np.int16), fine), folder / "fine.nrrd")
    write_volume(Volume(line, fine), folder / "thin.nrrd")
    outcome = lascarseg(capfd, "run", "fine.nrrd", "--cavity", "thin.nrrd", "--scar", "khan-scar", "-o", "none", "--device", "cpu")
    assert outcome.code != 0 and "Error" in outcome.err and not (folder / "none").exists()


def test_patches_reach_beyond_the_scans_border(folder):
    scan, cavity = small_scan()
    # Cut through the ball: the outline ends at the border, and patches there are half empty.
    start = 20
    part = Volume(np.ascontiguousarray(scan.array[:, start:, start:]), Geometry((29, 29, 25), scan.geometry.spacing))
    mask = Volume(np.ascontiguousarray(cavity.array[:, start:, start:]), part.geometry)
    found = scar_model().predict(part, mask).array
    assert found.shape == part.array.shape and np.isfinite(found).all() and (found > 1e-6).any()


def test_a_training_cavity_without_an_outline_names_its_case(tmp_path):
    write_cases(tmp_path / "data", 4, labels=("atriumSegImgMO", "scarSegImgM"))
    path = tmp_path / "data" / "task1" / "train_data" / "train_3" / "atriumSegImgMO.nii.gz"
    mask = read_volume(path)
    write_volume(mask.like(np.ones_like(mask.array)), path)
    settings = settings_of("scar", tmp_path / "data", 1, 1)
    with pytest.raises(InputError, match="train_3: The cavity has no outline"):
        start_run(settings, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_scar_labels_inside_the_cavity_or_off_the_wall_are_kept_and_reported(tmp_path):
    root = write_cases(tmp_path / "data", 5, labels=("atriumSegImgMO", "scarSegImgM"))
    folder = root / "task1" / "train_data"
    mask = read_volume(folder / "train_1" / "scarSegImgM.nii.gz")
    # The box is 4 × 8 × 8 voxels of 4 × 2 × 2 mm, from (4, 6, 8) on: its middle is 8 mm deep, two slices from its ends; pixels three
    # beyond its side are 6 mm outside.
    for name, voxels in (("train_2", (slice(5, 7), slice(9, 11), slice(11, 13))), ("train_4", (slice(5, 7), 16, slice(8, 16)))):
        array = np.zeros_like(mask.array)
        array[voxels] = 1
        write_volume(mask.like(array), folder / name / "scarSegImgM.nii.gz")
    on_the_wall = np.zeros_like(mask.array)
    on_the_wall[4:8, 14, 8:16] = 1
    for name in ("train_1", "train_3", "train_5"):
        write_volume(mask.like(on_the_wall), folder / name / "scarSegImgM.nii.gz")
    run = start_run(settings_of("scar", root, 1, 1, folds=5), tmp_path / "run")
    assert len(run.notes) == 2 and "inside the cavity" in run.notes[0] and "train_2 (100 %)." in run.notes[0]
    assert "off its wall" in run.notes[1] and "train_4 (100 %)." in run.notes[1]
    kept = {case.name: int((case.labels(run.prepared)[0] > 0).sum()) for case in run.cases}
    assert kept["train_2"] > 0 and kept["train_4"] > 0


def test_only_slices_that_a_coarse_network_found_the_atrium_in_are_looked_at(cavity_run):
    """The coarse network may be any system's; the slices keep the z-score of the whole slice."""
    scan, _ = small_scan()
    k, j, i = scan.array.shape
    # 200 mm of slices, the ball in the middle ones.
    array = np.random.default_rng(1).normal(20, 5, (80, j, i)).astype(np.int16)
    array[30 : 30 + k] = scan.array
    volume = Volume(array, Geometry((i, j, 80), scan.geometry.spacing))
    seen = []

    class Bright(torch.nn.Module):
        """Blood and scar are brighter than the mean of a slice of the ball, and of the scan."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if x.shape[2] > 1:
                logit = 20 * (x[:, :1] - 1.0)
                return torch.cat([-logit, logit], dim=1)
            seen.append(x.numpy().copy())
            return 20 * (x - 0.8)

    plan = SYSTEMS["two_stage_sdm"].cavity.preset("coarse").plan.for_use()
    coarse = NetworkSpec(plan, (4.0, 4.0, 4.0), (32, 64, 64), ("coarse.safetensors",))
    card = replace(cavity_run.settings.card(), coarse=coarse)
    model = BundleCavityModel(card, lambda spec, fold: Bright().eval(), InferenceOptions(device="cpu"))
    found = model.predict_mask(volume).array > 0
    slices = np.concatenate(seen)
    # The ball is 44 mm high, and 15 mm and a coarse voxel are kept around it: 74 to 82 mm of 200.
    assert 28 <= len(slices) <= 36 and slices.shape[1:] == (1, 1, 64, 64)
    assert np.abs(slices.mean(axis=(1, 2, 3, 4))).max() < 0.05
    assert 30 <= np.flatnonzero(found.any(axis=(1, 2)))[0] and np.flatnonzero(found.any(axis=(1, 2)))[-1] < 30 + k
