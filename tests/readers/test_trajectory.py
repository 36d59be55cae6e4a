"""Unwrapping, and the time between frames."""

import pathlib

import numpy as np
import pytest

from aiida_ionconduct.readers import read_trajectory, unwrap
from trajectory_files import CELL, random_walk

DUMP = pathlib.Path(__file__).parents[1] / 'lammps' / 'data' / 'two_ranks_triclinic.txt'


def test_unwrap_leaves_what_is_unwrapped():
    """Unwrapped positions come back as the same array."""
    x = random_walk(step=0.1)
    assert unwrap(x, CELL) is x


def test_interval():
    """The interval is unknown without a time step, and frames at unequal steps are refused."""
    run = read_trajectory(DUMP)
    assert run.interval_ps() is None
    run.steps = np.array([0, 10, 20, 40, 50])
    with pytest.raises(ValueError, match=r'not equally spaced in time: 0\.01 ps at first, 0\.02 ps after frame 2'):
        run.interval_ps(1.0)
