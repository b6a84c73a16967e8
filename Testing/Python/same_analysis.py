"""Two analyses compared to the last array, number, flag and word."""

from __future__ import annotations

import dataclasses
from enum import Enum

import numpy as np

from LAScarSegLib.analysis import Analysis

NOT_CONTENT = ("steps",)
"""How it was computed, which is no part of what was found."""


def assert_same(one: Analysis, other: Analysis, same_run: bool = False) -> None:
    """Equal in every field, arrays included. With `same_run` it was read back, so that it was made at the same time, too."""
    if not same_run:
        one, other = (dataclasses.replace(a, provenance=a.provenance | {"created": ""}) for a in (one, other))
    assert_equal(one, other)


def assert_equal(one: object, other: object, where: str = "analysis") -> None:
    """Equal down through dataclasses and containers, types included."""
    if dataclasses.is_dataclass(one):
        assert type(one) is type(other), where
        for field in dataclasses.fields(one):
            if field.name not in NOT_CONTENT:
                assert_equal(getattr(one, field.name), getattr(other, field.name), f"{where}.{field.name}")
    elif isinstance(one, np.ndarray):
        assert isinstance(other, np.ndarray) and one.dtype == other.dtype, where
        np.testing.assert_array_equal(one, other, err_msg=where)
    elif isinstance(one, (tuple, list)):
        assert len(one) == len(other), where
        for number, pair in enumerate(zip(one, other)):
            assert_equal(*pair, f"{where}[{number}]")
    elif isinstance(one, dict):
        assert list(one) == list(other), where
        for key in one:
            assert_equal(one[key], other[key], f"{where}[{key}]")
    elif isinstance(one, Enum):
        assert one is other, where
    else:
        assert one == other, f"{where}: {one!r} is not {other!r}"
