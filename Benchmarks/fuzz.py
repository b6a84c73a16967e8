"""Random damage to valid files: whatever is read ends in words, soon, and in bounded memory.

    python Benchmarks/fuzz.py [--seconds 60] [--seed 1] [TARGET …]

Each target (planes, markups, card, request, result, nrrd, compressed NRRD, .seg.nrrd, nifti, gzipped NIfTI, mha, a DICOM series and an
Enhanced MR file) is a valid file and what reads it. A child process for each damages the file again and again; what goes wrong is told with
its seed, and the file is kept:

- another exception than a LAScarSegError (a traceback, for a user), or a crash of the process,
- more than 2 GB of memory, or more than 20 s for one file.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

sys.path.insert(0, str(ROOT / "Testing" / "Python"))

from dicom_files import frames_of, write_enhanced, write_series  # noqa: E402

from LAScarSegLib.anatomy.labels import chosen_voxels  # noqa: E402
from LAScarSegLib.errors import LAScarSegError  # noqa: E402
from LAScarSegLib.jobs.request import Request  # noqa: E402
from LAScarSegLib.jobs.worker import _read_request  # noqa: E402
from LAScarSegLib.models.card import ModelCard  # noqa: E402
from LAScarSegLib.output.reading import read_result  # noqa: E402
from LAScarSegLib.support.json_text import parse_json  # noqa: E402
from LAScarSegLib.surface.planes import read_planes, remarks_on_planes  # noqa: E402
from LAScarSegLib.volumes.files import read_volume, write_volume  # noqa: E402
from LAScarSegLib.volumes.segmentations import read_labels  # noqa: E402
from LAScarSegLib.volumes.volume import Geometry, Volume  # noqa: E402

MOST_MEMORY_MB, MOST_SECONDS = 2000.0, 20.0
"""A laptop beside Slicer, and a person's patience."""
HEADER_BYTES = 400
"""A NIfTI-1 header has 348; half of the damage goes to a file's beginning, where sizes and kinds are."""
ODD_NUMBERS = (b"0", b"-1", b"1e400", b"nan", b"2147483648", b"99999999999999999999", b"1e-320", b"65536 65536 65536")
ODD_TEXTS = (b"[" * 2000, b"\xff\xfe", b"\x00", b'"', b"\x1b[2J", b"null", b"true", b"{}", b"../../../etc/passwd", b"\xed\xa0\x80")


@dataclass(frozen=True)
class Target:
    """A kind of file: how a valid one is made in a folder, and what reads it."""

    make: Callable[[Path], Path]
    read: Callable[[Path], object]


