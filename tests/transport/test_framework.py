"""The frame of the tracer: the species at rest, found or given, and the centre of mass of a melt."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from aiida_ionconduct.transport import analyse, mobile_positions

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


def rotating_thiophosphate(rng, tau_ps, seeds=4, frames=2000, n_groups=12):
    """Return an analysis' arguments: lithium walks, PS4 groups turn about P by random angles with a relaxation time."""
    lithium = walk(rng, 24, 0.05, seeds, frames)
    centres = vibration(rng, n_groups, seeds, frames)
    corners = 2.05 * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / 3**0.5
    turns = Rotation.from_rotvec(rng.normal(0, np.sqrt(DT_PS / tau_ps), (seeds * n_groups * frames, 3)))
    steps = turns.as_matrix().reshape(seeds, frames, n_groups, 3, 3)
    orientation = np.broadcast_to(np.eye(3), (seeds, n_groups, 3, 3))
    sulfur = np.empty((seeds, frames, n_groups, 4, 3))
    for frame in range(frames):
        orientation = steps[:, frame] @ orientation
        sulfur[:, frame] = centres[:, frame, :, None] + np.einsum('sgij,cj->sgci', orientation, corners)
    positions = np.concatenate((lithium, centres, sulfur.reshape(seeds, frames, -1, 3)), axis=2)
    return {
        'seeds': list(positions),
        'symbols': ['Li'] * 24 + ['P'] * n_groups + ['S'] * 4 * n_groups,
        'charges': {'Li': 2, 'P': 4, 'S': -2},
        **CONDITIONS,
    }


def test_groups_that_rotate_fast_belong_to_the_framework():
    """Sulfur moves by ångströms and does not diffuse: the framework is P and S."""
    result = analyse(**rotating_thiophosphate(np.random.default_rng(5), tau_ps=1.0))
    assert result.facts['frame'].endswith('relative to the centre of mass of P, S')
    low, high = result.diffusivity.interval(0.99)
    assert low < 0.05e-4 < high


def test_groups_that_rotate_slowly_leave_their_centres_as_the_framework():
    """Sulfur that turns once in the run cannot be told from sulfur that diffuses: phosphorus remains, as is said."""
    result = analyse(**rotating_thiophosphate(np.random.default_rng(6), tau_ps=60.0))
    assert 'centre of mass of P; S may diffuse as well' in result.facts['frame']
    low, high = result.diffusivity.interval(0.99)
    assert low < 0.05e-4 < high


@pytest.mark.parametrize('framework', [None, ['P'], ['P', 'S'], []])
def test_displacements_by_brute_force(framework):
    """Lithium relative to the centre of mass of the stated species, step by step."""
    arguments = rotating_thiophosphate(np.random.default_rng(7), tau_ps=1.0, seeds=2, frames=200)
    result = analyse(**arguments, framework=framework)
    kinds = np.array(arguments['symbols'])
    chosen = {'P', 'S'} if framework is None else set(framework) or set(kinds)
    masses = np.array([{'Li': 6.94, 'P': 30.973761998, 'S': 32.06}[kind] if kind in chosen else 0.0 for kind in kinds])
    lag, squares = 3, []
    for positions in arguments['seeds']:
        for start in range(len(positions) - lag):
            step = positions[start + lag] - positions[start]
            step = step - masses @ step / masses.sum()
            squares += [float(move @ move) for move in step[kinds == 'Li']]
    curve = dict(zip(np.round(result.curves['lag_ps'] / DT_PS).astype(int), result.curves['msd_A2'], strict=True))
    assert curve[lag] == pytest.approx(np.mean(squares), rel=1e-9)


def test_of_two_species_one_diffuses():
    """Each has its own verdict: sodium vibrates, and has a bound instead of a number."""
    rng = np.random.default_rng(8)
    parts = [walk(rng, 16, 0.05, 4), vibration(rng, 16, 4), vibration(rng, 32, 4)]
    symbols, charges = ['Li'] * 16 + ['Na'] * 16 + ['Cl'] * 32, {'Li': 1, 'Na': 1, 'Cl': -1}
    result = analyse(list(np.concatenate(parts, axis=2)), symbols, charges, **CONDITIONS, mobile=['Li', 'Na'])
    attributes = result.attributes()
    assert (attributes['diffusive_Li'], attributes['diffusive_Na']) == (True, False)
    low, high = attributes['diffusivity_ci95_Li']
    assert low < 0.05e-4 < high
    assert attributes['diffusivity_cm2_per_s_Na'] is None
    assert any(text.startswith('tracer, Na: not diffusive') for text in attributes['warnings'])


def test_the_barycentric_frame_does_not_drift():
    """A melt whose centre of mass flies away has the diffusivities of one at rest."""
    still = molten_salt(np.random.default_rng(9))
    drift = 0.02 * np.arange(1000)[:, None, None] * np.array([1.0, 0.3, -0.5])
    moved = {**still, 'seeds': [seed + drift for seed in still['seeds']]}
    assert analyse(**moved).diffusivity.value == pytest.approx(analyse(**still).diffusivity.value, rel=1e-6)


def test_densities_take_the_framework_of_the_analysis():
    """Positions of oxygen in LiAlO2 are relative to aluminium at rest, not to lithium that diffuses."""
    input_ = lithium_aluminate(np.random.default_rng(10))
    (positions, _), symbols = input_['seeds'], input_['symbols']
    oxygen = mobile_positions(positions, symbols, 'O')
    aluminium = positions[:, 24:48].mean(axis=1)
    expected = positions[:, 48:] - (aluminium - aluminium[0])[:, None]
    np.testing.assert_allclose(oxygen, expected, atol=1e-9)
    np.testing.assert_allclose(oxygen, mobile_positions(positions, symbols, 'O', ['Al']), atol=1e-12)
