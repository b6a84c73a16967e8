"""`lascarseg train`: one network of a published system."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Optional

import typer

from ..errors import Cancelled
from ..training import FOLDS, VALIDATE_EVERY
from .common import ForceOption, ProgressOption, out, reported_errors, say, shown_progress

if TYPE_CHECKING:
    from ..training.run_folder import TrainingRun


PREPARATION_SHARE = 0.05
"""Of the progress: minutes before hours."""


def train(
    context: typer.Context,
    system: Annotated[str, typer.Argument(help="{systems}.")],
    stage: Annotated[str, typer.Argument(help="cavity, scar, or what the system calls a network of both.")],
    data: Annotated[
        Path, typer.Option(help="LAScarQS's folders, a folder with one folder per case, a CSV manifest, or nnU-Net's raw data.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run; must not exist, unless --resume.")],
    preset: Annotated[
        str,
        typer.Option(help="paper; small: trains on a processor; tiny: to try the path; for a cavity, coarse: finds the atrium first."),
    ] = "paper",
    variant: Annotated[str, typer.Option(help="The stage's variant; full is the paper's method.")] = "full",
    fold: Annotated[int, typer.Option(help="Which fold to validate on, from 0.")] = 0,
    folds: Annotated[int, typer.Option(help="Into how many folds the cases are cut.")] = FOLDS,
    seed: Annotated[int, typer.Option(help="Of folds, weights and patches.")] = 0,
    patients: Annotated[
        Optional[Path], typer.Option(help="CSV of the scans' patients (columns id, patient_group): no split divides a patient's scans.")
    ] = None,
    exclude: Annotated[
        Optional[list[str]], typer.Option(help="A case to leave out, or a text file with one on each line; may be repeated.")
    ] = None,
    anatomy: Annotated[
        Literal["predicted", "truth"], typer.Option(help="For a scar network: predicted cavities (give --cavity), or the manual ones.")
    ] = "predicted",
    cavity: Annotated[
        Optional[list[str]],
        typer.Option(help="A stage-1 run (one for each fold), a cavity model or its bundle, for a scar network or to place a crop; may be repeated."),
    ] = None,
    start_from: Annotated[
        Optional[str], typer.Option(help="A run, a bundle or a model's name: start with its weights.", show_default="random weights")
    ] = None,
    learning_rate: Annotated[Optional[float], typer.Option(help="The first one.", show_default="the system's, or the preset's")] = None,
    ema: Annotated[
        Optional[float],
        typer.Option(help="Average the weights, keeping so much at each step (0.999), and use the average.", show_default="no average"),
    ] = None,
    epochs: Annotated[Optional[int], typer.Option(help="Of each phase of the training; the schedule runs over them.", show_default="the preset's")] = None,
    steps_per_epoch: Annotated[Optional[int], typer.Option(help="Optimiser steps of an epoch.", show_default="250")] = None,
    max_steps: Annotated[Optional[int], typer.Option(help="Stop after so many steps in all; --resume goes on.")] = None,
    validate_every: Annotated[int, typer.Option(help="Epochs between validations on whole scans.")] = VALIDATE_EVERY,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    devices: Annotated[int, typer.Option(help="Graphics cards on each node.")] = 1,
    nodes: Annotated[int, typer.Option(help="Nodes; start the command on each of them (srun, torchrun).")] = 1,
    precision: Annotated[
        Literal["auto", "32", "bf16", "16"], typer.Option(help="auto: bfloat16 where the machine computes with it.")
    ] = "auto",
    workers: Annotated[Optional[int], typer.Option(help="Processes that cut patches.", show_default="half of the cores")] = None,
    augment_on: Annotated[
        Literal["auto", "device", "cpu"], typer.Option(help="Where patches are augmented; auto: on a graphics card that trains, if it can.")
    ] = "auto",
    channels_last: Annotated[
        bool, typer.Option("--channels-last", help="Keep a voxel's channels together in memory: often faster, other rounding.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run from its last checkpoint.")] = False,
    force: ForceOption = False,
    progress: ProgressOption = None,
) -> None:
    """Train one network of a published system."""
    stopped = ""
    with reported_errors(context.obj), shown_progress(progress, context.obj) as shown:
        from ..inference.device import choose_device
        from ..systems import find_system
        from ..training.settings import TrainingSettings
        from ..training.train import Hardware, open_run
        from ..training.train import train as train_run

        described = find_system(system).stage(stage, variant)
        size = described.preset(preset)
        settings = TrainingSettings(
            system=system, stage=stage, variant=variant, preset=preset, data=str(data.expanduser().resolve()),
            size=replace(size, epochs=size.epochs if epochs is None else epochs), fold=fold, folds=folds, seed=seed,
            steps_per_epoch=described.phases[0].optimiser.iterations_per_epoch if steps_per_epoch is None else steps_per_epoch,
            anatomy=anatomy, cavities=tuple(map(_source, cavity or ())), exclude=_excluded(exclude or []),
            start_from=_source(start_from) if start_from else "", learning_rate=learning_rate,
            patients="" if patients is None else str(patients.expanduser().resolve()), ema=ema,
        )  # fmt: skip
        machine = Hardware(device, devices, nodes, precision, workers, max_steps, validate_every, augment_on, channels_last)
        # Before minutes of preparation.
        choose_device(device)
        run = open_run(settings, output, resume, force, shown.part(0.0, PREPARATION_SHARE))
        try:
            train_run(run, machine, shown if resume else shown.part(PREPARATION_SHARE, 1.0))
        except Cancelled as error:
            # What was trained stays, other than with every other command.
            stopped = str(error)
    if stopped:
        say(stopped, sys.stderr, lines=True)
        raise typer.Exit(Cancelled.exit_code)
    for line in _summary(run, output):
        say(line, out(progress))


def _source(text: str) -> str:
    """A run's or bundle's path, which is kept whole, or a model's name as it is."""
    path = Path(text).expanduser()
    return str(path.resolve()) if path.exists() else text


def _excluded(entries: list[str]) -> tuple[str, ...]:
    """Names of cases, those in text files included, sorted."""
    names: set[str] = set()
    for entry in entries:
        path = Path(entry)
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else [entry]
        names |= {line.strip() for line in lines if line.strip() and not line.startswith("#")}
    return tuple(sorted(names))


def _summary(run: TrainingRun, output: Path) -> list[str]:
    scores = run.scores()
    steps = f"{scores['last']['step']} of {scores['total_steps']} steps"
    best = f"best validation Dice {scores['best']['dice']:.3f} (step {scores['best']['step']}, {len(scores['best']['cases'])} cases)"
    return [
        *run.notes,
        f"Trained {steps}; {best}.",
        f"Run: {output}",
        f"As a model: lascarseg models export {output} -o BUNDLE.zip",
    ]
