"""The moving average of the weights: what it holds, that it is what a training is judged and exported by, and that it resumes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from training_data import one_thread, tiny_settings, write_cases  # noqa: F401

from LAScarSegLib.errors import InputError
from LAScarSegLib.networks.weights import unpack_tensors
from LAScarSegLib.training import recorder
from LAScarSegLib.training.average import WeightAverage
from LAScarSegLib.training.export import ExportRequest, export_runs
from LAScarSegLib.training.module import TrainingModule
from LAScarSegLib.training.run_folder import TrainingRun, read_run
from LAScarSegLib.training.start import open_start
from LAScarSegLib.training.train import Hardware, start_run, train
from LAScarSegLib.training.validation import ValidationScore

MACHINE = Hardware(device="cpu", precision="32", workers=0)
DECAY = 0.5


@pytest.fixture(scope="module", autouse=True)
def judged() -> Iterator[list[dict[str, torch.Tensor]]]:
    """The weights of every network that was validated; nothing is predicted, which takes most of a training this small."""
    seen = []

    def look(network, cases, *rest):
        seen.append({name: value.clone() for name, value in network.state_dict().items()})
        return [ValidationScore(case.name, 0.5) for case in cases]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorder, "score_cases", look)
        yield seen


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> TrainingRun:
    """Six steps of two epochs, averaged."""
    folder = tmp_path_factory.mktemp("average")
    write_cases(folder / "data", 4)
    return train(start_run(tiny_settings(folder / "data", epochs=2, steps_per_epoch=3, ema=DECAY), folder / "run"), MACHINE)


def test_the_average_follows_from_the_steps():
    """By hand: the first step whole, then n/(10 + n) of the average until that is the decay."""
    network = torch.nn.Linear(1, 1, bias=False)
    average, expected = WeightAverage(network, 0.15), 0.0
    for n, value in enumerate((4.0, 8.0, 2.0, 6.0)):
        with torch.no_grad():
            network.weight.fill_(value)
        average.update(network)
        decay = min(0.15, n / (10 + n))
        expected = decay * expected + (1 - decay) * value
        assert float(average.network.weight) == pytest.approx(expected, rel=1e-6)
    assert average.counted == 4 and not average.network.weight.requires_grad


def test_counts_of_a_batch_norm_are_the_last_ones():
    network = torch.nn.BatchNorm1d(2)
    average = WeightAverage(network, 0.999)
    network(torch.randn(8, 2, generator=torch.Generator().manual_seed(0)))
    average.update(network)
    assert torch.equal(average.network.running_mean, network.running_mean)


def test_an_average_read_back_goes_on_where_it_was():
    network = torch.nn.Linear(2, 2)
    one, other = WeightAverage(network, 0.9), WeightAverage(network, 0.9)
    for _ in range(3):
        one.update(network)
    other.load_state_dict(one.state_dict())
    assert other.counted == 3


def test_a_run_gives_its_averaged_weights_and_so_do_its_bundle_and_what_starts_from_it(run):
    state = torch.load(run.folder / "last.ckpt", weights_only=True)["state_dict"]
    moving = {name.removeprefix("network."): value for name, value in state.items() if name.startswith("network.")}
    averaged = run.weights("last.ckpt")
    assert moving.keys() == averaged.keys() and not all(torch.equal(moving[name], averaged[name]) for name in moving)
    assert int(state["average.steps"]) == 6
    bundle = export_runs([run.folder], run.folder.parent / "model.zip", ExportRequest(checkpoint="last"))
    assert bundle.card.training["ema"] == DECAY
    exported, started = unpack_tensors(bundle.weights("fold_0.safetensors")), open_start(str(run.folder)).weights
    assert all(torch.equal(exported[name], averaged[name]) for name in exported)
    assert all(torch.equal(started[name], value) for name, value in run.weights().items())


def test_the_average_is_what_is_validated(run, judged):
    last = run.weights("last.ckpt")
    assert any(all(torch.equal(seen[name], value) for name, value in last.items()) for seen in judged)


def test_an_averaged_training_resumed_within_an_epoch_is_the_same_bit_for_bit(run):
    again = start_run(run.settings, run.folder.parent / "resumed")
    train(again, replace(MACHINE, max_steps=4))
    train(read_run(again.folder), MACHINE)
    states = [torch.load(folder / "last.ckpt", weights_only=True)["state_dict"] for folder in (run.folder, again.folder)]
    assert states[0].keys() == states[1].keys() and all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_the_weights_themselves_move_as_without_an_average(run):
    plain = train(start_run(replace(run.settings, ema=None), run.folder.parent / "plain"), MACHINE).weights("last.ckpt")
    state = torch.load(run.folder / "last.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(state[f"network.{name}"], value) for name, value in plain.items())


def test_batches_whose_gradients_are_added_up_are_one_step_of_the_average(run, monkeypatch):
    module, steps = TrainingModule(run.settings), iter((0, 1, 1, 2))
    monkeypatch.setattr(TrainingModule, "trainer", property(lambda self: SimpleNamespace(global_step=next(steps))))
    for _ in range(4):
        module.on_train_batch_end(None, None, 0)
    assert module.average.counted == 2


@pytest.mark.parametrize("decay", [0.0, 1.0, -0.5])
def test_an_average_that_keeps_nothing_or_all_is_refused(run, decay):
    with pytest.raises(InputError, match="must be above 0 and below 1"):
        replace(run.settings, ema=decay)
