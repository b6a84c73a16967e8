"""Which prediction is compared with which reference, and what is said when that can't be told."""

import json

import numpy as np
import pytest

from LAScarSegLib.datasets.pairs import find_cases, find_cohort, pair_cases
from LAScarSegLib.errors import InputError
from LAScarSegLib.evaluation.request import EvaluationRequest, run_evaluation
from LAScarSegLib.evaluation.scores import read_mask, score_masks
from LAScarSegLib.volumes.files import write_volume
from LAScarSegLib.volumes.volume import Geometry, Volume

GRID = Geometry((24, 22, 20), (1.0, 1.0, 2.0))


def write(path, array=None, geometry=GRID):
    """A mask file; a block when no array is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_volume(Volume(block() if array is None else array, geometry), path)
    return path


def block(first=6, last=14, value=1):
    array = np.zeros(GRID.shape, dtype=np.int16)
    array[first:last, 6:16, 6:18] = value
    return array


def lascarqs(root, count=2, scar=True):
    for n in range(1, count + 1):
        case = root / "task1" / "train_data" / f"train_{n}"
        write(case / "atriumSegImgMO.nii.gz")
        if scar:
            write(case / "scarSegImgM.nii.gz", block(14, 15, 422))
    return root


def paired(prediction, reference, **options):
    pairs = pair_cases(find_cases(prediction), find_cases(reference), **options)
    return [(pair.structure, pair.case, pair.prediction.name, pair.reference.name) for pair in pairs]


def test_files_of_the_same_name(tmp_path):
    for n in (10, 2):
        write(tmp_path / "a" / f"case_{n}.nii.gz"), write(tmp_path / "b" / f"case_{n}.nrrd")
    expected = [("mask", "case_2", "case_2.nii.gz", "case_2.nrrd"), ("mask", "case_10", "case_10.nii.gz", "case_10.nrrd")]
    assert paired(tmp_path / "a", tmp_path / "b") == expected


def test_two_files_whatever_their_names(tmp_path):
    a, b = write(tmp_path / "mine.nii.gz"), write(tmp_path / "theirs.nrrd")
    assert paired(a, b) == [("mask", "theirs", "mine.nii.gz", "theirs.nrrd")]


def test_results_against_lascarqs_from_any_level(tmp_path):
    reference = lascarqs(tmp_path / "data")
    for n in (1, 2):
        for name in ("cavity", "scar", "wall"):
            write(tmp_path / "results" / f"train_{n}" / f"{name}.nii.gz")
    expected = [("cavity", f"train_{n}", "cavity.nii.gz", "atriumSegImgMO.nii.gz") for n in (1, 2)]
    expected += [("scar", f"train_{n}", "scar.nii.gz", "scarSegImgM.nii.gz") for n in (1, 2)]
    for level in (reference, reference / "task1", reference / "task1" / "train_data"):
        assert paired(tmp_path / "results", level) == expected
    assert paired(tmp_path / "results", reference, structure="scar") == expected[2:]
    one = paired(tmp_path / "results" / "train_2", reference / "task1" / "train_data" / "train_2")
    assert one == [expected[1], expected[3]]


def test_scar_brings_the_manual_cavity_of_its_case(tmp_path):
    reference = lascarqs(tmp_path / "data", 1)
    pair = pair_cases(find_cases(write(tmp_path / "scar_predict.nii.gz")), find_cases(reference / "task1/train_data/train_1"))[0]
    assert pair.cavity == reference / "task1/train_data/train_1/atriumSegImgMO.nii.gz"


def test_missing_partners_are_named(tmp_path):
    for n in (1, 2, 3):
        write(tmp_path / "b" / f"p{n}.nii.gz")
    write(tmp_path / "a" / "p2.nii.gz")
    with pytest.raises(InputError, match="without a prediction of the same name: p1, p3"):
        paired(tmp_path / "a", tmp_path / "b")
    assert [case for _, case, _, _ in paired(tmp_path / "a", tmp_path / "b", subset=True)] == ["p2"]
    with pytest.raises(InputError, match="without a reference of the same name: p1, p3"):
        paired(tmp_path / "b", tmp_path / "a")
    write(tmp_path / "c" / "q.nii.gz"), write(tmp_path / "c" / "r.nii.gz")
    with pytest.raises(InputError, match="No prediction has the name of a reference"):
        paired(tmp_path / "c", tmp_path / "b")


def test_a_case_in_which_a_method_found_nothing_to_write_is_an_error(tmp_path):
    reference = lascarqs(tmp_path / "data")
    write(tmp_path / "a" / "train_1" / "scar.nii.gz"), write(tmp_path / "a" / "train_2" / "cavity.nii.gz")
    with pytest.raises(InputError, match="Case train_1: the prediction has no cavity"):
        paired(tmp_path / "a", reference)


@pytest.mark.parametrize(
    "content, message", [((), "nothing to compare"), (("notes.txt",), "nothing to compare"), (None, "does not exist")], ids=str
)
def test_a_folder_without_masks(tmp_path, content, message):
    if content is not None:
        (tmp_path / "a").mkdir()
        for name in content:
            (tmp_path / "a" / name).write_text("no mask")
    with pytest.raises(InputError, match=message):
        find_cases(tmp_path / "a")


def test_both_tasks_at_once_are_refused(tmp_path):
    root = lascarqs(tmp_path / "data", 1)
    write(root / "task2" / "train_data" / "train_1" / "atriumSegImgMO.nii.gz")
    with pytest.raises(InputError, match="task1 and task2"):
        find_cases(root)


def test_one_case_in_two_formats_is_refused(tmp_path):
    write(tmp_path / "p.nii.gz"), write(tmp_path / "p.nrrd")
    with pytest.raises(InputError, match="p twice"):
        find_cases(tmp_path)


def test_another_grid_is_refused_not_resampled(tmp_path):
    shifted = Geometry(GRID.size, GRID.spacing, (0.0, 0.0, 1.0))
    request = EvaluationRequest(write(tmp_path / "a.nii.gz", geometry=shifted), write(tmp_path / "b.nii.gz"))
    with pytest.raises(InputError, match="another grid than the reference"):
        run_evaluation(request)


def test_masks_that_are_none(tmp_path):
    probability = write(tmp_path / "p.nii.gz", block().astype(np.float32) * 0.4)
    with pytest.raises(InputError, match="probability map"):
        read_mask(probability)
    both = write(tmp_path / "labels.nii.gz", block() + block(16, 18, 2))
    with pytest.raises(InputError, match="several labels: 1, 2"):
        read_mask(both)
    assert read_mask(both, label=2).array.sum() == 2 * 10 * 12
    assert read_mask(write(tmp_path / "value.nii.gz", block(value=420))).array.sum() == 8 * 10 * 12
    with pytest.raises(InputError, match="No mask has the label 7"):
        run_evaluation(EvaluationRequest(both, both, label=7))


def test_two_methods_need_the_same_cases(tmp_path):
    for folder, names in (("a", "12"), ("b", "23"), ("ref", "123")):
        for name in names:
            write(tmp_path / folder / f"p{name}.nii.gz")
    request = EvaluationRequest(tmp_path / "a", tmp_path / "ref", against=tmp_path / "b", subset=True)
    with pytest.raises(InputError, match="p1 .*p3"):
        run_evaluation(request)


def test_simulated_cases_say_so_and_are_not_averaged_with_scans(tmp_path):
    cohort = lascarqs(tmp_path / "cohort")
    (cohort / "truth.json").write_text(json.dumps({"train_1": {}, "train_2": {}}))
    for n in (1, 2, 3):
        write(tmp_path / "a" / f"train_{n}" / "scar.nii.gz", block(14, 15))
    evaluation = run_evaluation(EvaluationRequest(tmp_path / "a" / "train_1", cohort / "task1/train_data/train_1"))
    assert evaluation.simulated and all(score.simulated for score in evaluation.scores)
    (tmp_path / "a" / "train_3" / "provenance.json").write_text(json.dumps({"simulated": True}))
    with pytest.raises(InputError, match="never averaged"):
        paired(tmp_path / "a", lascarqs(tmp_path / "scans", 3))


def test_empty_masks_give_documented_numbers():
    empty, full, cavity = np.zeros(GRID.shape, bool), block(14, 15) > 0, block() > 0
    values, notes = score_masks(empty, full, GRID, cavity)
    assert values["dice"] == 0.0 and values["hd_mm"] is None and values["fp_in_cavity_pct"] is None
    assert values["challenge_sensitivity"] == 0.0 and values["mesh_dice"] == 0.0
    assert "prediction is empty" in notes[0]
    values, notes = score_masks(empty, empty, GRID, cavity)
    assert values["dice"] == values["challenge_gdice"] == values["mesh_dice"] == 1.0 and values["challenge_sensitivity"] is None
    assert "both empty" in notes[0]
    values, notes = score_masks(empty, empty, GRID, empty)
    assert values["challenge_gdice"] is None and values["mesh_dice"] is None
    assert "cavity is empty" in notes[1]


def test_the_box_around_the_masks_changes_no_number():
    small = score_masks(block(14, 15) > 0, block(13, 15) > 0, GRID, block() > 0)[0]
    padded = [np.pad(mask > 0, 30) for mask in (block(14, 15), block(13, 15), block())]
    wide = Geometry(padded[0].shape[::-1], GRID.spacing, (-30.0, -30.0, -60.0))
    assert score_masks(padded[0], padded[1], wide, padded[2])[0] == pytest.approx(small, nan_ok=True)


def test_a_cohorts_masks_are_found_in_whatever_capitals(tmp_path):
    for name in ("A.nii.gz", "A-Cavity.nii.gz", "b.nrrd", "B-CAVITY.nrrd", "c.nrrd"):
        (tmp_path / name).touch()
    assert {scan.name: scan.cavity and scan.cavity.name for scan in find_cohort(tmp_path)} == {"A": "A-Cavity.nii.gz", "b": "B-CAVITY.nrrd", "c": None}
    (tmp_path / "A-cavity.nii.gz").touch()
    with pytest.raises(InputError, match="A-Cavity.nii.gz and A-cavity.nii.gz differ in capitals alone"):
        find_cohort(tmp_path)
