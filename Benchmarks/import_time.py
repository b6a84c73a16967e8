"""How long importing takes, in fresh interpreters, against `python -c pass`; nothing loads torch."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

from common.timing import Bar, judge, median_seconds, print_table, ratio

BAR_SECONDS = 0.5
STATEMENTS = {
    "python -c pass": "pass",
    "import LAScarSegLib": "import LAScarSegLib",
    "import numpy (for comparison)": "import numpy",
    "import LAScarSegLib.jobs.worker": "import LAScarSegLib.jobs.worker",
    "import LAScarSegLib.analysis": "import LAScarSegLib.analysis",
    "lascarseg --help": "import sys; sys.argv[1:] = ['--help']; from LAScarSegLib.cli.main import app; app(standalone_mode=False)",
}


def fresh(statement: str) -> None:
    """Run a statement in an interpreter of its own."""
    subprocess.run([sys.executable, "-c", statement], check=True, stdout=subprocess.DEVNULL)


def median_seconds_in_turn(repetitions: int) -> dict[str, float]:
    """The median time of every statement; they take turns, so that a busy moment of the machine meets all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    for _ in range(repetitions):
        for name, code in STATEMENTS.items():
            seconds[name].append(median_seconds(lambda: fresh(code), 1)[0])
    return {name: statistics.median(values) for name, values in seconds.items()}


def loads_torch(statement: str) -> bool:
    code = f"{statement}\nimport sys\nprint('torch' in sys.modules)"
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()[-1] == "True"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=9)
    arguments = parser.parse_args()
    seconds = median_seconds_in_turn(arguments.repetitions)
    bare = seconds["python -c pass"]
    print_table(["", "s", "÷ python -c pass"], [[name, f"{s:.3f}", ratio(s, bare)] for name, s in seconds.items()])
    torch = [name for name, code in STATEMENTS.items() if loads_torch(code)]
    return judge(
        [
            Bar("import LAScarSegLib, beyond starting Python", seconds["import LAScarSegLib"] - bare, BAR_SECONDS, "s"),
            Bar(f"statements that load torch {torch or ''}".rstrip(), len(torch), 0, ""),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
