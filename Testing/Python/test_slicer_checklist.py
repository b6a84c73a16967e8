"""The checklist names tests that exist, the tutorial shows pictures that exist, and two points that no other test shows."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

BROUGHT_BY_SLICER = {"numpy", "scipy", "simpleitk", "vtk", "requests", "pydicom", "packaging", "torch"}
"""What Slicer or the PyTorch extension installs: pip must never replace it."""
NETWORK_MODULES = {"http", "urllib", "urllib3", "requests", "ftplib", "smtplib", "xmlrpc", "aiohttp", "httpx"}
FETCHING = "LAScarSegLib/models/fetch.py"
ASKED = {"LAScarSegLib/cli/models.py", "LAScarSegLib/session/model_fetch.py"}
"""The command `lascarseg models get`, and the panel's button."""
NETWORK_CALLS = ("socket.socket", "create_connection", "QNetworkAccessManager")
"""`socket` itself is imported for the machine's name."""


@pytest.fixture(scope="module")
def checklist(repository: Path) -> str:
    return (repository / "Docs" / "slicer_checklist.md").read_text(encoding="utf-8")


def imports_of(path: Path) -> set[str]:
    """The top-level names of everything a file imports, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.split(".")[0])
    return names


def test_every_point_from_1_to_25_is_answered_in_order(checklist: str) -> None:
    assert [int(number) for number in re.findall(r"^\*\*(\d+)\. ", checklist, re.MULTILINE)] == list(range(1, 26))


def test_every_point_names_a_test(checklist: str) -> None:
    points = re.split(r"^\*\*\d+\. ", checklist, flags=re.MULTILINE)[1:]
    assert [number for number, point in enumerate(points, 1) if "::test_" not in point] == []


def test_every_test_that_is_named_exists(checklist: str, repository: Path) -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", checklist)
    assert len(named) > 50
    missing = []
    for file, name in named:
        folder = repository / "Testing" if file.startswith("Slicer/") else repository / "Testing" / "Python"
        path = folder / file
        if not path.is_file() or not re.search(rf"^\s*def {name}\(", path.read_text(encoding="utf-8"), re.MULTILINE):
            missing.append(f"{file}::{name}")
    assert missing == []


def test_every_test_for_slicer_is_run_by_ctest(repository: Path) -> None:
    folder = repository / "Testing" / "Slicer"
    listed = re.findall(r"^  (LAScarSeg\w+)$", (folder / "CMakeLists.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(path.stem for path in folder.glob("*Test.py"))


@pytest.mark.parametrize("page", ["tutorial.md", "slicer_checklist.md"])
def test_pictures_and_pages_that_are_linked_exist(repository: Path, page: str) -> None:
    text = (repository / "Docs" / page).read_text(encoding="utf-8")
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    assert links and [link for link in links if not (repository / "Docs" / link).is_file()] == []


def test_the_tutorials_numbers_of_the_phantom_are_the_samples_truth(repository: Path) -> None:
    from LAScarSegLib.datasets.sample_data import sample

    text = (repository / "Docs" / "tutorial.md").read_text(encoding="utf-8")
    for key, value in sample().truth.items():
        assert f"| {value:.1f} " in text, key


def test_no_requirement_is_a_package_that_slicer_brings(repository: Path) -> None:
    files = sorted((repository / "Resources").glob("requirements*.txt"))
    assert files
    for file in files:
        lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
        names = {re.split(r"[<>=!~\[ ]", line)[0].lower() for line in lines}
        assert not names & BROUGHT_BY_SLICER, file.name
        assert all(">=" in line and "==" not in line for line in lines), "lower bounds only: a pin would replace what others installed"


def test_one_file_opens_connections_and_it_is_loaded_by_those_who_were_asked_to_fetch(repository: Path) -> None:
    code = [path for folder in ("LAScarSeg", "LAScarSegLib") for path in (repository / folder).rglob("*.py")]
    found = {str(path.relative_to(repository)): sorted(imports_of(path) & NETWORK_MODULES) for path in code}
    assert {path: names for path, names in found.items() if names} == {FETCHING: ["http", "urllib"]}
    texts = {str(path.relative_to(repository)): path.read_text(encoding="utf-8") for path in code}
    assert [path for path, text in texts.items() if any(call in text for call in NETWORK_CALLS)] == []
    assert {path for path, text in texts.items() if re.search(r"models\.fetch import|models import fetch\b", text)} == ASKED
