"""Cutting a data set into folds: seeded, with cases of one group on one side."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from . import FOLDS


@dataclass(frozen=True)
class Split:
    """Names of the cases on either side."""

    training: tuple[str, ...]
    validation: tuple[str, ...]

    def to_json(self) -> dict[str, list[str]]:
        return {"training": list(self.training), "validation": list(self.validation)}


def split(groups: Mapping[str, str], fold: int, folds: int = FOLDS, seed: int = 0) -> Split:
    """Fold `fold` of `folds`: validation on every `folds`-th group of a seeded shuffle, training on the rest.

    Parameters
    ----------
    groups
        each case's group, by the case's name; their order doesn't matter.

    Raises
    ------
    InputError
        one group only, more folds than groups, or no such fold.
    """
    names = sorted(set(groups.values()))
    if len(names) < 2:
        raise InputError(f"There is {len(names)} case or patient to train on; at least 2 are needed, one of them to validate with.")
    if not 2 <= folds <= len(names):
        raise InputError(f"{len(names)} cases or patients can't be cut into {folds} folds. Give --folds from 2 to {len(names)}.")
    if not 0 <= fold < folds:
        raise InputError(f"There is no fold {fold} of {folds}; choose one from 0 to {folds - 1}.")
    shuffled = [names[n] for n in np.random.default_rng(seed).permutation(len(names))]
    held = set(shuffled[fold::folds])
    cases = sorted(groups)
    return Split(tuple(c for c in cases if groups[c] not in held), tuple(c for c in cases if groups[c] in held))
