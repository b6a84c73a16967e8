"""What a reproduction is made of: the cut, duplicates, the descriptions of the papers, scores as published, tables. No network runs."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import stats
from training_data import write_case, write_cases

from LAScarSegLib.datasets.lascarqs import duplicates, hash_scans, open_lascarqs, said_of_duplicates
from LAScarSegLib.datasets.parts import cut
from LAScarSegLib.errors import InputError, NothingToLookAt
from LAScarSegLib.evaluation import as_published
from LAScarSegLib.evaluation.as_published import METRICS_OF_PAPERS, CaseResult, FoundCavity, counts, score_as_published
from LAScarSegLib.evaluation.published_tables import reproduce_table
from LAScarSegLib.jobs.reproduction.request import ReproductionRequest
from LAScarSegLib.jobs.reproduction.steps import plan_steps, with_coarse
from LAScarSegLib.intensity.rules import RULES
from LAScarSegLib.output.reproduction_report import write_tables
from LAScarSegLib.systems import SYSTEMS
from LAScarSegLib.systems.reproduction import MANUAL, Reproduction, Row, Shares, Table, Training
from LAScarSegLib.volumes.volume import Geometry, Volume

SIXTY, MORE = [f"train_{n}" for n in range(1, 61)], [f"train_{n}" for n in range(1, 131)]
PUBLIC = {
    "task1": {name: f"scan_{n}" for n, name in enumerate(SIXTY)},
    "task2": {name: f"scan_{n}" for n, name in enumerate(MORE)},
}
"""LAScarQS: the 60 scans of task 1 are among the 130 of task 2."""


def steps_of(paper: str, hashes=PUBLIC, **options):
    request = ReproductionRequest(paper, "data", **options)
    needed = {task: hashes[task] for task in request.description.tasks}
    return plan_steps(request, needed, Path("OUT"))


def by_file(hashes):
    return {task: {name: f"{task}/{name}" for name in cases} for task, cases in hashes.items()}


def test_the_cut_has_the_papers_sizes():
    # 70, 20 and 10 % of 60 and 130; 40 and 20 of 60; 80 and 20 %.
    parts = cut(by_file(PUBLIC), 0.2, 0.1)
    assert [len(parts["task1"].part(p)) for p in ("training", "validation", "test")] == [42, 12, 6]
    assert [len(parts["task2"].part(p)) for p in ("training", "validation", "test")] == [91, 26, 13]
    assert len(cut({"task1": by_file(PUBLIC)["task1"]}, 0.0, 1 / 3)["task1"].test) == 20
    assert len(cut(by_file(PUBLIC), 0.0, 0.2)["task1"].test) == 12


def test_every_scan_is_validated_once_in_five_folds():
    folds = [cut(by_file(PUBLIC), 0.0, 0.0, folds=5, fold=n) for n in range(5)]

    assert sorted(name for parts in folds for name in parts["task1"].validation) == sorted(SIXTY)
    # Progressive's n = 12.
    assert all(len(parts["task1"].validation) == 12 and len(parts["task1"].training) == 48 for parts in folds)


@pytest.mark.parametrize("fold", range(3))
def test_copies_of_a_scan_stay_together_when_asked_and_only_then(fold: int):
    twice = {"task1": {**PUBLIC["task1"], "train_61": "scan_3"}, "task2": PUBLIC["task2"]}
    together, apart = cut(twice, 0.2, 0.1, folds=3, fold=fold, seed=1), cut(by_file(twice), 0.2, 0.1, folds=3, fold=fold, seed=1)

    def part_of(parts, task, name):
        return next(p for p in ("training", "validation", "test") if name in parts[task].part(p))

    for name in twice["task1"]:
        twin = next(other for other, sha in twice["task2"].items() if sha == twice["task1"][name])
        assert part_of(together, "task1", name) == part_of(together, "task2", twin)
    assert part_of(together, "task1", "train_61") == part_of(together, "task1", "train_4")
    assert any(part_of(apart, "task1", name) != part_of(apart, "task2", name) for name in SIXTY)


def test_too_few_scans_are_refused():
    with pytest.raises(InputError, match="task1 has 2 scans: too few for a .* part"):
        cut({"task1": {"a": "a", "b": "b"}}, 0.2, 0.1)


@pytest.mark.parametrize("paper", SYSTEMS)
def test_every_training_and_rule_of_every_paper_exists(paper: str):
    description = SYSTEMS[paper].reproduction
    for training in description.trainings:
        stage = SYSTEMS[training.system or paper].stage(training.stage, training.variant)
        assert stage.presets.keys() >= {"tiny", "small", "paper"}
        assert (stage.start is not None) <= bool(training.start_from)
        if stage.start is not None:
            begun = description.training(training.start_from)
            assert begun.stage == stage.start.stage and stage.start.variant in ("", begun.variant)
    for table in description.tables:
        assert set(table.columns) <= METRICS_OF_PAPERS.keys()
        for row in table.rows:
            assert not row.rule or row.rule in RULES
            assert row.absent or row.cavity
            for key, variant in ((row.cavity, row.cavity_variant), (row.scar, row.scar_variant)):
                if key not in ("", MANUAL):
                    training = description.training(key)
                    stage = SYSTEMS[paper].stage(training.stage, variant or training.variant)
                    # Read as another variant they must be the same network, loss and input.
                    ours = SYSTEMS[paper].stage(training.stage, training.variant)
                    assert stage.presets["paper"].plan == ours.presets["paper"].plan
                    assert (stage.recipe, stage.channels) == (ours.recipe, ours.channels)


@pytest.mark.parametrize(
    ("paper", "table", "row", "metric", "published"),
    [
        ("two_stage_sdm", "table_1", "nnUNet (SDM, BUB, ROI)", "dice", (0.611, 0.115)),
        ("boundary_focused", "table_3", "U-Net+TopK+UAM; U-Net+DM", "dice", (0.6408, 0.1340)),
        ("progressive", "table_3", "B2: I+III", "hd_mm", (11.67, 2.48)),
        ("mtl_sesa", "table_2", "MTL-SESA", "challenge_dice", (0.543, 0.097)),
        ("msws_b2p", "table_1", "4", "dice", (0.922, None)),
    ],
)
def test_published_numbers(paper: str, table: str, row: str, metric: str, published):
    found = next(t for t in SYSTEMS[paper].reproduction.tables if t.key == table)

    assert next(r for r in found.rows if r.label == row).published[metric] == published


def test_a_description_that_does_not_hold_together_is_refused():
    with pytest.raises(InputError, match="needs cavity before it"):
        Reproduction(Shares(test=0.2), (Training("scar", "scar", cavities="cavity"),), (), ())
    with pytest.raises(InputError, match="No training is called x"):
        Reproduction(Shares(test=0.2), (), (Table("t", "T", "cavity", ("dice",), (Row("r", cavity="x"),)),), ())
    with pytest.raises(InputError, match="different labels"):
        Table("t", "T", "cavity", ("dice",), (Row("r"), Row("r")))


@pytest.mark.parametrize("paper", SYSTEMS)
def test_what_is_measured_was_trained_on_by_no_network_of_that_task(paper: str):
    steps = steps_of(paper)
    for fold, parts in enumerate(steps.parts):
        for measurement in [m for row in steps.measured.values() for m in row[fold : fold + 1]]:
            for name in (measurement.cavity, measurement.scar):
                if name in ("", MANUAL):
                    continue
                for run in steps.ensembles[name].runs:
                    run = next(r for r in steps.trainings if r.name == run)
                    if run.training.task == measurement.task and not run.training.all_scans:
                        left_out = set(run.settings.validation) | set(run.settings.exclude)
                        assert set(measurement.cases) <= left_out


@pytest.mark.parametrize("paper", [key for key, system in SYSTEMS.items() if len(system.reproduction.tasks) > 1])
def test_with_copies_kept_together_no_network_of_any_task_has_seen_what_is_measured(paper: str):
    """And as printed some have: every scan of task 1 is one of task 2."""

    def seen(**options) -> int:
        steps, leaks = steps_of(paper, **options), 0
        for fold in range(len(steps.parts)):
            for measurement in {m.name: m for row in steps.measured.values() for m in row[fold : fold + 1]}.values():
                scans = {PUBLIC[measurement.task][name] for name in measurement.cases}
                for name in (measurement.cavity, measurement.scar):
                    for run_name in steps.ensembles[name].runs if name in steps.ensembles else ():
                        run = next(r for r in steps.trainings if r.name == run_name)
                        while True:
                            cases = PUBLIC[run.training.task]
                            used = {s for n, s in cases.items() if n not in {*run.settings.validation, *run.settings.exclude}}
                            leaks += len(used & scans)
                            if not run.settings.start_from:
                                break
                            run = next(r for r in steps.trainings if r.name == Path(run.settings.start_from).name)
        return leaks

    assert seen(by_scan_hash=True) == 0
    # Boundary_focused trains nothing on both tasks for one row.
    assert (seen() > 0) == (paper != "boundary_focused")


def test_networks_that_know_the_surroundings_only_get_one_that_finds_the_atrium():
    small, paper = (with_coarse(ReproductionRequest("two_stage_sdm", "d", p)) for p in ("small", "paper"))

    assert [t.key for t in small][:2] == ["coarse_task2", "cavity"] and small[1].coarse == "coarse_task2"
    assert [t.key for t in paper][0] == "cavity" and not paper[0].coarse


def test_the_papers_learning_is_planned_to_the_step():
    """SYSTEMS.md: 1000 epochs of 250 steps in five folds; 350 of the scar; 12,000 iterations; fine-tuned on task 1 from task 2."""
    two = {run.name: run.settings for run in steps_of("two_stage_sdm").trainings}
    assert sum(name.startswith("cavity") for name in two) == 5
    assert two["cavity_part1"].total_epochs * two["cavity_part1"].steps_per_epoch == 250_000
    assert two["scar_full"].total_epochs == 350 and len(two["scar_full"].cavities) == 5 and two["scar_full"].anatomy == "predicted"
    mtl = {run.name: run.settings for run in steps_of("mtl_sesa").trainings}
    assert mtl["mtl_sesa"].total_epochs * mtl["mtl_sesa"].steps_per_epoch == 12_000
    msws = {run.name: run.settings for run in steps_of("msws_b2p").trainings}
    assert Path(msws["one_tuned"].start_from).name == "two" and Path(msws["two"].data).name == "task2"
    assert msws["scar"].anatomy == "truth"


def test_counts_by_hand():
    prediction, reference = np.array([1, 1, 1, 0, 0], bool), np.array([1, 1, 0, 1, 0], bool)

    assert counts(prediction, reference) == {"sensitivity": 2 / 3, "true_positives": 2, "false_positives": 1, "false_negatives": 1}
    assert counts(prediction, np.zeros(5, bool))["sensitivity"] is None


def test_the_mean_surface_distance_goes_one_way_as_medpys_asd():
    """Predicted voxels 1 and 4 mm beside the only true one: 2.5 mm; the other way 1 mm; both ways together (1 + 4 + 1) / 3."""
    prediction, reference = np.zeros((1, 1, 8), bool), np.zeros((1, 1, 8), np.uint8)
    prediction[0, 0, [1, 4]] = True
    reference[0, 0, 0] = 1

    values = score_as_published("a", prediction, Volume(reference, Geometry((8, 1, 1), (1.0, 1.0, 1.0)))).values

    assert values["asd_mm"] == pytest.approx(2.5) and values["assd_mm"] == pytest.approx(2.0)
    assert score_as_published("a", prediction & False, Volume(reference, Geometry((8, 1, 1), (1.0, 1.0, 1.0)))).values["asd_mm"] is None


def test_distances_are_medpys():
    medpy = pytest.importorskip("medpy.metric.binary")
    random = np.random.default_rng(3)
    one, other = (np.pad(random.random((6, 8, 9)) > 0.7, 2) for _ in range(2))
    spacing = (2.5, 0.625, 0.5)

    values = score_as_published("a", one, Volume(other.astype(np.uint8), Geometry(one.shape[::-1], spacing[::-1]))).values

    for key, theirs in (("asd_mm", medpy.asd), ("hd_mm", medpy.hd), ("assd_mm", medpy.assd)):
        assert values[key] == pytest.approx(theirs(one, other, voxelspacing=spacing)), key
    assert values["sensitivity"] == pytest.approx(medpy.sensitivity(one, other)) and values["dice"] == pytest.approx(medpy.dc(one, other))


def test_a_score_counts_every_voxel_wherever_it_lies():
    """Two cubes of scar, one far from the wall: the Dice is that of the voxels, 2·27 / (27 + 54); the far one is outside the wall."""
    geometry = Geometry((40, 40, 40), (1.0, 1.0, 1.0))
    cavity, scar = np.zeros((40, 40, 40), np.uint8), np.zeros((40, 40, 40), np.uint8)
    cavity[12:24, 12:24, 12:24] = 1
    scar[24:27, 15:18, 15:18] = 1
    found = scar > 0
    found[35:38, 35:38, 35:38] = True

    result = score_as_published("a", found, Volume(scar, geometry), Volume(cavity, geometry), "odd")

    assert result.values["dice"] == pytest.approx(2 * 27 / (27 + 54))
    assert (result.values["true_positives"], result.values["false_positives"]) == (27, 27)
    # From the far cube's corner (37, 37, 37) to the nearest voxel of the true one (26, 17, 17).
    assert result.values["hd_mm"] == pytest.approx(np.sqrt(11**2 + 20**2 + 20**2))
    assert result.values["fp_outside_wall_pct"] >= 50.0 and result.notes[0] == "odd"
    assert CaseResult.from_json(result.to_json()) == result


def table_of(labels: list[str]) -> Table:
    rows = tuple(Row(label, {"dice": (0.5, 0.1)}, cavity=MANUAL) for label in labels)
    absent = Row("other", {"dice": (0.9, None)}, absent="Elsewhere.")
    return Table("t", "T", "cavity", ("dice", "true_positives"), (*rows, absent), compared=((labels[0], labels[1]),))


def results_of(values: list[float]) -> list[CaseResult]:
    return [CaseResult(f"case_{n}", {"dice": v, "true_positives": 10 + n}) for n, v in enumerate(values)]


def test_a_table_pools_the_folds_sums_the_counts_and_tests_pairs():
    one, other = [0.5, 0.6, 0.7, 0.65, 0.8, 0.55, 0.62], [0.45, 0.58, 0.71, 0.6, 0.7, 0.5, 0.61]
    found = reproduce_table(table_of(["A", "B"]), {"A": [results_of(one)[:3], results_of(one)[3:]], "B": [results_of(other)]})
    dice, positives = found.rows[0].cells

    assert (dice.summary.n, dice.summary.mean) == (7, pytest.approx(np.mean(one))) and dice.summary.sd == pytest.approx(np.std(one, ddof=1))
    assert dice.summary.low < np.mean(one) < dice.summary.high and dice.published == (0.5, 0.1)
    assert positives.summary.mean == sum(range(10, 17)) and positives.total
    assert [cells[0].summary.n for cells in found.rows[0].folds] == [3, 4] and found.rows[1].folds == ()
    assert found.rows[2].cells[0].summary.n == 0
    pair = found.compared[0][2]
    assert pair.t_test_p_value == pytest.approx(stats.ttest_rel(one, other).pvalue)
    assert pair.p_value == pytest.approx(stats.wilcoxon(one, other).pvalue)


def test_tables_are_written_with_ours_and_the_published_numbers(tmp_path: Path):
    (tmp_path / "tables").mkdir()
    system = replace(SYSTEMS["two_stage_sdm"], title="A <paper>")
    found = reproduce_table(table_of(["A", "=B"]), {"A": [results_of([0.4, 0.6])]})
    write_tables(tmp_path, system, "tiny", [found], {"cut": ["task1: 2"], "remarks": ["R & D"], "simulated": True})

    with (tmp_path / "tables" / "t.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["mean"]) == pytest.approx(0.5) and float(rows[0]["published_mean"]) == 0.5 and rows[0]["data"] == "simulated"
    assert float(rows[0]["difference"]) == pytest.approx(0.0) and rows[1]["difference"] == ""
    assert {row["row"] for row in rows} == {"A", "'=B", "other"} and rows[-2]["remark"] == "Elsewhere."
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "A &lt;paper&gt;" in page and "R &amp; D" in page and "Simulated scans" in page and "0.500 ± 0.141" in page and "0.900" in page
    assert "http" not in page.replace("https://", "") and "<script" not in page and "Not computed: Elsewhere." in page


def both_tasks(root: Path) -> Path:
    """Three scans of task 1; of task 2 two, of which the first is one of task 1."""
    write_cases(root, 3, labels=("atriumSegImgMO", "scarSegImgM"))
    for n, seed in ((1, 2), (2, 9)):
        write_case(root / "task2" / "train_data" / f"train_{n}", seed)
    return root


def test_duplicates_are_found_within_and_between_the_tasks(tmp_path: Path):
    root = both_tasks(tmp_path)
    write_case(root / "task1" / "train_data" / "train_9", 1, ("atriumSegImgMO", "scarSegImgM"))
    groups = duplicates(hash_scans(open_lascarqs(root, ("task1", "task2"))))

    assert groups == [["task1/train_1", "task1/train_9"], ["task1/train_2", "task2/train_1"]]
    between, within = said_of_duplicates(groups)
    assert "1 scan is in both tasks: task1/train_2 is task2/train_1." in between and "task1/train_1 is task1/train_9" in within


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda root: shutil.rmtree(root), "is no folder"),
        (lambda root: [shutil.rmtree(root / task) for task in ("task1", "task2")], "does not hold LAScarQS's folders"),
        (lambda root: shutil.rmtree(root / "task2"), "lacks task2; this paper needs task1 and task2"),
        (lambda root: shutil.rmtree(root / "task2" / "train_data" / "train_2"), "holds 1 case; at least 2"),
        (lambda root: (root / "task1" / "train_data" / "train_2" / "scarSegImgM.nii.gz").unlink(), r"no label for train_2 \(scar\)"),
    ],
)
def test_data_that_are_not_lascarqs_are_refused(tmp_path: Path, spoil, said: str):
    root = both_tasks(tmp_path / "data")
    spoil(root)

    with pytest.raises(InputError, match=said):
        open_lascarqs(root, ("task1", "task2"))


def test_headers_of_one_millimetre_are_refused(tmp_path: Path):
    root = both_tasks(tmp_path / "data")
    image = sitk.Image([640, 640, 4], sitk.sitkInt16)
    sitk.WriteImage(image, root / "task2" / "train_data" / "train_2" / "enhanced.nii.gz")

    with pytest.raises(InputError, match=r"header of train_2 looks lost: 640 × 640 × 4 voxels of 1 × 1 × 1 mm.*0.625"):
        open_lascarqs(root, ("task1", "task2"))


@pytest.mark.parametrize(("error", "is_noted"), [(NothingToLookAt("The cavity is empty."), True), (InputError("It is of another system."), False)])
def test_a_cavity_with_nothing_to_look_at_has_no_scar_and_a_wrong_model_is_an_error(monkeypatch, error, is_noted):
    class Model:
        @staticmethod
        def from_bundle(*_):
            raise error

    monkeypatch.setattr(as_published, "BundleScarModel", Model)
    monkeypatch.setattr(as_published, "stage_of", lambda _: None)
    bundle = SimpleNamespace(card=SimpleNamespace(preprocessing=SimpleNamespace(crop=None)))
    scan = Volume(np.ones((2, 3, 4)), Geometry((4, 3, 2), (1.0, 1.0, 1.0)))
    looked_for = lambda: as_published.find_scar(bundle, scan, FoundCavity.manual(scan), "cpu", None)  # noqa: E731
    if not is_noted:
        with pytest.raises(InputError, match="another system"):
            looked_for()
        return
    scar, note = looked_for()
    assert not scar.any() and note == "No scar was looked for: The cavity is empty."
