"""`lascarseg measure`: a result again, after a correction or with another method."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from .common import (
    RULES_HELP, BandInsideOption, BandOption, DenseOption, DespiteOption, ForceOption, NativeOption, PlanesOption, ProgressOption,
    ProtocolOption, ThresholdOption, out, print_numbers, reported_errors, shown_progress,
)  # fmt: skip


def measure(
    context: typer.Context,
    result: Annotated[Path, typer.Argument(help="A folder that `lascarseg run` made; its masks may have been corrected.")],
    output: Annotated[
        Optional[Path], typer.Option("--output", "-o", help="Folder for the new result; without it the numbers are only shown.")
    ] = None,
    image: Annotated[Optional[Path], typer.Option(help="The scan, when it is no longer where it was.")] = None,
    scar: Annotated[Optional[str], typer.Option(help=f"{RULES_HELP}, or a scar mask file.", show_default="as before")] = None,
    protocol: ProtocolOption = None,
    threshold: ThresholdOption = None,
    dense_threshold: DenseOption = None,
    planes: PlanesOption = None,
    band: BandOption = None,
    band_inside: BandInsideOption = None,
    confirm_cavity: Annotated[
        bool, typer.Option("--confirm-cavity", help="You looked at the cavity that a model found, and take it for good though it says 'do not use'.")
    ] = False,
    native: NativeOption = False,
    staging: Annotated[Optional[str], typer.Option(help="Which Utah stages, when not those of the result: utah or utah2010.")] = None,
    regions: Annotated[
        Optional[str], typer.Option("--regions", help="How the wall is divided for scar by region, when not as in the result: {schemes}.")
    ] = None,
    despite: DespiteOption = None,
    force: ForceOption = False,
    progress: ProgressOption = None,
) -> None:
    """Measure a result again: with corrected masks, another threshold, another rule, or planes."""
    with reported_errors(context.obj), shown_progress(progress, context.obj) as shown:
        from ..jobs.remeasure import RemeasureRequest, remeasure

        request = RemeasureRequest(
            image=image, scar=scar, threshold=threshold, protocol=protocol, dense=dense_threshold, planes=tuple(planes or ()),
            confirm_cavity=confirm_cavity, native=native, staging=staging, regions=regions, despite=tuple(despite or ()),
            band=tuple(band or ()), band_inside=band_inside,
        )  # fmt: skip
        analysis = remeasure(result, request, output, force, shown)
    print_numbers(analysis, output, out(progress))
