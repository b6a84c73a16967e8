"""Every published system behind the one interface: its bundles through every door, and the three laws (ARCHITECTURE) with each as a source.

The networks are the systems' own in their smallest preset, fitted to a scan of a ball (`model_cases.fitted`): they see something, and
nothing here says how well.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch", reason="networks need torch")
pytest.importorskip("monai", reason="networks need lascarseg[models]")
pytest.importorskip("safetensors", reason="networks need safetensors")

from analytic import Grid  # noqa: E402
from conftest import REPOSITORY  # noqa: E402
from law_cases import CARRIERS, NAMES, QUICK, Story, check_written, phantom, regridded  # noqa: E402
from model_cases import fitted, tiny_card  # noqa: E402
from same_analysis import assert_same  # noqa: E402
from scene_cases import rotation  # noqa: E402
from scipy import ndimage  # noqa: E402
from small_scan import lascarseg, numbers, only_data_files  # noqa: E402
from training_data import one_thread  # noqa: E402, F401

from LAScarSegLib.analysis import Analysis, Change, Mask, Network, Offset, ToRun, analyse, revise  # noqa: E402
from LAScarSegLib.analysis.network_runs import find_both, find_cavity, find_scar  # noqa: E402
from LAScarSegLib.analysis.settings import Settings  # noqa: E402
from LAScarSegLib.errors import AtriumNotFound  # noqa: E402
from LAScarSegLib.inference.options import InferenceOptions  # noqa: E402
from LAScarSegLib.jobs.request import Request, run_request  # noqa: E402
from LAScarSegLib.models.bundle import Bundle  # noqa: E402
from LAScarSegLib.models.store import ModelStore  # noqa: E402
from LAScarSegLib.systems import SYSTEMS  # noqa: E402
from LAScarSegLib.volumes.files import read_volume, write_volume  # noqa: E402
from LAScarSegLib.volumes.volume import Volume  # noqa: E402

ON_CPU = InferenceOptions(device="cpu")
SPACING_MM, RADIUS_MM, REACH_MM, CAP_DEGREES, NOISE = (2.0, 2.0, 2.5), 22.0, 30.0, 40.0, 10.0
"""The scan of a ball of `small_scan`, in a third of its voxels."""
SCAR_LEVEL = 250.5
"""Its grey levels between blood and scar."""
LEAST_DICE = 0.65
"""Of the fitted networks' cavities on the scan that they were fitted to: they look at the right thing."""
OTHERS_LAWS = ("two_stage_sdm", "boundary_focused")
"""Whose bundles `test_laws`, `test_scar_bundle`, `test_slicer_batch` and `test_session_story` run."""


@dataclass(frozen=True)
class Pair:
    """The networks of one system that find cavity and scar: two, or one that finds both."""

    system: str
    cavity: str
    scar: str

    def __str__(self) -> str:
        return f"{self.system}-{self.cavity}" if self.cavity == self.scar else self.system

    def name(self, stage: str) -> str:
        """Of the bundle in the store."""
        return f"{self.system}-{stage}".replace("_", "-")


def pairs() -> list[Pair]:
    """All that `lascarseg run` can be asked for of each system's own method."""
    found = []
    for key, system in SYSTEMS.items():
        if key in OTHERS_LAWS:
            continue
        found += [Pair(key, "cavity", "scar")] if {"cavity", "scar"} <= set(system.stages) else []
        found += [Pair(key, stage, stage) for stage in system.stages if len(system.stage(stage).produces) == 2]
    return found


PAIRS = pytest.mark.parametrize("pair", pairs(), ids=str)


