"""The worker's archive is believed no further than it is checked: whatever is done to it ends in a ProcessingError, never in a crash."""

from __future__ import annotations

import copy
import io
import json
import random
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_scan import small_scan

from LAScarSegLib.analysis import analyse
from LAScarSegLib.analysis.archive import read_analysis, write_analysis
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.errors import InputError, ProcessingError
from LAScarSegLib.jobs.worker import _read_request
from LAScarSegLib.volumes.volume import Volume


@pytest.fixture(scope="module")
def scan() -> Volume:
    return small_scan()[0]


@pytest.fixture(scope="module")
def whole(tmp_path_factory, scan) -> dict[str, np.ndarray]:
    """The members of an archive that was made once."""
    path = tmp_path_factory.mktemp("archive") / "analysis.npz"
    write_analysis(analyse(scan, Settings(mesh_edge_mm=3.0), cavity=small_scan()[1]), path)
    with np.load(path) as file:
        return dict(file)


def write(path: Path, arrays: dict[str, np.ndarray], content: Any = None) -> Path:
    text = arrays["json"] if content is None else np.frombuffer(json.dumps(content).encode(), np.uint8)
    np.savez(path, **arrays | {"json": text})
    return path


def refused(path: Path, scan: Volume) -> None:
    with pytest.raises(ProcessingError, match="can't be read.*Run it again"):
        read_analysis(path, scan)


def test_as_it_was_written_it_is_read(tmp_path, whole, scan):
    assert read_analysis(write(tmp_path / "a.npz", whole), scan).has_ranges


def is_triangles(array: np.ndarray) -> bool:
    return array.dtype == np.int64 and array.ndim == 2


@pytest.mark.parametrize(
    ("which", "change"),
    [
        (is_triangles, lambda a: a + 10**9),
        (is_triangles, lambda a: a - 10),
        (is_triangles, lambda a: a.astype(float)),
        (is_triangles, lambda a: a[:0]),
        (lambda a: a.ndim == 2 and a.dtype == np.float64, lambda a: a * np.nan),
        (lambda a: a.ndim == 2 and a.dtype == np.float64, lambda a: a[:-1]),
        (lambda a: a.ndim == 3, lambda a: a[:-1]),
        (lambda a: a.ndim == 3 and a.dtype == bool, lambda a: a.astype(np.float64)),
        (lambda a: a.ndim == 1 and a.dtype == np.float64, lambda a: a[:-1]),
        (lambda a: a.ndim == 1 and a.dtype == np.int64, lambda a: a + 10**9),
        (lambda a: a.ndim == 1 and a.dtype == bool, lambda a: a.astype("U10")),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, whole, scan, which: Callable, change: Callable):
    chosen = [name for name, array in whole.items() if name != "json" and which(array)]
    assert chosen
    for name in chosen[:2]:
        refused(write(tmp_path / "a.npz", whole | {name: change(whole[name])}), scan)


def test_an_array_that_claims_terabytes_takes_no_memory(tmp_path, whole, scan):
    path = write(tmp_path / "a.npz", whole)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**6)})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("huge.npy", header.getvalue() + bytes(100))
    tracemalloc.start()
    refused(path, scan)
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()


def test_a_zip_bomb_is_refused(tmp_path, whole, scan):
    path = write(tmp_path / "a.npz", whole)
    bomb = io.BytesIO()
    np.lib.format.write_array(bomb, np.zeros(50_000_000, np.uint8))
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.npy", bomb.getvalue())
    refused(path, scan)


def test_an_archive_that_is_larger_than_any_analysis_is_refused(tmp_path, whole, scan, monkeypatch):
    from LAScarSegLib.analysis import archive_checks

    monkeypatch.setattr(archive_checks, "BYTES_FOR_MESHES", 0)
    monkeypatch.setattr(archive_checks, "BYTES_PER_VOXEL", 1)
    refused(write(tmp_path / "a.npz", whole), scan)


def places(content: Any, way: tuple = ()) -> Iterator[tuple]:
    """The ways to every value of a JSON content."""
    yield way
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in items:
        yield from places(value, (*way, key))


ODD = (None, -1, 10**30, 1e308, float("nan"), "", "\x1b[2J", [], {}, [[]], {"array": "array0"}, {"array": "none"}, {"tuple": []}, {"dict": {}},
       {"kind": "Surface", "fields": {}}, {"kind": "os", "fields": {}}, True, "array1", [1, 2, 3])  # fmt: skip


def test_whatever_is_put_into_its_json_there_is_no_other_error(tmp_path, whole, scan):
    """What changes no number (a remark's words, a date) may pass; nothing else than a ProcessingError may come."""
    chance, content = random.Random(7), json.loads(whole["json"].tobytes())
    ways = [way for way in places(content) if way]
    for _ in range(50):
        damaged, way = copy.deepcopy(content), chance.choice(ways)
        holder = damaged
        for key in way[:-1]:
            holder = holder[key]
        holder[way[-1]] = copy.deepcopy(chance.choice(ODD))
        try:
            read_analysis(write(tmp_path / "a.npz", whole, damaged), scan)
        except ProcessingError as error:
            assert "\x1b" not in str(error)


def test_whatever_byte_is_changed_there_is_no_other_error(tmp_path, whole, scan):
    chance, path = random.Random(8), write(tmp_path / "a.npz", whole)
    intact = path.read_bytes()
    for _ in range(30):
        damaged = bytearray(intact)
        for _ in range(chance.choice((1, 10, 1000))):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        cut = chance.choice((len(damaged), chance.randrange(len(damaged))))
        path.write_bytes(damaged[:cut])
        refused(path, scan) if cut < len(damaged) else _no_other_error(path, scan)


def _no_other_error(path: Path, scan: Volume) -> None:
    try:
        read_analysis(path, scan)
    except ProcessingError:
        pass


def test_deep_json_is_refused(tmp_path, whole, scan):
    text = np.frombuffer(b"[" * 100_000 + b"]" * 100_000, np.uint8)
    refused(write(tmp_path / "a.npz", whole | {"json": text}), scan)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100 + "0" + "}" * 100, '"' + "x" * (1 << 20) + '"', "{", "\udcff"])
def test_a_hostile_request_is_refused_in_words(tmp_path, text):
    path = tmp_path / "request.json"
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(InputError, match="The request .* can't be read"):
        _read_request(path)
