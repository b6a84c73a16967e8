"""What a paper's tables need: how its scans are cut, which networks are trained in which order, what each row is measured on, and what was
published. Plain values, one description beside each system; `jobs.reproduction` follows any of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import InputError

MANUAL = "manual"
"""In place of a training's key: the cavity that came with the scan."""
PARTS = ("training", "validation", "test")

Published = tuple[float, float | None]
"""Mean and SD as printed (Dice in 0…1, lengths in mm); None where no SD is given."""


@dataclass(frozen=True)
class Shares:
    """How each task's scans are cut: `validation` and `test` are shares of all; what is left is trained on.

    With `folds` above 1 each fold's validation part is one of so many equal parts of what isn't `test`, and everything is done once a fold.
    """

    validation: float = 0.0
    test: float = 0.0
    folds: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.validation + self.test < 1 or min(self.validation, self.test) < 0 or self.folds < 1:
            raise InputError(f"Shares of {self.validation:g} and {self.test:g} in {self.folds} folds leave nothing to train on.")


@dataclass(frozen=True)
class Training:
    """One network of the paper, by `key`; with `folds` above 1 an ensemble, trained in a cross-validation of the training part."""

    key: str
    stage: str
    variant: str = "full"
    task: str = "task1"
    folds: int = 1
    all_scans: bool = False
    """On every scan of its task, those too that another task's scores are measured on (unless duplicates are kept together)."""
    start_from: str = ""
    """The training whose weights it begins with."""
    cavities: str = ""
    """The training whose folds predict its cavities, or say where its crop lies; none: the manual ones, the scan's middle."""
    coarse: str = ""
    """The training that finds the atrium first when this one is used."""
    checkpoint: str = "best"
    """`best` by validation Dice, or `last`: what is used of it."""
    system: str = ""
    preset: str = ""
    """Another system's network, or always this preset; empty: the paper's, and the one that is asked for."""


@dataclass(frozen=True)
class Row:
    """One row of a table. `published` by `Metric.key`; the rest says what is measured: which cavity, and which scar on it."""

    label: str
    published: Mapping[str, Published] = field(default_factory=dict)
    cavity: str = ""
    """A training's key, or `MANUAL`."""
    scar: str = ""
    """A training's key."""
    rule: str = ""
    """A rule of `intensity.rules` in place of a network of the scar."""
    cavity_variant: str = ""
    scar_variant: str = ""
    """The same weights read as another variant of their stage: with or without a filter, a threshold."""
    absent: str = ""
    """Why it is not computed here; empty: it is."""


@dataclass(frozen=True)
class Table:
    """A table of the paper: masks of `structure` on the scans of `task` that are its `part`, by the metrics `columns`."""

    key: str
    title: str
    structure: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    task: str = "task1"
    part: str = "validation"
    compared: tuple[tuple[str, str], ...] = ()
    """Pairs of rows whose first column the paper compares with a paired t-test."""

    def __post_init__(self) -> None:
        labels = [row.label for row in self.rows]
        if len(set(labels)) < len(labels) or any(label not in labels for pair in self.compared for label in pair):
            raise InputError(f"The rows of {self.key!r} must have different labels, and those compared must be among them.")
        unknown = {key for row in self.rows for key in row.published} - set(self.columns)
        if self.part not in PARTS or unknown:
            raise InputError(f"{self.key!r}: part {self.part!r}, published columns {', '.join(unknown) or 'known'}.")


@dataclass(frozen=True)
class Reproduction:
    """Everything that `lascarseg reproduce` needs to know of a paper."""

    split: Shares
    trainings: tuple[Training, ...]
    """In the order in which they can be done."""
    tables: tuple[Table, ...]
    differences: tuple[str, ...]
    """What is done in another way than the paper, beyond what Docs/systems.md lists of its networks."""
    validate_every: int = 5
    largest_part: bool = False
    """Score the cavity as it is used, the largest part without holes; else every voxel above the threshold."""
    mask_prediction: bool | None = None
    """Whether scar outside the system's region counts; None: as the system has it."""

    def __post_init__(self) -> None:
        known: set[str] = set()
        for training in self.trainings:
            lacking = {training.start_from, training.cavities, training.coarse} - known - {""}
            if lacking or training.key in known:
                raise InputError(f"The training {training.key!r} comes twice, or needs {', '.join(lacking)} before it.")
            known.add(training.key)
        asked = {key for table in self.tables for row in table.rows for key in (row.cavity, row.scar)} - known - {"", MANUAL}
        if asked:
            raise InputError(f"No training is called {', '.join(sorted(asked))}.")

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks of LAScarQS that are needed, in their order."""
        return tuple(sorted({t.task for t in self.trainings} | {table.task for table in self.tables}))

    def training(self, key: str) -> Training:
        """The training called `key`."""
        return next(training for training in self.trainings if training.key == key)
