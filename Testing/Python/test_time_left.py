"""How long a run will still take: nothing before that can be known, then a figure that changes slowly and is right at a steady pace."""

from __future__ import annotations

import pytest

from LAScarSegLib.session.worker_run import SETTLE_S, TELL_AFTER_S, TimeLeft

POLL_S = 0.1


def told(pace, seconds: float) -> list[tuple[float, float]]:
    """(time, seconds left) whenever something was told; `pace` gives the share done at a time."""
    left, found = TimeLeft(), []
    for poll in range(int(seconds / POLL_S)):
        now = 100.0 + poll * POLL_S
        remaining = left.tell(pace(poll * POLL_S), now)
        if remaining is not None:
            found.append((poll * POLL_S, remaining))
    return found


def test_at_a_steady_pace_the_figure_is_right():
    """Two seconds of a process that starts count for nothing."""
    for at, remaining in told(lambda at: max(0.0, at - 2.0) / 60.0 + 0.001 * (at >= 2.0), 62.0):
        assert remaining == pytest.approx(62.0 - at, abs=0.5)


def test_steps_of_unequal_length_make_no_jump():
    """The run in which "31 s left" was followed by "4 s left": a slow start, then one step that does a third at once."""

    def pace(at: float) -> float:
        if at < 2.0:
            return 0.0
        return 0.06 + 0.01 * (at - 2.0) if at < 18.0 else 0.22 + 0.35 + 0.1 * (at - 18.0)

    found = told(pace, 22.0)
    assert found
    for (_, before), (_, after) in zip(found, found[1:]):
        assert abs(after - before) <= POLL_S + max(before, after) * POLL_S / SETTLE_S + 0.01


def test_a_short_run_is_told_nothing_about():
    assert told(lambda at: min(1.0, 0.05 + at / 3.0), TELL_AFTER_S - POLL_S) == []
    assert told(lambda at: 0.0, 30.0) == []
