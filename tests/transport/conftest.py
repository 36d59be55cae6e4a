"""Trajectories with known answers."""

from pathlib import Path

import numpy as np
import pytest
from scipy.signal import lfilter


@pytest.fixture(scope='session')
def argyrodite():
    """Li6PS5Cl: dictionary of pos (frames, atoms, 3), species and cell."""
    with np.load(Path(__file__).parent / 'data' / 'Li6PS5Cl_416atoms_140frames_unwrapped.npz') as stored:
        return {key: stored[key] for key in ('pos', 'species', 'cell')}


@pytest.fixture(scope='session')
def caged_walk():
    """Return a generator of walks with MSD = 2 D t + amplitude (1 - exp(-t/tau)) per component."""

    def generate(rng, shape, length_ps, dt_ps=0.1, D=1.0, amplitude=3.0, tau_ps=2.0):
        """Return (*shape[:-1], frames, *shape[-1:], 3): shape is (..., n)."""
        *runs, n = shape
        size = (*runs, round(length_ps / dt_ps) + 1, n, 3)
        decay = np.exp(-dt_ps / tau_ps)
        noise = rng.normal(0, np.sqrt(amplitude / 2 * (1 - decay**2)), size)
        noise[..., 0, :, :] = rng.normal(0, np.sqrt(amplitude / 2), noise[..., 0, :, :].shape)
        walk = np.cumsum(rng.normal(0, np.sqrt(2 * D * dt_ps), size), axis=-3)
        return walk + lfilter([1], [1, -decay], noise, axis=-3)

    return generate


@pytest.fixture(scope='session')
def salt():
    """Return a generator of seeds of a toy salt: A+ hopping through a rigid lattice of as many X-."""

    def generate(rng, seeds=4, frames=400, ions=12, dt_ps=0.1, shared=0.0):
        """Each ion has D = 1 Å²/ps; a fraction ``shared`` of its motion is common to all."""
        steps = rng.normal(0, np.sqrt(2 * dt_ps * (1 - shared)), (seeds, frames, ions, 3))
        steps += rng.normal(0, np.sqrt(2 * dt_ps * shared), (seeds, frames, 1, 3))
        lattice = rng.uniform(0, 50, (1, 1, ions, 3)) + rng.normal(0, 0.05, (seeds, frames, ions, 3))
        return {
            'seeds': list(np.concatenate((np.cumsum(steps, axis=1), lattice), axis=2)),
            'symbols': ['Li'] * ions + ['Cl'] * ions,
            'charges': {'Li': 1, 'Cl': -1},
            'cell': 50 * np.eye(3),
            'temperature_K': 900.0,
            'dt_ps': dt_ps,
        }

    return generate
