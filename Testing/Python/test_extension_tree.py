"""The Slicer extension: what CMake installs is what the source tree holds."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MODULES = Path("lib/Slicer-5.12/qt-scripted-modules")
"""Where Slicer keeps scripted modules (as `fake_slicer/SlicerConfig.cmake` says)."""

NO_COMPILER = [f"-DCMAKE_{language}_COMPILER{setting}" for language in ("C", "CXX") for setting in ("=true", "_ID_RUN=1", "_FORCED=1")]
"""`project()` looks for compilers; copying Python files needs none, so the test doesn't ask the machine for one."""


@pytest.fixture(scope="session")
def cmake() -> str:
    """The `cmake` beside this Python (the `test` extra installs it), else the system's."""
    beside = Path(sys.executable).with_name("cmake")
    found = str(beside) if beside.exists() else shutil.which("cmake")
    if found is None or shutil.which("make") is None:
        pytest.skip("cmake or make is not installed: pip install lascarseg[test]; apt install make")
    return found


@pytest.fixture(scope="session")
def source_copy(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source tree, since CMake would follow files that other tests write; its path holds a space."""
    copy = tmp_path_factory.mktemp("extension") / "LAScarSeg source"
    skip = shutil.ignore_patterns(".*", "__pycache__", "demo", "build", "dist")
    shutil.copytree(repository, copy, ignore=skip)
    return copy


@pytest.fixture(scope="session")
def installed(cmake: str, source_copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The qt-scripted-modules folder after configure, build and install."""
    build, prefix = tmp_path_factory.mktemp("build"), tmp_path_factory.mktemp("prefix")
    fake_slicer = source_copy / "Testing" / "Python" / "fake_slicer"
    configure(cmake, source_copy, build, fake_slicer)
    run(cmake, "--build", str(build))
    run(cmake, "--install", str(build), "--prefix", str(prefix))
    assert sorted(p.name for p in prefix.iterdir()) == ["lib"]
    return prefix / MODULES


def configure(cmake: str, source: Path, build: Path, slicer_dir: Path, *more: str) -> None:
    arguments = ["-G", "Unix Makefiles", "-S", str(source), "-B", str(build), f"-DSlicer_DIR={slicer_dir}"]
    run(cmake, *arguments, *NO_COMPILER, *more)


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr


def files_below(folder: Path, root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in folder.rglob("*") if path.is_file()}


def test_everything_a_user_needs_is_installed_and_nothing_else(installed: Path, source_copy: Path) -> None:
    library = files_below(source_copy / "LAScarSegLib", source_copy) - {"LAScarSegLib/CMakeLists.txt"}
    models = files_below(source_copy / "Resources" / "Models", source_copy)
    resources = files_below(source_copy / "Resources", source_copy) - models
    module = files_below(source_copy / "LAScarSeg", source_copy / "LAScarSeg") - {"CMakeLists.txt"}
    assert {"LAScarSegLib/volumes/volume.py", "LAScarSegLib/surface/surface.py"} <= library
    assert "Resources/models_to_fetch.json" in resources and models
    assert files_below(installed, installed) == library | resources | module


def test_the_package_holds_nothing_but_python(source_copy: Path) -> None:
    """Other files belong in Resources/: only there are they found and installed."""
    names = files_below(source_copy / "LAScarSegLib", source_copy)
    assert [name for name in sorted(names) if not name.endswith(".py")] == ["LAScarSegLib/CMakeLists.txt"]


def test_a_file_added_later_is_installed_by_the_next_build(cmake: str, source_copy: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(source_copy, source)
    configure(cmake, source, tmp_path / "build", source / "Testing" / "Python" / "fake_slicer")
    (source / "LAScarSegLib" / "added_later.py").write_text("")
    run(cmake, "--build", str(tmp_path / "build"))
    assert (tmp_path / "build" / MODULES / "LAScarSegLib" / "added_later.py").is_file()


def test_the_installed_library_imports_and_finds_its_resources(installed: Path, tmp_path: Path) -> None:
    code = (
        "import LAScarSegLib; from LAScarSegLib.support.resources import resource_path;"
        "print(LAScarSegLib.__file__); print(resource_path('Icons/LAScarSeg.png'))"
    )
    # -P and another working directory: the source tree must not be found instead.
    environment = {**os.environ, "PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-P", "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(installed / "LAScarSegLib" / "__init__.py"), str(installed / "Resources/Icons/LAScarSeg.png")]


def test_the_module_file_has_the_five_classes_that_slicer_looks_for(repository: Path) -> None:
    source = (repository / "LAScarSeg" / "LAScarSeg.py").read_text(encoding="utf-8")
    classes = re.findall(r"^class (\w+)", source, flags=re.MULTILINE)
    expected = ["LAScarSeg", "LAScarSegParameterNode", "LAScarSegWidget", "LAScarSegLogic", "LAScarSegTest"]
    assert [name for name in classes if name.startswith("LAScarSeg")] == expected


def test_only_the_module_lies_in_the_modules_folder(repository: Path) -> None:
    """Slicer takes every Python file there for a module of its own."""
    assert [path.name for path in (repository / "LAScarSeg").glob("*.py")] == ["LAScarSeg.py"]


def test_the_panels_sections_are_installed_beside_the_module(installed: Path, repository: Path) -> None:
    """There `import LAScarSegPanel` finds them: Slicer puts the folder of a module on Python's path."""
    names = {path.name for path in (repository / "LAScarSeg" / "LAScarSegPanel").glob("*.py")}
    assert {path.name for path in (installed / "LAScarSegPanel").glob("*.py")} == names
    assert "__init__.py" in names and (installed / "LAScarSeg.py").is_file()


def test_every_test_for_slicer_is_registered(cmake: str, source_copy: Path, tmp_path: Path) -> None:
    configure(cmake, source_copy, tmp_path, source_copy / "Testing" / "Python" / "fake_slicer", "-DBUILD_TESTING=ON")
    tests = {path.name for path in (source_copy / "Testing" / "Slicer").glob("*Test.py")}
    assert set((tmp_path / "python_unittests.txt").read_text().split()) == {"LAScarSeg.py"} | tests
    assert len(tests) >= 5


def test_weights_for_research_only_are_installed_only_when_the_builder_asks_for_them(cmake: str, source_copy: Path, tmp_path: Path) -> None:
    source, build = tmp_path / "source", tmp_path / "build"
    shutil.copytree(source_copy, source)
    model = source / "Resources" / "Models" / "a-model-1.0"
    model.mkdir(parents=True)
    names = {"card.json", "network.safetensors", "LICENSE.txt", "README.md"}
    for name in names:
        (model / name).write_text("x")
    # The second build begins with what the first has left.
    for setting in ("ON", "OFF"):
        configure(cmake, source, build, source / "Testing" / "Python" / "fake_slicer", f"-DLAScarSeg_WITH_RESEARCH_WEIGHTS={setting}")
        run(cmake, "--build", str(build))
        run(cmake, "--install", str(build), "--prefix", str(tmp_path / setting))
    assert {path.name for path in (tmp_path / "ON" / MODULES / "Resources" / "Models" / "a-model-1.0").iterdir()} == names
    without = tmp_path / "OFF" / MODULES / "Resources"
    assert (without / "models_to_fetch.json").is_file() and not files_below(without / "Models", without)


def test_an_installation_without_weights_says_how_they_are_got_and_works_without(installed: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(1, sys.argv[1]); import LAScarSegLib; from pathlib import Path;"
        "from LAScarSegLib.models.store import ModelStore; from LAScarSegLib.session.choices import cavity_sources, methods;"
        "print(Path(LAScarSegLib.__file__).parents[1] == Path(sys.argv[1]), ModelStore().default_cavity(), len(cavity_sources()), len(methods()) > 5);"
        "print(ModelStore().missing_cavity().command)"
    )
    environment = {**os.environ, "PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1", "LASCARSEG_MODELS": str(tmp_path)}
    done = subprocess.run([sys.executable, "-P", "-c", code, str(installed)], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["True None 1 True", "lascarseg models get la-cavity"]


def test_the_tests_for_slicer_can_be_read(repository: Path) -> None:
    for path in (repository / "Testing" / "Slicer").glob("*.py"):
        compile(path.read_text(encoding="utf-8"), str(path), "exec")
