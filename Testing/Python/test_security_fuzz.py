"""Random damage to plane files, cards, requests and results (`Benchmarks/fuzz.py`, shortly): no traceback, no steered terminal."""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path

import pytest

pytest.importorskip("resource", reason="the fuzzer measures memory as POSIX tells it")
SPEC = importlib.util.spec_from_file_location("fuzz_of_benchmarks", Path(__file__).parents[2] / "Benchmarks" / "fuzz.py")
fuzz = importlib.util.module_from_spec(SPEC)
sys.modules[SPEC.name] = fuzz
SPEC.loader.exec_module(fuzz)


@pytest.mark.parametrize("name", ["planes", "markups", "card", "request", "result"])
def test_a_damaged_file_is_read_or_refused_in_words(tmp_path, name):
    target = fuzz.TARGETS[name]
    path = target.make(tmp_path)
    valid = path.read_bytes()
    for seed in range(150):
        assert fuzz.try_once(target, path, fuzz.damaged(valid, random.Random(seed))) == "", f"seed {seed}"
