"""progressive (Zhang J. et al. 2026): its network, its three stages one after the other, and its bundles at work."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks need torch")
swin_unetr = pytest.importorskip("monai.networks.nets.swin_unetr", reason="networks need MONAI")
pytest.importorskip("lightning", reason="training needs Lightning")

from model_cases import Contrast  # noqa: E402
from small_scan import flag_codes, lascarseg, numbers, only_data_files, small_scan, write_scan  # noqa: E402
from training_data import one_thread  # noqa: E402, F401

from LAScarSegLib.datasets.phantoms import write_lascarqs_cohort  # noqa: E402
from LAScarSegLib.errors import InputError  # noqa: E402
from LAScarSegLib.inference.bundle_models import BundleCavityModel, BundleScarModel  # noqa: E402
from LAScarSegLib.inference.options import InferenceOptions  # noqa: E402
from LAScarSegLib.models.card import NetworkSpec  # noqa: E402
from LAScarSegLib.models.store import ModelStore  # noqa: E402
from LAScarSegLib.networks import build, read_plan, weight_shapes  # noqa: E402
from LAScarSegLib.networks.swin_plan import SwinPlan  # noqa: E402
from LAScarSegLib.networks.weights import pack_tensors  # noqa: E402
from LAScarSegLib.phantom import PhantomSettings  # noqa: E402
from LAScarSegLib.systems import SYSTEMS, Preset  # noqa: E402
from LAScarSegLib.systems.progressive import EARLY_ENCODER, WALL  # noqa: E402
from LAScarSegLib.training.export import ExportRequest, export_runs  # noqa: E402
from LAScarSegLib.training.module import TrainingModule  # noqa: E402
from LAScarSegLib.training.patches import PatchDataset  # noqa: E402
from LAScarSegLib.training.run_folder import TrainingRun, read_run  # noqa: E402
from LAScarSegLib.training.settings import TrainingSettings  # noqa: E402
from LAScarSegLib.training.train import Hardware, start_run, train  # noqa: E402
from LAScarSegLib.volumes.files import read_volume, write_volume  # noqa: E402
from LAScarSegLib.volumes.volume import Volume  # noqa: E402

PROGRESSIVE = SYSTEMS["progressive"]
MACHINE = Hardware(device="cpu", precision="32", workers=0, validate_every=9)
SLIM = {"features": 4, "depths": (1, 1, 2, 1), "heads": (1, 1, 2, 4), "window": 4}
BLOOD_LEVEL, SCAR_LEVEL = 180.0, 250.5
"""Grey levels of the small scan between wall and blood, and between blood and scar."""
PERMUTED = {"n c d h w -> n d h w c": (0, 2, 3, 4, 1), "n d h w c -> n c d h w": (0, 4, 1, 2, 3)}
PERMUTED |= {"b c d h w -> b d h w c": (0, 2, 3, 4, 1), "b d h w c -> b c d h w": (0, 4, 1, 2, 3)}
"""The patterns that MONAI asks einops for."""


def size_of(stage: str, epochs: int = 1) -> Preset:
    """`tiny` on a coarser grid, for seconds: the same crop in mm."""
    tiny = PROGRESSIVE.stage(stage).preset("tiny")
    grid = {"spacing_kji": (3.0, 3.0, 3.0), "patch_kji": (32, 32, 64), "crop_kji": (33, 53, 80)}
    return replace(tiny, plan=replace(tiny.plan, **SLIM), epochs=epochs, **grid)


def settings_of(data: Path, stage: str, **changes) -> TrainingSettings:
    values = {"system": "progressive", "stage": stage, "data": str(data), "size": size_of(stage), "preset": "tiny", "steps_per_epoch": 2,
              "folds": 2}  # fmt: skip
    return TrainingSettings(**(values | changes))


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("progressive") / "cohort"
    small = PhantomSettings(size=(72, 64, 30), spacing=(1.5, 1.5, 3.0), la_volume_ml=50.0)
    return write_lascarqs_cohort(folder, 2, seed=11, settings=small)


@pytest.fixture(scope="module")
def stages(cohort: Path) -> dict[str, TrainingRun]:
    """I, II and III, each from the one before."""
    runs, start = {}, ""
    for stage in ("cavity", "joint", "scar"):
        runs[stage] = train(start_run(settings_of(cohort, stage, start_from=start), cohort.parent / stage), MACHINE)
        start = str(runs[stage].folder)
    return runs


# The network


@pytest.mark.parametrize(("stage", "millions"), [("cavity", 62.19), ("joint", 81.8), ("scar", 62.19)])
def test_the_papers_network_has_swin_unetrs_parameters(stage: str, millions: float) -> None:
    plan = PROGRESSIVE.stage(stage).preset("paper").plan
    with torch.device("meta"):
        count = sum(p.numel() for p in build(plan).parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.02)
    # What a bundle's file is compared with before anything is loaded: never more than there are.
    assert 0.99 * count < plan.parameters <= count
    assert sum(int(np.prod(shape)) for shape in weight_shapes(plan).values()) == count


def test_with_one_decoder_it_computes_what_monais_swin_unetr_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swin_unetr, "rearrange", lambda x, pattern: x.permute(*PERMUTED[pattern]))
    plan = SwinPlan(1, ("cavity",), features=12, depths=(2, 1, 1, 1), window=5)
    ours = build(plan, 0).eval()
    theirs = swin_unetr.SwinUNETR(1, 1, depths=(2, 1, 1, 1), feature_size=12, window_size=5).eval()
    weights = {name.removeprefix("encoder.").removeprefix("decoders.cavity."): value for name, value in ours.state_dict().items()}
    missing, unexpected = theirs.load_state_dict(weights, strict=False)
    assert not unexpected and all(name.endswith("relative_position_index") for name in missing)
    # No multiple of the window along any axis: tokens are padded and masked.
    x = torch.randn((1, 1, 32, 32, 64), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.allclose(ours(x), theirs(x), atol=1e-5)


def test_each_decoder_has_its_channel_and_both_share_the_encoder() -> None:
    both, one = (build(SwinPlan(1, names, **SLIM), 0).eval() for names in (("cavity", "scar"), ("scar",)))
    one.load_state_dict({name: value for name, value in both.state_dict().items() if not name.startswith("decoders.cavity.")})
    x = torch.randn((1, 1, 32, 32, 64), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        assert both(x).shape == (1, 2, 32, 32, 64) and torch.equal(both(x)[:, 1:], one(x))


def test_activations_computed_twice_give_the_same_gradients() -> None:
    plan = SwinPlan(1, ("cavity", "scar"), **SLIM)
    kept, again = build(plan, 0), build(replace(plan, checkpointing=True), 0)
    x = torch.randn((1, 1, 32, 32, 64), generator=torch.Generator().manual_seed(3))
    saved: dict[bool, int] = {}
    for network in (kept, again):
        total = 0

        def count(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal total
            total += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            value = network(x).square().mean()
        saved[network.checkpointing] = total
        value.backward()
    for (name, mine), theirs in zip(kept.named_parameters(), again.parameters(), strict=True):
        assert torch.allclose(mine.grad, theirs.grad, atol=1e-7), name
    assert saved[True] < 0.3 * saved[False]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"features": 50}, r"heads of the network plan is \(3, 6, 12, 24\); it must be divisors of 50, 100, 200, 400"),
        ({"depths": [2, 2, 2]}, "depths of the network plan is .2, 2, 2.; it must be 4 whole numbers from 1 to 24"),
        ({"window": 1 << 20}, "window of the network plan is 1048576"),
        ({"decoders": ["cavity", "cavity"]}, "decoders of the network plan"),
        ({"decoders": "cavity"}, "decoders of the network plan"),
        ({"decoders": ["../cavity"]}, "decoders of the network plan"),
        ({"features": 1 << 40}, "features of the network plan"),
        ({"in_channels": True}, "in_channels of the network plan"),
        ({"checkpointing": 1}, "checkpointing of the network plan"),
        ({"size": 3}, "unknown size"),
    ],
)
def test_a_plan_that_can_not_be_is_refused(change: dict, words: str) -> None:
    good = SwinPlan(1, ("cavity",)).to_json()
    assert read_plan(good) == SwinPlan(1, ("cavity",))
    with pytest.raises(InputError, match=words):
        read_plan(good | change)


# The description


def test_the_papers_numbers() -> None:
    for key, variants in PROGRESSIVE.stages.items():
        for stage in variants.values():
            paper, (phase,) = stage.preset("paper"), stage.phases
            assert (paper.spacing_kji, paper.crop_kji, paper.patch_kji) == ((2.5, 0.625, 0.625), (40, 256, 384), (32, 192, 224))
            assert (paper.batch_size, paper.epochs, paper.mirror, paper.learning_rate) == (1, 250, False, None)
            recipe = phase.optimiser
            assert (recipe.kind, recipe.learning_rate, recipe.schedule, recipe.gradient_clip) == ("adamw", 1e-4, "constant", None)
            assert (recipe.stop.patience, recipe.stop.least_gain, recipe.stop.watched) == (30, 1e-4, ("dice",))
            assert recipe.iterations_per_epoch == (104 if key == "cavity" else 48)
            assert (stage.sampler.foreground_share, stage.sampler.of_each_batch, stage.sampler.augmentation) == (0.5, False, "lge_mri")
            assert stage.sampler.foreground == ("cavity" if key == "cavity" else "scar")
            assert all(output.activation == "sigmoid" and output.threshold == 0.5 for output in stage.outputs)


def test_the_wall_reaches_3_mm_inwards_and_two_and_a_half_outwards() -> None:
    cavity = np.zeros((20, 60, 60), dtype=bool)
    cavity[6:14, 20:40, 20:40] = True
    row = WALL.of({"cavity": cavity}, (2.5, 0.625, 0.625))[0, 10, 30]
    # Four voxels of 0.625 mm are 2.5 mm outside; inside the fourth is 2.5 mm from the first outside, the fifth 3.125 mm.
    assert np.flatnonzero(row).tolist() == [*range(16, 24), *range(36, 44)]
    column = WALL.of({"cavity": cavity}, (2.5, 0.625, 0.625))[0, :, 30, 30]
    # One slice of 2.5 mm on either side of the border.
    assert np.flatnonzero(column).tolist() == [5, 6, 13, 14]


def test_a_cavity_around_which_no_wall_remains_is_refused() -> None:
    thin = np.zeros((6, 8, 8), dtype=bool)
    thin[3, 4, 4] = True
    assert WALL.of({"cavity": thin}, (2.5, 0.625, 0.625)).any()
    with pytest.raises(InputError, match=r"No wall is left.*4 × 4 × 4 mm lies within 3 mm inside or 2.5 mm outside.*--exclude"):
        WALL.of({"cavity": thin}, (4.0, 4.0, 4.0))


def test_the_variants_are_the_papers_combinations_of_stages() -> None:
    starts = {
        (key, name): stage.start and (stage.start.stage, stage.start.variant)
        for key, variants in PROGRESSIVE.stages.items()
        for name, stage in variants.items()
    }
    assert starts == {
        ("cavity", "full"): None,
        ("joint", "full"): ("cavity", ""), ("joint", "ii"): None,
        ("scar", "full"): ("joint", "full"), ("scar", "iii"): None, ("scar", "i_iii"): ("cavity", ""), ("scar", "ii_iii"): ("joint", "ii"),
    }  # fmt: skip
    # Random weights are not frozen, and not handled with care.
    assert [len(PROGRESSIVE.stage("scar", name).phases[0].parts) for name in ("full", "iii", "i_iii", "ii_iii")] == [5, 0, 5, 5]
    assert [len(PROGRESSIVE.stage("joint", name).phases[0].parts) for name in ("full", "ii")] == [2, 0]


# The three stages


def moved(run: TrainingRun, before: dict[str, torch.Tensor]) -> dict[str, float]:
    after = run.weights("last.ckpt")
    return {name: float((after[name] - before[name]).abs().max()) for name in after}


def handed_on(run: TrainingRun) -> dict[str, torch.Tensor]:
    """The weights that a run's training began with."""
    from LAScarSegLib.training.train import _hand_on

    module = TrainingModule(run.settings)
    _hand_on(run, module)
    return {name: value.clone() for name, value in module.network.state_dict().items()}


