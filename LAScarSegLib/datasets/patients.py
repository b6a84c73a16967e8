"""Which scans are of one patient: a table beside the data, where scans come without patients' numbers."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import InputError
from .layouts import listed
from .training_cases import TrainingCase

ID, GROUP = "id", "patient_group"
"""The columns that are read; others may stand beside them."""


def read_patients(path: str | Path) -> dict[str, str]:
    """The patient of every scan that has one, by the scan's id, from a CSV file with the columns `id` and `patient_group`.

    Raises
    ------
    InputError
        no such file, another kind of file, a line without id, one id with two patients, no line at all.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise InputError(f"The table of patients {path} does not exist. Check the path.")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns, rows = reader.fieldnames or [], list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is no table of patients: it can't be read as CSV ({error}). {_wanted()}") from error
    lacking = [name for name in (ID, GROUP) if name not in columns]
    if lacking:
        raise InputError(f"{path} is no table of patients: it lacks the column {', '.join(lacking)}. {_wanted()}")
    patients: dict[str, str] = {}
    for line, row in enumerate(rows, start=2):
        scan, patient = ((row[name] or "").strip() for name in (ID, GROUP))
        if not scan:
            raise InputError(f"{path}, line {line}: there is no {ID}. Fill it in, or take the line out.")
        if patients.setdefault(scan, patient) != patient:
            both = f"of {patient or 'nobody'} and of {patients[scan] or 'nobody'}"
            raise InputError(f"{path}, line {line}: {scan} is {both}. Correct one of them.")
    if not patients:
        raise InputError(f"{path} is no table of patients: it has no lines. {_wanted()}")
    return {scan: patient for scan, patient in patients.items() if patient}


def _wanted() -> str:
    return f"Give a CSV file with the columns {ID} and {GROUP}, a line for each scan."


def by_patient(cases: Sequence[TrainingCase], patients: Mapping[str, str]) -> list[TrainingCase]:
    """The cases with groups that hold a patient's scans and those that had one group before: neither is ever divided.

    A case is of the patient of its name, or else of its group's name, as that of a scan shown in another field of view. Cases that
    `patients` doesn't know keep their groups. `InputError` when it knows none.
    """
    patient_of = {case.name: patients.get(case.name, patients.get(case.group, "")) for case in cases}
    if not any(patient_of.values()):
        raise InputError(
            f"The table of patients knows none of the cases {listed(case.name for case in cases)}, but {listed(patients)}. "
            "Give the table of these scans."
        )
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while (above := parent.setdefault(key, key)) != key:
            key = above
        return key

    for case in cases:
        patient = patient_of[case.name]
        if patient:
            # The patient's name stays on top of the groups that it joins; of two patients the first.
            roots = root(f"patient {patient}"), root(f"group {case.group}")
            one, other = sorted(roots, key=lambda key: (not key.startswith("patient"), key))
            parent[other] = one
    roots = [root(f"group {case.group}") for case in cases]
    names = _distinct_names(roots)
    return [replace(case, group=names[key]) for case, key in zip(cases, roots)]


def _distinct_names(roots: Sequence[str]) -> dict[str, str]:
    """What each group is called: by its patient or its own name, and a patient otherwise than a group of the same name that isn't his."""
    names = {key: key.partition(" ")[2] for key in roots if key.startswith("group")}
    for key in sorted(set(roots) - names.keys()):
        name = key.partition(" ")[2]
        while name in names.values():
            name = f"patient {name}"
        names[key] = name
    return names
