"""Random damage to everything that is read (`Benchmarks/fuzz.py`, shortly): no traceback, no steered terminal, no lost process."""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("resource", reason="the fuzzer measures memory as POSIX tells it")
SPEC = importlib.util.spec_from_file_location("fuzz_of_benchmarks", Path(__file__).parents[2] / "Benchmarks" / "fuzz.py")
fuzz = importlib.util.module_from_spec(SPEC)
sys.modules[SPEC.name] = fuzz
SPEC.loader.exec_module(fuzz)

EXAMPLES = 400
"""Of each kind of file: about a minute in all."""
USUAL_MEMORY_MB = 300.0
"""What a process has that reads a whole small file."""


@pytest.mark.parametrize("name", fuzz.TARGETS)
def test_a_damaged_file_is_read_or_refused_in_words(tmp_path, name):
    target = fuzz.TARGETS[name]
    path = target.make(tmp_path)
    valid = path.read_bytes()
    assert fuzz.refused(target, path) == ""

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.randoms(use_true_random=False))
    def damage(chance: random.Random) -> None:
        assert fuzz.try_once(target, path, fuzz.damaged(valid, chance)) == ""

    before = fuzz.memory_mb()
    damage()
    # What other tests have had in this process stays its peak.
    assert fuzz.memory_mb() - before < fuzz.MOST_MEMORY_MB - USUAL_MEMORY_MB
