"""The cut of a paper's scans into those to train on, to validate with and to test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError


@dataclass(frozen=True)
class Parts:
    """Names of one task's cases, each in one part."""

    training: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def part(self, name: str) -> tuple[str, ...]:
        """`training`, `validation` or `test`."""
        return getattr(self, name)


def cut(
    units: Mapping[str, Mapping[str, str]], validation: float, test: float, folds: int = 1, fold: int = 0, seed: int = 0
) -> dict[str, Parts]:
    """Each task's cases in three parts; all cases of one unit are in the same part, in whatever tasks they are.

    Parameters
    ----------
    units
        by task and case what must stay together: the case itself (by scan as printed), or the hash of its voxels.
    validation, test
        shares of all units of a task, rounded, at least one unit where a share is not 0; with `folds` above 1 `validation` isn't used: the
        validation part is every `folds`-th of what isn't test, from `fold` on.

    Raises
    ------
    InputError
        too few units for these parts.
    """
    part_of: dict[str, str] = {}
    for number, (task, cases) in enumerate(sorted(units.items())):
        # What an earlier task has placed stays there; the rest is cut for itself.
        new = sorted(set(cases.values()) - part_of.keys())
        shuffled = [new[n] for n in np.random.default_rng([seed, number]).permutation(len(new))]
        part_of |= _parts_of(shuffled, validation, test, folds, fold)
        for part in ("training", *(["validation"] if validation or folds > 1 else []), *(["test"] if test else [])):
            if part not in {part_of[unit] for unit in cases.values()}:
                raise InputError(f"{task} has {len(set(cases.values()))} scans: too few for a {part} part of its own. Add cases.")
    named = {task: {part: [] for part in ("training", "validation", "test")} for task in units}
    for task, cases in units.items():
        for name in sorted(cases):
            named[task][part_of[cases[name]]].append(name)
    return {task: Parts(*(tuple(names) for names in parts.values())) for task, parts in named.items()}


def _parts_of(shuffled: Sequence[str], validation: float, test: float, folds: int, fold: int) -> dict[str, str]:
    if not shuffled:
        return {}
    tested = _count(len(shuffled), test)
    held, rest = shuffled[:tested], shuffled[tested:]
    validated = rest[fold::folds] if folds > 1 else rest[: _count(len(shuffled), validation)]
    of_rest = {unit: "validation" if unit in set(validated) else "training" for unit in rest}
    return {unit: "test" for unit in held} | of_rest


def _count(units: int, share: float) -> int:
    return max(1, round(units * share)) if share else 0
