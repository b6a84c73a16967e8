"""The two nnU-Net systems compute what they computed before the description of networks became wider: numbers saved from then."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks need torch")
pytest.importorskip("lightning", reason="training needs Lightning")

from model_cases import BALL_RADIUS_MM, ball, small_plan  # noqa: E402
from training_data import one_thread, tiny_settings, write_cases  # noqa: E402, F401

from LAScarSegLib.inference.bundle_models import BundleCavityModel, BundleScarModel  # noqa: E402
from LAScarSegLib.inference.options import InferenceOptions  # noqa: E402
from LAScarSegLib.models.card import Channel, ModelCard, NetworkSpec  # noqa: E402
from LAScarSegLib.networks import build  # noqa: E402
from LAScarSegLib.systems import SYSTEMS  # noqa: E402
from LAScarSegLib.training.train import Hardware, start_run, train  # noqa: E402

SAVED = Path(__file__).with_name("same_as_before.json")
"""From commit a417ff7: probabilities at some voxels, and each step's loss and the weights' sums after three steps."""
PROBABILITY, STEP = 5e-6, 1e-5
SYSTEM_STAGES = [(system, stage) for system in ("two_stage_sdm", "boundary_focused") for stage in ("cavity", "scar")]
OPTIONS = InferenceOptions(device="cpu")


def probabilities(system: str, stage: str) -> list[float]:
    """A random network of two folds over a ball on an oblique grid, at 200 voxels of its box."""
    scan, centre = ball((1.5, 1.5, 3.0), (48, 44, 26))
    described = SYSTEMS[system].stage(stage)
    channels = tuple(Channel(c.name, "none" if n else "zscore", c.padding) for n, c in enumerate(described.channels))
    fine = NetworkSpec(small_plan(len(channels)), (2.5, 2.0, 2.0), (16, 16, 16), ("fold_0.safetensors", "fold_1.safetensors"))
    card = ModelCard("same", "1.0", system, stage, fine, channels, "Tests only.", "MIT", threshold=described.threshold)
    networks = lambda spec, fold: sharpened(build(spec.plan, seed=fold + 1)).eval()  # noqa: E731
    if stage == "cavity":
        model = BundleCavityModel(replace(card, threshold=0.01), networks, OPTIONS)
        probability = model.predict(scan)
    else:
        k, j, i = np.indices(scan.array.shape).reshape(3, -1)
        inside = np.linalg.norm(scan.geometry.index_to_lps(np.stack([i, j, k], axis=1)) - centre, axis=1) < BALL_RADIUS_MM
        probability = BundleScarModel(card, networks, OPTIONS).predict(scan, scan.like(inside.reshape(scan.array.shape).astype(np.uint8)))
    places = np.flatnonzero(probability.array > 0)
    return probability.array.ravel()[places[np.linspace(0, len(places) - 1, 200).astype(int)]].tolist()


def sharpened(network):
    """Random weights give one half everywhere; with a steeper last layer they don't."""
    with torch.no_grad():
        network.output_block.conv.conv.weight *= 5.0
    return network


def steps(system: str, stage: str, folder: Path) -> dict[str, list[float]]:
    """Three steps of a training on small boxes: the losses, and sum and sum of squares of some weights."""
    cases = write_cases(folder / "cases", 4, labels=("atriumSegImgMO", "scarSegImgM"))
    settings = tiny_settings(cases, stage, epochs=3, steps_per_epoch=1, system=system)
    run = train(start_run(settings, folder / "run"), Hardware(device="cpu", precision="32", workers=0, validate_every=9))
    rows = (run.folder / "curves.csv").read_text().splitlines()[1:]
    weights = [value.double() for _, value in sorted(run.weights("last.ckpt").items())]
    sums = [float(value.sum()) for value in weights[::7]] + [float((value**2).sum()) for value in weights[::7]]
    return {"losses": [float(row.split(",")[3]) for row in rows], "rates": [float(row.split(",")[2]) for row in rows], "weights": sums}


@pytest.fixture(scope="module")
def saved() -> dict[str, dict]:
    return json.loads(SAVED.read_text(encoding="ascii"))


@pytest.mark.parametrize(("system", "stage"), SYSTEM_STAGES)
def test_the_same_weights_give_the_same_probabilities(saved, system, stage):
    before = saved[f"{system} {stage}"]["probabilities"]
    assert np.ptp(before) > 0.05
    np.testing.assert_allclose(probabilities(system, stage), before, rtol=0, atol=PROBABILITY)


@pytest.mark.parametrize(("system", "stage"), SYSTEM_STAGES)
def test_a_training_step_is_the_same(saved, system, stage, tmp_path):
    before, now = saved[f"{system} {stage}"]["steps"], steps(system, stage, tmp_path)
    for key, values in before.items():
        np.testing.assert_allclose(now[key], values, rtol=STEP, atol=STEP, err_msg=key)
