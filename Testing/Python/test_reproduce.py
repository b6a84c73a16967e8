"""`lascarseg reproduce` as its user calls it: the plan of each paper, one paper from scans to tables though killed, bad input."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from small_scan import lascarseg
from test_reproduce_parts import both_tasks
from training_data import one_thread, write_case

from LAScarSegLib.errors import Cancelled, InputError
from LAScarSegLib.jobs.reproduction import engine, estimate
from LAScarSegLib.jobs.reproduction.engine import reproduce
from LAScarSegLib.jobs.reproduction.request import ReproductionRequest
from LAScarSegLib.support.progress import Progress, ProgressEvent
from LAScarSegLib.systems import SYSTEMS
from LAScarSegLib.training.run_folder import PREPARED, read_run
from LAScarSegLib.training.train import Hardware

__all__ = ["one_thread"]
PAPER = "two_stage_sdm"
ROOT = Path(__file__).resolve().parents[2]
MACHINE = Hardware(device="cpu", precision="32", workers=0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five scans of task 1, six of task 2, of which one is one of task 1."""
    root = both_tasks(tmp_path_factory.mktemp("reproduce") / "data")
    for task, numbers, labels in (("task1", (4, 5), ("atriumSegImgMO", "scarSegImgM")), ("task2", (3, 4, 5, 6), ("atriumSegImgMO",))):
        for n in numbers:
            write_case(root / task / "train_data" / f"train_{n}", 20 * n + len(labels), labels)
    return root


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three scans of task 1, two of task 2."""
    return both_tasks(tmp_path_factory.mktemp("few") / "data")


def request_of(data: Path, **changes) -> ReproductionRequest:
    return ReproductionRequest(**({"paper": PAPER, "data": str(data), "preset": "tiny", "epochs": 1, "steps_per_epoch": 1} | changes))


@pytest.mark.parametrize("paper", SYSTEMS)
def test_a_plan_of_each_paper(paper: str, data: Path, tmp_path: Path, capfd: pytest.CaptureFixture):
    outcome = lascarseg(capfd, "reproduce", paper, "--data", data, "--preset", "tiny", "--plan", "-o", tmp_path / "out", "--device", "cpu")

    assert outcome.code == 0, outcome.err
    assert not (tmp_path / "out").exists()
    for training in SYSTEMS[paper].reproduction.trainings:
        assert training.key in outcome.out
    flat = " ".join(outcome.out.split())
    assert "on processor" in flat and "GB on the disk" in flat and SYSTEMS[paper].reproduction.differences[0] in flat


class Interrupted:
    """Stops the work at the first message that begins like this; as in a kill nothing is asked of what is going on."""

    def __init__(self, message: str) -> None:
        self.message = message

    def __call__(self, event: ProgressEvent) -> None:
        if event.message.startswith(self.message):
            raise Killed


class Killed(BaseException):
    """Nothing in the library knows it."""


def tables(output: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in (output / "tables").iterdir()}


def test_a_paper_from_scans_to_tables_and_the_same_when_it_was_killed_twice(
    few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Pictures of the curves take a quarter of the time.
    monkeypatch.setattr("LAScarSegLib.training.recorder.draw_curves", lambda *arguments: None)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    done = reproduce(request_of(few), whole, MACHINE)
    for message in ("Training cavity_part2", "Measuring nnUNet (SDM, ROI)"):
        with pytest.raises(Killed):
            reproduce(request_of(few), killed, MACHINE, Progress(Interrupted(message)))
    assert not tables(killed) and len(list((killed / "scores").iterdir())) == 2
    reproduce(request_of(few), killed, MACHINE)

    assert tables(whole) == tables(killed) and tables(whole).keys() == {"table_1.csv", "table_2.csv", "compared.csv"}
    rows = list(csv.DictReader(tables(whole)["table_1.csv"].splitlines()))
    dices = [row for row in rows if row["metric"] == "dice"]
    assert [row["published_mean"] for row in dices] == ["0.524", "0.538", "0.584", "0.611"] and all(row["scans"] == "1" for row in dices)
    assert any("scan is in both tasks" in line for line in done.remarks) and (whole / "report.html").is_file()
    assert not any((folder / PREPARED).exists() for folder in (whole / "runs").iterdir())
    check_what_was_learned_from_what(whole)


def check_what_was_learned_from_what(output: Path) -> None:
    """The scar learned from cavities of networks that hadn't seen the scan, and not from what is measured."""
    measured = json.loads((output / "scores" / "scar-task1-test-cavity-scar_full.json").read_text(encoding="utf-8"))
    scar, cavities = read_run(output / "runs" / "scar_full"), [read_run(output / "runs" / f"cavity_part{n}") for n in (1, 2)]
    assert [result["case"] for result in measured] == list(scar.split.validation) and len(scar.split.training) == 2
    assert set(cavities[0].split.training) == set(cavities[1].split.validation)
    assert scar.settings.anatomy == "predicted"


