"""What the checks of plausibility look at, on every scan at hand, and which of them raise a false alarm (Docs/quality.md).

    python Benchmarks/plausibility.py [--data FOLDER] [--phantoms 20] [--processes 2] [--json FILE]

FOLDER (default: LASCARSEG_TEST_DATA, else ../shared/data) has la2018, msd_heart and carma; the phantoms are those of
`lascarseg phantom --small`. Each scan is measured with its given cavity and the usual protocol, going on despite every stop. Prints, by
data set, the distribution of each quantity that a check looks at, how many scans raise each flag, and the scans that raise a stop; the
exit code is 1 where an LGE scan or a phantom raises one. Writes only the file that is named.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from LAScarSegLib.analysis import analyse  # noqa: E402
from LAScarSegLib.analysis.settings import Settings  # noqa: E402
from LAScarSegLib.anatomy.masks import Mask  # noqa: E402
from LAScarSegLib.anatomy.placement import placement_gain  # noqa: E402
from LAScarSegLib.measure.plausibility import BELOW_ZERO, DARKEST_PCT  # noqa: E402
from LAScarSegLib.phantom import HEART_FIELD_OF_VIEW, PhantomSettings, make_phantom  # noqa: E402
from LAScarSegLib.support.flags import FLAGS, NOTE, STOP  # noqa: E402
from LAScarSegLib.volumes.files import read_volume  # noqa: E402
from LAScarSegLib.volumes.volume import Volume  # noqa: E402

LGE = ("la2018", "carma", "phantom")
KINDS = ("post_ablation", "native")
Scan = tuple[str, str, Callable[[], tuple[Volume, Volume]]]
"""Data set, name, and what reads image and cavity."""


def read_pair(image: Path, cavity: Path) -> tuple[Volume, Volume]:
    return read_volume(image), read_volume(cavity)


def draw_pair(seed: int, kind: str) -> tuple[Volume, Volume]:
    phantom = make_phantom(PhantomSettings(seed=seed, kind=kind, size=HEART_FIELD_OF_VIEW))
    return phantom.image, phantom.cavity


def scans(data: Path, phantoms: int) -> Iterator[Scan]:
    for collection, image in (("la2018", "lge.nii.gz"), ("msd_heart", "mri.nii.gz")):
        for folder in sorted(path for path in (data / collection).glob("*") if path.is_dir()):
            yield collection, folder.name, partial(read_pair, folder / image, folder / "cavity.nii.gz")
    if (data / "carma").is_dir():
        yield "carma", "autoscar", partial(read_pair, data / "carma" / "autoscar-data.nrrd", data / "carma" / "autoscar-endo.nrrd")
    for number in range(phantoms):
        kind = KINDS[number % len(KINDS)]
        yield "phantom", f"{kind} {200 + number}", partial(draw_pair, 200 + number, kind)


def measure(scan: Scan) -> dict[str, object]:
    """The quantities that the checks look at, and the flags, of one scan."""
    collection, name, read = scan
    image, cavity = read()
    stops = tuple(code for code, kind in FLAGS.items() if kind.severity == STOP)
    analysis = analyse(image, Settings(despite=stops), cavity=cavity, ranges=False)
    sample, near = analysis.samples[0], analysis.lge_box
    blood, wall = sample.blood.mean, sample.wall_intensity
    looked_at = {
        "negative, % of voxels": 100.0 * float((near < BELOW_ZERO * blood).mean()),
        f"darkest {DARKEST_PCT:g} %, of blood": float(np.percentile(near, DARKEST_PCT)) / blood,
        "at the top, % of wall": 100.0 * float((wall >= near.max()).mean()),
        "blood's SD, of its mean": sample.blood.coefficient_of_variation,
        "wall's darkest tenth, of blood": float(np.percentile(wall, 10)) / blood,
        "wall brighter than blood, %": 100.0 * float((wall > blood).mean()),
        "scar, % of surface": analysis.measurements["scar_area_pct"].value,
        "gain elsewhere": placement_gain(image.array, image.geometry, Mask.of(cavity.array > 0))[0],
    }
    flags = [(flag.code, flag.severity) for flag in analysis.flags if flag.severity != NOTE]
    return {"collection": collection, "name": name, "looked_at": looked_at, "flags": flags}


def print_tables(found: list[dict[str, object]]) -> None:
    for collection in dict.fromkeys(entry["collection"] for entry in found):
        of = [entry for entry in found if entry["collection"] == collection]
        print(f"\n{collection}, {len(of)} scans{'':24} lowest   5 %   half  95 %  highest")
        for key in of[0]["looked_at"]:
            values = np.array([entry["looked_at"][key] for entry in of], dtype=float)
            print(f"  {key:32}" + "".join(f"{value:9.3f}" for value in np.percentile(values, (0, 5, 50, 95, 100))))
        counts = Counter(tuple(flag) for entry in of for flag in entry["flags"])
        for (code, severity), count in sorted(counts.items(), key=lambda item: -item[1]):
            names = ", ".join(entry["name"] for entry in of if (code, severity) in map(tuple, entry["flags"])) if count <= 10 else ""
            print(f"  {severity} {code}: {count} of {len(of)}  {names}")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("LASCARSEG_TEST_DATA", ROOT.parent / "shared" / "data")))
    parser.add_argument("--phantoms", type=int, default=20)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path, help="everything, scan by scan")
    options = parser.parse_args(arguments)
    with ProcessPoolExecutor(options.processes) as pool:
        found = list(pool.map(measure, scans(options.data, options.phantoms)))
    print_tables(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    stopped = [entry for entry in found if entry["collection"] in LGE and any(severity == STOP for _, severity in entry["flags"])]
    print(f"\n{len(stopped)} of {sum(entry['collection'] in LGE for entry in found)} LGE scans and phantoms raise a stop.")
    return 1 if stopped else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
