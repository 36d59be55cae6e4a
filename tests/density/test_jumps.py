"""Sites and jumps of ions that hop on a lattice with a known residence time."""

import numpy as np
import pytest

from aiida_ionconduct.density import density, find_sites, jump_statistics
from aiida_ionconduct.density.jumps import follow

EDGE, N, DT = 3.0, 3, 0.05
CELL = np.array([[N * EDGE, 0, 0], [0.4 * EDGE, N * EDGE, 0], [0, -0.3 * EDGE, N * EDGE]])
SITES = np.array([[i, j, k] for i in range(N) for j in range(N) for k in range(N)]) / N @ CELL + 0.7
RESIDENCE = 4.0


def hopping(seed=0, ions=10, frames=4001, residence=RESIDENCE, vibration=0.2, axes=(0, 1, 2), memory=0.0):
    """Return unwrapped positions of ions that stay on lattice sites for exponential times and jump to a neighbour.

    :param memory: probability that a jump returns to the site that the ion came from.
    """
    rng = np.random.default_rng(seed)
    out = np.empty((frames, ions, 3))
    for ion in range(ions):
        index, last, time, path = rng.integers(0, N, 3), None, rng.exponential(residence), np.empty((frames, 3))
        for frame in range(frames):
            while time < frame * DT:
                if last is not None and rng.random() < memory:
                    step = -last
                else:
                    step = np.zeros(3, dtype=int)
                    step[rng.choice(axes)] = rng.choice([-1, 1])
                index, last = index + step, step
                time += rng.exponential(residence)
            path[frame] = index
        out[:, ion] = path / N @ CELL + 0.7
    return out + rng.normal(0, vibration, out.shape)


@pytest.fixture(scope='module')
def runs():
    return [hopping(seed) for seed in range(3)]


def test_sites_are_found(runs):
    """All 27 sites follow from the positions of the ions alone, each to within 0.12 Å."""
    sites = find_sites(density(runs, CELL, 0.25), CELL)
    assert len(sites) == len(SITES)
    scaled = (sites[:, None] - SITES[None]) @ np.linalg.inv(CELL)
    distances = np.linalg.norm((scaled - np.round(scaled)) @ CELL, axis=2)
    assert distances.min(axis=1).max() < 0.12
    assert sorted(distances.argmin(axis=1)) == list(range(len(SITES)))


def test_residence_time(runs):
    """The residence time lies within its error, for all sites together and for each site."""
    result = jump_statistics(runs, SITES, CELL, DT)
    assert abs(result.mean_residence_ps - RESIDENCE) < 3 * result.mean_residence_stderr
    assert result.mean_residence_stderr / result.mean_residence_ps < 0.04
    assert result.warnings == []
    scatter = (result.residence_ps - RESIDENCE) / result.residence_stderr
    assert 0.5 < np.sqrt(np.mean(scatter**2)) < 1.6


def test_occupancy(runs):
    """The occupancies sum to the number of ions, and all sites are taken alike."""
    result = jump_statistics(runs, SITES, CELL, DT)
    assert result.occupancy.sum() == pytest.approx(10)
    assert np.abs(result.occupancy - 10 / 27).max() < 0.25
    assert result.occupancy_stderr.shape == (27,)


def test_jumps_go_to_neighbours(runs):
    """Each site has six neighbours, at the lengths of the lattice vectors; a few ions jump twice within a frame."""
    result = jump_statistics(runs, SITES, CELL, DT)
    six = np.sort(result.jumps, axis=1)[:, -6:]
    assert six.min() > 0
    assert six.sum() > 0.98 * result.jumps.sum()
    lengths = np.linalg.norm(CELL / N, axis=1)
    assert result.jump_length_A == pytest.approx(np.sqrt((lengths**2).mean()), rel=0.03)
    assert result.diffusivity_A2_per_ps == pytest.approx((lengths**2).mean() / (6 * RESIDENCE), rel=0.1)
    assert result.back_jumps == pytest.approx(1 / 6, abs=0.03)


def test_back_jumps():
    """Ions that remember where they came from return more often."""
    result = jump_statistics([hopping(5, memory=0.7)], SITES, CELL, DT)
    assert result.back_jumps == pytest.approx(0.7 + 0.3 / 6, abs=0.05)


def test_vibrations_are_no_jumps():
    """Wide vibrations, which cross the border between two sites for a moment, are no jumps either."""
    still = hopping(1, residence=1e9, vibration=0.5, frames=3000)
    result = jump_statistics([still], SITES, CELL, DT)
    assert result.stays.sum() == 0
    assert result.mean_residence_ps is result.jump_length_A is None
    assert result.warnings == ['no ion has left its site: run longer']
    assert np.isnan(result.residence_ps).all()


def test_too_few_frames():
    """A warning says that jumps are missed if ions stay for few frames."""
    coarse = hopping(2)[::60]
    result = jump_statistics([coarse], SITES, CELL, 60 * DT)
    assert 'jumps are missed' in result.warnings[0]


def test_before_the_first_core():
    """An ion that begins between two sites is on the site whose core it enters first."""
    sites, cell = np.array([[2.0, 5, 5], [6.0, 5, 5]]), 10 * np.eye(3)
    path = np.array([[4.1, 5, 5], [3.5, 5, 5], [2.1, 5, 5], [4.5, 5, 5], [5.9, 5, 5]])[:, None]
    assert follow(path, sites, cell, 0.8)[:, 0].tolist() == [0, 0, 0, 0, 1]


def test_close_sites():
    sites, cell = np.array([[2.0, 5, 5], [3.0, 5, 5]]), 10 * np.eye(3)
    result = jump_statistics([np.full((10, 1, 3), 5.0)], sites, cell, DT)
    assert any('closer than 1.6 Å' in text for text in result.warnings) or result.stays.sum() == 0


@pytest.mark.parametrize(('sites', 'dt_ps'), [(np.zeros((0, 3)), DT), (SITES, 0.0)])
def test_refused(sites, dt_ps):
    with pytest.raises(ValueError, match='give'):
        jump_statistics([np.zeros((10, 1, 3))], sites, CELL, dt_ps)


def test_no_ions():
    with pytest.raises(ValueError, match='zero everywhere'):
        find_sites(np.zeros((3, 3, 3)), CELL)
