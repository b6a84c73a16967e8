"""The three laws at length (ARCHITECTURE): 500 sequences of changes, 500 results through each carrier, 500 grids.

`Testing/Python/test_laws.py` does the same briefly at every `make test`, with other examples; what fails here is told with the numbers
that repeat it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from common.timing import Bar, judge, print_table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "Testing" / "Python"))

from law_cases import CARRIERS, CHANGES, PHANTOMS, STARTS, Story, check_carrier, check_grid  # noqa: E402
from scene_cases import rotation  # noqa: E402

PLACES, SIZES, LONGEST = 13, 4, 8


def steps(random: np.random.Generator, count: int) -> list[tuple[str, int, int]]:
    return [(str(random.choice(CHANGES)), int(random.integers(PLACES)), int(random.integers(SIZES))) for _ in range(count)]


def law_1(random: np.random.Generator, folder: Path) -> list[str]:
    story = Story(int(random.integers(PHANTOMS)), str(random.choice(STARTS)))
    for what, place, size in steps(random, LONGEST):
        story.do(what, place, size, bool(random.integers(2)))
    story.check(ranges=True)
    return [done.split()[0] for done in story.done]


def law_2(carrier: str) -> Callable[[np.random.Generator, Path], list[str]]:
    def check(random: np.random.Generator, folder: Path) -> list[str]:
        changes = steps(random, int(random.integers(2, 6)))
        check_carrier(carrier, int(random.integers(PHANTOMS)), str(random.choice(STARTS)), changes, folder)
        return [what for what, _, _ in changes]

    return check


def law_3(random: np.random.Generator, folder: Path) -> list[str]:
    order, flips = tuple(map(int, random.permutation(3))), random.integers(2, size=3).astype(bool)
    check_grid(int(random.integers(PHANTOMS)), str(random.choice(STARTS)), order, flips, rotation(*random.uniform(-3, 3, 2)))
    return []


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500, help="examples of each law (and carrier)")
    parser.add_argument("--first", type=int, default=0, help="number of the first example")
    parser.add_argument("--only", help="one of: 1, folder, archive, scene, 3")
    arguments = parser.parse_args()
    laws = {"1": law_1, **{carrier: law_2(carrier) for carrier in CARRIERS}, "3": law_3}
    rows, failures = [], 0
    with tempfile.TemporaryDirectory() as temporary:
        for place, (name, law) in enumerate(laws.items()):
            if arguments.only not in (None, name):
                continue
            start, broken, done = time.perf_counter(), [], Counter()
            for number in range(arguments.first, arguments.first + arguments.count):
                try:
                    done.update(law(np.random.default_rng((number, place)), Path(temporary)))
                except Exception:
                    broken.append(number)
                    print(f"law {name}, example {number}:\n{traceback.format_exc(limit=-3)}", flush=True)
            failures += len(broken)
            rows.append([name, arguments.count, len(broken), f"{time.perf_counter() - start:.0f}", min(done.values(), default="")])
            print(f"law {name}: {arguments.count} examples, {len(broken)} broken", flush=True)
    print_table(["law", "examples", "broken", "s", "rarest kind of change, times"], rows)
    return judge([Bar("examples that break a law", failures, 0, "")])


if __name__ == "__main__":
    sys.exit(main())
