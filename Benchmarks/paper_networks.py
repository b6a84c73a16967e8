"""The papers' networks at their full size: a whole scan of 576 × 576 × 44 voxels, and one training step, on the processor.

For the preset `paper` of every stage of every system, random weights. Inference is from the scan in memory to the probability on its grid,
of a cavity's network without being told where the atrium is, of a scar's with the true cavity; the training step is forward pass, loss,
backward pass and optimiser of one patch on the network as it is trained. Each is a process of its own, which reports its own peak memory;
ratios are to two_stage_sdm's network of the same role in the same run.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from common.children import GB_PER_MAXRSS, apart
from common.scans import SIZE_44, SPACING_44, left_atrium, scan_of
from common.timing import Bar, judge, print_table, ratio

from LAScarSegLib.systems import SYSTEMS

PRESET, VARIANT, REFERENCE = "paper", "full", "two_stage_sdm"
INFERENCE, STEP = "inference", "step"
INFERENCE_BAR_GB, STEP_BAR_GB = 12.0, 24.0
SIDE_MARGIN_VOXELS = 3
"""Of a training patch's made-up masks: their border, which distances and walls are measured from."""


@dataclass(frozen=True)
class Result:
    """What one process measured. `parts`: tiles of an inference, and 1 for a step."""

    seconds: float
    peak_gb: float
    parts: int


def keep_scan(folder: str) -> None:
    """The scan and its true cavity as arrays."""
    cavity = left_atrium(SIZE_44, SPACING_44)
    np.save(Path(folder) / "cavity.npy", cavity.array)
    np.save(Path(folder) / "scan.npy", scan_of(cavity).array)


def stages_of(keys: list[str]) -> list[tuple[str, str]]:
    """(system, stage) of everything that is measured; the reference first."""
    return [(key, stage) for key in sorted(keys, key=lambda key: key != REFERENCE) for stage in SYSTEMS[key].stages]


def infer(system: str, stage: str, folder: Path) -> Result:
    """A whole scan through a network of random weights."""
    from LAScarSegLib.inference import bundle_models
    from LAScarSegLib.inference.options import InferenceOptions
    from LAScarSegLib.networks import build
    from LAScarSegLib.volumes.volume import Geometry, Volume

    scan, cavity = (Volume(np.load(folder / f"{name}.npy"), Geometry(SIZE_44, SPACING_44)) for name in ("scan", "cavity"))
    card, described = card_of(system, stage), SYSTEMS[system].stage(stage, VARIANT)
    network = build(card.fine.plan, seed=0).eval()
    passes = counted(network)
    # Random weights find no atrium, and that is no error here.
    bundle_models.check_found = lambda *arguments: None
    finds_cavity = "cavity" in described.produces
    model = (bundle_models.BundleCavityModel if finds_cavity else bundle_models.BundleScarModel)(
        card, lambda spec, fold: network, InferenceOptions(device="cpu")
    )
    begun = time.perf_counter()
    probability = model.predict(scan) if finds_cavity else model.predict(scan, cavity.like(cavity.array.astype(np.uint8)))
    seconds = time.perf_counter() - begun
    if not np.isfinite(probability.array).all():
        raise SystemExit("The network gave numbers that are none.")
    return Result(seconds, peak_gb(), len(passes))


def counted(network: object) -> list[int]:
    """Grows by one with every pass of a network."""
    passes: list[int] = []
    network.register_forward_hook(lambda *arguments: passes.append(1))
    return passes


def card_of(system: str, stage: str) -> object:
    """The model card of a stage's network at the paper's size."""
    learned = learned_of(system, stage)
    return settings_of(system, stage).card(learned={"fold_0.safetensors": dict(learned)} if learned else {})


def settings_of(system: str, stage: str) -> object:
    """A training of a stage that nobody starts: what it says of network, loss and recipe is used."""
    from LAScarSegLib.training.settings import TrainingSettings

    size = SYSTEMS[system].stage(stage, VARIANT).preset(PRESET)
    return TrainingSettings(system, stage, "nowhere", size, VARIANT, PRESET, anatomy="truth", start_from="another")


def learned_of(system: str, stage: str) -> Mapping[str, object]:
    """What the stage learns from its training cases, here from one made-up patch."""
    from LAScarSegLib.systems import PreparedArrays

    described = SYSTEMS[system].stage(stage, VARIANT)
    if described.learn is None:
        return {}
    masks, channels = made_up(described, (32, 64, 64))
    return json.loads(json.dumps(dict(described.learn([PreparedArrays(channels, masks, targets_of(described, masks))]))))


