"""`lascarseg compare`: before and after, or two methods of one scan."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from .common import ForceOption, ProgressOption, console, out, print_remarks, reported_errors, say, shown_progress


def compare(
    context: typer.Context,
    a: Annotated[Path, typer.Argument(help="A result of `lascarseg run` or `surface`: before, or the first method.")],
    b: Annotated[Path, typer.Argument(help="Another: after, or the second method.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the comparison; must not exist.")],
    same_scan: Annotated[bool, typer.Option("--same-scan", help="Two methods of one scan: nothing is moved.")] = False,
    smooth: Annotated[bool, typer.Option("--smooth", help="Bend B smoothly onto A after its rigid motion.")] = False,
    tolerance: Annotated[
        Optional[float],
        typer.Option(help="How near in mm scar must be to the other's to agree, in the numbers within the tolerance.", show_default="the registration's error"),
    ] = None,
    force_different: Annotated[
        bool, typer.Option("--force-different", help="Go on though they seem to be of different patients, or of different scans.")
    ] = False,
    force: ForceOption = False,
    progress: ProgressOption = None,
) -> None:
    """Compare two results: scar of both, new scar and scar that is gone; or what two methods find on one scan."""
    with reported_errors(context.obj), shown_progress(progress, context.obj) as shown:
        from ..jobs.compare import CompareRequest, compare_results

        how = {"same_scan": same_scan, "smooth": smooth, "tolerance_mm": tolerance, "force_different": force_different}
        compared = compare_results(CompareRequest(a, b, output, force, **how), shown)
    from rich.table import Table

    from ..analysis.comparison import COMPARED_NUMBERS
    from ..measure.numbers import UNIT_TEXT
    from ..support.flags import NOTE

    file, comparison = out(progress), compared.comparison
    print_remarks([remark for remark in compared.remarks if remark.severity != NOTE], file)
    say(compared.headline, file)
    table = Table(title="On the wall that both show. For research use only.", title_justify="left")
    for heading, justify in (("", "left"), ("value", "right"), ("unit", "left")):
        table.add_column(heading, justify=justify)
    for number in COMPARED_NUMBERS:
        if comparison.numbers[number.key] is not None:
            label = number.of_methods if comparison.of_methods else number.label
            table.add_row(label, number.text(comparison.numbers[number.key]), UNIT_TEXT.get(number.unit, number.unit))
    console(file).print(table)
    say(compared.residual_sentence, file)
    print_remarks([remark for remark in compared.remarks if remark.severity == NOTE], file)
    say(f"Comparison: {output}", file)
