"""Another threshold for a finished analysis of a 576×576×44 scan: `revise` against `analyse` from the start.

Both must give the same numbers and the same scar voxels.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from common.scans import SIZE_44, SPACING_44, left_atrium, scan_of
from common.timing import Bar, judge, median_seconds, print_table, ratio

from LAScarSegLib.analysis import Analysis, ByRule, Change, analyse, revise
from LAScarSegLib.intensity.rules import RULES

BAR_SECONDS = 0.05
CHANGES = (
    ByRule("iir", 1.32), ByRule("iir", 0.97), ByRule("nsd", 3.3), ByRule("wall_nsd", 1.0), ByRule("percentile", 90.0),
    ByRule.of_protocol("barcelona", 1.3), ByRule.of_protocol("cemrgapp", 1.1), ByRule.of_protocol("kcl", 3.0),
)  # fmt: skip
"""What a person changes with a slider, in the reading that is there; rules without a number are timed too, without a bar."""
OTHER_RULES = tuple(ByRule(name) for name, rule in RULES.items() if rule.parameter is None)


def same_result(a: Analysis, b: Analysis) -> bool:
    """Equal numbers with their ranges, scar voxels, scar vertices and curves."""
    curves = zip(a.curve.columns().values(), b.curve.columns().values())
    return (
        a.measurements == b.measurements
        and np.array_equal(a.scar_box, b.scar_box)
        and np.array_equal(a.surface.scar, b.surface.scar)
        and all(np.array_equal(x, y, equal_nan=True) for x, y in curves)
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=15)
    arguments = parser.parse_args()
    cavity = left_atrium(SIZE_44, SPACING_44)
    scan = scan_of(cavity)
    readings = dict.fromkeys(wanted.protocol for wanted in (*CHANGES, *OTHER_RULES))
    finished = {name: analyse(scan, cavity=cavity, scar=ByRule.of_protocol(name) if name else ByRule("iir")) for name in readings}
    rows, slowest, different = [], 0.0, []
    for wanted in (*CHANGES, *OTHER_RULES):
        seconds, changed = median_seconds(lambda: revise(finished[wanted.protocol], Change(scar=wanted)), arguments.repetitions)
        anew_seconds, reference = median_seconds(lambda: analyse(scan, cavity=cavity, scar=wanted), 1)
        name = " ".join(filter(None, (wanted.protocol, wanted.name, f"{wanted.parameter:g}" if wanted.parameter else "")))
        rows.append([name, f"{1000 * seconds:.1f}", f"{1000 * anew_seconds:.0f}", ratio(anew_seconds, seconds)])
        slowest = max(slowest, seconds) if wanted.parameter is not None else slowest
        different += [] if same_result(changed, reference) else [name]
    print_table(["rule", "revise, ms", "analyse, ms", "faster"], rows)
    return judge(
        [
            Bar("slowest change of a threshold", 1000 * slowest, 1000 * BAR_SECONDS, "ms"),
            Bar(f"results that differ from analyse's {different or ''}".rstrip(), len(different), 0, ""),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