def test_stage_ii_takes_over_encoder_and_cavity_decoder_and_draws_the_scars_anew(stages: dict[str, TrainingRun]) -> None:
    first, begun = stages["cavity"].weights(), handed_on(stages["joint"])
    assert set(begun) - set(first) == {name for name in begun if name.startswith("decoders.scar.")}
    assert all(torch.equal(begun[name], first[name]) for name in first)
    fresh = build(size_of("joint").plan, seed=0).state_dict()
    assert all(torch.equal(begun[name], fresh[name]) for name in begun if name.startswith("decoders.scar."))
    # AdamW's first step of a weight is as long as the learning rate (and 1e-5 of the weight shorter).
    far = moved(stages["joint"], begun)
    slow = max(value for name, value in far.items() if not name.startswith("decoders.scar."))
    fast = max(value for name, value in far.items() if name.startswith("decoders.scar."))
    assert 0 < slow <= 2.1e-4 and 1e-3 < fast <= 2.1e-3


def test_stage_iii_drops_the_cavity_decoder_and_keeps_the_early_encoder_as_it_was(stages: dict[str, TrainingRun]) -> None:
    second, begun = stages["joint"].weights(), handed_on(stages["scar"])
    assert set(second) - set(begun) == {name for name in second if name.startswith("decoders.cavity.")}
    assert all(torch.equal(begun[name], second[name]) for name in begun)
    far = moved(stages["scar"], begun)
    frozen = {name for name in far if name.startswith(EARLY_ENCODER)}
    for part in EARLY_ENCODER:
        assert any(name.startswith(part) for name in frozen)
    assert {name for name, value in far.items() if value == 0.0} == frozen
    trained = ("encoder.swinViT.layers3.", "encoder.swinViT.layers4.", "encoder.encoder3.", "encoder.encoder10.", "decoders.scar.decoder1.")
    assert all(any(name.startswith(part) for name in far.keys() - frozen) for part in trained)


