"""Phantoms on disk: whole folders, the challenge's layout, planes that the library reads back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from LAScarSegLib.analysis import analyse
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.datasets.phantoms import write_lascarqs_cohort, write_phantom
from LAScarSegLib.errors import Cancelled, InputError
from LAScarSegLib.phantom import Phantom, PhantomSettings, make_phantom
from LAScarSegLib.support.progress import Progress
from LAScarSegLib.surface.planes import read_planes
from LAScarSegLib.volumes.files import read_volume, write_volume

SMALL = PhantomSettings(seed=11, size=(224, 192, 40), la_volume_ml=60.0)


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom(SMALL)


def test_written_volumes_read_back_the_same(phantom: Phantom, tmp_path: Path) -> None:
    folder = write_phantom(phantom, tmp_path / "Vorhof links")
    for name in ("image", "cavity", "wall", "scar", "regions"):
        volume = read_volume(folder / f"{name}.nii.gz")
        assert np.array_equal(volume.array, getattr(phantom, name).array), name
        assert volume.geometry.same_grid(phantom.image.geometry), name
        assert [flag.code for flag in volume.flags] == (["simulated"] if name == "image" else []), name


def test_simulated_scan_says_so_wherever_it_goes(phantom: Phantom, tmp_path: Path) -> None:
    folder = write_phantom(phantom, tmp_path / "phantom")
    scan, cavity = read_volume(folder / "image.nii.gz"), read_volume(folder / "cavity.nii.gz")
    for copy in ("copy.nii", "copy.nrrd", "copy.mha"):
        write_volume(scan, tmp_path / copy)
        assert [flag.code for flag in read_volume(tmp_path / copy).flags] == ["simulated"]
    analysis = analyse(scan, Settings(perturbation=False), cavity=cavity)
    assert analysis.provenance["simulated"] is True
    assert "simulated" in [flag.code for flag in analysis.flags]


def test_written_planes_and_truth_read_back(phantom: Phantom, tmp_path: Path) -> None:
    folder = write_phantom(phantom, tmp_path / "p")
    planes = read_planes(folder / "planes.json")
    assert [p.name for p in planes] == [p.name for p in phantom.planes]
    for read, made in zip(planes, phantom.planes):
        assert np.allclose([read.origin, read.normal], [made.origin, made.normal], atol=1e-6)
    truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    assert truth["scar_area_pct"] == phantom.truth.scar_area_pct
    assert truth["settings"]["seed"] == 11


def test_an_existing_phantom_is_replaced_only_by_force(phantom: Phantom, tmp_path: Path) -> None:
    folder = write_phantom(phantom, tmp_path / "p")
    (folder / "scar.nii.gz").unlink()
    with pytest.raises(InputError, match="--force"):
        write_phantom(phantom, folder)
    write_phantom(phantom, folder, force=True)
    assert (folder / "scar.nii.gz").exists()
    assert [entry.name for entry in tmp_path.iterdir()] == ["p"]


def test_a_foreign_folder_is_left_alone_even_by_force(phantom: Phantom, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="left alone"):
        write_phantom(phantom, tmp_path, force=True)
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.fixture
def made(phantom: Phantom, monkeypatch: pytest.MonkeyPatch) -> list[PhantomSettings]:
    """What the cohort asks to be made; every case is the one phantom at hand, so that a cohort takes no time."""
    asked: list[PhantomSettings] = []

    def make(settings: PhantomSettings) -> Phantom:
        asked.append(settings)
        return phantom

    monkeypatch.setattr("LAScarSegLib.datasets.phantoms.make_phantom", make)
    return asked


def test_cohort_has_the_challenge_s_layout(made: list[PhantomSettings], tmp_path: Path) -> None:
    write_lascarqs_cohort(tmp_path / "one", 2, seed=11, task="task1", settings=SMALL)
    files = sorted(p.relative_to(tmp_path / "one").as_posix() for p in tmp_path.rglob("*") if p.is_file())
    names = ("atriumSegImgMO.nii.gz", "enhanced.nii.gz", "scarSegImgM.nii.gz")
    assert files == [f"task1/train_data/train_{n}/{name}" for n in (1, 2) for name in names] + ["truth.json"]
    assert [settings.seed for settings in made] == [11, 12]
    cavity, image, scar = (read_volume(tmp_path / "one" / f) for f in files[:3])
    assert image.geometry.same_grid(cavity.geometry) and image.geometry.same_grid(scar.geometry)


def test_task_2_has_no_scar(made: list[PhantomSettings], tmp_path: Path) -> None:
    write_lascarqs_cohort(tmp_path / "two", 1, task="task2", settings=SMALL)
    files = sorted(p.relative_to(tmp_path / "two").as_posix() for p in tmp_path.rglob("*.nii.gz"))
    assert files == ["task2/train_data/train_1/atriumSegImgMO.nii.gz", "task2/train_data/train_1/enhanced.nii.gz"]


def test_a_cancelled_cohort_leaves_nothing(made: list[PhantomSettings], tmp_path: Path) -> None:
    cancel_second = Progress(is_cancelled=lambda: len(made) == 1)
    with pytest.raises(Cancelled):
        write_lascarqs_cohort(tmp_path / "never", 2, settings=SMALL, progress=cancel_second)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bad", [{"count": 0}, {"count": 1, "task": "task3"}])
def test_cohort_refuses_what_cannot_be(bad: dict, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        write_lascarqs_cohort(tmp_path / "x", **bad)
    assert not (tmp_path / "x").exists()
