"""Checks of values that people or files gave, with words for what is wrong."""

from math import isfinite

from ..errors import InputError


def require_number(name: str, value: object, low: float, high: float) -> None:
    """Raise `InputError` unless `value` is a finite number in `low`…`high`."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)
    if not number or not low <= value <= high:
        bounds = f"at least {low:g}" if high == float("inf") else f"between {low:g} and {high:g}"
        raise InputError(f"{name} is {value!r}; it must be a number {bounds}.")


def require_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise `InputError` unless `value` is one of `choices`."""
    if value not in choices:
        raise InputError(f"{name} is {value!r}; choose one of {', '.join(choices)}.")