def test_stage_iii_right_after_i_goes_on_with_the_whole_network(stages: dict[str, TrainingRun], cohort: Path, tmp_path: Path) -> None:
    settings = settings_of(cohort, "scar", variant="i_iii", start_from=str(stages["cavity"].folder))
    begun, first = handed_on(start_run(settings, tmp_path / "run")), stages["cavity"].weights()
    assert all(torch.equal(begun[name.replace("decoders.cavity.", "decoders.scar.")], value) for name, value in first.items())
    assert len(begun) == len(first)


def test_a_sample_of_stage_ii_has_both_masks_and_the_wall(stages: dict[str, TrainingRun]) -> None:
    run = stages["joint"]
    patches = PatchDataset(run.cases, run.prepared, run.settings.described, run.settings.size, seed=3)
    items = [patches[number] for number in range(8)]
    assert all(item["target"].shape == (2, 32, 32, 64) and item["wall"].shape == (1, 32, 32, 64) for item in items)
    # Every second patch lies around scar.
    assert all(item["target"][1].any() for item in items[1::2])
    assert all(0.0 <= float(item["wall"].min()) and float(item["wall"].max()) <= 1.0 for item in items)
    assert any(item["wall"].any() for item in items)
    assert run.scores()["last"]["dice"] == pytest.approx(np.mean([case["products"]["scar"] for case in run.scores()["last"]["cases"]]))


