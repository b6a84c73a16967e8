"""The folder that Export writes: the command line's own, and what is missing is named with the way to get it."""

from __future__ import annotations

import json
import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from scene_cases import analysed
from session_cases import wait_until

from LAScarSegLib.analysis import Change, Drawn, revise
from LAScarSegLib.anatomy.masks import Mask
from LAScarSegLib.errors import InputError, ProcessingError
from LAScarSegLib.jobs import export as jobs_export
from LAScarSegLib.jobs.export import ResultRequest
from LAScarSegLib.output.writing import MARKER
from LAScarSegLib.session import export
from LAScarSegLib.support.progress import Progress

DATA = {
    "cavity.nii.gz", "wall.nii.gz", "scar.nii.gz", "sdm_cavity.nii.gz", "sdm_wall.nii.gz", "surface.vtp", "measurements.json",
    "measurements.csv", "threshold_curve.csv", MARKER,
}  # fmt: skip
"""ARCHITECTURE, "Results on disk", for an intensity rule without figures, report and scene."""


def test_the_files_of_the_contract_with_the_numbers_that_are_shown(tmp_path):
    analysis = analysed("axial", 1.3)
    assert export.write(analysis, tmp_path / "out", report=False, scene=False) == ()
    assert set(os.listdir(tmp_path / "out")) == DATA
    written = json.loads((tmp_path / "out" / "measurements.json").read_text(encoding="utf-8"))
    assert written["scar_area_pct"]["value"] == analysis.measurements["scar_area_pct"].value


def test_with_the_scene(tmp_path):
    pytest.importorskip("slicer", reason="needs slicer-core")
    export.write(analysed("axial"), tmp_path / "out", report=False)
    assert set(os.listdir(tmp_path / "out")) == DATA | {"scene.mrb"}


def test_without_the_packages_for_a_report_the_rest_is_written_and_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "missing_packages", lambda: ("matplotlib", "jinja2"))
    left_out = export.write(analysed("axial"), tmp_path / "out", scene=False)
    assert set(os.listdir(tmp_path / "out")) == DATA
    assert [name in sentence for name, sentence in zip(("matplotlib", "jinja2"), left_out)] == [True, True]
    assert all("pip_install" in sentence for sentence in left_out)


def test_every_export_gets_a_folder_of_its_own(tmp_path):
    assert export.new_folder(tmp_path, "scan").name == "scan"
    (tmp_path / "scan").mkdir()
    (tmp_path / "scan 2").mkdir()
    assert export.new_folder(tmp_path, "scan").name == "scan 3"
    assert export.new_folder(tmp_path, 'LGE: "a/b"?').parent == tmp_path
    assert export.new_folder(tmp_path, " . ").name == "result"


def test_no_folder_to_export_to(tmp_path):
    with pytest.raises(InputError, match="gone is not a folder"):
        export.new_folder(tmp_path / "gone", "scan")


def test_a_folder_that_is_there_is_left_alone(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="left alone"):
        export.write(analysed("axial"), tmp_path / "out", report=False, scene=False, force=True)
    assert os.listdir(tmp_path / "out") == ["notes.txt"]


CHANGING = {"provenance.json", "report.html", "scene.mrb"}
"""They tell when they were made, or are zips."""


