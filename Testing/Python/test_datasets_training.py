"""What can be trained on: layouts of data sets, their errors, duplicates, folds."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from training_data import SIZE, box_mask, scan, tiny_settings, write_case, write_cases

from LAScarSegLib.datasets.training_cases import find_training_cases, voxel_hash
from LAScarSegLib.errors import InputError
from LAScarSegLib.support.progress import Progress
from LAScarSegLib.training.preparation import check_cases, split
from LAScarSegLib.training.train import start_run
from LAScarSegLib.volumes.files import write_volume
from LAScarSegLib.volumes.volume import Geometry, Volume


def refusal(work, *arguments) -> str:
    with pytest.raises(InputError) as error:
        work(*arguments)
    return str(error.value)


def names(cases) -> list[str]:
    return [case.name for case in cases]


def check(data, stage="cavity"):
    return check_cases(find_training_cases(data, stage), stage, Progress())


def test_lascarqs_folders_are_found_from_any_level(tmp_path):
    write_cases(tmp_path, 2, labels=("atriumSegImgMO", "scarSegImgM"))
    for root in (tmp_path, tmp_path / "task1", tmp_path / "task1" / "train_data"):
        found = find_training_cases(root, "scar")
        assert names(found) == ["train_1", "train_2"]
        assert found[0].labels["scar"].path.name == "scarSegImgM.nii.gz"


def test_both_tasks_together_are_used_for_cavities_and_a_shared_scan_once(tmp_path):
    write_cases(tmp_path, 2)
    shutil.copytree(tmp_path / "task1", tmp_path / "task2")
    write_case(tmp_path / "task2" / "train_data" / "train_3", seed=9)
    hashes, notes = check(tmp_path)
    assert list(hashes) == ["task1_train_1", "task1_train_2", "task2_train_3"]
    assert len(notes) == 2 and "task2_train_1 is the same scan as task1_train_1" in notes[0]


def test_manifest_names_files_relative_to_itself_and_keeps_groups(tmp_path):
    write_case(tmp_path / "a", 1)
    write_case(tmp_path / "b", 2)
    table = tmp_path / "cases.csv"
    table.write_text("image,cavity,group\na/enhanced.nii.gz,a/atriumSegImgMO.nii.gz,P1\nb/enhanced.nii.gz,b/atriumSegImgMO.nii.gz,P1\n")
    found = find_training_cases(table, "cavity")
    assert names(found) == ["a", "b"] and {case.group for case in found} == {"P1"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image,scar\n", "lacks the column cavity"),
        ("image,cavity,colour\n", "unknown column colour"),
        ("image,cavity\na/enhanced.nii.gz,\n", "line 2: there is no cavity"),
        ("image,cavity\na/enhanced.nii.gz,a/lost.nii.gz\n", "lost.nii.gz does not exist"),
    ],
)
def test_manifest_errors_name_the_line_or_column(tmp_path, text, said):
    write_case(tmp_path / "a", 1)
    (tmp_path / "cases.csv").write_text(text)
    assert said in refusal(find_training_cases, tmp_path / "cases.csv", "cavity")


def test_nnunet_raw_folders_with_their_label_values(tmp_path):
    for folder in ("imagesTr", "labelsTr"):
        (tmp_path / folder).mkdir()
    both = box_mask()
    both.array[7][both.array[7] > 0] = 2
    write_volume(scan(1), tmp_path / "imagesTr" / "LA_001_0000.nii.gz")
    write_volume(both, tmp_path / "labelsTr" / "LA_001.nii.gz")
    labels = {"background": 0, "cavity": 1, "scar": 2}
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels, "file_ending": ".nii.gz"}))
    (case,) = find_training_cases(tmp_path, "scar")
    assert case.name == "LA_001"
    assert case.labels["scar"].read().array.sum() == 64 and case.labels["cavity"].read().array.sum() == 3 * 64
    (tmp_path / "labelsTr" / "LA_001.nii.gz").unlink()
    assert "no label for LA_001" in refusal(find_training_cases, tmp_path, "scar")


def test_missing_labels_name_the_case_and_can_be_excluded(tmp_path):
    write_cases(tmp_path, 2)
    write_case(tmp_path / "task1" / "train_data" / "train_3", 3, labels=())
    assert "no label for train_3 (cavity)" in refusal(find_training_cases, tmp_path, "cavity")
    (tmp_path / "task1" / "train_data" / "train_3" / "enhanced.nii.gz").unlink()
    assert names(find_training_cases(tmp_path, "cavity", ["train_2"])) == ["train_1"]
    assert "no case train_9" in refusal(find_training_cases, tmp_path, "cavity", ["train_9"])


def test_label_on_another_grid_is_refused_with_both_grids(tmp_path):
    case = write_case(tmp_path / "a", 1)
    write_volume(Volume(box_mask().array, Geometry(SIZE, (2.0, 2.0, 5.0))), case / "atriumSegImgMO.nii.gz")
    said = refusal(check, tmp_path)
    assert "24 × 20 × 12 voxels of 2 × 2 × 5 mm" in said and "2 × 2 × 4 mm" in said


def test_empty_label_is_refused(tmp_path):
    case = write_case(tmp_path / "a", 1)
    write_volume(box_mask(0, 0), case / "atriumSegImgMO.nii.gz")
    assert "a: the cavity" in refusal(check, tmp_path) and "is empty" in refusal(check, tmp_path)


def test_one_scan_with_two_different_labels_is_refused(tmp_path):
    write_case(tmp_path / "a", 1)
    twin = write_case(tmp_path / "b", 1)
    write_volume(box_mask(4, 7), twin / "atriumSegImgMO.nii.gz")
    assert "b and a are the same scan with different labels" in refusal(check, tmp_path)


def test_voxel_hash_does_not_depend_on_the_voxel_type():
    values = np.arange(24).reshape(2, 3, 4)
    assert voxel_hash(values.astype(np.int16)) == voxel_hash(values.astype(np.float64)) != voxel_hash(values.reshape(3, 2, 4))


def test_one_case_only_is_refused_and_nothing_is_left(tmp_path):
    write_cases(tmp_path / "data", 1)
    assert "at least 2 are needed" in refusal(start_run, tiny_settings(tmp_path / "data"), tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_folds_cover_every_case_once_and_keep_groups_together():
    groups = {f"c{n}": f"p{n // 2}" for n in range(20)}
    folds = [split(groups, fold, 5, seed=3) for fold in range(5)]
    assert sorted(name for fold in folds for name in fold.validation) == sorted(groups)
    for fold in folds:
        assert len(fold.validation) == 4
        assert not {groups[name] for name in fold.training} & {groups[name] for name in fold.validation}
    assert split(dict(reversed(groups.items())), 2, 5, seed=3) == folds[2]
    assert split(groups, 2, 5, seed=4) != folds[2]


def test_folds_that_do_not_exist_are_refused():
    groups = {"a": "a", "b": "b", "c": "c"}
    assert "from 2 to 3" in refusal(split, groups, 0, 5)
    assert "no fold 3" in refusal(split, groups, 3, 3)
