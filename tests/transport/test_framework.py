"""The frame of the tracer: the species at rest, found or given, and the centre of mass of a melt."""

import numpy as np
import pytest

from aiida_ionconduct.transport import analyse

DT_PS = 0.1
CONDITIONS = {'cell': 30 * np.eye(3), 'temperature_K': 600.0, 'dt_ps': DT_PS}


def walk(rng, n_ions, D, seeds=2, frames=1000):
    """Return random walks (seeds, frames, ions, 3) of a diffusivity in Å²/ps."""
    return np.cumsum(rng.normal(0, np.sqrt(2 * D * DT_PS), (seeds, frames, n_ions, 3)), axis=1)


def vibration(rng, n_ions, seeds=2, frames=1000):
    """Return atoms (seeds, frames, atoms, 3) that vibrate about fixed places."""
    return rng.uniform(0, 30, (1, 1, n_ions, 3)) + rng.normal(0, 0.15, (seeds, frames, n_ions, 3))


def lithium_aluminate(rng):
    """Return an analysis' arguments: lithium diffuses, oxygen and aluminium vibrate."""
    parts = [walk(rng, 24, 0.05), vibration(rng, 24), vibration(rng, 48)]
    return {
        'seeds': list(np.concatenate(parts, axis=2)),
        'symbols': ['Li'] * 24 + ['Al'] * 24 + ['O'] * 48,
        'charges': {'Li': 1, 'Al': 3, 'O': -2},
        **CONDITIONS,
    }


def molten_salt(rng, D=(0.5, 0.3), n_pairs=60):
    """Return an analysis' arguments for two species that diffuse while their centre of mass rests."""
    seeds = np.concatenate([walk(rng, n_pairs, value, seeds=4) for value in D], axis=2)
    masses = np.repeat([6.94, 35.45], n_pairs)
    # Each step is freed of the drift by an equal velocity of all atoms, as a thermostat does.
    seeds = seeds - np.einsum('stax,a->stx', seeds, masses / masses.sum())[:, :, None]
    symbols = ['Li'] * n_pairs + ['Cl'] * n_pairs
    return {'seeds': list(seeds), 'symbols': symbols, 'charges': {'Li': 1, 'Cl': -1}, **CONDITIONS}


def test_a_resting_species_does_not_diffuse_because_others_do():
    """Relative to aluminium, oxygen is at rest; relative to all others, it would take over the motion of lithium."""
    result = analyse(**lithium_aluminate(np.random.default_rng(0)), mobile='O')
    assert not result.diffusive
    assert result.diffusivity.interval()[1] < 3e-9
    assert 'centre of mass of Al; Li may diffuse' in result.facts['frame']


def test_the_framework_is_everything_that_rests():
    input_ = lithium_aluminate(np.random.default_rng(0))
    automatic, given = analyse(**input_), analyse(**input_, framework=['O', 'Al'])
    assert automatic.facts['frame'].endswith('relative to the centre of mass of Al, O')
    assert automatic.attributes() == given.attributes()


def test_drift_of_the_whole_crystal_hides_no_framework():
    """What all atoms share is no diffusion of the framework."""
    input_ = lithium_aluminate(np.random.default_rng(1))
    still = analyse(**input_)
    rng = np.random.default_rng(2)
    drift = np.cumsum(rng.normal(0, 0.5, (2, 1000, 1, 3)), axis=1)
    moved = analyse(**{**input_, 'seeds': [seed + shift for seed, shift in zip(input_['seeds'], drift, strict=True)]})
    assert moved.facts['frame'] == still.facts['frame']
    assert moved.diffusivity.value == pytest.approx(still.diffusivity.value, rel=1e-6)


def test_a_molten_salt_has_the_barycentric_frame():
    """Relative to chlorine's centre of mass, lithium would also have the diffusion of that centre."""
    D = 0.5
    result = analyse(**molten_salt(np.random.default_rng(3), D=(D, 0.3), n_pairs=30))
    assert result.facts['frame'].endswith('centre of mass of all atoms; Cl may diffuse as well')
    # Without its share of the centre of mass, an ion keeps 1 - m/M of its motion, and gets a little of the others'.
    share = 6.94 / (30 * (6.94 + 35.45))
    truth = D * (1 - 2 * share) + 30 * (D * 6.94**2 + 0.3 * 35.45**2) / (30 * (6.94 + 35.45)) ** 2
    low, high = result.diffusivity.interval(0.99)
    assert low < truth * 1e-4 < high
    assert result.diffusivity.value == pytest.approx(truth * 1e-4, rel=0.05)


def test_a_single_atom_of_a_species_belongs_to_the_framework_if_it_rests():
    """Relative to itself a single atom never moves: it is held against the others."""
    rng = np.random.default_rng(4)
    parts = [walk(rng, 12, 0.5, 8), vibration(rng, 11, 8), vibration(rng, 1, 8), walk(rng, 1, 0.5, 8)]
    symbols = ['Li'] * 12 + ['Cl'] * 11 + ['Br'] + ['F']
    charges = {'Li': 1, 'Cl': -1, 'Br': -1, 'F': 0}
    result = analyse(list(np.concatenate(parts, axis=2)), symbols, charges, **CONDITIONS)
    assert 'centre of mass of Br, Cl; F may diffuse' in result.facts['frame']


@pytest.mark.parametrize('framework', [['Li'], ['P'], ['Al', 'Xe']])
def test_a_framework_of_other_or_mobile_atoms_is_refused(framework):
    with pytest.raises(ValueError, match='framework cannot hold'):
        analyse(**lithium_aluminate(np.random.default_rng(0)), framework=framework)


def test_a_barycentric_frame_can_be_asked_for():
    result = analyse(**lithium_aluminate(np.random.default_rng(0)), framework=[])
    assert 'centre of mass of all atoms' in result.facts['frame']