@functools.cache
def ball() -> SimpleNamespace:
    """The scan (int16) as `image`, its `cavity` (uint8), and no `planes`."""
    grid = Grid.around(SPACING_MM, REACH_MM)
    ideal = grid.scan_of_ball(RADIUS_MM, CAP_DEGREES, np.array([0.0, 0.0, 1.0]))
    image = (ideal.array + np.random.default_rng(0).normal(0.0, NOISE, ideal.array.shape)).astype(np.int16)
    return SimpleNamespace(
        image=Volume(image, grid.geometry), cavity=Volume(grid.ball(RADIUS_MM).array.astype(np.uint8), grid.geometry), planes=()
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A bundle of every network, in the user's store."""
    place = tmp_path_factory.mktemp("work") / "store"
    image = ball().image
    drawn = {"cavity": ball().cavity.array > 0, "scar": image.array > SCAR_LEVEL}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LASCARSEG_MODELS", str(place))
        patch.setenv("LASCARSEG_SIMULATED", "1")
        for system, stage in sorted({(pair.system, stage) for pair in pairs() for stage in (pair.cavity, pair.scar)}):
            ModelStore().keep_new(*fitted(tiny_card(system, stage), image, drawn))
        yield place


@pytest.fixture
def folder(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user is: the scan of the ball and its cavity."""
    write_volume(ball().image, tmp_path / "image.nrrd")
    write_volume(ball().cavity, tmp_path / "image-cavity.nrrd")
    monkeypatch.chdir(tmp_path)
    only_data_files(monkeypatch)
    return tmp_path


def bundles(pair: Pair) -> tuple[Bundle, Bundle]:
    return ModelStore().find(pair.name(pair.cavity)), ModelStore().find(pair.name(pair.scar))


def found(pair: Pair, scan: Volume, cavity: Mask | None = None) -> dict[str, Network]:
    """What the networks of a pair find in a scan, the scar around what was found or around `cavity`."""
    of_cavity, of_scar = bundles(pair)
    if cavity is None and pair.cavity == pair.scar:
        return dict(zip(("cavity", "scar"), find_both(scan, of_cavity, ON_CPU)))
    masks = {"cavity": find_cavity(scan, of_cavity, ON_CPU)} if cavity is None else {}
    return masks | {"scar": find_scar(scan, cavity or masks["cavity"].mask, of_scar, ON_CPU)}


def to_run(pair: Pair) -> dict[str, ToRun]:
    return {name: ToRun(bundle, ON_CPU) for name, bundle in zip(("cavity", "scar"), bundles(pair))}


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def values(analysis: Analysis) -> dict[str, float]:
    """What could be measured."""
    return {key: quantity.value for key, quantity in analysis.measurements.items() if quantity.value is not None}


def written_values(result: Path) -> dict[str, float]:
    """The same of a result folder."""
    measured = (item for item in numbers(result).items() if isinstance(item[1], dict) and "unit" in item[1])
    return {key: quantity["value"] for key, quantity in measured if quantity["value"] is not None}


# The laws


STORY = (("paint_cavity", 3, 1), ("draw_scar", 5, 1), ("erase_scar", 0, 3), ("put_back", 2, 0), ("erase_cavity", 8, 2))
"""Changes of `law_cases.Story`: cavity painted, scar drawn, all of it erased, put back to what the network found, cavity erased."""


@PAIRS
def test_law_1_a_changed_result_of_networks_is_the_analysis_of_what_it_is_made_of_now(store: Path, pair: Pair) -> None:
    sources = found(pair, ball().image)
    story = Story.of(ball(), {"wall": Offset(), **sources})
    unchanged = story.analysis
    for what, place, size in STORY:
        story.do(what, place, size, wait=False)
    # Asked for in a change, networks find what they find by themselves.
    by_rule = analyse(ball().image, QUICK, cavity=ball().cavity, ranges=False)
    assert_same(revise(by_rule, Change(**to_run(pair)), ranges=False), unchanged)


@PAIRS
def test_law_2_what_networks_found_is_read_back_from_folder_archive_and_scene(folder: Path, pair: Pair) -> None:
    written = analyse(ball().image, QUICK, **found(pair, ball().image), ranges=False)
    for carrier in CARRIERS:
        if carrier != "scene" or importlib.util.find_spec("slicer"):
            check_written(carrier, written, folder / "image.nrrd", folder, "scar" if carrier == "archive" else "cavity")


STORED_OTHERWISE = (((0, 1, 2), (True, False, True), (0.0, 0.0)), ((2, 1, 0), (True, True, False), (-0.3, 0.6)))
"""Flipped; permuted, flipped and turned."""


@PAIRS
def test_law_3_the_networks_find_the_same_however_the_scan_is_stored(store: Path, pair: Pair) -> None:
    image = ball().image
    straight = found(pair, image)
    assert dice(straight["cavity"].mask.whole(), ball().cavity.array > 0) > LEAST_DICE
    for order, flips, turn in STORED_OTHERWISE:
        other = found(pair, regridded(image, order, flips, rotation(*turn)))
        for name, network in straight.items():
            expected = regridded(image.like(network.mask.whole().astype(np.uint8)), order, flips, rotation(*turn)).array > 0
            assert expected.any() and dice(other[name].mask.whole(), expected) >= 0.99, name


@PAIRS
def test_law_3_command_line_and_worker_give_what_the_library_gives(folder: Path, pair: Pair, capfd: pytest.CaptureFixture) -> None:
    of_cavity, of_scar = (bundle.card.reference for bundle in bundles(pair))
    outcome = lascarseg(capfd, "run", "image.nrrd", "--cavity", of_cavity, "--scar", of_scar, "--device", "cpu", "-o", "command line")
    assert outcome.code == 0, outcome.err
    request = {"image": "image.nrrd", "cavity": of_cavity, "scar": of_scar, "device": "cpu", "settings": {"perturbation": False},
               "output": str(folder / "worker")}  # fmt: skip
    worker = run_request(Request.from_json(json.loads(json.dumps(request))))
    library = analyse(ball().image, replace(QUICK, mesh_edge_mm=Settings().mesh_edge_mm), **to_run(pair), ranges=False)
    result = folder / "command line"
    assert written_values(result) == written_values(folder / "worker") == values(worker) == values(library)
    masks = {name: read_volume(result / f"{name}.nii.gz").array for name in (*NAMES, "scar_probability")}
    for name in NAMES:
        assert np.array_equal(masks[name] > 0, library.masks[name].whole()) and worker.masks[name] == library.masks[name]
    threshold = SYSTEMS[pair.system].stage(pair.scar).output("scar").threshold
    assert masks["scar"].any() and np.array_equal((masks["scar_probability"] > threshold) & (masks["wall"] > 0), masks["scar"] > 0)
    models = json.loads((result / "provenance.json").read_text(encoding="utf-8"))["models"]
    assert [models[mask]["system"] for mask in ("cavity", "scar")] == [pair.system] * 2
    assert ("one_run" in models["scar"]) == (pair.cavity == pair.scar)


# The doors of Slicer


@pytest.fixture(scope="module")
def warm() -> Iterator[object]:
    """The worker's process, kept between jobs as the module keeps it."""
    pytest.importorskip("slicer", reason="needs slicer-core")
    from LAScarSegLib.jobs.worker_process import WarmWorker

    worker = WarmWorker()
    yield worker
    worker.close()


@PAIRS
def test_the_modules_session_gives_the_same(folder: Path, pair: Pair, warm: object) -> None:
    from session_cases import PYTHON, add_volume, left_in, wait_until

    from LAScarSegLib import scene as mrml
    from LAScarSegLib.session.choices import MODEL, Choices, cavity_sources, methods, why_not
    from LAScarSegLib.session.run import AnalysisRun

    of_cavity, of_scar = (bundle.card.reference for bundle in bundles(pair))
    assert of_cavity in {option.key for option in cavity_sources()} and of_scar in {option.key for option in methods()}
    (temporary := folder / "temporary").mkdir()
    scene = mrml.new_scene()
    volume = add_volume(scene, ball().image)
    choices = Choices(volume.GetID(), MODEL, cavity_model=of_cavity, method=of_scar, device="cpu", fast=True)
    assert why_not(scene, choices) == ""
    run = AnalysisRun(scene, choices, PYTHON, temporary, warm)
    run.start()
    wait_until(lambda: run.poll().done)
    assert run.state.error == "", run.log
    expected = analyse(ball().image, choices.settings, **to_run(pair))
    assert values(run.analysis) == pytest.approx(values(expected), rel=1e-9)
    for name in NAMES:
        assert run.analysis.masks[name] == expected.masks[name]
    assert run.analysis.provenance["models"] == expected.provenance["models"] and left_in(temporary) == []


@pytest.fixture(scope="module")
def batch() -> object:
    """Examples/slicer_batch.py as a module."""
    pytest.importorskip("slicer", reason="the scene layer needs slicer-core")
    spec = importlib.util.spec_from_file_location("slicer_batch", REPOSITORY / "Examples" / "slicer_batch.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["slicer_batch"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@PAIRS
def test_the_batch_script_gives_the_same_around_a_cavity_that_was_drawn(folder: Path, pair: Pair, batch: object) -> None:
    from LAScarSegLib import scene as mrml

    assert batch.main(mrml.new_scene(), [".", "-o", "out", "--scar", pair.name(pair.scar), "--device", "cpu"]) == 0
    scar = found(pair, ball().image, Mask.of(ball().cavity.array))["scar"]
    assert scar.mask.voxels
    expected = analyse(ball().image, cavity=ball().cavity, scar=scar, ranges=False)
    assert written_values(folder / "out" / "image") == pytest.approx(values(expected), rel=1e-9)


# Hearts


@pytest.fixture(scope="module")
def carma(data_dir: Path) -> Analysis:
    """A real scan with its own cavity, its scar by a rule."""
    image, cavity = (read_volume(data_dir / "carma" / f"autoscar-{name}.nrrd") for name in ("data", "endo"))
    return analyse(image, QUICK, cavity=cavity, ranges=False)


@pytest.fixture(scope="module")
def simulated() -> Analysis:
    """A phantom with its own cavity; it lies obliquely."""
    return analyse(phantom(1).image, QUICK, cavity=phantom(1).cavity, ranges=False)


@pytest.mark.parametrize("heart", ["simulated", "carma"])
@PAIRS
def test_in_a_heart_the_scar_is_looked_for_around_its_own_cavity(
    store: Path, pair: Pair, heart: str, request: pytest.FixtureRequest
) -> None:
    before: Analysis = request.getfixturevalue(heart)
    result = revise(before, Change(scar=ToRun(bundles(pair)[1], ON_CPU)), ranges=False)
    probability, wall = result.scar_probability_box, result.wall_box
    assert np.isfinite(probability).all() and 0.0 <= probability.min() < probability.max() <= 1.0
    threshold = SYSTEMS[pair.system].stage(pair.scar).output("scar").threshold
    assert np.array_equal(result.scar_box, wall & (probability > threshold))
    # Everything but the scar is what it was.
    assert result.masks["cavity"] == before.masks["cavity"] and result.masks["wall"] == before.masks["wall"]
    assert values(result)["la_volume_ml"] == values(before)["la_volume_ml"] and "simulated" in {flag.code for flag in result.flags}


@PAIRS
def test_in_a_real_scan_a_cavity_is_found_or_the_reason_is_said(store: Path, carma: Analysis, pair: Pair) -> None:
    """The networks know a ball: what they find in a chest is anything, but it is one part on the scan's grid, or refused in words."""
    try:
        mask = find_cavity(carma.volume, bundles(pair)[0], ON_CPU).mask.whole()
    except AtriumNotFound as error:
        assert "at least 10 mL is needed" in str(error) and "region of interest" in str(error)
        return
    assert mask.shape == carma.volume.array.shape and mask.sum() * carma.volume.geometry.voxel_volume_ml >= 10.0
    assert ndimage.label(mask)[1] == 1
