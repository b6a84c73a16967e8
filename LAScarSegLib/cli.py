"""`lascarseg`: the analysis from a terminal or a script. Heavy imports wait until a command runs."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional, TextIO

import typer

from . import __version__
from .command_line import ForceOption, ProgressOption, Session, app, out, reported_errors, shown_progress
from .errors import Cancelled
from .evaluation.command import evaluate
from .interruption import leave, watch_signals
from .models.command import ask_for_terms, models
from .training.command import train

if TYPE_CHECKING:
    from .analysis import Analysis
    from .request import Request


class Layout(str, Enum):
    """Folder layouts of a phantom cohort."""

    lascarqs = "lascarqs"


RULES_HELP = "A rule (iir, nsd, wall_nsd, percentile, otsu, fwhm, gmm, kmeans)"
ThresholdOption = Annotated[Optional[str], typer.Option(help="The rule's number, or a preset of it such as barcelona-dense.")]
PlanesOption = Annotated[Optional[list[Path]], typer.Option(help="Mitral and vein planes, JSON or Slicer .mrk.json; may be repeated.")]
NativeOption = Annotated[bool, typer.Option("--native", help="The scan is from before any ablation: report a Utah stage.")]
StagingOption = Annotated[str, typer.Option(help="Which Utah stages: utah (10/20/30 %) or utah2010 (5/20/35 %).")]


@app.callback(invoke_without_command=True)
def common(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Show the version and stop.")] = False,
) -> None:
    context.obj = context.obj or Session()
    context.obj.debug = debug
    if version:
        typer.echo(f"lascarseg {__version__}")
        raise typer.Exit()


@app.command()
def run(
    context: typer.Context,
    image: Annotated[Path, typer.Argument(help="The scan: NRRD, NIfTI, MetaImage, or a folder with one DICOM series.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the result; must not exist.")],
    cavity: Annotated[
        Optional[Path], typer.Option(help="Mask of the LA cavity, or a model that finds it.", show_default="the model that comes along")
    ] = None,
    wall: Annotated[Optional[Path], typer.Option(help="Mask of the wall; else it is 0–2.5 mm outside the cavity.")] = None,
    scar: Annotated[Optional[str], typer.Option(help=f"{RULES_HELP}, a scar mask file, or a model.", show_default="iir")] = None,
    threshold: ThresholdOption = None,
    planes: PlanesOption = None,
    native: NativeOption = False,
    staging: StagingOption = "utah",
    cavity_label: Annotated[Optional[int], typer.Option(help="Which label of the cavity mask.")] = None,
    wall_label: Annotated[Optional[int], typer.Option(help="Which label of the wall mask.")] = None,
    scar_label: Annotated[Optional[int], typer.Option(help="Which label of the scar mask.")] = None,
    device: Annotated[str, typer.Option(help="What models compute on: auto, cpu, cuda, cuda:N or mps.")] = "auto",
    roi: Annotated[Optional[Path], typer.Option(help="Mask around the left atrium, for a model that can't find it.")] = None,
    whole_scan: Annotated[bool, typer.Option("--whole-scan", help="Models look at the whole scan, not at a region first.")] = False,
    mirror: Annotated[bool, typer.Option("--mirror", help="Models average over mirrored images: up to 8 times slower.")] = False,
    accept_terms: Annotated[bool, typer.Option("--accept-terms", help="Accept the terms that the models come with.")] = False,
    force: ForceOption = False,
    progress: ProgressOption = None,
) -> None:
    """Measure the scar of one scan: maps, numbers, figures, report and a Slicer scene."""
    with reported_errors(context.obj):
        from .request import Request, choose_scar, run_request
        from .settings import Settings

        method, number = choose_scar(Settings.rule if scar is None else scar, threshold, models=True)
        labels = {"cavity": cavity_label, "wall": wall_label, "scar": scar_label}
        request = Request(
            image=image, output=output, cavity=cavity, wall=wall, scar=str(method), planes=tuple(planes or ()), force=force,
            settings=Settings(threshold=number, native=native, staging=staging),
            labels={name: label for name, label in labels.items() if label is not None},
            device=device, region_first=not whole_scan, mirror=mirror, roi=roi, accept_terms=accept_terms,
        )  # fmt: skip
        # Before the bar, which would be drawn over the question.
        request = _with_terms(request, out(progress))
        with shown_progress(progress, context.obj) as shown:
            analysis = run_request(request, shown)
    _print_numbers(analysis, output, out(progress))


@app.command()
def measure(
    context: typer.Context,
    result: Annotated[Path, typer.Argument(help="A folder that `lascarseg run` made; its masks may have been corrected.")],
    output: Annotated[
        Optional[Path], typer.Option("--output", "-o", help="Folder for the new result; without it the numbers are only shown.")
    ] = None,
    image: Annotated[Optional[Path], typer.Option(help="The scan, when it is no longer where it was.")] = None,
    scar: Annotated[Optional[str], typer.Option(help=f"{RULES_HELP}, or a scar mask file.", show_default="as before")] = None,
    threshold: ThresholdOption = None,
    planes: PlanesOption = None,
    native: NativeOption = False,
    staging: Annotated[Optional[str], typer.Option(help="Which Utah stages, when not those of the result: utah or utah2010.")] = None,
    force: ForceOption = False,
    progress: ProgressOption = None,
) -> None:
    """Measure a result again: with corrected masks, another threshold, another rule, or planes."""
    with reported_errors(context.obj), shown_progress(progress, context.obj) as shown:
        from .remeasure import Request, remeasure

        request = Request(image=image, scar=scar, threshold=threshold, planes=tuple(planes or ()), native=native, staging=staging)
        analysis = remeasure(result, request, output, force, shown)
    _print_numbers(analysis, output, out(progress))


@app.command()
def phantom(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Where to write it; must not exist.")],
    seed: Annotated[int, typer.Option(help="Another number, another patient; the same number, the same voxels.")] = 21,
    native: Annotated[bool, typer.Option("--native", help="Before any ablation: patchy fibrosis only.")] = False,
    small: Annotated[bool, typer.Option("--small", help="A field of view that shows little more than the atrium.")] = False,
    layout: Annotated[Optional[Layout], typer.Option(help="Write a cohort in the folder layout of the LAScarQS challenge.")] = None,
    count: Annotated[int, typer.Option(help="Number of cases of a cohort.")] = 10,
    task: Annotated[str, typer.Option(help="Task of the challenge: task1 (cavity and scar) or task2 (cavity).")] = "task1",
    force: ForceOption = False,
    progress: ProgressOption = None,
) -> None:
    """Make a simulated LGE-MRI with its cavity, wall, scar, planes and true numbers."""
    with reported_errors(context.obj), shown_progress(progress, context.obj) as shown:
        from .phantom import HEART_FIELD_OF_VIEW, PhantomSettings, make_phantom
        from .phantom.files import PHANTOM, write_lascarqs_cohort, write_phantom
        from .whole_folder import check_folder

        settings = PhantomSettings(seed=seed, kind="native" if native else "post_ablation")
        settings = replace(settings, size=HEART_FIELD_OF_VIEW) if small else settings
        if layout is Layout.lascarqs:
            write_lascarqs_cohort(folder, count, seed=seed, task=task, settings=settings, force=force, progress=shown)
        else:
            check_folder(folder, force, PHANTOM)
            write_phantom(make_phantom(settings, shown), folder, force=force)
    print(f"Simulated scan: {folder}", file=out(progress))


@app.command()
def doctor() -> None:
    """Check this machine: Python, packages, libraries for pictures, memory and disk."""
    from .doctor import diagnose, problems

    checks = diagnose()
    for check in checks:
        print(f"{'ok     ' if check.ok else 'MISSING' if check.required else 'no     '} {check.name}: {check.detail}")
        if not check.ok and check.remedy:
            print(f"        {check.remedy}")
    if problems(checks):
        raise typer.Exit(1)


app.command()(evaluate)
app.command()(train)
app.add_typer(models)


def main() -> None:
    """The entry point of `lascarseg`: exit code 0, 1 for a failure, 2 for the user's input, 130 when cancelled."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    session = Session(stop=watch_signals())
    try:
        code = _run_app(session)
    except KeyboardInterrupt:
        print(Cancelled(), file=sys.stderr)
        code = Cancelled.exit_code
    leave(code)


