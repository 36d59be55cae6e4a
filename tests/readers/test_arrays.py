"""NumPy archives."""

import numpy as np
import pytest

from aiida_ionconduct.readers import read_trajectory
from trajectory_files import CELL, SYMBOLS, random_walk


def test_npz(tmp_path):
    """Arrays are found under their other names, and what the file states comes back."""
    x, path = random_walk(), tmp_path / 'run.npz'
    np.savez(path, pos=x.astype(np.float32), species=SYMBOLS, cell=CELL, dt_fs=100.0, temperature_K=700)
    run = read_trajectory(path)
    assert np.array_equal(run.positions, x.astype(np.float32))
    assert (run.symbols, run.temperature_K, run.interval_ps()) == (SYMBOLS, 700.0, pytest.approx(0.1))


def test_npz_without_positions(tmp_path):
    path = tmp_path / 'run.npz'
    np.savez(path, x=random_walk())
    with pytest.raises(ValueError, match='no array `positions`'):
        read_trajectory(path)
