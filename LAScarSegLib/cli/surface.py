"""`lascarseg surface`: scar on a surface that somebody else made, without a scan."""

from pathlib import Path
from typing import Annotated, Literal, Optional

import typer

from .common import (
    BandInsideOption, BandOption, ForceOption, PlanesOption, ProgressOption, RegionsOption, numbers_table, out, print_remarks, reported_errors,
    say, shown_progress,
)  # fmt: skip


def surface(
    context: typer.Context,
    mesh: Annotated[Path, typer.Argument(help="The LA surface: VTK, VTP, PLY, STL, CARTO .mesh, or EnSite DIF (.xml, .dif).")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the result; must not exist.")],
    scar: Annotated[
        Optional[str],
        typer.Option(help="The mesh's array that is scar where it is above 0, or a limit: 'scalars>100' (also >=, <, <=).", show_default="shape only"),
    ] = None,
    dense_threshold: Annotated[
        Optional[float], typer.Option(help="The value of that array above which scar is dense.", show_default="none")
    ] = None,
    lge: Annotated[
        Optional[str],
        typer.Option(help="The array of grey levels.", show_default="the array of --scar, if it has a lower limit and the values of an image"),
    ] = None,
    planes: PlanesOption = None,
    no_find_planes: Annotated[
        bool, typer.Option("--no-find-planes", help="Without --planes, don't look for the mitral valve and the veins of a closed mesh.")
    ] = False,
    band: BandOption = None,
    band_inside: BandInsideOption = None,
    regions: RegionsOption = "walls",
    unit: Annotated[
        Optional[Literal["mm", "cm", "m", "um"]], typer.Option(help="Unit of the coordinates.", show_default="told from the size")
    ] = None,
    label: Annotated[str, typer.Option(help="What the case is called.", show_default="none")] = "",
    force: ForceOption = False,
    progress: ProgressOption = None,
) -> None:
    """Measure scar on a surface from elsewhere (a mapping system, another program), without the scan."""
    with reported_errors(context.obj), shown_progress(progress, context.obj) as shown:
        from ..jobs.surface_request import SurfaceRequest, measure_surface
        from ..surface.band_reach import BandReach

        request = SurfaceRequest(
            mesh, output, scar, dense_threshold, lge, tuple(planes or ()), unit, label,
            find_planes=not no_find_planes, regions=regions, force=force, bands=BandReach().changed_by(band or (), band_inside),
        )  # fmt: skip
        analysis = measure_surface(request, shown)
    from ..support.flags import NOTE

    file = out(progress)
    print_remarks([remark for remark in analysis.remarks if remark.severity != NOTE], file)
    if analysis.headline:
        say(", ".join(filter(None, (analysis.headline.sentence, analysis.headline.area_text))), file)
    numbers_table(f"{f'{label}. ' if label else ''}{analysis.method.label}. For research use only.", analysis.measurements, analysis.method.parameter_name, file)
    print_remarks([remark for remark in analysis.remarks if remark.severity == NOTE], file)
    say(f"Result: {output}", file)
