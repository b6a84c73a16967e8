"""A table of patients keeps all scans of one on the same side of every split."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from training_data import tiny_settings, write_cases

from LAScarSegLib.datasets.patients import by_patient, read_patients
from LAScarSegLib.datasets.training_cases import TrainingCase
from LAScarSegLib.errors import InputError
from LAScarSegLib.training.train import start_run


def table(folder: Path, text: str) -> Path:
    path = folder / "patients.csv"
    path.write_text(text, encoding="utf-8")
    return path


def cases(**groups: str) -> list[TrainingCase]:
    return [TrainingCase(name, Path(name), {}, group) for name, group in groups.items()]


def grouped(found: list[TrainingCase]) -> set[frozenset[str]]:
    return {frozenset(case.name for case in found if case.group == group) for group in {case.group for case in found}}


def test_the_table_gives_each_scans_patient_and_other_columns_are_ignored(tmp_path):
    path = table(tmp_path, "id,set,patient_group,evidence\na,one,P1,clear\nb,two,P1,\nc,one,,\n")
    assert read_patients(path) == {"a": "P1", "b": "P1"}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"name,group\na,P1\n", "lacks the column id, patient_group"),
        (b"id,patient_group\n", "has no lines"),
        (b"id,patient_group\na,P1\na,P2\n", "line 3: a is of P2 and of P1"),
        (b"id,patient_group\n,P1\n", "line 2: there is no id"),
        (b"\x1f\x8b\x08\x00\xff\xfe", "can't be read as CSV"),
    ],
)
def test_what_is_no_table_of_patients_is_refused_with_the_reason(tmp_path, content, says):
    (tmp_path / "patients.csv").write_bytes(content)
    with pytest.raises(InputError, match=says):
        read_patients(tmp_path / "patients.csv")


def test_a_table_that_knows_none_of_the_cases_is_refused(tmp_path):
    with pytest.raises(InputError, match="knows none of the cases a, b"):
        by_patient(cases(a="a", b="b"), {"x": "P1"})
    with pytest.raises(InputError, match="does not exist"):
        read_patients(tmp_path / "nothing.csv")


def test_a_scan_without_a_patient_is_its_own_and_groups_are_joined_never_divided():
    """b shares its group with e, which the table doesn't know; d_thorax is d in another field of view."""
    found = by_patient(cases(a="a", b="pair", c="c", d="d", d_thorax="d", e="pair"), {"a": "P1", "b": "P1", "d": "P2"})
    assert grouped(found) == {frozenset("abe"), frozenset("c"), frozenset(("d", "d_thorax"))}


def test_two_patients_that_share_a_group_are_kept_together():
    found = by_patient(cases(a="g", b="g", c="c", d="d"), {"a": "P1", "b": "P2", "c": "P1", "d": "P2"})
    assert grouped(found) == {frozenset("abcd")}


def test_a_patient_and_a_group_of_the_same_name_that_is_not_his_are_kept_apart():
    found = by_patient(cases(a="1", b="b", c="c", d="patient 1"), {"b": "1", "c": "1"})
    assert grouped(found) == {frozenset("a"), frozenset("bc"), frozenset("d")}


def test_no_fold_divides_a_patient(tmp_path):
    write_cases(tmp_path / "data", 6)
    patients = {"train_1": "P1", "train_4": "P1", "train_2": "P2", "train_6": "P2"}
    path = table(tmp_path, "id,patient_group\n" + "".join(f"{name},{patient}\n" for name, patient in patients.items()))
    for fold in range(3):
        run = start_run(tiny_settings(tmp_path / "data", folds=3, fold=fold, patients=str(path)), tmp_path / f"run{fold}")
        sides = [{patients.get(name, name) for name in side} for side in (run.split.training, run.split.validation)]
        assert not sides[0] & sides[1] and run.settings.patients == str(path)


def test_a_validation_that_divides_a_patient_is_refused_and_a_left_out_scan_of_one_is_noted(tmp_path):
    write_cases(tmp_path / "data", 4)
    path = table(tmp_path, "id,patient_group\ntrain_1,P1\ntrain_4,P1\n")
    settings = tiny_settings(tmp_path / "data", patients=str(path), validation=("train_1",))
    with pytest.raises(InputError, match="train_1: to be validated on"):
        start_run(settings, tmp_path / "run")
    run = start_run(replace(settings, validation=("train_2",), exclude=("train_4",)), tmp_path / "run")
    assert any("train_4: left out, but other scans of the same patients" in note for note in run.notes)


@pytest.fixture
def benchmark_split(repository, monkeypatch):
    monkeypatch.syspath_prepend(str(repository / "Benchmarks" / "cavity_model"))
    import split

    return split


def test_a_later_version_is_measured_on_patients_that_no_version_has_seen(benchmark_split):
    """Of 1.0's sixteen one shares a patient with its training; the patient of CARMA's example has another scan there."""
    names = [f"scan{n}" for n in range(40)] + [benchmark_split.SAME_AS_CARMA]
    before, held = benchmark_split.divide(names)
    patients = {held[0]: "shared", before[0]: "shared", before[1]: "carma", benchmark_split.SAME_AS_CARMA: "carma", held[1]: "twice", held[2]: "twice"}
    training, kept = benchmark_split.divide_by_patient(names, patients)
    assert kept == held[1:] and set(training) == set(before) - {before[1]} | {held[0]}


def test_the_folds_of_the_other_centre_keep_each_scan_once(benchmark_split):
    names = [f"la_{n:03}" for n in range(14)]
    folds = [benchmark_split.divide_other_centre(names, fold) for fold in range(benchmark_split.FOLDS)]
    assert sorted(name for _, kept in folds for name in kept) == names
    assert all(not set(training) & set(kept) and len(training) + len(kept) == 14 for training, kept in folds)
