"""`lascarseg phantom`: a simulated scan with its truth, or a cohort of them."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, Optional

import typer

from .common import ForceOption, ProgressOption, out, reported_errors, say, shown_progress


def phantom(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Where to write it; must not exist.")],
    seed: Annotated[int, typer.Option(help="Another number, another patient; the same number, the same voxels.")] = 21,
    native: Annotated[bool, typer.Option("--native", help="Before any ablation: patchy fibrosis only.")] = False,
    small: Annotated[bool, typer.Option("--small", help="A field of view that shows little more than the atrium.")] = False,
    layout: Annotated[
        Optional[Literal["lascarqs"]], typer.Option(help="Write a cohort in the folder layout of the LAScarQS challenge.")
    ] = None,
    count: Annotated[int, typer.Option(help="Number of cases of a cohort.")] = 10,
    task: Annotated[str, typer.Option(help="Task of the challenge: task1 (cavity and scar) or task2 (cavity).")] = "task1",
    force: ForceOption = False,
    progress: ProgressOption = None,
) -> None:
    """Make a simulated LGE-MRI with its cavity, wall, scar, planes and true numbers."""
    with reported_errors(context.obj), shown_progress(progress, context.obj) as shown:
        from ..datasets.phantoms import PHANTOM, write_lascarqs_cohort, write_phantom
        from ..phantom import HEART_FIELD_OF_VIEW, PhantomSettings, make_phantom
        from ..support.whole_folder import check_folder

        settings = PhantomSettings(seed=seed, kind="native" if native else "post_ablation")
        settings = replace(settings, size=HEART_FIELD_OF_VIEW) if small else settings
        if layout == "lascarqs":
            write_lascarqs_cohort(folder, count, seed=seed, task=task, settings=settings, force=force, progress=shown)
        else:
            check_folder(folder, force, PHANTOM)
            write_phantom(make_phantom(settings, shown), folder, force=force)
    say(f"Simulated scan: {folder}", out(progress))
