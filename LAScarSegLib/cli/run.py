"""`lascarseg run`: one scan, from its file to a result."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional, TextIO

import typer

from .common import (
    RULES_HELP, BandInsideOption, BandOption, DenseOption, DespiteOption, ForceOption, NativeOption, PlanesOption, ProgressOption,
    ProtocolOption, RegionsOption, ThresholdOption, out, print_numbers, reported_errors, shown_progress,
)  # fmt: skip
from .models import ask_for_terms

if TYPE_CHECKING:
    from ..jobs.request import Request

LABEL_HELP = "Which label of the {} mask: a number or a segment's name. Repeated: all of them together."


def run(
    context: typer.Context,
    image: Annotated[Path, typer.Argument(help="The scan: NRRD, NIfTI, MetaImage, or a folder with one DICOM series.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the result; must not exist.")],
    cavity: Annotated[
        Optional[Path], typer.Option(help="Mask of the LA cavity, a closed surface mesh of it, or a model that finds it.", show_default="the model that comes along")
    ] = None,
    wall: Annotated[Optional[Path], typer.Option(help="Mask of the wall; else it is 0–2.5 mm outside the cavity.")] = None,
    scar: Annotated[Optional[str], typer.Option(help=f"{RULES_HELP} on the wall's voxels, a scar mask file, or a model.", show_default="a protocol")] = None,
    protocol: ProtocolOption = None,
    threshold: ThresholdOption = None,
    dense_threshold: DenseOption = None,
    planes: PlanesOption = None,
    no_find_planes: Annotated[bool, typer.Option("--no-find-planes", help="Without --planes, don't look for the mitral valve and the veins.")] = False,
    band: BandOption = None,
    band_inside: BandInsideOption = None,
    despite: DespiteOption = None,
    label: Annotated[str, typer.Option(help="What the case is called in report, figures and scene.", show_default="none")] = "",
    native: NativeOption = False,
    staging: Annotated[str, typer.Option(help="Which Utah stages: utah (10/20/30 %) or utah2010 (5/20/35 %).")] = "utah",
    regions: RegionsOption = "walls",
    cavity_label: Annotated[Optional[list[str]], typer.Option(help=LABEL_HELP.format("cavity"), show_default="the only one")] = None,
    wall_label: Annotated[Optional[list[str]], typer.Option(help=LABEL_HELP.format("wall"), show_default="the only one")] = None,
    scar_label: Annotated[Optional[list[str]], typer.Option(help=LABEL_HELP.format("scar"), show_default="the only one")] = None,
    device: Annotated[str, typer.Option(help="What models compute on: auto, cpu, cuda, cuda:N or mps.")] = "auto",
    roi: Annotated[Optional[Path], typer.Option(help="Mask around the left atrium, for a model that can't find it.")] = None,
    whole_scan: Annotated[bool, typer.Option("--whole-scan", help="Models look at the whole scan, not at a region first.")] = False,
    mirror: Annotated[bool, typer.Option("--mirror", help="Models average over mirrored images: up to 8 times slower.")] = False,
    mask_prediction: Annotated[
        Optional[bool],
        typer.Option(
            "--mask-prediction/--no-mask-prediction", help="Cut a model's scar to its system's region around the wall.", show_default="as the system has it"
        ),
    ] = None,
    no_doubt: Annotated[bool, typer.Option("--no-doubt", help="Don't ask how far a model's cavity can be trusted: saves a third of its time.")] = False,
    accept_terms: Annotated[bool, typer.Option("--accept-terms", help="Accept the terms that the models come with.")] = False,
    force: ForceOption = False,
    progress: ProgressOption = None,
) -> None:
    """Measure the scar of one scan: maps, numbers, figures, report and a Slicer scene."""
    with reported_errors(context.obj):
        from ..analysis import ByRule
        from ..analysis.settings import Settings
        from ..jobs.request import Request, choose_scar, run_request
        from ..surface.band_reach import BandReach

        method = choose_scar(scar, threshold, protocol, dense_threshold, models=True)
        bands = BandReach().changed_by(band or (), band_inside)
        settings = Settings(native=native, staging=staging, regions=regions, label=label, despite=tuple(despite or ()), bands=bands)
        if isinstance(method, ByRule):
            settings = replace(
                settings, rule=method.name, threshold=method.parameter, protocol=method.protocol, dense_threshold=method.dense
            )
        labels = {"cavity": cavity_label, "wall": wall_label, "scar": scar_label}
        request = Request(
            image=image, output=output, cavity=cavity, wall=wall, scar=None if isinstance(method, ByRule) else str(method),
            planes=tuple(planes or ()), force=force, settings=settings,
            labels={name: tuple(label) for name, label in labels.items() if label},
            device=device, region_first=not whole_scan, mirror=mirror, mask_prediction=mask_prediction, roi=roi, doubt=not no_doubt,
            find_planes=not no_find_planes, accept_terms=accept_terms,
        )  # fmt: skip
        # Before the bar, which would be drawn over the question.
        request = _with_terms(request, out(progress))
        with shown_progress(progress, context.obj) as shown:
            analysis = run_request(request, shown)
    print_numbers(analysis, output, out(progress))


def _with_terms(request: Request, file: TextIO) -> Request:
    """The request with its models' terms accepted by the person at the terminal; without a person it stays as it is, to be refused.

    Raises `InputError` when the person refuses.
    """
    from ..jobs.request import terms_to_accept

    if request.accept_terms or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return request
    for bundle in terms_to_accept(request):
        ask_for_terms(bundle, file)
    return replace(request, accept_terms=True)
