"""The steps of an analysis, remembered: one whose ingredients are what they were isn't taken again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")


class StepCache:
    """Takes the steps of one analysis: `steps(function, *ingredients)` is `function(*ingredients)`.

    A function must follow from its arguments alone, and nobody changes what goes in or comes out. Then an analysis that starts
    from the steps of an earlier one can't differ from one that starts from nothing.

    Parameters
    ----------
    earlier
        the steps of another analysis of the same scan.
    replayed
        values by the function's name, in the order of the calls, that another process computed from the same ingredients.
    """

    def __init__(self, earlier: StepCache | None = None, replayed: Mapping[str, list[Any]] | None = None) -> None:
        self._earlier = {} if earlier is None else earlier._earlier | earlier._taken
        self._replayed: dict[str, Iterator[Any]] = {name: iter(values) for name, values in (replayed or {}).items()}
        self._taken: dict[Callable[..., Any], list[tuple[tuple[Any, ...], Any]]] = {}

    def __call__(self, function: Callable[..., T], *ingredients: Any) -> T:
        return self._take(function, ingredients, function)

    def nested(self, function: Callable[..., T], *ingredients: Any) -> T:
        """Likewise `function(*ingredients, these steps)`, which takes steps of its own."""
        return self._take(function, ingredients, lambda *given: function(*given, self))

    def _take(self, function: Callable[..., T], ingredients: tuple[Any, ...], work: Callable[..., T]) -> T:
        taken = self._taken.setdefault(function, [])
        for those, value in taken:
            if _all_same(those, ingredients):
                return value
        for those, value in self._earlier.get(function, ()):
            if _all_same(those, ingredients):
                break
        else:
            those, value = ingredients, self._value(function, ingredients, work)
        taken.append((those, value))
        return value

    def _value(self, function: Callable[..., T], ingredients: tuple[Any, ...], work: Callable[..., T]) -> T:
        if function.__name__ in self._replayed:
            return next(self._replayed[function.__name__])
        return work(*ingredients)

    def finish(self) -> None:
        """The analysis is complete: of what was computed earlier only the steps that it left out are kept, for the next one."""
        self._earlier = {function: taken for function, taken in self._earlier.items() if function not in self._taken}

    def values(self, function: Callable[..., T]) -> list[T]:
        """What the function gave in this analysis, in the order of the calls."""
        return [value for _, value in self._taken.get(function, ())]


def _all_same(those: tuple[Any, ...], these: tuple[Any, ...]) -> bool:
    return len(those) == len(these) and all(map(_same, those, these))


def _same(one: Any, other: Any) -> bool:
    """The same object, or an equal value; arrays and what holds arrays are compared by identity, masks by their voxels."""
    if one is other:
        return True
    return not isinstance(one, np.ndarray) and type(one) is type(other) and bool(one == other)
