"""Parts of a surface's findings that may be kept when something else of it changes: by what they follow from, compared by content."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np

T = TypeVar("T")


class TakesSteps(Protocol):
    """`steps(function, *ingredients)` is `function(*ingredients)`, perhaps remembered (`analysis.steps.StepCache`)."""

    def __call__(self, function: Callable[..., T], *ingredients: Any) -> T: ...


def anew(function: Callable[..., T], *ingredients: Any) -> T:
    """Nothing is remembered."""
    return function(*ingredients)


@dataclass(frozen=True, eq=False)
class ByContent:
    """Arrays and values that equal others of the same type whose elements are all the same."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and all(_equal(value, vars(other)[name]) for name, value in vars(self).items())


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return one is other or one.dtype == other.dtype and np.array_equal(one, other)
    return bool(one == other)
