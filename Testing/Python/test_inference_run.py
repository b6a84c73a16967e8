"""`lascarseg run` with models: what they find is measured, what they are is told, and what can't be done is said before any work."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="networks need torch")
pytest.importorskip("safetensors", reason="networks need safetensors")

from model_cases import Contrast, small_card, weights_for  # noqa: E402
from scipy.ndimage import binary_fill_holes  # noqa: E402
from small_scan import flag_codes, lascarseg, numbers, only_data_files, small_scan, write_scan  # noqa: E402
from vtkmodules.util.numpy_support import vtk_to_numpy  # noqa: E402
from vtkmodules.vtkIOXML import vtkXMLPolyDataReader  # noqa: E402

from LAScarSegLib.anatomy.distance import depth_inside  # noqa: E402
from LAScarSegLib.inference import bundle_models  # noqa: E402
from LAScarSegLib.inference.region import largest_component  # noqa: E402
from LAScarSegLib.models.bundle import write_bundle  # noqa: E402
from LAScarSegLib.models.card import Preprocessing  # noqa: E402
from LAScarSegLib.models.store import ModelStore  # noqa: E402
from LAScarSegLib.volumes.files import read_volume, write_volume  # noqa: E402
from LAScarSegLib.volumes.volume import Volume  # noqa: E402

BLOOD_LEVEL, SCAR_LEVEL = 180.0, 250.5
"""Grey levels between wall (160) and blood (200), and between blood and scar (300); the scan holds whole numbers."""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder with a scan and its cavity, where the user is, and an empty store of models."""
    write_scan(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LASCARSEG_MODELS", str(tmp_path / "store"))
    only_data_files(monkeypatch)
    scan = small_scan()[0].array
    levels = {"cavity": BLOOD_LEVEL, "scar": SCAR_LEVEL}

    def networks(bundle):
        """Networks that see grey levels, in place of a bundle's random weights."""
        level = (levels[bundle.card.stage] - scan.mean()) / scan.std()
        return lambda spec, fold: Contrast(level=level, gain=10.0)

    monkeypatch.setattr(bundle_models, "bundle_networks", networks)
    return tmp_path


def point_array(path: Path, name: str) -> np.ndarray:
    reader = vtkXMLPolyDataReader()
    reader.SetFileName(str(path))
    reader.Update()
    return vtk_to_numpy(reader.GetOutput().GetPointData().GetArray(name))


def install(folder: Path, stage: str = "cavity", **changes) -> None:
    # At the scan's own spacing a grey level is the same for the network as for a rule.
    card = small_card(
        stage, name=f"{stage}-net", spacing_kji=(2.5, 1.25, 1.25), preprocessing=Preprocessing(orientation="stored"), **changes
    )
    ModelStore().add(write_bundle(card, weights_for(card), folder / f"{stage}.zip").path)


def refused(folder: Path, capfd, *options: object) -> str:
    """The one line (and the terms, if any) of a run that ends with exit code 2 and leaves no result."""
    outcome = lascarseg(capfd, "run", "image.nrrd", "-o", "out", *options)
    assert outcome.code == 2 and not (folder / "out").exists()
    return outcome.err


def test_a_model_finds_the_cavity_that_is_measured(folder, capfd):
    install(folder)
    outcome = lascarseg(capfd, "run", "image.nrrd", "--cavity", "cavity-net", "-o", "out")
    assert outcome.code == 0, outcome.err
    found, truth = read_volume(folder / "out" / "cavity.nii.gz"), small_scan()[1]
    assert found.geometry.same_grid(truth.geometry)
    assert 2 * (found.array & truth.array).sum() / (found.array.sum() + truth.array.sum()) > 0.93
    model = json.loads((folder / "out" / "provenance.json").read_text())["models"]["cavity"]
    assert (model["name"], model["version"], model["sha256"]) == ("cavity-net", "1.0", ModelStore().find("cavity-net").card.sha256)
    probability, entropy = (read_volume(folder / "out" / f"cavity_{name}.nii.gz").array for name in ("probability", "entropy"))
    np.testing.assert_array_equal(binary_fill_holes(largest_component(probability > 0.5)), found.array > 0)
    sure = np.abs(probability - 0.5) > 0.499
    assert entropy[sure].max() < 0.02 and entropy.max() <= 1.0 and (entropy > 0.1).any()


def test_a_model_finds_the_scar_and_its_probability_goes_with_the_result(folder, capfd):
    install(folder, "scar")
    assert lascarseg(capfd, "run", "image.nrrd", "--cavity", "cavity.nrrd", "--scar", "scar-net", "-o", "out").code == 0
    result = numbers(folder / "out")
    assert result["method"]["name"] == "scar-net@1.0" and "two_stage" not in result["method"]["title"]
    probability, scar, wall = (read_volume(folder / "out" / f"{name}.nii.gz").array for name in ("scar_probability", "scar", "wall"))
    assert scar.any() and np.array_equal((probability > 0.5) & (wall > 0), scar > 0)
    # A cap of 40° is (1 − cos 40°) / 2 = 11.7 % of a sphere.
    assert result["scar_area_pct"]["value"] == pytest.approx(11.7, abs=1.5)


def test_where_the_folds_of_an_ensemble_disagree_its_entropy_is_a_whole_bit(folder, capfd, monkeypatch):
    """One fold takes everything for scar, the other nothing: their mean is one half, and 0 beyond the system's region around the wall."""
    never, always = (Contrast(level=level, gain=20.0) for level in (9.0, -9.0))
    monkeypatch.setattr(bundle_models, "bundle_networks", lambda bundle: lambda spec, fold: (never, always)[fold])
    install(folder, "scar", folds=2)
    assert lascarseg(capfd, "run", "image.nrrd", "--cavity", "cavity.nrrd", "--scar", "scar-net", "-o", "out").code == 0
    probability, entropy = (read_volume(folder / "out" / f"scar_{name}.nii.gz").array for name in ("probability", "entropy"))
    asked = probability > 0
    assert 1000 < asked.sum() < asked.size / 2
    np.testing.assert_allclose(probability[asked], 0.5, atol=1e-3)
    np.testing.assert_allclose(entropy, asked, atol=1e-3)


def test_a_models_scar_is_cut_to_its_systems_region_unless_asked_otherwise(folder, capfd):
    """The paper does not say that it is; without, the network's probability is there wherever it looked."""
    install(folder, "scar")
    for output, options in (("cut", ()), ("whole", ("--no-mask-prediction",))):
        assert lascarseg(capfd, "run", "image.nrrd", "--cavity", "cavity.nrrd", "--scar", "scar-net", "-o", output, *options).code == 0
    cut, whole = (read_volume(folder / name / "scar_probability.nii.gz").array for name in ("cut", "whole"))
    assert np.array_equal(cut[cut > 0], whole[cut > 0]) and (whole > 0).sum() > 2 * (cut > 0).sum()
    model = json.loads((folder / "whole" / "provenance.json").read_text())["models"]["scar"]
    assert model["mask_prediction"] is False


def test_a_model_and_the_rule_that_it_imitates_give_the_same_scar_and_numbers(folder, capfd):
    """One definition of scar for every method: voxels of the wall that pass. This network passes what is above 250.5."""
    install(folder, "scar")
    blood = np.mean(small_scan()[0].array[depth_inside(small_scan()[1].array > 0, (2.5, 1.25, 1.25)) > 3.0])
    for scar, output in ((("scar-net",), "model"), (("iir", "--threshold", SCAR_LEVEL / blood), "rule")):
        assert lascarseg(capfd, "run", "image.nrrd", "--cavity", "cavity.nrrd", "--scar", *scar, "-o", output).code == 0
    model, rule = numbers(folder / "model"), numbers(folder / "rule")
    for key in ("scar_area_pct", "scar_volume_ml", "scar_pct_of_wall_volume"):
        # two_stage_sdm's region leaves out a few voxels of the wall; in the range the wall is shifted under the prediction, too.
        assert model[key]["value"] == pytest.approx(rule[key]["value"], rel=0.01)
        assert model[key]["high"] == pytest.approx(rule[key]["high"], rel=0.05)
    assert model["scar_volume_ml"]["value"] == pytest.approx(
        model["scar_pct_of_wall_volume"]["value"] / 100 * model["wall_volume_ml"]["value"]
    )


def test_on_the_surface_a_vertex_is_scar_where_its_probability_passes(folder, capfd):
    install(folder, "scar")
    lascarseg(capfd, "run", "image.nrrd", "--cavity", "cavity.nrrd", "--scar", "scar-net", "-o", "out")
    scar, probability = (point_array(folder / "out" / "surface.vtp", name) for name in ("Scar", "ScarProbability"))
    assert 0 < scar.mean() < 1 and np.array_equal(probability > 0.5, scar > 0)


def test_measuring_a_models_result_again_keeps_its_scar(folder, capfd):
    install(folder, "scar")
    lascarseg(capfd, "run", "image.nrrd", "--cavity", "cavity.nrrd", "--scar", "scar-net", "-o", "out")
    assert lascarseg(capfd, "measure", "out", "-o", "again").code == 0
    assert numbers(folder / "again")["scar_area_pct"]["value"] == numbers(folder / "out")["scar_area_pct"]["value"]


def test_terms_are_shown_and_asked_for_before_any_work(folder, capfd):
    install(folder, terms="Research only.")
    assert "Research only." in refused(folder, capfd, "--cavity", "cavity-net")
    assert lascarseg(capfd, "run", "image.nrrd", "--cavity", "cavity-net", "--accept-terms", "-o", "out").code == 0
    assert lascarseg(capfd, "run", "image.nrrd", "--cavity", "cavity-net", "-o", "again").code == 0


class Typed(io.StringIO):
    """What a person types at a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def typed(monkeypatch):
    """Puts a person at a terminal, who types these lines."""

    def sit_down(*lines: str) -> None:
        monkeypatch.setattr(sys, "stdin", Typed("".join(f"{line}\n" for line in lines)))
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    return sit_down


def test_at_a_terminal_the_terms_are_shown_and_asked_for_once(folder, capfd, typed):
    install(folder, terms="Research only.")
    typed("y")
    first = lascarseg(capfd, "run", "image.nrrd", "--cavity", "cavity-net", "-o", "out")
    assert first.code == 0 and "Research only." in first.out and "Accept these terms?" in first.out
    assert ModelStore().accepted(ModelStore().find("cavity-net"))
    again = lascarseg(capfd, "run", "image.nrrd", "--cavity", "cavity-net", "-o", "again")
    assert again.code == 0 and "Accept" not in again.out


@pytest.mark.parametrize("answer", [("n",), ("",), ()])
def test_at_a_terminal_any_other_answer_refuses(folder, capfd, typed, answer):
    install(folder, terms="Research only.")
    typed(*answer)
    assert "not accepted" in refused(folder, capfd, "--cavity", "cavity-net")
    assert not ModelStore().accepted(ModelStore().find("cavity-net"))


def test_every_models_terms_are_asked_for_and_nothing_is_kept_until_all_are_accepted(folder, capfd, typed):
    install(folder, terms="Cavities for research only.")
    install(folder, "scar", terms="Scars for research only.")
    typed("y", "n")
    outcome = lascarseg(capfd, "run", "image.nrrd", "--cavity", "cavity-net", "--scar", "scar-net", "-o", "out")
    assert outcome.code == 2 and "Cavities for" in outcome.out and "Scars for" in outcome.out
    assert not ModelStore().accepted(ModelStore().find("cavity-net"))


def test_nobody_is_asked_for_terms_when_the_run_would_be_refused_anyway(folder, capfd, typed):
    install(folder, terms="Research only.")
    (folder / "out").mkdir()
    (folder / "out" / "mine.txt").write_text("mine")
    typed("y")
    outcome = lascarseg(capfd, "run", "image.nrrd", "--cavity", "cavity-net", "-o", "out")
    assert outcome.code == 2 and "Accept" not in outcome.out


def test_the_question_leaves_standard_output_to_the_json_lines(folder, capfd, typed):
    install(folder, terms="Research only.")
    typed("y")
    outcome = lascarseg(capfd, "run", "image.nrrd", "--cavity", "cavity-net", "-o", "out", "--progress", "json")
    assert outcome.code == 0 and "Research only." in outcome.err and "Accept these terms?" in outcome.err
    assert all(json.loads(line)["stage"] for line in outcome.out.splitlines())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_a_real_terminal_is_one(folder):
    import pty

    install(folder, terms="Research only.")
    ours, theirs = pty.openpty()
    program = "from LAScarSegLib.cli.main import main; main()"
    command = [sys.executable, "-c", program, "run", "image.nrrd", "--cavity", "cavity-net", "-o", "out"]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, text=True) as process:
        os.close(theirs)
        shown = ""
        while "Accept these terms? [y/N]" not in shown and process.poll() is None:
            shown += os.read(ours, 4096).decode()
        os.write(ours, b"n\n")
        error = process.communicate(timeout=120)[1]
    os.close(ours)
    assert "Research only." in shown and process.returncode == 2 and "not accepted" in error and not (folder / "out").exists()


def test_a_simulated_model_is_not_found_until_simulation_is_switched_on_and_then_flagged(folder, capfd, monkeypatch):
    install(folder, simulated=True)
    assert "no model 'cavity-net'" in refused(folder, capfd, "--cavity", "cavity-net")
    monkeypatch.setenv("LASCARSEG_SIMULATED", "1")
    assert lascarseg(capfd, "run", "image.nrrd", "--cavity", "cavity-net", "-o", "out").code == 0
    assert "simulated" in flag_codes(folder / "out")
    # Measured again, with a rule for the scar, it is still that model's cavity.
    assert lascarseg(capfd, "measure", "out", "--threshold", "1.4", "-o", "again").code == 0
    assert "simulated" in flag_codes(folder / "again")


def test_measured_again_a_models_scar_is_that_models_until_somebody_edits_it(folder, capfd, monkeypatch):
    monkeypatch.setenv("LASCARSEG_SIMULATED", "1")
    install(folder, "scar", simulated=True)
    assert lascarseg(capfd, "run", "image.nrrd", "--cavity", "cavity.nrrd", "--scar", "scar-net", "-o", "out").code == 0
    assert lascarseg(capfd, "measure", "out", "-o", "again").code == 0
    first, again = (numbers(folder / name) for name in ("out", "again"))
    assert again["method"] == first["method"] and again["scar_volume_ml"]["value"] == first["scar_volume_ml"]["value"]
    assert "simulated" in flag_codes(folder / "again")
    scar = read_volume(folder / "out" / "scar.nii.gz")
    write_volume(scar.like(np.roll(scar.array, 1, axis=2)), folder / "out" / "scar.nii.gz")
    assert lascarseg(capfd, "measure", "out", "-o", "edited").code == 0
    # A person's now, though the model began it: both are said.
    assert numbers(folder / "edited")["method"]["name"] == "mask" and "simulated" in flag_codes(folder / "edited")
    assert json.loads((folder / "edited" / "provenance.json").read_text())["edited"] == ["scar"]


def test_a_region_of_interest_is_where_the_model_looks(folder, capfd):
    install(folder)
    scan = small_scan()[0]
    roi = np.zeros(scan.array.shape, dtype=np.uint8)
    roi[2:-2, 4:-4, 4:-4] = 1
    write_volume(Volume(roi, scan.geometry), folder / "roi.nrrd")
    assert lascarseg(capfd, "run", "image.nrrd", "--cavity", "cavity-net", "--roi", "roi.nrrd", "-o", "out").code == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--cavity", "nothing"), "no model 'nothing'"),
        (("--cavity", "scar-net"), "finds the scar, it can't be used for the cavity"),
        (("--cavity", "cavity-net", "--device", "abacus"), "no device 'abacus'"),
        (("--cavity", "cavity-net", "--scar", "scar-net", "--threshold", "0.3"), "has its own"),
        (("--cavity", "cavity.nrrd", "--roi", "cavity.nrrd"), "none was chosen"),
        (("--cavity", "cavity.zip"), "models add cavity.zip"),
        (("--cavity", "store/cavity-net-1.0"), "seems to be a model bundle"),
        (("--cavity", "cavity.nrrd", "--scar", "scar.zip"), "models add scar.zip"),
    ],
)
def test_what_models_can_not_do_is_refused(folder, capfd, options, says):
    install(folder)
    install(folder, "scar")
    assert says in refused(folder, capfd, *options)


def test_an_image_of_nothing_is_not_given_to_a_network(folder, capfd):
    install(folder)
    scan = small_scan()[0]
    write_volume(scan.like(np.full_like(scan.array, 7)), folder / "image.nrrd")
    assert "Every voxel of the image is 7" in refused(folder, capfd, "--cavity", "cavity-net")


def test_a_scan_without_a_left_atrium_leaves_no_result(folder, capfd):
    install(folder)
    scan = small_scan()[0]
    write_volume(scan.like(np.random.default_rng(0).normal(50, 5, scan.array.shape).astype(np.int16)), folder / "image.nrrd")
    message = refused(folder, capfd, "--cavity", "cavity-net")
    assert "left atrium was not found" in message and "region of interest" in message
