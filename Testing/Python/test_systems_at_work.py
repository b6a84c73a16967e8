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
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

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


def own_pairs() -> list[Pair]:
    """Of each system the one that is its paper's: the networks that its description names first."""
    return list({pair.system: pair for pair in reversed(pairs()) if next(iter(SYSTEMS[pair.system].stages)) == pair.cavity}.values())


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


STORY = (("erase_scar", 0, 3), ("put_back", 2, 0), ("paint_cavity", 3, 1))
"""Changes of `law_cases.Story`: all scar erased, put back to what the network found, and a cavity painted that the network has not seen."""


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


@pytest.fixture(scope="module")
def warm() -> Iterator[Any]:
    """The worker's process, kept between jobs as the module keeps it."""
    from LAScarSegLib.jobs.worker_process import WarmWorker

    worker = WarmWorker()
    yield worker
    worker.close()


@pytest.fixture(scope="module")
def batch() -> Any:
    """Examples/slicer_batch.py as a module."""
    pytest.importorskip("slicer", reason="the scene layer needs slicer-core")
    spec = importlib.util.spec_from_file_location("slicer_batch", REPOSITORY / "Examples" / "slicer_batch.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["slicer_batch"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def in_session(pair: Pair, temporary: Path, worker: Any) -> Analysis:
    """The analysis that Apply gives in the module, with both models chosen from its lists."""
    from session_cases import PYTHON, add_volume, left_in, wait_until

    from LAScarSegLib.scene import new_scene
    from LAScarSegLib.session.choices import MODEL, Choices, cavity_sources, methods, why_not
    from LAScarSegLib.session.run import AnalysisRun

    of_cavity, of_scar = (bundle.card.reference for bundle in bundles(pair))
    assert of_cavity in {option.key for option in cavity_sources()} and of_scar in {option.key for option in methods()}
    temporary.mkdir()
    scene = new_scene()
    volume = add_volume(scene, ball().image)
    choices = Choices(volume.GetID(), MODEL, cavity_model=of_cavity, method=of_scar, device="cpu", fast=True)
    assert why_not(scene, choices) == ""
    run = AnalysisRun(scene, choices, PYTHON, temporary, worker)
    run.start()
    wait_until(lambda: run.poll().done)
    assert run.state.error == "" and left_in(temporary) == [], run.log
    return run.analysis


@pytest.mark.parametrize("pair", own_pairs(), ids=str)
def test_law_3_every_door_leads_to_the_same_room(folder: Path, pair: Pair, batch: Any, warm: Any, capfd: pytest.CaptureFixture) -> None:
    """Library, worker, command line, batch script and the module's session, all with the system's networks for cavity and scar."""
    from LAScarSegLib.scene import new_scene

    of_cavity, of_scar = (bundle.card.reference for bundle in bundles(pair))
    library = analyse(ball().image, Settings(), **to_run(pair), ranges=False)
    chosen = {"cavity": of_cavity, "scar": of_scar, "device": "cpu"}
    request = {"image": "image.nrrd", **chosen, "settings": {"perturbation": False}, "output": "worker"}
    worker = run_request(Request.from_json(json.loads(json.dumps(request))))
    options = [text for name, value in chosen.items() for text in (f"--{name}", value)]
    outcome = lascarseg(capfd, "run", "image.nrrd", *options, "-o", "command line")
    assert outcome.code == 0, outcome.err
    assert batch.main(new_scene(), ["image.nrrd", *options, "-o", "batch"]) == 0
    session = in_session(pair, folder / "temporary", warm)
    for analysis in (worker, session):
        assert values(analysis) == pytest.approx(values(library), rel=1e-9)
        assert analysis.masks == library.masks and analysis.provenance["models"] == library.provenance["models"]
    for result in (folder / "worker", folder / "command line", folder / "batch" / "image"):
        assert written_values(result) == pytest.approx(values(library), rel=1e-9)
        for name in NAMES:
            assert np.array_equal(read_volume(result / f"{name}.nii.gz").array > 0, library.masks[name].whole())
    check_models(pair, library)


def check_models(pair: Pair, analysis: Analysis) -> None:
    """The result says what found its masks, and the scar is what the network found in the wall."""
    models = analysis.provenance["models"]
    assert [models[mask]["system"] for mask in ("cavity", "scar")] == [pair.system] * 2
    assert ("one_run" in models["scar"]) == (pair.cavity == pair.scar) and "simulated" in {flag.code for flag in analysis.flags}
    threshold = SYSTEMS[pair.system].stage(pair.scar).output("scar").threshold
    assert analysis.scar_box.any()
    assert np.array_equal(analysis.scar_box, analysis.wall_box & (analysis.scar_probability_box > threshold))


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
    probability = result.scar_probability_box
    assert np.isfinite(probability).all() and 0.0 <= probability.min() < probability.max() <= 1.0
    threshold = SYSTEMS[pair.system].stage(pair.scar).output("scar").threshold
    assert np.array_equal(result.scar_box, result.wall_box & (probability > threshold))
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