def damaged(content: bytes, chance: random.Random) -> bytes:
    """A few random changes: bits, numbers, words, pieces cut out, doubled or put elsewhere."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 5))):
        end = min(len(data), HEADER_BYTES) if chance.random() < 0.5 else len(data)
        at, length = chance.randrange(max(end, 1)), chance.choice((1, 2, 4, 8, 50))
        kind = chance.randrange(7)
        if kind == 0 and data:
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[at : at + length] = chance.randbytes(length)
        elif kind == 2:
            data[at:at] = chance.choice(ODD_TEXTS)
        elif kind == 3:
            _replace_number(data, chance)
        elif kind == 4:
            del data[at : at + length]
        elif kind == 5:
            data[at:at] = data[at : at + length] * chance.choice((1, 2, 100))
        else:
            del data[chance.randrange(len(data) + 1) :]
    return bytes(data)


def _replace_number(data: bytearray, chance: random.Random) -> None:
    """One of the numbers that stand in the text of the first kilobytes becomes an odd one."""
    digits = [n for n, byte in enumerate(data[:4000]) if chr(byte).isdigit()]
    if not digits:
        return
    start = end = chance.choice(digits)
    while end < len(data) and chr(data[end]) in "0123456789.eE+-":
        end += 1
    data[start:end] = chance.choice(ODD_NUMBERS)


def _planes(folder: Path) -> Path:
    path = folder / "planes.json"
    planes = [{"name": name, "origin": [x, 2.0, 3.0], "normal": [0.0, 0.6, 0.8]} for name, x in (("MV", 0.0), ("LSPV", 30.0), ("RSPV", -30.0))]
    path.write_text(json.dumps({"coordinateSystem": "LPS", "planes": planes}), encoding="utf-8")
    return path


def _markups(folder: Path) -> Path:
    return _copy(ROOT / "Resources" / "SampleData" / "LAScarSegPhantom-LSPV.mrk.json", folder / "LSPV.mrk.json")


def _card(folder: Path) -> Path:
    return _copy(next((ROOT / "Resources" / "Models").glob("*/model.json")), folder / "model.json")


def _copy(source: Path, target: Path) -> Path:
    target.write_bytes(source.read_bytes())
    return target


def _request(folder: Path) -> Path:
    path = folder / "request.json"
    content = {"image": "image.nrrd", "output": "out", "planes": ["p.json"], "labels": {"cavity": 2}, "settings": {"threshold": 1.2, "native": True}}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def _result(folder: Path) -> Path:
    """A result's marker, beside what is never read when the scan isn't there."""
    path = folder / "provenance.json"
    (folder / "measurements.json").write_text("{}", encoding="utf-8")
    image = {"path": "scan.nrrd", "sha256": "0" * 64}
    content = {"program": "LAScarSeg", "inputs": {"image": image}, "masks": dict.fromkeys(("cavity", "wall", "scar"), "0" * 64), "sources": {"format": 1}}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def _scan(grey: type[np.integer] = np.int16) -> Volume:
    grid = Geometry((9, 8, 7), (1.25, 1.25, 2.5), (10.0, -20.0, 30.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    return Volume(np.arange(504, dtype=grey).reshape(7, 8, 9), grid)


def _volume(extension: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / f"scan{extension}"
        write_volume(_scan(), path)
        return path

    return make


def _raw_nrrd(folder: Path) -> Path:
    """What most programs write: without compression, so that a change of the data is no change of a checksum."""
    path, grid = folder / "scan.nrrd", _scan().geometry
    directions = " ".join(f"({','.join(map(str, column))})" for column in (grid.rotation * grid.spacing).T)
    header = (
        f"NRRD0004\n# made by a test\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 9 8 7\nspace directions: {directions}\n"
        f"kinds: domain domain domain\nendian: little\nencoding: raw\nspace origin: ({','.join(map(str, grid.origin))})\n\n"
    )
    path.write_bytes(header.encode() + _scan().array.tobytes())
    return path


def _segmentation(folder: Path) -> Path:
    """A .seg.nrrd as Slicer writes it: two segments in one layer."""
    path = _raw_nrrd(folder)
    header, _, _ = path.read_bytes().partition(b"\n\n")
    segments = (("Left atrium", 1), ("LA wall", 2))
    fields = [f"Segment{n}_{key}:={value}" for n, (name, label) in enumerate(segments)
              for key, value in (("ID", name), ("Name", name), ("LabelValue", label), ("Layer", 0), ("Extent", "0 8 0 7 0 6"))]  # fmt: skip
    voxels = (_scan().array % 3).astype(np.int16)
    path = path.rename(folder / "masks.seg.nrrd")
    path.write_bytes(header + b"\n" + "\n".join(fields).encode() + b"\n\n" + voxels.tobytes())
    return path


def _series(folder: Path) -> Path:
    """One slice of seven is damaged."""
    return write_series(folder, _scan(np.uint16)) / "003.dcm"


def _enhanced(folder: Path) -> Path:
    scan = _scan(np.uint16)
    return write_enhanced(folder / "all.dcm", scan, frames_of(scan)) / "all.dcm"


TARGETS = {
    "planes": Target(_planes, lambda path: remarks_on_planes(read_planes(path))),
    "markups": Target(_markups, read_planes),
    "card": Target(_card, lambda path: _card_of(path)),
    "request": Target(_request, lambda path: Request.from_json(_read_request(path))),
    "result": Target(_result, lambda path: read_result(path.parent)),
    "nrrd": Target(_raw_nrrd, read_volume),
    "nrrd-gzip": Target(_volume(".nrrd"), read_volume),
    "segmentation": Target(_segmentation, lambda path: chosen_voxels(read_labels(path), "cavity", ["Left atrium"])),
    "nifti": Target(_volume(".nii"), read_volume),
    "nifti-gzip": Target(_volume(".nii.gz"), read_volume),
    "mha": Target(_volume(".mha"), read_volume),
    "dicom": Target(_series, lambda path: read_volume(path.parent)),
    "enhanced": Target(_enhanced, lambda path: read_volume(path.parent)),
}


def _card_of(path: Path) -> object:
    """A card as `read_bundle` reads it, without the weights."""
    try:
        content = parse_json(path.read_bytes(), 1 << 20)
    except ValueError:
        return None
    return ModelCard.from_json(content) if isinstance(content, dict) else None


def try_once(target: Target, path: Path, content: bytes) -> str:
    """What went wrong when a damaged file was read; "" when it was read, or refused in words."""
    path.write_bytes(content)
    start = time.perf_counter()
    try:
        target.read(path)
    except LAScarSegError as error:
        if "\x1b" in str(error):
            return f"a message that steers the terminal: {str(error)!r}"
    except Exception as error:  # what a user would see as a traceback is what is looked for
        return f"{type(error).__name__}: {error}"
    seconds = time.perf_counter() - start
    return f"it took {seconds:.0f} s" if seconds > MOST_SECONDS else ""


def refused(target: Target, path: Path) -> str:
    """Why a file is refused; "" when it is read. A target that refuses everything would try nothing. The scan of a result isn't there."""
    try:
        target.read(path)
    except LAScarSegError as error:
        return "" if "scan.nrrd" in str(error) else str(error)
    return ""