def test_a_network_of_the_scan_alone_needs_no_predicted_cavities(stages: dict[str, TrainingRun]) -> None:
    assert not stages["scar"].settings.uses_predictions and stages["scar"].settings.cavities == ()
    boundary = SYSTEMS["boundary_focused"].stage("scar", "plain")
    # Without maps either, but what it sees is cut out around a cavity.
    assert boundary.sees_cavity(boundary.preset("small"))


def test_a_training_that_was_killed_goes_on_bit_for_bit(stages: dict[str, TrainingRun], cohort: Path, tmp_path: Path) -> None:
    stopped = start_run(stages["joint"].settings, tmp_path / "stopped")
    train(stopped, replace(MACHINE, max_steps=1))
    train(read_run(stopped.folder), MACHINE)
    once, twice = stages["joint"].weights("last.ckpt"), stopped.weights("last.ckpt")
    assert all(torch.equal(once[name], twice[name]) for name in once)


# Bad input


def test_a_stage_without_the_one_before_is_refused_before_anything_is_written(cohort: Path, tmp_path: Path, capfd) -> None:
    for stage, variant, before in (("joint", "full", "cavity"), ("scar", "full", "joint"), ("scar", "ii_iii", "joint --variant ii")):
        options = ("--variant", variant, "--data", cohort, "--preset", "tiny", "--device", "cpu", "-o", tmp_path / "run")
        outcome = lascarseg(capfd, "train", "progressive", stage, *options)
        assert outcome.code == 2 and not (tmp_path / "run").exists()
        said = " ".join(outcome.err.split())
        assert f"lascarseg train progressive {before}`" in said and "--start-from" in said, said


