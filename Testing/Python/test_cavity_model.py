"""The cavity model that comes with the project: a scan is enough. Its own scores are in its model card."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from LAScarSegLib.analysis.network_runs import find_cavity
from LAScarSegLib.anatomy.overlap import dice
from LAScarSegLib.cli.common import Invocation
from LAScarSegLib.cli.main import app
from LAScarSegLib.errors import InputError
from LAScarSegLib.inference.options import InferenceOptions
from LAScarSegLib.models.bundle import Bundle
from LAScarSegLib.models.store import ModelStore
from LAScarSegLib.volumes.files import read_volume
from LAScarSegLib.volumes.volume import Geometry, Volume

LARGEST_BYTES = 14 * 2**20
HELD_OUT = ("5QFK2PMHNX7UALK52NNA", "P1OTI3IWJUIB5NRLULLH")
"""Two of the 11 that Benchmarks/cavity_model/split.py keeps from every training."""
BLACK_FRAME = ((10, 14), (150, 90), (120, 160))
"""Voxels around a scan of the challenge: a field of view of some 300 mm."""


@pytest.fixture
def store(tmp_path, monkeypatch) -> ModelStore:
    """An empty store of the user's own."""
    monkeypatch.setenv("LASCARSEG_MODELS", str(tmp_path / "models"))
    return ModelStore()


@pytest.fixture
def bundle(store) -> Bundle:
    return store.default_cavity()


def cavity_of(bundle: Bundle, scan: Volume) -> np.ndarray:
    return find_cavity(scan, bundle, InferenceOptions(device="cpu")).mask.whole()


def held_out(data_dir: Path, name: str) -> tuple[Volume, np.ndarray]:
    folder = data_dir / "la2018" / name
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return read_volume(folder / "lge.nii.gz"), read_volume(folder / "cavity.nii.gz").array > 0


def test_it_is_whole_small_and_says_what_it_is(bundle):
    bundle.verify()
    card = bundle.card
    assert sum(entry.bytes for entry in card.files.values()) <= LARGEST_BYTES
    assert (card.stage, card.simulated, card.coarse is not None) == ("cavity", False, True)
    assert {"LICENSE.txt", "README.md"} <= set(card.files)
    assert "research" in card.terms.lower() and "research" in card.licence.lower()
    assert "2018" in card.training["data"] and card.scores["measured"]["crop"]["scans"] == 11


def test_a_scan_is_enough_once_the_terms_are_accepted(store, data_dir, tmp_path):
    """The label of this scan was drawn by somebody else, at another time than the challenge's; its crop cuts the roof."""
    if not (data_dir / "carma").is_dir():
        pytest.skip(f"{data_dir / 'carma'} is not there")
    scan, out = data_dir / "carma" / "autoscar-data.nrrd", tmp_path / "out"
    refused = CliRunner().invoke(app, ["run", str(scan), "-o", str(out)], obj=Invocation())
    assert refused.exit_code == 2 and "--accept-terms" in refused.output and not out.exists()
    done = CliRunner().invoke(app, ["run", str(scan), "-o", str(out), "--accept-terms"], obj=Invocation())
    assert done.exit_code == 0, done.output
    label, found = read_volume(data_dir / "carma" / "autoscar-endo.nrrd").array > 0, read_volume(out / "cavity.nii.gz").array > 0
    within = label.any(axis=(1, 2))
    assert dice(found[within], label[within]) >= 0.88
    used = json.loads((out / "provenance.json").read_text())["models"]["cavity"]
    assert used["sha256"] == store.default_cavity().card.sha256
    assert store.accepted(store.default_cavity())


@pytest.mark.parametrize("name", HELD_OUT)
def test_held_out_atria_are_found_in_a_crop_and_in_a_whole_field_of_view(bundle, data_dir, name):
    scan, label = held_out(data_dir, name)
    framed = np.pad(scan.array, BLACK_FRAME)
    in_crop = cavity_of(bundle, scan)
    in_frame = cavity_of(bundle, Volume(framed, Geometry(framed.shape[::-1], scan.geometry.spacing)))
    assert dice(in_crop, label) >= 0.85
    assert dice(in_frame, np.pad(label, BLACK_FRAME)) >= 0.85


@pytest.mark.parametrize("what", ["noise", "a ball"])
def test_where_there_is_no_atrium_it_says_so(bundle, what):
    geometry = Geometry((160, 160, 40), (1.25, 1.25, 2.5))
    array = np.abs(np.random.default_rng(0).normal(0.0, 20.0, geometry.shape)).astype(np.float32)
    if what == "a ball":
        k, j, i = np.indices(geometry.shape)
        array[((k - 20) * 2.5) ** 2 + ((j - 80) * 1.25) ** 2 + ((i - 80) * 1.25) ** 2 < 12.0**2] += 300.0
    with pytest.raises(InputError, match="left atrium was not found.*region of interest"):
        cavity_of(bundle, Volume(array, geometry))
