"""A result gives nobody away: no folder above the scan, no host, no process, no user, in none of its files, archives unpacked."""

from __future__ import annotations

import getpass
import gzip
import io
import json
import os
import re
import shutil
import socket
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from small_scan import lascarseg, numbers, only_data_files, small_scan, write_scan

from LAScarSegLib.analysis.provenance import describe_file, name_only
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.jobs.request import Request, run_request
from LAScarSegLib.output import writing
from LAScarSegLib.volumes.files import write_volume

PATIENT = "MUSTERMANN^MAX 1956"
HOST, USER, PROCESS = "ward7-console", "dr-beispiel", 987654321


def contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """Every file under a folder with its name, and what is in its archives, and theirs."""
    for file in sorted(path.rglob("*")):
        if file.is_file():
            yield from unpacked(file.relative_to(path).as_posix(), file.read_bytes())


def unpacked(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    yield name, content
    if content.startswith(b"\x1f\x8b"):
        yield from unpacked(f"{name} unpacked", gzip.decompress(content))
    elif content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for entry in archive.infolist():
                yield from unpacked(f"{name} › {entry.filename}", archive.read(entry))
    elif content.startswith(b"NRRD") and b"encoding: gzip" in content[:5000]:
        yield from unpacked(f"{name} voxels", gzip.decompress(content.partition(b"\n\n")[2]))


def told(folder: Path, secrets: dict[str, str]) -> list[str]:
    """Where a secret stands in a file or its name, as it is or as URLs, JSON and XML write it."""
    found = []
    for name, content in contents(folder):
        for what, secret in secrets.items():
            spellings = {secret, secret.replace(" ", "%20"), secret.replace("^", "%5E").replace(" ", "%20"), secret.replace("/", "\\/")}
            if any(re.search(rb"(?<![\w.])" + re.escape(spelling.encode()) + rb"(?![\w.])", name.encode() + b" " + content) for spelling in spellings):
                found.append(f"{what} in {name}")
    return found


@pytest.fixture
def identity(monkeypatch) -> dict[str, str]:
    """A host, a user and a process that no number or word of a result looks like by chance."""
    # A short name, such as "vm", stands in any picture by chance.
    real = {"real host": name} if len(name := socket.gethostname()) >= 8 else {}
    monkeypatch.setattr(socket, "gethostname", lambda: HOST)
    monkeypatch.setattr(os, "getpid", lambda: PROCESS)
    for variable in ("USER", "LOGNAME", "USERNAME"):
        monkeypatch.setenv(variable, USER)
    assert getpass.getuser() == USER
    return real | {"host": HOST, "user": USER, "process": str(PROCESS), "patient": PATIENT, "patient's name": "MUSTERMANN"}


@pytest.fixture
def scans(tmp_path) -> Path:
    """A patient's folder with scan, masks and planes."""
    folder = tmp_path / "clinic" / PATIENT
    folder.mkdir(parents=True)
    write_scan(folder)
    image, cavity = small_scan()
    write_volume(image.like(((cavity.array == 0) & (image.array > 250)).astype("uint8")), folder / "scar.nrrd")
    middle = image.geometry.index_to_lps(np.array([[(n - 1) / 2 for n in image.geometry.size]]))[0]
    plane = {"name": "MV", "origin": (middle - [0, 0, 16]).tolist(), "normal": [0, 0, 1]}
    (folder / "planes.json").write_text(json.dumps({"coordinateSystem": "LPS", "planes": [plane]}))
    return folder


def test_no_file_of_a_whole_result_gives_anything_away(scans, tmp_path, identity, monkeypatch):
    # One picture that Matplotlib makes alone and one that VTK draws for it; the others are made alike, and take seconds each.
    monkeypatch.setattr(writing, "FIGURES", [kind for kind in writing.FIGURES if kind.file_name in ("histogram.png", "scar_map.png")])
    (tmp_path / "results").mkdir()
    result = tmp_path / "results" / "out"
    run_request(Request(image=scans / "image.nrrd", cavity=scans / "cavity.nrrd", scar=str(scans / "scar.nrrd"), output=result,
                        planes=(scans / "planes.json",), settings=Settings(perturbation=False)))  # fmt: skip
    names = {path.relative_to(result).as_posix() for path in result.rglob("*")}
    assert {"provenance.json", "report.html", "measurements.csv", "figures/histogram.png"} <= names
    if not any(note["code"] == "scene_missing" for note in json.loads((result / "provenance.json").read_text())["notes"]):
        assert any(name.endswith(".mrml") for name, _ in contents(result))
    leaks = told(result, identity | {"folder": str(tmp_path), "clinic": "clinic"})
    assert leaks == [], "\n".join(leaks)
    made = json.loads((result / "provenance.json").read_text())
    assert {name: file["path"] for name, file in made["inputs"].items()} == {n: f"{n}.nrrd" for n in ("image", "cavity", "scar")}
    assert made["origins"]["scar"]["reference"] == "scar.nrrd" and all(len(file["sha256"]) == 64 for file in made["inputs"].values())


def test_a_scene_that_cannot_be_written_is_noted_without_its_folder(scans, tmp_path, identity, monkeypatch):
    from LAScarSegLib import scene
    from LAScarSegLib.errors import ProcessingError

    def fail(analysis, path, **_):
        raise ProcessingError(f"The scene can't be written to {path}: the folder {Path(path).parent} and /home/{USER}/x/y.txt are odd.")

    monkeypatch.setattr(scene, "write_mrb", fail)
    result = tmp_path / "out"
    settings = Settings(perturbation=False)
    run_request(Request(image=scans / "image.nrrd", cavity=scans / "cavity.nrrd", output=result, settings=settings, figures=False))
    assert "scene.mrb" in (result / "provenance.json").read_text()
    assert told(result, {key: identity[key] for key in ("host", "user", "process")} | {"folder": str(tmp_path)}) == []


@pytest.fixture
def quick(monkeypatch) -> None:
    only_data_files(monkeypatch)


def test_a_scan_under_the_results_parent_is_found_again_wherever_both_go(scans, tmp_path, capfd, quick):
    place = tmp_path / "clinic"
    assert lascarseg(capfd, "run", scans / "image.nrrd", "--cavity", scans / "cavity.nrrd", "-o", place / "out").code == 0
    assert json.loads((place / "out" / "provenance.json").read_text())["inputs"]["image"]["path"] == f"{PATIENT}/image.nrrd"
    place.rename(tmp_path / "moved")
    outcome = lascarseg(capfd, "measure", tmp_path / "moved" / "out", "-o", tmp_path / "moved" / PATIENT / "again")
    assert outcome.code == 0, outcome
    again = json.loads((tmp_path / "moved" / PATIENT / "again" / "provenance.json").read_text())
    # Seen from the new result's parent folder.
    assert again["inputs"]["image"]["path"] == "image.nrrd" and again["remeasured"] == "out"
    assert again["sources"]["files"]["image"]["path"] == "image.nrrd"


def test_a_scan_elsewhere_is_asked_for(scans, tmp_path, capfd, quick):
    (tmp_path / "results").mkdir()
    result = tmp_path / "results" / "out"
    assert lascarseg(capfd, "run", scans / "image.nrrd", "--cavity", scans / "cavity.nrrd", "-o", result).code == 0
    refused = lascarseg(capfd, "measure", result)
    assert refused.code == 2 and "image.nrrd is not where the result looks for it" in refused.err and "--image" in refused.err
    again = tmp_path / "results" / "again"
    assert lascarseg(capfd, "measure", result, "--image", scans / "image.nrrd", "-o", again).code == 0
    assert told(again, {"patient": PATIENT, "folder": str(tmp_path)}) == []
    assert numbers(again)["scar_area_pct"] == numbers(result)["scar_area_pct"]


def test_a_result_of_an_earlier_version_loses_its_folders_when_measured_again(scans, tmp_path, capfd, quick):
    (tmp_path / "results").mkdir()
    result, again = tmp_path / "results" / "out", tmp_path / "results" / "again"
    assert lascarseg(capfd, "run", scans / "image.nrrd", "--cavity", scans / "cavity.nrrd", "-o", result).code == 0
    marker = result / "provenance.json"
    old = json.loads(marker.read_text())
    for name, file in old["inputs"].items():
        file["path"] = str(scans / f"{name}.nrrd")
    old["sources"]["files"]["image"]["path"] = str(scans / "image.nrrd")
    old["sources"]["sources"]["cavity"]["file"]["path"] = str(scans / "cavity.nrrd")
    old["remeasured"] = str(scans / "before")
    for content in (old, {key: value for key, value in old.items() if key != "sources"}):
        marker.write_text(json.dumps(content))
        assert lascarseg(capfd, "measure", result, "-o", again).code == 0
        assert told(again, {"patient": PATIENT, "folder": str(tmp_path)}) == []
        shutil.rmtree(again)


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> Path:
    """A result made once, to be copied and spoilt."""
    home = tmp_path_factory.mktemp("stored")
    image, cavity = write_scan(home)
    settings = Settings(perturbation=False)
    run_request(Request(image=image, cavity=cavity, output=home / "out", settings=settings, figures=False, report=False, scene=False))
    return home / "out"


@pytest.mark.parametrize("path", ["../../clinic/image.nrrd", "/dev/zero", "\\\\server\\share\\x.nrrd", "//server/share/x.nrrd", "C:\\x.nrrd", ""])
def test_a_result_does_not_make_us_read_elsewhere(stored, tmp_path, capfd, path):
    result = tmp_path / "out"
    shutil.copytree(stored, result)
    marker = result / "provenance.json"
    content = json.loads(marker.read_text())
    content["inputs"]["image"]["path"] = path
    marker.write_text(json.dumps(content))
    refused = lascarseg(capfd, "measure", result)
    assert refused.code == 2 and "--image" in refused.err and "Traceback" not in refused.err


def test_a_file_is_described_by_no_more_than_the_way_from_the_results_parent(tmp_path):
    inside, outside = tmp_path / "a" / "b" / "scan.nrrd", tmp_path / "scan.nrrd"
    inside.parent.mkdir(parents=True)
    for file in (inside, outside):
        file.write_bytes(b"x")
    assert describe_file(inside, tmp_path / "a" / "out")["path"] == "b/scan.nrrd"
    assert describe_file(outside, tmp_path / "a" / "out")["path"] == describe_file(inside)["path"] == "scan.nrrd"
    # A result at the root of a disk has everything under its parent.
    assert describe_file(inside, Path("/out"))["path"] == "scan.nrrd"


@pytest.mark.parametrize(
    ("path", "kept"),
    [("/data/P 1/scan.nrrd", "scan.nrrd"), ("C:\\P 1\\scan.nrrd", "scan.nrrd"), ("\\\\server\\P\\scan.nrrd", "scan.nrrd"),
     ("../P/scan.nrrd", "scan.nrrd"), ("b/scan.nrrd", "b/scan.nrrd"), ("node a/b", "node a/b"), ("", "")],
)  # fmt: skip
def test_absolute_paths_of_any_system_become_names(path, kept):
    assert name_only(path) == kept
