"""The tables of Zhang Y. et al. 2022 (boundary_focused). Dice is printed in per cent."""

from .reproduction import Reproduction, Row, Shares, Table, Training

FOLDS = 5
CAVITY = ("dice", "hd_mm", "asd_mm")
TASK_2 = "task2"


def _ensemble(key: str, stage: str, variant: str, task: str = "task1", cavities: str = "") -> Training:
    """nnU-Net's five folds, their final checkpoints."""
    return Training(key, stage, variant, task, FOLDS, cavities=cavities, checkpoint="last")


def _k(label: str, training: str, *published: tuple[float, float]) -> Row:
    return Row(label, dict(zip(CAVITY, published)), cavity=training)


TABLES = Reproduction(
    # The scans of the challenge's tests are not public: as many of those that are.
    split=Shares(test=1 / 6),
    trainings=(
        _ensemble("k100", "cavity", "plain", TASK_2),
        _ensemble("k20", "cavity", "topk20", TASK_2),
        _ensemble("k10", "cavity", "topk10", TASK_2),
        _ensemble("k5", "cavity", "topk5", TASK_2),
        _ensemble("cavity_plain", "cavity", "task1_plain"),
        _ensemble("cavity", "cavity", "task1"),
        _ensemble("scar_plain", "scar", "plain", cavities="cavity_plain"),
        _ensemble("scar", "scar", "full", cavities="cavity"),
    ),
    tables=(
        Table(
            "table_1", "Table 1: cavity of task 2 with different K", "cavity", CAVITY,
            (
                _k("100", "k100", (0.8878, 0.0572), (16.94, 5.27), (1.749, 0.804)),
                _k("20", "k20", (0.8887, 0.0566), (17.05, 5.23), (1.735, 0.796)),
                _k("10", "k10", (0.8896, 0.0560), (16.45, 5.16), (1.715, 0.784)),
                # "It appears that the network cannot be trained".
                _k("5", "k5"),
            ),
            task=TASK_2, part="test",
        ),
        Table(
            "table_2", "Table 2: cavity of task 1", "cavity", CAVITY,
            (
                _k("U-Net", "cavity_plain", (0.8577, 0.1847), (50.74, 65.57), (2.201, 2.607)),
                Row(
                    "U-Net+TopK", dict(zip(CAVITY, ((0.8809, 0.1167), (25.86, 15.51), (2.110, 2.386)))), "cavity",
                    cavity_variant="task1_topk",
                ),
                _k("U-Net+TopK+UAM", "cavity", (0.9051, 0.0453), (23.32, 8.32), (1.64, 0.987)),
            ),
            part="test",
        ),
        Table(
            "table_3", "Table 3: scar of task 1", "scar", ("dice",),
            (
                Row("U-Net; U-Net", {"dice": (0.6046, 0.1832)}, "cavity_plain", "scar_plain"),
                Row("U-Net+TopK; U-Net+DM", {"dice": (0.6145, 0.1559)}, "cavity", "scar", cavity_variant="task1_topk"),
                Row("U-Net+TopK+UAM; U-Net+DM", {"dice": (0.6408, 0.1340)}, "cavity", "scar"),
            ),
            part="test",
        ),
    ),
    differences=(
        "The challenge's test scans (10 of task 1, 20 of task 2) are not public: a sixth of each task is kept apart instead.",
        "U-Net+TopK and U-Net+TopK+UAM are the same weights, read with one threshold and with a lower one for unusually uncertain "
        "cases; so the scar with the distance map is trained once, on predicted cavities.",
        "The cavity is scored as nnU-Net leaves it when it keeps the largest part; holes are filled.",
    ),
    largest_part=True,
)  # fmt: skip