def test_the_wrong_stage_before_is_refused(stages: dict[str, TrainingRun], cohort: Path, tmp_path: Path) -> None:
    first, second = str(stages["cavity"].folder), str(stages["joint"].folder)
    with pytest.raises(InputError, match="cavity network; a scar network can't start from it. It begins with the system's joint network"):
        start_run(settings_of(cohort, "scar", start_from=first), tmp_path / "run")
    with pytest.raises(InputError, match="the variant 'full' of the joint network; .* 'ii_iii' of the scar network begins with 'ii'"):
        start_run(settings_of(cohort, "scar", variant="ii_iii", start_from=second), tmp_path / "run")
    with pytest.raises(InputError, match="is a cavity network; a scar network can't start from it[.]$"):
        start_run(settings_of(cohort, "scar", variant="iii", start_from=first), tmp_path / "run")
    wider = replace(size_of("joint"), plan=replace(size_of("joint").plan, features=8))
    with pytest.raises(InputError, match="has another size. Choose the preset that it was trained with"):
        start_run(settings_of(cohort, "joint", size=wider, start_from=first), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_scar_that_lies_outside_the_crop_is_refused_with_the_cases_name(cohort: Path, tmp_path: Path) -> None:
    size = replace(size_of("scar"), crop_kji=(33, 2, 2))
    with pytest.raises(InputError, match="train_.*nothing of the scar is left at 3 × 3 × 3 mm in the 33 × 2 × 2 voxels that the network sees"):
        start_run(settings_of(cohort, "scar", variant="iii", size=size), tmp_path / "run")


# In use


def use_size(stage: str) -> Preset:
    """`tiny` with a network of a few channels, on its own grid."""
    tiny = PROGRESSIVE.stage(stage).preset("tiny")
    return replace(tiny, plan=replace(tiny.plan, **SLIM))


def reader_of(stage: str, levels: dict[str, float]) -> dict[str, torch.Tensor]:
    """Weights with which each decoder says yes where the small scan is brighter than its level.

    One path leads through the first skip and the last block to the head; the norms on the way turn grey levels into others, in order.
    """
    plan, scan = use_size(stage).plan, small_scan()[0].array.astype(np.float32)
    network = build(plan, 0).eval()
    seen = (scan - scan.mean()) / scan.std()
    lacking = [tile - n for tile, n in zip(use_size(stage).patch_kji, seen.shape)]
    tile = np.pad(seen, [(n // 2, n - n // 2) for n in lacking])
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.encoder.encoder1.layer.conv3.conv.weight[0, 0] = 1.0
        for decoder in network.decoders.values():
            decoder.decoder1.conv_block.conv3.conv.weight[0, plan.features] = 1.0
            decoder.out.conv.conv.weight[0, 0] = 50.0
        logits = network(torch.from_numpy(tile)[None, None])[0]
        order = np.argsort(tile, axis=None)
        for row, (name, decoder) in zip(logits, network.decoders.items(), strict=True):
            level = (levels[name] - scan.mean()) / scan.std()
            decoder.out.conv.conv.bias[0] = -np.interp(level, tile.ravel()[order], row.numpy().ravel()[order])
    return network.state_dict()


def add_reader(store: ModelStore, stage: str, levels: dict[str, float]) -> None:
    """Such a network in a store, called like its stage."""
    start = "" if stage == "cavity" else "somewhere"
    settings = TrainingSettings("progressive", stage, "nowhere", use_size(stage), preset="tiny", start_from=start)
    card = settings.card(name=f"swin-{stage}", simulated=True)
    store.keep_new(card, {card.fine.weights[0]: pack_tensors(reader_of(stage, levels))})


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with models of stages I, II and III."""
    place = tmp_path_factory.mktemp("models") / "store"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LASCARSEG_MODELS", str(place))
        for stage in ("cavity", "joint", "scar"):
            add_reader(ModelStore(), stage, {"cavity": BLOOD_LEVEL, "scar": SCAR_LEVEL})
    return place


@pytest.fixture
def folder(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user is: a scan, and the models."""
    write_scan(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LASCARSEG_MODELS", str(models))
    monkeypatch.setenv("LASCARSEG_SIMULATED", "1")
    only_data_files(monkeypatch)
    return tmp_path


def test_the_cavity_comes_from_stage_i_and_the_scar_from_stage_iii(folder: Path, capfd) -> None:
    outcome = lascarseg(capfd, "run", "image.nrrd", "--cavity", "swin-cavity", "--scar", "swin-scar", "-o", "out")
    assert outcome.code == 0, outcome.err
    scan, truth = small_scan()
    names = ("cavity", "scar", "wall", "scar_probability")
    cavity, scar, wall, probability = (read_volume(folder / "out" / f"{name}.nii.gz").array for name in names)
    # Scar is brighter than blood: the reader takes it for cavity as well, which leaves none in the wall.
    inside = (cavity > 0) & (truth.array > 0)
    assert 2 * inside.sum() / ((cavity > 0).sum() + truth.array.sum()) > 0.9
    marked, bright = probability > 0.5, scan.array > SCAR_LEVEL
    assert 2 * (marked & bright).sum() / (marked.sum() + bright.sum()) > 0.9
    assert np.array_equal(marked & (wall > 0), scar > 0)
    models = json.loads((folder / "out" / "provenance.json").read_text())["models"]
    assert [models[mask]["name"] for mask in ("cavity", "scar")] == ["swin-cavity", "swin-scar"]
    assert "simulated" in flag_codes(folder / "out") and "cavity_beyond_crop" not in flag_codes(folder / "out")


def test_stage_iii_marks_the_scar_around_a_given_cavity(folder: Path, capfd) -> None:
    assert lascarseg(capfd, "run", "image.nrrd", "--cavity", "cavity.nrrd", "--scar", "swin-scar", "-o", "out").code == 0
    # A cap of 40° is (1 − cos 40°) / 2 = 11.7 % of a sphere.
    assert numbers(folder / "out")["scar_area_pct"]["value"] == pytest.approx(11.7, abs=1.5)


def test_stage_ii_gives_both_masks_in_one_run(folder: Path, capfd) -> None:
    outcome = lascarseg(capfd, "run", "image.nrrd", "--cavity", "swin-joint", "--scar", "swin-joint", "-o", "out")
    assert outcome.code == 0, outcome.err
    models = json.loads((folder / "out" / "provenance.json").read_text())["models"]
    assert models["cavity"] == models["scar"] and models["scar"]["one_run"] == ["cavity", "scar"]


def test_a_trained_stage_becomes_a_bundle_that_says_how_it_came_about_and_runs(stages: dict[str, TrainingRun], folder: Path, capfd) -> None:
    bundle = export_runs([stages["scar"].folder], folder / "s.zip", ExportRequest(name="trained", checkpoint="last"))
    card = bundle.card
    assert (card.format, card.system, card.stage, card.roles) == (2, "progressive", "scar", ("scar",))
    assert card.preprocessing.crop == (33, 53, 80)
    assert card.training["started_from"] == "joint" and "anatomy" not in card.training and not card.fine.plan.checkpointing
    # A scan that any of the stages was trained on counts as seen.
    assert set(card.training["trained_on"]) == {case.sha256 for case in stages["cavity"].part(stages["cavity"].split.training)}
    ModelStore().add(bundle.path)
    outcome = lascarseg(capfd, "run", "image.nrrd", "--cavity", "cavity.nrrd", "--scar", "trained", "-o", "out")
    assert outcome.code == 0, outcome.err
    assert np.isfinite(read_volume(folder / "out" / "scar_probability.nii.gz").array).all()


class Watching(torch.nn.Module):
    """Keeps what it is given, and says that what is brighter than a level is foreground."""

    def __init__(self, level: float = 0.0) -> None:
        super().__init__()
        self.level, self.tiles = level, []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.tiles.append(x.clone())
        return 100.0 * (x - self.level)


def looked_at(cavity: np.ndarray, spacing: tuple[float, float, float] = (1.25, 1.25, 2.5)) -> tuple[Watching, np.ndarray, Volume]:
    """What stage III's network was given of a scan of noise, the scan, and the probability that came out."""
    scan = np.random.default_rng(5).normal(100.0, 10.0, cavity.shape).astype(np.float32)
    # Bright outside the crop: its z-score must not see it.
    scan[:, :10] = 1000.0
    geometry = replace(small_scan()[0].geometry, size=cavity.shape[::-1], spacing=spacing)
    network = Watching()
    card = TrainingSettings("progressive", "scar", "nowhere", use_size("scar"), preset="tiny", start_from="somewhere").card()
    model = BundleScarModel(card, lambda spec, fold: network, InferenceOptions(device="cpu"))
    return network, scan, model.predict(Volume(scan, geometry), Volume(cavity.astype(np.uint8), geometry))


def test_only_the_atriums_box_is_looked_at_in_the_crops_grey_levels() -> None:
    cavity = np.zeros((44, 150, 200), dtype=bool)
    cavity[18:26, 66:84, 90:110] = True
    network, scan, found = looked_at(cavity)
    # The crop: 40 × 128 × 192 voxels around the middle, rows 11 … 138.
    crop = scan[2:42, 11:139, 4:196]
    expected = (scan - crop.mean()) / crop.std()
    # 15 mm around the cavity: 8 + 2 · 6 = 20 slices, 18 + 24 rows, 20 + 24 columns, as large as a patch at least: one tile.
    assert [tuple(tile.shape[2:]) for pair in network.tiles for tile in pair[:1, None]] == [(32, 64, 64)]
    tile = network.tiles[0][0, 0].numpy()
    start = np.argwhere(np.isclose(expected[:9, :65, :129], tile[0, 0, 0], atol=1e-5))
    matches = [tuple(at) for at in start if np.allclose(expected[tuple(slice(a, a + n) for a, n in zip(at, tile.shape))], tile, atol=1e-4)]
    assert len(matches) == 1
    seen = np.zeros(scan.shape, dtype=bool)
    seen[tuple(slice(a, a + n) for a, n in zip(matches[0], tile.shape))] = True
    assert seen[cavity].all() and (found.array[~seen] == 0).all()
    assert found.flags == ()


def test_a_coarse_network_spares_stage_i_most_of_the_crop() -> None:
    scan = np.random.default_rng(6).normal(100.0, 10.0, (44, 150, 200)).astype(np.float32)
    scan[14:30, 60:90, 120:160] = 300.0
    volume = Volume(scan, replace(small_scan()[0].geometry, size=scan.shape[::-1], spacing=(1.25, 1.25, 2.5)))
    rough = SYSTEMS["two_stage_sdm"].cavity.preset("coarse")
    coarse = NetworkSpec(rough.plan.for_use(), rough.spacing_kji, rough.patch_kji, ("coarse.safetensors",))
    card = TrainingSettings("progressive", "cavity", "nowhere", use_size("cavity"), preset="tiny").card()
    crop = scan[2:42, 11:139, 4:196]
    expected = (scan - crop.mean()) / crop.std()
    masks, passes = [], []
    for finder in (coarse, None):
        fine = Watching(2.0)
        networks = lambda spec, fold, fine=fine: Contrast(2.0, 50.0) if spec is coarse else fine  # noqa: E731
        model = BundleCavityModel(replace(card, coarse=finder), networks, InferenceOptions(device="cpu"))
        masks.append(model.predict_mask(volume).array > 0)
        passes.append(len(fine.tiles))
        assert max(float(tile.max()) for tile in fine.tiles) == pytest.approx(float(expected.max()), abs=1e-4)
    # 22 mm more than the block on each side at most: along i one or two tiles instead of five, along j one or two instead of three.
    assert passes[0] <= 4 and passes[1] == 15
    assert np.array_equal(*masks) and np.array_equal(masks[0], scan > 200.0)


def test_a_cavity_that_reaches_out_of_the_crop_is_said() -> None:
    cavity = np.zeros((44, 150, 200), dtype=bool)
    cavity[18:26, 5:17, 90:110] = True
    # Rows 5 … 10 of 12 lie outside.
    (flag,) = looked_at(cavity)[2].flags
    assert (flag.code, flag.severity) == ("cavity_beyond_crop", "warning") and flag.message.startswith("50.0 % of the cavity lies outside")


def test_a_cavity_too_thin_to_be_one_is_refused_and_nothing_written(folder: Path, capfd) -> None:
    truth = small_scan()[1]
    thin = np.zeros_like(truth.array)
    thin[12, 4:45, 4:45] = 1
    write_volume(truth.like(thin), folder / "thin.nrrd")
    outcome = lascarseg(capfd, "run", "image.nrrd", "--cavity", "thin.nrrd", "--scar", "swin-scar", "-o", "out")
    assert outcome.code == 2 and "there is no blood pool to compare with" in outcome.err and not (folder / "out").exists()
