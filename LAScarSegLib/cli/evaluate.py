"""`lascarseg evaluate`: masks against references."""

from pathlib import Path
from typing import Annotated, Literal, Optional

import typer

from ..evaluation.metrics import DEFAULT_TOLERANCE_MM
from ..support.printable import printable
from .common import ForceOption, ProgressOption, console, out, reported_errors, say, shown_progress


def evaluate(
    context: typer.Context,
    prediction: Annotated[Path, typer.Argument(help="A mask, a result of `lascarseg run`, or a folder of masks or results.")],
    reference: Annotated[Path, typer.Argument(help="The same of the reference: files of the same names, or LAScarQS's folders.")],
    against: Annotated[Optional[Path], typer.Option(help="Predictions of a second method for a paired test (Wilcoxon).")] = None,
    cavity: Annotated[Optional[Path], typer.Option(help="Reference cavities, when they don't lie beside the reference scars.")] = None,
    structure: Annotated[
        Optional[Literal["cavity", "scar"]], typer.Option(help="Compare this only; also what files show whose names don't tell.")
    ] = None,
    tolerance: Annotated[float, typer.Option(help="Tolerance of the surface Dice in mm.")] = DEFAULT_TOLERANCE_MM,
    label: Annotated[Optional[int], typer.Option(help="Which label of the compared masks.")] = None,
    subset: Annotated[bool, typer.Option("--subset", help="Allow references without a prediction.")] = False,
    output: Annotated[Optional[Path], typer.Option("--output", "-o", help="Folder for the scores (CSV, JSON); must not exist.")] = None,
    force: ForceOption = False,
    progress: ProgressOption = None,
) -> None:
    """Score segmentations against references: voxels, surfaces, LAScarQS's scar metrics, with intervals and paired tests."""
    with reported_errors(context.obj), shown_progress(progress, context.obj) as shown:
        from ..evaluation.request import EvaluationRequest, run_evaluation
        from ..evaluation.score_tables import EVALUATION, write_evaluation
        from ..support.whole_folder import check_folder

        if output is not None:
            check_folder(output, force, EVALUATION)
        request = EvaluationRequest(prediction, reference, against, cavity, structure, tolerance, label, subset)
        evaluation = run_evaluation(request, shown)
        if output is not None:
            write_evaluation(evaluation, output, force)
    from ..evaluation.score_tables import remarks, screen_tables

    terminal = console(out(progress))
    for table in screen_tables(evaluation):
        terminal.print(table)
    for line in remarks(evaluation):
        terminal.print(printable(line))
    if output is not None:
        say(f"Scores: {output}", out(progress))