def made_up(described: object, shape: tuple[int, ...]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Masks (k, j, i) of a patch, half of it cavity with scar on its border, and its channels (C, k, j, i) of noise."""
    cavity = np.zeros(shape, dtype=bool)
    cavity[..., shape[-2] // 4 : -shape[-2] // 4, shape[-1] // 4 : -shape[-1] // 4] = True
    scar = np.zeros(shape, dtype=bool)
    scar[..., shape[-2] // 4 - SIDE_MARGIN_VOXELS : shape[-2] // 4, shape[-1] // 4 : shape[-1] // 2] = True
    channels = np.random.default_rng(0).normal(size=(len(described.channels), *shape)).astype(np.float32)
    return {"cavity": cavity, "scar": scar}, channels


def targets_of(described: object, masks: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    from LAScarSegLib.networks.architectures import spacing_in_scan

    spacing = spacing_in_scan(described.preset(PRESET).spacing_kji, (2.5, 0.625, 0.625))
    return {target.name: target.of(masks, spacing) for target in described.targets}


def step(system: str, stage: str, folder: Path) -> Result:
    """One optimiser step of a batch of one patch; the first takes the memory of the optimiser's state as well."""
    import torch

    from LAScarSegLib.losses import Moment
    from LAScarSegLib.losses.objective import minimised
    from LAScarSegLib.networks.architectures import in_scan
    from LAScarSegLib.training.module import TrainingModule

    module = TrainingModule(settings_of(system, stage)).train()
    described = module.stage
    masks, channels = made_up(described, in_scan(module.settings.size.patch_kji))
    if described.patch_inputs is not None:
        channels = np.asarray(described.patch_inputs(channels, learned_of(system, stage)), dtype=np.float32)
    sample = {"channels": channels, "target": np.stack([masks[name] for name in described.produces])} | targets_of(described, masks)
    if described.region is not None:
        sample["region"] = masks["cavity"][None]
    batch = {name: torch.from_numpy(value.astype(np.float32))[None] for name, value in sample.items()}
    optimiser = module.configure_optimizers()
    begun = time.perf_counter()
    loss = minimised(module.loss, module.network(batch["channels"]), batch, lambda: Moment(0, module.epochs // 2, module.epochs))
    loss.backward()
    optimiser.step()
    seconds = time.perf_counter() - begun
    if not math.isfinite(float(loss.detach())):
        raise SystemExit(f"The loss is {float(loss)}.")
    return Result(seconds, peak_gb(), 1)


def peak_gb() -> float:
    """Of this process, libraries and weights included."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * GB_PER_MAXRSS


def measured(kind: str, system: str, stage: str, folder: str, threads: int) -> Result:
    """One measurement in a fresh process; `SystemExit` when it fails."""
    command = [sys.executable, __file__, "--one", kind, system, stage, folder, "--threads", str(threads)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{kind} of {system} {stage} ended with exit code {done.returncode}.")
    return Result(**json.loads(done.stdout.splitlines()[-1]))


def row(system: str, stage: str, found: Mapping[str, Result], reference: Mapping[str, Result]) -> list[str]:
    import torch

    from LAScarSegLib.networks import build

    with torch.device("meta"):
        parameters = sum(p.numel() for p in build(SYSTEMS[system].stage(stage, VARIANT).preset(PRESET).plan).parameters())
    cells = [f"{system} {stage}", f"{parameters / 1e6:.2f}"]
    for kind in found:
        mine = found[kind]
        cells += [f"{mine.seconds:.1f}", f"{mine.peak_gb:.2f}"] + ([str(mine.parts)] if kind == INFERENCE else [])
        theirs = reference.get(kind)
        cells += [ratio(mine.seconds, theirs.seconds), ratio(mine.peak_gb, theirs.peak_gb)] if theirs else ["", ""]
    return cells


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--systems", nargs="+", choices=tuple(SYSTEMS), default=list(SYSTEMS))
    parser.add_argument("--kinds", nargs="+", choices=(INFERENCE, STEP), default=[INFERENCE, STEP])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", nargs=4, metavar=("KIND", "SYSTEM", "STAGE", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        import torch

        torch.set_num_threads(arguments.threads)
        kind, system, stage, folder = arguments.one
        print(json.dumps(vars({INFERENCE: infer, STEP: step}[kind](system, stage, Path(folder)))))
        return 0
    return compare(arguments.systems, arguments.kinds, arguments.threads)


def compare(systems: list[str], kinds: list[str], threads: int) -> int:
    """The table, a row as soon as it is measured, and the bars."""
    headings = ["", "M weights"]
    for kind in kinds:
        headings += [f"{kind}, s", "peak, GB"] + (["passes"] if kind == INFERENCE else []) + ["time", "memory"]
    rows: list[list[str]] = []
    bars: list[Bar] = []
    reference: dict[str, dict[str, Result]] = {}
    with tempfile.TemporaryDirectory() as folder:
        # In a process of its own: a child starts with its parent's peak memory as its own.
        apart(keep_scan, folder)
        for system, stage in stages_of(systems):
            found = {kind: measured(kind, system, stage, folder, threads) for kind in kinds}
            if system == REFERENCE:
                reference[stage] = found
            # A network of both masks is compared with the one that finds the cavity.
            rows.append(row(system, stage, found, reference.get(stage, reference.get("cavity", {}))))
            for kind, limit in ((INFERENCE, INFERENCE_BAR_GB), (STEP, STEP_BAR_GB)):
                if kind in found:
                    bars.append(Bar(f"{system} {stage}, {kind}, peak memory", found[kind].peak_gb, limit, "GB"))
            print(f"measured {system} {stage}", file=sys.stderr, flush=True)
    print_table(headings, rows)
    return judge(bars)


if __name__ == "__main__":
    sys.exit(main())
