"""The Extensions Index would take the repository; and each of its rules is one that a tree can break."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from types import ModuleType

import pytest

COPIED = (
    "CMakeLists.txt", "LAScarSeg.json", "LICENSE.txt", "README.md", "LAScarSeg.png", "CITATION.cff", "Docs", "LAScarSeg", "Resources/Models",
)  # fmt: skip


@pytest.fixture(scope="module")
def index() -> ModuleType:
    """Testing/check_extension_index.py, which is a script and no package."""
    path = Path(__file__).resolve().parents[1] / "check_extension_index.py"
    specification = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def tree(repository: Path, tmp_path: Path) -> Path:
    """A copy of what the rules look at, to break."""
    root = tmp_path / "SlicerLAScarSeg"
    root.mkdir()
    for name in COPIED:
        if (repository / name).is_dir():
            shutil.copytree(repository / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(repository / name, root / name)
    return root


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8", newline="\n")


def test_the_repository_has_nothing_to_object_to(index: ModuleType, repository: Path) -> None:
    assert index.problems(repository) == []


def test_the_copy_is_as_good(index: ModuleType, tree: Path) -> None:
    assert index.problems(tree) == []


def test_the_entry_is_the_one_that_the_design_asks_for(repository: Path) -> None:
    entry = json.loads((repository / "LAScarSeg.json").read_text(encoding="utf-8"))
    assert entry["category"] == "Cardiac" and entry["tier"] == 1
    assert entry["build_dependencies"] == ["PyTorch"] and entry["scm_revision"] == "main"


BROKEN = {
    "an unknown key": ("LAScarSeg.json", '"tier": 1', '"tier": 1, "homepage": "x"', "knows no 'homepage'"),
    "a tier that is text": ("LAScarSeg.json", '"tier": 1', '"tier": "1"', "must be of type int"),
    "a tier of 6": ("LAScarSeg.json", '"tier": 1', '"tier": 6', "from 1 to 5"),
    "no category": ("LAScarSeg.json", '"category": "Cardiac",', "", "category is missing"),
    "a category of its own": ("LAScarSeg.json", "Cardiac", "Hearts", "category 'Hearts'"),
    "an older schema": ("LAScarSeg.json", "v1.0.2", "v1.0.1", "$schema is"),
    "a file that is not JSON": ("LAScarSeg.json", '"tier": 1', '"tier": 1,', "LAScarSeg.json: "),
    "an ssh address": ("LAScarSeg.json", "https://github.com/", "git@github.com:", "must begin with https://"),
    "a repository not called Slicer…": ("LAScarSeg.json", "SlicerLAScarSeg", "LAScarSeg", "begins with Slicer"),
    "another project": ("CMakeLists.txt", "project(LAScarSeg)", "project(Scar)", "project is ['Scar']"),
    "no description": ("CMakeLists.txt", "EXTENSION_DESCRIPTION", "EXTENSION_SUMMARY", "EXTENSION_DESCRIPTION is missing"),
    "a category in CMake": ("CMakeLists.txt", "# Extension modules", 'set(EXTENSION_CATEGORY "Cardiac")', "CATEGORY is no longer"),
    "other dependencies": ("CMakeLists.txt", '"PyTorch"', '"PyTorch NNUNet"', "differ"),
    "an icon that is not there": ("CMakeLists.txt", "main/LAScarSeg.png", "main/Icon.png", "no picture in this tree"),
    "a picture's web page": ("CMakeLists.txt", "raw.githubusercontent.com", "github.com", "must begin with https://raw"),
    "a README without citation": ("README.md", "ite", "", "how to cite"),
    "a broken link": ("README.md", "Docs/installation.md", "Docs/install.md", "Docs/install.md is not there"),
    "a heavy import": ("LAScarSeg/LAScarSeg.py", "import vtk\n", "import vtk\nimport torch\n", "torch is imported at file scope"),
    "torch by pip": ("LAScarSeg/LAScarSeg.py", "import vtk\n", 'import vtk\n# pip_install("torch")\n', "use the PyTorch extension"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_it_objects_to(index: ModuleType, tree: Path, what: str) -> None:
    name, old, new, complaint = BROKEN[what]
    edit(tree / name, old, new)
    assert any(complaint in line for line in index.problems(tree)), index.problems(tree)


def test_it_objects_to_a_missing_licence(index: ModuleType, tree: Path) -> None:
    (tree / "LICENSE.txt").unlink()
    assert any("no licence file" in line for line in index.problems(tree))


def test_it_objects_to_a_text_that_is_called_a_picture(index: ModuleType, tree: Path) -> None:
    (tree / "LAScarSeg.png").write_text("version https://git-lfs.github.com/spec/v1\n")
    assert any("LAScarSeg.png is no picture" in line for line in index.problems(tree))


def test_it_objects_to_carriage_returns(index: ModuleType, tree: Path) -> None:
    (tree / "CMakeLists.txt").write_bytes((tree / "CMakeLists.txt").read_bytes().replace(b"\n", b"\r\n"))
    assert "CMakeLists.txt: carriage returns; use LF" in index.problems(tree)


def test_it_objects_to_a_generic_package(index: ModuleType, tree: Path) -> None:
    (tree / "utils").mkdir()
    (tree / "utils" / "__init__.py").touch()
    assert any(line.startswith("utils: ") for line in index.problems(tree))


def test_it_objects_to_a_heavy_repository(index: ModuleType, tree: Path) -> None:
    with (tree / "scan.nrrd").open("wb") as file:
        file.truncate(101 * 2**20)
    assert any("the limit is 100 MB" in line for line in index.problems(tree))
