"""The doctor: what is there, what is missing, and what to do about it."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from pathlib import Path

import pytest

from LAScarSegLib.cli import doctor
from LAScarSegLib.cli.doctor import Check, check_cavity_model, check_package, diagnose, problems


def test_an_environment_that_runs_the_tests_has_every_required_package() -> None:
    found = {check.name: check for check in diagnose()}
    for name in ("numpy", "scipy", "vtk", "typer", "rich", "jinja2", "matplotlib"):
        assert found[name].ok and found[name].required
        assert found[name].detail == importlib.metadata.version(name)


def test_every_finding_that_is_not_in_order_says_what_to_do() -> None:
    assert [check.name for check in diagnose() if not check.ok and not check.remedy] == []


def test_a_missing_package_is_named_with_the_command_that_installs_it() -> None:
    check = check_package("package_that_nobody_has", "pip install lascarseg")
    assert check == Check("package_that_nobody_has", False, "not installed", "pip install lascarseg", required=True)


def test_a_package_that_is_there_but_broken_is_not_called_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_package.py").write_text("raise OSError('libbroken.so.1: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    assert check_package("broken_package", "").detail == "installed, but fails: OSError: libbroken.so.1: cannot open shared object file"


def test_a_missing_extra_is_reported_but_is_no_problem() -> None:
    check = check_package("package_that_nobody_has", "pip install it", "scene.mrb is not written")
    assert not check.ok and "scene.mrb is not written" in check.detail
    assert problems([check]) == []


@pytest.mark.parametrize("name", ["torch", "monai", "safetensors"])
def test_what_networks_need_is_looked_for_and_missing_it_stops_nothing_else(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # None in sys.modules is Python's way to say that a module can't be imported.
    monkeypatch.setitem(sys.modules, name, None)
    check = {check.name: check for check in diagnose()}[name]
    assert not check.ok and problems([check]) == []
    assert "not installed" in check.detail and "models don't run" in check.detail and "lascarseg[networks]" in check.remedy


def test_another_package_called_slicer_is_not_taken_for_3d_slicer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library shap depends on a package that is imported as `slicer`, too."""
    (tmp_path / "slicer.py").write_text("class Slicer: pass")
    monkeypatch.delitem(sys.modules, "slicer", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    check = doctor.check_mrml()
    assert not check.ok and "lascarseg[scene]" in check.remedy


def test_missing_drawing_libraries_cost_the_pictures_only_and_the_remedy_is_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    message = "VTK can't draw on this machine, missing: libEGL, package libegl1. On Debian or Ubuntu: apt-get install libegl1"
    monkeypatch.setattr("LAScarSegLib.output.rendering.check_rendering", lambda: message)
    check = doctor.check_drawing()
    assert not check.ok and problems([check]) == []
    assert "package libegl1;" in check.detail and check.remedy == "On Debian or Ubuntu: apt-get install libegl1"


def test_too_old_a_python_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "OLDEST_PYTHON", (4, 0))
    assert "Install Python 4.0 or newer" in doctor.check_python().remedy


@pytest.mark.skipif("SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}), reason="this system doesn't tell its memory")
def test_free_memory_is_part_of_the_memory_there_is() -> None:
    total_gb = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1024**3
    free_gb = doctor.free_memory_gb()
    assert free_gb is not None and 0 < free_gb < total_gb


def test_little_memory_is_a_warning_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "free_memory_gb", lambda: 0.5)
    check = doctor.check_memory()
    assert not check.ok and not check.required and "640×640×88" in check.remedy


def test_the_disk_of_a_folder_that_is_not_there_yet_is_that_of_its_parent(tmp_path: Path) -> None:
    assert doctor.check_disk(tmp_path / "not" / "yet").detail.endswith(f"in {tmp_path}")


def test_a_full_disk_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "DISK_NEEDED_GB", 1e9)
    assert not doctor.check_disk(tmp_path).ok


def test_the_cavity_model_is_checked_byte_by_byte_and_missing_it_stops_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("safetensors", reason="weights are safetensors")
    pytest.importorskip("monai", reason="the tests' weights are made with MONAI")
    from model_cases import small_card, weights_for

    from LAScarSegLib.models import store
    from LAScarSegLib.models.bundle import write_bundle

    (tmp_path / "Models").mkdir()
    monkeypatch.setattr(store, "RESOURCE_FOLDERS", (tmp_path,))
    monkeypatch.setenv("LASCARSEG_MODELS", str(tmp_path / "store"))
    missing = check_cavity_model()
    assert not missing.ok and "--cavity FILE" in missing.remedy and problems([missing]) == []
    bundle = write_bundle(small_card(), weights_for(small_card()), tmp_path / "Models" / "small")
    assert check_cavity_model() == Check("cavity model", True, "small@1.0", required=False)
    weights = bundle.path / "fold_0.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    damaged = check_cavity_model()
    assert not damaged.ok and "fold_0.safetensors was changed" in damaged.detail and problems([damaged]) == []
