"""AIMD and relaxation on the real pw.x: cut by its walltime and killed, they go on (about two minutes)."""

import json
import pathlib

import numpy as np
import pytest
from ase import units

from .pw_runs import DISTURBED_AFTER, N_STEPS, RELAXATION

pytestmark = pytest.mark.integration

RUNS = pathlib.Path(__file__).with_name('pw_runs.py')


@pytest.fixture(scope='module')
def run(installation):
    """Return a function that runs one of the scripts' runs and returns what it prints."""
    return lambda *arguments: json.loads(installation.run('verdi', 'run', RUNS, *arguments).splitlines()[-1])


@pytest.fixture(scope='module')
def uncut(run):
    """One job."""
    return run('uncut')


@pytest.fixture(scope='module')
def cut(run, uncut):
    """The same, its first two jobs asleep after three steps until their time is over, which is enough for all nine."""
    return run('cut', round(1.2 * uncut['seconds'][0]) + 2)


@pytest.fixture(scope='module')
def killed(run):
    """The same, its first pw.x killed without warning."""
    return run('killed')


def test_uncut(uncut):
    """A run in one job has every step once and no seam."""
    assert uncut['exit_status'] == 0
    assert uncut['jobs'] == [[0, N_STEPS]]
    np.testing.assert_allclose(uncut['times_ps'], 1e-3 * np.arange(N_STEPS))
    assert uncut['parameters']['n_segments'] == 1
    assert uncut['parameters']['seam_jumps_eV'] == []


def test_cut_by_walltime(uncut, cut):
    """Cut twice at least: frames at regular times, none twice, and the conserved energy does not jump."""
    assert cut['exit_status'] == 0
    assert cut['parameters']['n_segments'] >= 3
    assert {status for status, _ in cut['jobs'][:-1]} == {400}  # out of walltime, which is no failure
    np.testing.assert_allclose(cut['times_ps'], uncut['times_ps'])
    noise = uncut['parameters']['conserved_energy_scatter_eV']
    assert np.abs(cut['parameters']['seam_jumps_eV']).max() < 0.1 * noise
    assert np.abs(np.diff(cut['conserved_eV'])).max() < 1.05 * np.abs(np.diff(uncut['conserved_eV'])).max()
    moved = np.abs(np.diff(cut['positions'], axis=0)).max(axis=(1, 2))
    assert moved.min() > 1e-3  # no frame twice


@pytest.mark.parametrize('other', ['cut', 'killed'])
def test_the_same_run(other, uncut, request):
    """Positions, velocities and energies of every frame equal the undisturbed run."""
    run = request.getfixturevalue(other)
    np.testing.assert_allclose(run['positions'], uncut['positions'], atol=1e-4)
    np.testing.assert_allclose(run['velocities'], uncut['velocities'], atol=0.05)  # of about 10 Å/ps
    np.testing.assert_allclose(run['conserved_eV'], uncut['conserved_eV'], atol=2e-4)


def test_killed(killed):
    """Every step that pw.x had done when it was killed is kept: the next job begins with the last of them."""
    assert killed['exit_status'] == 0
    assert killed['disturbed']['n_steps'] >= DISTURBED_AFTER
    (status, n_kept), (last_status, n_last) = killed['jobs']
    assert status != 0
    assert last_status == 0
    assert killed['disturbed']['n_steps'] <= n_kept < N_STEPS
    assert n_last == N_STEPS - n_kept + 1  # that one again, and the others once
    assert len(killed['times_ps']) == N_STEPS


def test_equilibration(run, uncut):
    """Rescaled on the way, then at constant energy; the trajectory is the sampling alone."""
    equilibrated = run('equilibrated')
    np.testing.assert_allclose(equilibrated['times_ps'], [4e-3, 5e-3, 6e-3, 7e-3])
    assert equilibrated['jobs'] == [[0, 4], [0, 5]]
    assert equilibrated['parameters']['seams_conserve_energy']
    # Twice 900 K at the start, from which the same run without a thermostat is still far after four steps.
    assert equilibrated['temperature'][0] < 0.8 * uncut['temperature'][4]


def test_killed_relaxation(run):
    """The second job begins with the last geometry of the killed job, and ends where the forces vanish."""
    relaxation = run('relaxation')
    assert relaxation['exit_status'] == 0
    status, last_status = relaxation['jobs']
    assert status != 0
    assert last_status == 0
    assert len(relaxation['energies_eV'][0]) >= DISTURBED_AFTER - 1  # the last may have had no forces yet
    assert relaxation['begins'][1] == relaxation['ends'][0] != relaxation['begins'][0]
    assert relaxation['energies_eV'][1][0] < relaxation['energies_eV'][0][0]
    assert relaxation['largest_force_eV_per_A'] < RELAXATION['forc_conv_thr'] * units.Rydberg / units.Bohr * 3**0.5


@pytest.mark.parametrize('name', ['relaxation_killed_at_once', 'aimd_killed_at_once'])
def test_killed_in_the_first_cycle(name, run):
    """`kill -9` of pw.x in its first self-consistent cycle: the job is repeated, and nothing excepts."""
    ended = run(name)
    assert ended['exit_status'] == 0
    assert ended['disturbed']['n_steps'] >= DISTURBED_AFTER
    status, last_status = ended['jobs']
    assert status != 0
    assert last_status == 0
    assert ended['n_energies'][0] == 0 < ended['n_energies'][1]
    assert ended['excepted'] == []
