"""`lascarseg reproduce` end to end for the five papers, undisturbed and killed twice at random: the tables must be the same.

A cohort of a few small phantoms in LAScarQS's layout, preset `tiny`, a few steps a training, one thread. It proves that the path goes
through, not what a method reaches. Killed means SIGKILL: nothing is tidied up.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from LAScarSegLib.datasets.layouts import LASCARQS_TASKS
from LAScarSegLib.datasets.phantoms import write_lascarqs_cohort
from LAScarSegLib.phantom import PhantomSettings
from LAScarSegLib.systems import SYSTEMS

PHANTOMS = PhantomSettings(size=(80, 72, 24), spacing=(1.5, 1.5, 4.0), la_volume_ml=60.0)
KILLS = 2
KILLED_AFTER = (0.1, 0.4)
"""Shares of the undisturbed run: both kills come before the end."""
PLAN_SECONDS = 20.0
MAIN = "from LAScarSegLib.cli.main import main; main()"


def write_cohort(folder: Path, counts: tuple[int, int]) -> Path:
    """Both tasks; the first scans of task 2 are those of task 1, as in LAScarQS."""
    for task, count in zip(LASCARQS_TASKS, counts):
        written = write_lascarqs_cohort(folder.with_name(f"{folder.name}_{task}"), count, seed=11, task=task, settings=PHANTOMS)
        folder.mkdir(exist_ok=True)
        shutil.move(written / task, folder / task)
    return folder


def command(paper: str, data: Path, *options: object) -> list[str]:
    return [sys.executable, "-c", MAIN, "reproduce", paper, "--data", str(data), "--preset", "tiny", "--device", "cpu", *map(str, options)]


def run(paper: str, data: Path, output: Path, steps: int, seconds: float | None = None) -> tuple[float, bool]:
    """How long it took, and whether it ended by itself; after `seconds` it is killed."""
    options = ("--epochs", 1, "--steps-per-epoch", steps, "--precision", 32, "--workers", 0, "-o", output)
    begin = time.perf_counter()
    process = subprocess.Popen(command(paper, data, *options), env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL)
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return time.perf_counter() - begin, False
    if code:
        raise SystemExit(f"{paper}: exit code {code}")
    return time.perf_counter() - begin, True


def tables(output: Path) -> dict[str, bytes]:
    """The content of every table, by its name."""
    return {path.name: path.read_bytes() for path in sorted((output / "tables").glob("*.csv"))}


def check(paper: str, data: Path, folder: Path, steps: int, chance: random.Random) -> bool:
    """One paper: its plan, an undisturbed run, and one that is killed; whether all is well."""
    begin = time.perf_counter()
    subprocess.run(command(paper, data, "--plan"), check=True, stdout=subprocess.DEVNULL)
    planned = time.perf_counter() - begin
    whole, _ = run(paper, data, folder / f"{paper}_whole", steps)
    wanted = {f"{table.key}.csv" for table in SYSTEMS[paper].reproduction.tables}
    kills = []
    for _ in range(KILLS):
        taken, ended = run(paper, data, folder / f"{paper}_killed", steps, chance.uniform(*KILLED_AFTER) * whole)
        kills += [] if ended else [taken]
    run(paper, data, folder / f"{paper}_killed", steps)
    first, second = tables(folder / f"{paper}_whole"), tables(folder / f"{paper}_killed")
    well = wanted <= first.keys() and first == second and len(kills) == KILLS and planned < PLAN_SECONDS
    after = " and ".join(f"{seconds:.0f}" for seconds in kills)
    print(
        f"{paper:18} plan {planned:5.1f} s   whole {whole:6.1f} s   killed after {after} s   {len(first)} tables   "
        f"{'the same' if first == second else 'NOT the same'}   {'ok' if well else 'NOT ok'}", flush=True,
    )  # fmt: skip
    return well


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("papers", nargs="*", default=list(SYSTEMS))
    parser.add_argument("--scans", type=int, nargs=2, default=(3, 4), help="of task 1 and of task 2")
    parser.add_argument("--steps", type=int, default=2, help="of each training")
    parser.add_argument("--seed", type=int, default=0, help="of the moments at which it is killed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = write_cohort(Path(folder) / "data", tuple(arguments.scans))
        chance = random.Random(arguments.seed)
        done = [check(paper, data, Path(folder), arguments.steps, chance) for paper in arguments.papers]
    raise SystemExit(0 if all(done) else 1)


if __name__ == "__main__":
    main()
