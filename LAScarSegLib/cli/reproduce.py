"""`lascarseg reproduce`: a paper's tables, from LAScarQS to numbers beside the published ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Optional

import typer

from ..errors import InputError
from .common import ProgressOption, console, out, reported_errors, say, shown_progress

if TYPE_CHECKING:
    from ..jobs.reproduction.plan import ReproductionPlan


def reproduce(
    context: typer.Context,
    paper: Annotated[str, typer.Argument(help="{systems}.")],
    data: Annotated[Path, typer.Option(help="LAScarQS 2022: the folder that holds task1 and task2.")],
    preset: Annotated[str, typer.Option(help="paper; small: trains on a processor; tiny: to try the path.")] = "paper",
    plan: Annotated[bool, typer.Option("--plan", help="Say what would be trained and measured, and for how long; do nothing.")] = False,
    output: Annotated[
        Optional[Path], typer.Option("--output", "-o", help="Folder for trainings, models and tables; the same command goes on there.")
    ] = None,
    by_scan_hash: Annotated[
        bool, typer.Option("--by-scan-hash", help="Keep the copies of a scan together; else each file counts as a scan, as in the papers.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the cut, weights and patches.")] = 0,
    epochs: Annotated[Optional[int], typer.Option(help="Of each phase of every training.", show_default="the preset's")] = None,
    steps_per_epoch: Annotated[Optional[int], typer.Option(help="Optimiser steps of an epoch.", show_default="the system's")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    precision: Annotated[
        Literal["auto", "32", "bf16", "16"], typer.Option(help="auto: bfloat16 where the machine computes with it.")
    ] = "auto",
    workers: Annotated[Optional[int], typer.Option(help="Processes that cut patches.", show_default="half of the cores")] = None,
    progress: ProgressOption = None,
) -> None:
    """Train and measure everything in a paper's tables, and write them beside the published numbers."""
    with reported_errors(context.obj), shown_progress(progress, context.obj) as shown:
        from ..jobs.reproduction.request import ReproductionRequest

        request = ReproductionRequest(
            paper, str(data.expanduser().resolve()), preset, by_scan_hash, seed, epochs, steps_per_epoch
        )  # fmt: skip
        if plan:
            from ..jobs.reproduction.plan import make_plan

            made = make_plan(request, output, device)
        else:
            if output is None:
                raise InputError("Say where the tables should go: -o FOLDER. To see what would be done: --plan.")
            from ..jobs.reproduction.engine import reproduce as run
            from ..training.train import Hardware

            done = run(request, output, Hardware(device=device, precision=precision, workers=workers), shown)
    if plan:
        _print_plan(made, progress)
        return
    for line in done.remarks:
        say(line, out(progress))
    say(f"Tables: {done.folder / 'report.html'} and {done.folder / 'tables'}", out(progress))


def _print_plan(plan: ReproductionPlan, progress: str | None) -> None:
    from rich.table import Table

    table = Table(title=f"{plan.title}, preset {plan.preset}", title_justify="left")
    for heading, justify in (("training", "left"), ("of", "left"), ("steps", "right"), ("hours", "right")):
        table.add_column(heading, justify=justify)
    for line in plan.trainings:
        table.add_row(line.name, line.what, f"{line.steps:,}", f"{line.hours:,.2f}" if line.hours < 1 else f"{line.hours:,.0f}")
    terminal = console(out(progress))
    terminal.print(table)
    for text in plan.lines:
        say(text, out(progress))
