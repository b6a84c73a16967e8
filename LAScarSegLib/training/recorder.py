"""What a training leaves while it runs: progress, validation, checkpoints, curves."""

import csv
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import lightning
import torch

from ..errors import Cancelled, ProcessingError
from ..support.progress import Progress
from .module import TrainingModule
from .run_folder import CURVES, PICTURE, SCORES, TrainingRun, write_whole
from .settings import BEST, LAST, TrainingSettings
from .validation import ValidationScore, score_cases

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
    phase: str = ""


class Recorder(lightning.Callback):
    """Reports every step; after each epoch writes the checkpoint and curves, every few epochs validates on whole scans.

    Parameters
    ----------
    total_steps
        of this call, for the progress.
    validate_every
        epochs; the last epoch of a phase is always validated.
    rows
        of the phases before.
    """

    def __init__(
        self, run: TrainingRun, progress: Progress, total_steps: int, validate_every: int, rows: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        self.run, self.progress, self.total_steps, self.validate_every = run, progress, total_steps, validate_every
        self.rows = [CurveRow(**row) for row in rows]
        self.best: dict[str, Any] | None = None
        self.losses: list[float] = []

    def state_dict(self) -> dict[str, Any]:
        return {"rows": [asdict(row) for row in self.rows], "best": self.best, "losses": list(self.losses)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = [CurveRow(**row) for row in state_dict["rows"]]
        self.best, self.losses = state_dict["best"], list(state_dict["losses"])

    def on_train_batch_end(self, trainer: lightning.Trainer, pl_module: TrainingModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        loss = float(outputs["loss"].detach())
        step = pl_module.steps_before + trainer.global_step
        if not math.isfinite(loss):
            raise ProcessingError(
                f"The loss is {loss} at step {step}: the training diverged. Continue from the last checkpoint in "
                "full precision (--resume --precision 32)."
            )
        self.losses.append(loss)
        # Nothing has moved yet while the first gradients are being added up.
        epoch = max(0, step - 1) // self.run.settings.steps_per_epoch + 1
        self._report(trainer, step, f"Epoch {epoch} of {self.run.settings.total_epochs}, step {step}, loss {loss:.3f}{self._best_text()}")

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: TrainingModule) -> None:
        if not self.losses:
            return
        step, per_epoch = pl_module.steps_before + trainer.global_step, self.run.settings.steps_per_epoch
        epoch, planned = math.ceil(step / per_epoch), pl_module.epochs * per_epoch
        last = step >= self.total_steps or trainer.global_step >= planned
        scores = self._validate(trainer, pl_module) if last or epoch % self.validate_every == 0 else None
        mean = None if scores is None else sum(score.dice for score in scores) / len(scores)
        loss = _mean_of_all(trainer, sum(self.losses) / len(self.losses))
        row = CurveRow(epoch, step, pl_module.rate_used, loss, mean, pl_module.phase.name)
        # An epoch that was stopped half-way and continued is one row.
        self.rows = [row for row in self.rows if row.epoch != epoch] + [row]
        if step % per_epoch == 0:
            self.losses = []
        better = mean is not None and (self.best is None or mean >= self.best["dice"])
        if better:
            self.best = _summary(step, mean, scores)
        pl_module.done = trainer.global_step >= planned or self._stops(pl_module)
        trainer.should_stop = trainer.should_stop or pl_module.done
        self._save(trainer, better)
        if trainer.is_global_zero:
            self._write(_summary(step, mean, scores) if scores else None)

    def _stops(self, module: TrainingModule) -> bool:
        """Whether the phase's rule for stopping says so."""
        mine = [row for row in self.rows if row.phase == module.phase.name]
        stop = module.recipe.stop
        return stop is not None and stop.says_stop(*zip(*((row.epoch, row.dice, row.loss) for row in mine)))

    def _validate(self, trainer: lightning.Trainer, module: TrainingModule) -> list[ValidationScore]:
        """Each process scores its share of the cases; all get all scores."""
        cases = self.run.part(self.run.split.validation)
        mine = cases[trainer.global_rank :: trainer.world_size]
        settings = self.run.settings

        def report(done: float, name: str) -> None:
            self._report(trainer, module.steps_before + trainer.global_step, f"Validating on {name}{self._best_text()}")

        watched = module.phase.watched
        scores = score_cases(
            module.judged, mine, self.run.prepared, module.stage, settings.size, str(module.device), report, watched, self.run.learned
        )
        module.train()
        if trainer.world_size == 1:
            return scores
        gathered: list[list[ValidationScore]] = [[] for _ in range(trainer.world_size)]
        torch.distributed.all_gather_object(gathered, scores)
        return [score for part in gathered for score in part]

    def _save(self, trainer: lightning.Trainer, better: bool) -> None:
        # Written beside, then renamed: a machine that dies while writing leaves the checkpoint before.
        for name in (LAST, BEST) if better else (LAST,):
            scratch = self.run.folder / f".{name}.partial"
            trainer.save_checkpoint(scratch)
            if trainer.is_global_zero:
                os.replace(scratch, self.run.folder / name)
        # The next phase reads it, in every process.
        trainer.strategy.barrier()

    def _write(self, latest: dict[str, Any] | None) -> None:
        write_curves(self.rows, self.run.folder / CURVES)
        if latest is not None:
            content = {"total_steps": self.run.total_steps, "best": self.best, "last": latest}
            write_whole(self.run.folder / SCORES, json.dumps(content, indent=2) + "\n")
            draw_curves(self.rows, self.run.folder / PICTURE, self.run.settings, self.run.simulated)

    def _report(self, trainer: lightning.Trainer, step: int, message: str) -> None:
        # One process speaks for all.
        progress = self.progress if trainer.is_global_zero else Progress()
        try:
            progress.report("train", step / self.total_steps, message)
        except Cancelled:
            raise Cancelled(stopped_text(self.run)) from None

    def _best_text(self) -> str:
        return f", best Dice {self.best['dice']:.3f}" if self.best else ""


def stopped_text(run: TrainingRun) -> str:
    """What is left of a training that was stopped."""
    if (run.folder / LAST).is_file():
        return f"Stopped. {run.folder} keeps the training up to its last whole epoch; the same command with --resume continues it."
    return f"Stopped. {run.folder} keeps the prepared cases; the same command with --resume trains on them."


def _summary(step: int, mean: float, scores: list[ValidationScore]) -> dict[str, Any]:
    return {"step": step, "dice": mean, "cases": [asdict(score) for score in sorted(scores, key=lambda s: s.name)]}


def _mean_of_all(trainer: lightning.Trainer, value: float) -> float:
    if trainer.world_size == 1:
        return value
    return float(trainer.strategy.reduce(torch.tensor(value, device=trainer.strategy.root_device), reduce_op="mean"))


def write_curves(rows: Sequence[CurveRow], path: Path) -> None:
    """The table as CSV, a row per epoch."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [f.name for f in fields(CurveRow)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
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