def memory_mb() -> float:
    """The most memory that this process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def work(name: str, seconds: float, seed: int) -> int:
    """In the child: damage and read one target's file for so long; prints each failure; returns how many there were."""
    target, failures, tries, end = TARGETS[name], 0, 0, time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "in").mkdir()
        path = target.make(Path(folder) / "in")
        valid = path.read_bytes()
        if problem := try_once(target, path, valid) or refused(target, path):
            print(f"{name}: the undamaged file, too: {problem}", flush=True)
            return 1
        while time.monotonic() < end:
            content = damaged(valid, random.Random(seed + tries))
            Path(tempfile.gettempdir(), f"fuzz-{name}-last").write_bytes(content)
            problem = try_once(target, path, content)
            if not problem and memory_mb() > MOST_MEMORY_MB:
                problem = f"the process has {memory_mb():.0f} MB"
            if problem:
                failures += 1
                print(f"{name}, seed {seed + tries}: {problem[:300]}", flush=True)
            tries += 1
    print(f"{name}: {tries} files, {failures} failures, {memory_mb():.0f} MB", flush=True)
    return failures


def main(arguments: list[str]) -> int:
    """Exit code 1 when anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", choices=[[], *TARGETS], help="all when left out")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        return 1 if work(options.targets[0], options.seconds, options.seed) else 0
    failed = 0
    for name in options.targets or TARGETS:
        command = [sys.executable, __file__, name, "--child", "--seconds", str(options.seconds), "--seed", str(options.seed)]
        code = subprocess.run(command, check=False).returncode
        failed += code != 0
        if code not in (0, 1):
            print(f"{name}: the process ended with {code}; the file is {Path(tempfile.gettempdir(), f'fuzz-{name}-last')}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
