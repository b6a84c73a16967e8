"""Descent to the lowest point of an energy, with springs as a first guess."""

import numpy as np
import pytest
from scipy.optimize import rosen, rosen_der

from LAScarSegLib.surface.descent import descended


def test_exact_springs_lead_to_the_lowest_point_at_once():
    stiffness = np.array([[4.0, 1.0], [1.0, 3.0]])
    lowest = np.array([2.0, -1.0])

    def energy(at):
        off = at - lowest
        return 1.0 + off @ stiffness @ off / 2, stiffness @ off

    found = descended(energy, lambda force: np.linalg.solve(stiffness, force), np.array([9.0, 9.0]), 1, lambda at: False)
    assert found == pytest.approx(lowest)


def test_poor_springs_lead_there_too():
    """Rosenbrock's curved valley, whose lowest point is (1, 1)."""
    found = descended(lambda at: (rosen(at) + 1.0, rosen_der(at)), lambda force: force / 1000, np.array([-1.2, 1.0]), 200, lambda at: False)
    assert found == pytest.approx([1.0, 1.0], abs=0.05)


def test_it_ends_where_it_is_enough():
    visited = []

    def enough(at):
        visited.append(float(at[0]))
        return at[0] < 5.0

    found = descended(lambda at: (float(at @ at), 2 * at), lambda force: force / 8, np.array([16.0]), 50, enough)
    assert found[0] == visited[-1] < 5.0 <= visited[-2]
