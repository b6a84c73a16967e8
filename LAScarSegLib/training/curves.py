"""A training's curves: a table, and a picture."""

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from .run_folder import write_whole
from .settings import TrainingSettings

LOSS_COLOUR, DICE_COLOUR = "#33558b", "#b5532a"
"""Blue and orange, told apart also without colour vision (a dark and a lighter one)."""
SIZE_INCHES, DPI = (7.0, 3.6), 130


@dataclass(frozen=True)
class CurveRow:
    """One epoch: `loss` is the mean over its steps, `dice` that of the validation cases, None where none was made."""

    epoch: int
    step: int
    learning_rate: float
    loss: float
    dice: float | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def write_curves(rows: Sequence[CurveRow], path: Path) -> None:
    """The table as CSV, a row per epoch."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [f.name for f in fields(CurveRow)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(row.to_json() for row in rows)
    write_whole(path, text.getvalue())


def draw_curves(rows: Sequence[CurveRow], path: Path, settings: TrainingSettings, simulated: bool) -> None:
    """Loss and validation Dice over the epochs, as a picture that says when the scans are `simulated`. Imports matplotlib."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE_INCHES, dpi=DPI, layout="constrained")
    left = figure.add_subplot()
    epochs = [row.epoch for row in rows]
    left.plot(epochs, [row.loss for row in rows], color=LOSS_COLOUR, marker="." if len(rows) < 3 else None)
    about = f"{settings.system}, {settings.stage} ({settings.variant}), fold {settings.fold} of {settings.folds}"
    left.set(xlabel="epoch", title=f"{about}: simulated scans" if simulated else about)
    left.set_ylabel("training loss", color=LOSS_COLOUR)
    left.xaxis.get_major_locator().set_params(integer=True)
    right = left.twinx()
    scored = [row for row in rows if row.dice is not None]
    right.plot([row.epoch for row in scored], [row.dice for row in scored], color=DICE_COLOUR, marker="o", markersize=3)
    right.set_ylabel("validation Dice", color=DICE_COLOUR)
    right.set_ylim(0.0, 1.0)
    for axes in (left, right):
        axes.spines["top"].set_visible(False)
    scratch = path.with_name(f".{path.name}.partial")
    figure.savefig(scratch, format="png")
    os.replace(scratch, path)