def test_bad_input_is_said_and_nothing_is_written(few: Path, tmp_path: Path, capfd: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch):
    def run(*options: object, paper: str = PAPER, data: Path = few):
        return lascarseg(capfd, "reproduce", paper, "--data", data, "--preset", "tiny", *options)

    for outcome, said in (
        (run(), "-o FOLDER"),
        (run("-o", tmp_path / "out", paper="tea_leaves"), "no system 'tea_leaves'"),
        (run("-o", tmp_path / "out", data=tmp_path), "does not hold LAScarQS's folders"),
        (run("-o", tmp_path / "out", "--steps-per-epoch", 0), "steps_per_epoch is 0"),
        (run("-o", tmp_path / "nowhere" / "out"), "does not exist"),
    ):
        assert outcome.code == 2 and said in outcome.err
    full = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(estimate.shutil, "disk_usage", lambda place: full)
    outcome = run("-o", tmp_path / "out")
    assert outcome.code == 2 and "GB left; the trainings need about" in outcome.err
    assert not list(tmp_path.iterdir())


def test_a_second_process_in_the_same_folder_is_told_so(few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    output, said = tmp_path / "out", []

    def meanwhile(*arguments, **options):
        hold = (
            "import sys; from pathlib import Path; from LAScarSegLib.support.one_at_a_time import alone_in\n"
            "with alone_in(Path(sys.argv[1])): pass"
        )
        said.append(subprocess.run([sys.executable, "-c", hold, str(output)], capture_output=True, text=True, cwd=ROOT))
        raise Cancelled

    monkeypatch.setattr(engine, "_train_all", meanwhile)
    for _ in range(2):
        with pytest.raises(Cancelled):
            reproduce(request_of(few), output, MACHINE)
    assert all(f"Another process is working in {output}" in process.stderr for process in said) and len(said) == 2


def test_what_another_version_or_another_request_has_begun_is_left_alone(few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def stop(*arguments, **options):
        raise Cancelled

    output = tmp_path / "out"
    monkeypatch.setattr(engine, "_train_all", stop)
    with pytest.raises(Cancelled, match="the same command goes on there"):
        reproduce(request_of(few), output, MACHINE)
    card = output / "reproduction.json"
    before = card.read_bytes()

    with pytest.raises(InputError, match="steps_per_epoch was 1, now 2"):
        reproduce(request_of(few, steps_per_epoch=2), output, MACHINE)
    card.write_text(before.decode().replace('"version": "', '"version": "0.0.'), encoding="utf-8")
    older = card.read_bytes()
    with pytest.raises(InputError, match=r"begun by LAScarSeg 0\.0\..*Finish it with that version"):
        reproduce(request_of(few), output, MACHINE)
    assert card.read_bytes() == older
    card.write_bytes(before)
    shutil.copytree(few, tmp_path / "data")
    moved = replace(request_of(few), data=str(few))
    shutil.rmtree(few / "task2" / "train_data" / "train_2")
    write_case(few / "task2" / "train_data" / "train_7", 9)
    try:
        with pytest.raises(InputError, match="has other scans than when .* was begun: task2/train_2, task2/train_7"):
            reproduce(moved, output, MACHINE)
    finally:
        shutil.move(few / "task2" / "train_data" / "train_7", few / "task2" / "train_data" / "train_2")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="is not a reproduction"):
        reproduce(request_of(few), tmp_path / "theirs", MACHINE)
