"""Fixtures shared by the tests."""

from __future__ import annotations

import locale
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from atrium_model import VEINS, ball_with_openings

from LAScarSegLib.surface.flat_map import FlatMap, flatten
from LAScarSegLib.surface.surface import Surface

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the source tree."""
    return REPOSITORY


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Real scans, which are never part of the repository: LASCARSEG_TEST_DATA, else ../shared/data beside the repository."""
    folder = Path(os.environ.get("LASCARSEG_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real scans: {folder} is not a folder (set LASCARSEG_TEST_DATA)")
    return folder


@pytest.fixture(scope="session")
def atrium() -> Surface:
    """The simplest atrium, a ball with the standard's openings."""
    return ball_with_openings(VEINS)


@pytest.fixture(scope="session")
def flat(atrium: Surface) -> FlatMap:
    """Its flat map."""
    return flatten(atrium)


@pytest.fixture(autouse=True)
def own_locale() -> Iterator[None]:
    """A test keeps its locale to itself: writing DICOM through SimpleITK leaves the process in "C", where `open` means ASCII."""
    before = locale.setlocale(locale.LC_CTYPE)
    yield
    locale.setlocale(locale.LC_CTYPE, before)