def _run_app(session: Session) -> int:
    """Run the command line and return the exit code."""
    try:
        return app(obj=session, standalone_mode=False) or 0
    except Exception as error:
        # Typer's own complaints about the command line; their class is private, and typer changes where it lives.
        if not hasattr(error, "format_message"):
            raise
        command = getattr(getattr(error, "ctx", None), "command_path", "lascarseg")
        # Without any argument the help was shown, and there is no message.
        if message := error.format_message().rstrip("."):
            print(f"Error: {message}. See `{command} --help`.", file=sys.stderr)
        return 2


def _with_terms(request: Request, file: TextIO) -> Request:
    """The request with its models' terms accepted by the person at the terminal; without a person it stays as it is, to be refused.

    Raises `InputError` when the person refuses.
    """
    from .request import terms_to_accept

    if request.accept_terms or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return request
    for bundle in terms_to_accept(request):
        ask_for_terms(bundle, file)
    return replace(request, accept_terms=True)


def _print_numbers(analysis: Analysis, output: Path | None, file: TextIO) -> None:
    from rich.console import Console
    from rich.table import Table

    from .measure.quantities import QUANTITIES
    from .measure.words import number_words, range_words, unit_words

    table = Table(title=f"{analysis.method.words}. For research use only.", title_justify="left")
    for heading, justify in (("", "left"), ("value", "right"), ("unit", "left"), ("perturbation range", "right")):
        table.add_column(heading, justify=justify)
    for name in QUANTITIES:
        q = analysis.measurements[name.key]
        if q.value is not None:
            table.add_row(name.label, number_words(name, q.value), unit_words(q.unit), range_words(name, q))
    console = Console(file=file)
    console.print(table)
    for flag in analysis.flags:
        console.print(f"{'Warning' if flag.severity == 'warning' else 'Note'}: {flag.message}", markup=False, highlight=False)
    if output is not None:
        print(f"Result: {output}", file=file)