def exported(analysis, tmp_path, python=None, **wanted) -> tuple[export.ExportRun, list[str]]:
    """The run, and what it said on its way."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    run = export.ExportRun(analysis, tmp_path / "by the worker", python or [sys.executable], temporary, **wanted)
    run.start()
    said = []
    wait_until(lambda: said.append(run.poll().stage) or run.state.done)
    run.close()
    assert os.listdir(temporary) == []
    return run, said


def test_the_worker_writes_what_is_written_here(tmp_path):
    """Of an analysis on an oblique grid whose cavity was corrected by hand."""
    before = analysed("oblique", 1.3)
    drawn = before.cavity.array.copy()
    drawn[np.flatnonzero(drawn.any(axis=(1, 2)))[0]] = 0
    analysis = revise(before, Change(cavity=Drawn(Mask.of(drawn), before.sources.cavity)))
    notes = export.write(analysis, tmp_path / "here", report=False)
    run, said = exported(analysis, tmp_path, report=False)
    assert run.state.error == "" and run.notes == notes and "Writing scene.mrb" in said
    names = set(os.listdir(tmp_path / "here"))
    assert names == set(os.listdir(run.folder)) == DATA | {"scene.mrb"}
    for name in names - CHANGING:
        assert (tmp_path / "here" / name).read_bytes() == (run.folder / name).read_bytes(), name
    one, other = (json.loads((folder / MARKER).read_text(encoding="utf-8")) for folder in (tmp_path / "here", run.folder))
    assert one == other


def test_while_the_worker_writes_it_is_said_what(tmp_path):
    said = []
    script = """echo '{"stage": "output", "fraction": 0.5, "message": "Writing scar.nii.gz"}'; cat"""
    run = export.ExportRun(analysed("axial"), tmp_path / "out", ["sh", "-c", script, "worker"], tmp_path)
    run.start()
    wait_until(lambda: said.append(run.poll().stage) or said[-1] == "Writing scar.nii.gz")
    run.cancel()
    wait_until(lambda: run.poll().done)
    assert run.state.cancelled and os.listdir(tmp_path) == []


def test_where_the_worker_can_not_it_is_written_here(tmp_path):
    """Its Python has no scene library, say, or it crashes: the result is the same, and the log says what happened."""
    analysis = analysed("axial")
    run, said = exported(analysis, tmp_path, ["sh", "-c", "kill -SEGV $$", "worker"], report=False, scene=False)
    assert run.state.error == "" and set(os.listdir(run.folder)) == DATA
    assert "in Slicer itself" in said[-2] and "could not export" in run.log and "SIGSEGV" in run.log


def test_a_folder_that_appeared_meanwhile_is_left_alone_by_the_worker_too(tmp_path):
    (tmp_path / "by the worker").mkdir()
    (tmp_path / "by the worker" / "notes.txt").write_text("mine")
    run, _ = exported(analysed("axial"), tmp_path, report=False, scene=False)
    assert "left alone" in run.state.error and os.listdir(run.folder) == ["notes.txt"]


def test_a_worker_without_a_scene_library_says_so_before_it_works(tmp_path, monkeypatch):
    request = ResultRequest.of(analysed("axial"), tmp_path, tmp_path / "out", scene=True)
    monkeypatch.setattr(jobs_export, "slicer_classes", lambda: SimpleNamespace())
    steps = []
    with pytest.raises(ProcessingError, match="vtkMRMLMarkupsPlaneNode.*Export from Slicer itself"):
        jobs_export.run_export(request, Progress(steps.append))
    assert steps == [] and not (tmp_path / "out").exists()


def test_a_bare_interpreter_of_slicer_gets_the_classes_of_its_modules(tmp_path, monkeypatch):
    """Slicer's python-real: `slicer` has the classes of its libraries, and the modules' lie in files that its launcher's path names."""
    slicer = pytest.importorskip("slicer", reason="needs slicer-core")
    of_modules = [
        name for name in jobs_export.MODULES_CLASSES if any(part in name for part in ("Markups", "ModuleLogic", "Legend", "ColorLogic"))
    ]
    bare = SimpleNamespace(**{name: getattr(slicer, name) for name in jobs_export.MODULES_CLASSES if name not in of_modules})
    for number, name in enumerate(of_modules):
        file = f"vtkSlicer{('MarkupsModuleMRML', 'ColorsModuleMRML', 'SegmentationsModuleLogic')[number % 3]}Python.py"
        with open(tmp_path / file, "a", encoding="ascii") as text:
            text.write(f"class {name}: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(jobs_export, "slicer_classes", lambda: bare)
    jobs_export.check_scene_library()
    assert all(hasattr(bare, name) for name in of_modules) and bare.vtkMRMLLayoutLogic is slicer.vtkMRMLLayoutLogic
    for name in jobs_export.SLICER_MODULES:
        sys.modules.pop(name, None)
