"""The tables of Zhang J. et al. 2026 (progressive): tables 2 and 3, on the validation part of each of five folds."""

from .reproduction import MANUAL, Reproduction, Row, Shares, Table, Training

COLUMNS = ("dice", "hd_mm", "asd_mm")
NOT_READ = MANUAL
"""Its scar networks see a fixed part of the scan: whatever cavity they are given, no voxel follows from it."""


def _cavity(label: str, training: str, *published: tuple[float, float]) -> Row:
    return Row(label, dict(zip(COLUMNS, published)), cavity=training)


def _scar(label: str, training: str, *published: tuple[float, float]) -> Row:
    return Row(label, dict(zip(COLUMNS, published)), NOT_READ, training)


FULL = ((0.50, 0.02), (11.84, 3.11), (1.80, 0.55))
TABLES = Reproduction(
    split=Shares(folds=5),
    trainings=(
        Training("i", "cavity", task="task2"),
        Training("i_ii", "joint", start_from="i"),
        Training("i_ii_iii", "scar", start_from="i_ii"),
        Training("iii", "scar", "iii"),
        Training("i_iii", "scar", "i_iii", start_from="i"),
        Training("ii", "joint", "ii"),
        Training("ii_iii", "scar", "ii_iii", start_from="ii"),
    ),
    tables=(
        Table(
            "table_2_cavity", "Table 2: cavity", "cavity", COLUMNS,
            (
                _cavity("I", "i", (0.94, 0.02), (3.05, 0.96), (0.78, 0.32)),
                _cavity("I+II", "i_ii", (0.90, 0.01), (8.30, 2.44), (2.28, 1.13)),
            ),
        ),
        Table(
            "table_2_scar", "Table 2: scar", "scar", COLUMNS,
            (_scar("I+II", "i_ii", (0.49, 0.08), (13.02, 9.15), (1.96, 1.33)), _scar("I+II+III", "i_ii_iii", *FULL)),
        ),
        Table(
            "table_3", "Table 3: scar", "scar", COLUMNS,
            (
                Row(
                    "nnU-Net", dict(zip(COLUMNS, ((0.50, 0.09), (16.10, 24.33), (1.51, 3.63)))),
                    absent="Another framework; `lascarseg models import-nnunet` takes its result.",
                ),
                _scar("B1: III", "iii", (0.49, 0.02), (14.16, 4.26), (2.12, 0.76)),
                _scar("B2: I+III", "i_iii", (0.50, 0.02), (11.67, 2.48), (1.72, 0.34)),
                _scar("B3: II", "ii", (0.45, 0.02), (14.49, 9.86), (2.98, 1.71)),
                _scar("B4: II+III", "ii_iii", (0.49, 0.01), (11.25, 0.80), (1.84, 0.81)),
                _scar("Full: I+II+III", "i_ii_iii", *FULL),
            ),
        ),
    ),
    differences=(
        "The paper's n = 12 is one fold of five: here are all five, pooled and one by one.",
        "The scans that are measured also chose the checkpoint and the end of the training, as in the paper: the scores flatter.",
        "Stage I learns from task 2, which holds the scans of task 1 too: the cavity of a scan that is measured may come from a network "
        "that has seen it, as in the paper (--by-scan-hash keeps them apart).",
    ),
    validate_every=1,
)  # fmt: skip
