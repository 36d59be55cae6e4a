"""Several mobile species, charges of atoms, and systems without charges."""

import json

import numpy as np
import pytest

from aiida_ionconduct.transport import analyse
from aiida_ionconduct.transport.constants import SIEMENS_PER_CM

DT_PS, VOLUME = 0.1, 30.0**3
CONDITIONS = {'cell': 30 * np.eye(3), 'temperature_K': 600.0, 'dt_ps': DT_PS}
D = {'Li': 0.5, 'Mg': 0.2}
COUNT = {'Li': 32, 'Mg': 16}


def two_ions(number, frames=2000, seeds=4):
    """Return an analysis' arguments: lithium and magnesium walk independently through chlorine at rest."""
    rng = np.random.default_rng(number)
    parts = [
        np.cumsum(rng.normal(0, np.sqrt(2 * D[symbol] * DT_PS), (seeds, frames, COUNT[symbol], 3)), axis=1)
        for symbol in D
    ]
    parts.append(rng.uniform(0, 30, (1, 1, 64, 3)) + rng.normal(0, 0.1, (seeds, frames, 64, 3)))
    return {
        'seeds': list(np.concatenate(parts, axis=2)),
        'symbols': ['Li'] * 32 + ['Mg'] * 16 + ['Cl'] * 64,
        'charges': {'Li': 1, 'Mg': 2, 'Cl': -1},
        **CONDITIONS,
    }


@pytest.fixture(scope='module')
def both():
    """Return the analysis of both mobile species."""
    return analyse(**two_ions(0), mobile=['Li', 'Mg'])


def test_each_species_has_its_diffusivity(both):
    """Chlorine is the framework of both, and each number is that of an analysis of this species with that framework."""
    for species in both.species:
        low, high = species.diffusivity.interval(0.99)
        assert low < D[species.symbol] * 1e-4 < high
        alone = analyse(**two_ions(0), mobile=species.symbol, framework=['Cl'])
        assert species.diffusivity.value == pytest.approx(alone.diffusivity.value, rel=1e-9)
        assert species.sigma_tracer.value == pytest.approx(alone.sigma_tracer.value, rel=1e-9)


def test_the_tracer_conductivity_is_the_sum(both):
    """With the square of the charge: magnesium counts four times."""
    exact = SIEMENS_PER_CM * (32 * D['Li'] + 4 * 16 * D['Mg']) / (VOLUME * 600)
    low, high = both.sigma_tracer.interval(0.99)
    assert low < exact < high
    parts = sum(species.sigma_tracer.value for species in both.species)
    assert both.sigma_tracer.value == pytest.approx(parts, rel=0.03)


def test_transference_numbers(both):
    """They sum to one, and their intervals hold the share of each species."""
    exact = {'Li': 32 * D['Li'], 'Mg': 4 * 16 * D['Mg']}
    numbers = {species.symbol: species.transference for species in both.species}
    assert sum(number.value for number in numbers.values()) == pytest.approx(1, abs=0.01)
    for symbol, number in numbers.items():
        share = exact[symbol] / sum(exact.values())
        low, high = number.interval
        assert low < share < high
        assert 0.005 < number.stderr < 0.2


def test_transference_intervals_cover():
    """Of 30 analyses of independent species, about 95 % of the intervals hold the truth."""
    share = 16.0 / (16.0 + 12.8)
    held = []
    for number in range(30):
        result = analyse(**two_ions(100 + number, frames=400), mobile=['Li', 'Mg'])
        if share_of := result.species[0].transference:
            low, high = share_of.interval
            held.append(low < share < high)
    assert len(held) > 20
    assert np.mean(held) > 0.8


def test_attributes_have_a_suffix_by_species(both):
    attributes = both.attributes()
    assert json.loads(json.dumps(attributes, allow_nan=False)) == attributes
    assert attributes['mobile'] == 'Li,Mg'
    assert attributes['n_mobile'] == 48
    assert attributes['diffusivity_cm2_per_s'] is None
    for name in ('diffusivity_cm2_per_s', 'diffusivity_ci95', 'sigma_tracer_S_per_cm', 'transference_stderr'):
        assert {f'{name}_Li', f'{name}_Mg'} <= set(attributes)


def test_species_of_opposite_charge_share_one_conductivity():
    """In a melt of Li+ and Cl-, both are mobile: the frame is barycentric, and the shares sum to one."""
    rng = np.random.default_rng(5)
    seeds = np.cumsum(rng.normal(0, 0.3, (4, 1500, 40, 3)), axis=1)
    charges, symbols = {'Li': 1, 'Cl': -1}, ['Li'] * 20 + ['Cl'] * 20
    result = analyse(list(seeds), symbols, charges, **CONDITIONS, mobile=['Li', 'Cl'])
    assert 'all atoms' in result.facts['frame']
    assert sum(species.transference.value for species in result.species) == pytest.approx(1, abs=1e-6)


def salt(number=1, frames=600):
    """Return an analysis' arguments without charges: lithium walks through chlorine at rest."""
    rng = np.random.default_rng(number)
    ions = np.cumsum(rng.normal(0, 0.3, (4, frames, 16, 3)), axis=1)
    rest = rng.uniform(0, 30, (1, 1, 16, 3)) + rng.normal(0, 0.1, (4, frames, 16, 3))
    return {
        'seeds': list(np.concatenate((ions, rest), axis=2)),
        'symbols': ['Li'] * 16 + ['Cl'] * 16,
        **CONDITIONS,
    }


def test_equal_charges_of_atoms_are_charges_of_species():
    input_ = salt()
    by_symbol = analyse(**input_, charges={'Li': 1, 'Cl': -1})
    by_atom = analyse(**input_, charges=[1] * 16 + [-1] * 16)
    assert by_atom.attributes() == by_symbol.attributes()


def test_charges_of_atoms_by_brute_force():
    """The charge displacement is the sum over all atoms, each with its charge."""
    input_ = salt()
    charges = np.random.default_rng(2).normal(0, 1, 32)
    charges -= charges.mean()
    result = analyse(**input_, charges=charges)
    mu = [np.tensordot(seed, charges, (1, 0)) for seed in input_['seeds']]
    expected = np.mean([((run[1:] - run[:-1]) ** 2).sum(axis=1).mean() for run in mu])
    assert result.curves['charge_msd_e2A2'][0] == pytest.approx(expected, rel=1e-9)
    per_D = SIEMENS_PER_CM * (charges[:16] ** 2).sum() / (VOLUME * 600)
    assert result.sigma_tracer.value == pytest.approx(result.diffusivity.value * 1e4 * per_D, rel=1e-9)
    assert any('not whole numbers' in text for text in result.attributes()['warnings'])
    assert any('differ between atoms' in text for text in result.attributes()['warnings'])


@pytest.mark.parametrize('excess', [0.01, 1e-6])
def test_rounded_charges_are_neutral_and_others_refused(excess):
    """The digits of a file may leave a little charge in total, no more."""
    charges = {'Li': 0.9 + excess, 'Cl': -0.9}
    if excess > 1e-3:
        with pytest.raises(ValueError, match='sum to'):
            analyse(**salt(), charges=charges)
    else:
        rounded, exact = analyse(**salt(), charges=charges), analyse(**salt(), charges={'Li': 0.9, 'Cl': -0.9})
        assert rounded.sigma_full.value == pytest.approx(exact.sigma_full.value, rel=1e-4)


def test_one_element_has_a_tracer_diffusivity():
    """Without other atoms the frame is the centre of mass, and the result says why there is no conductivity."""
    rng = np.random.default_rng(3)
    seeds = np.cumsum(rng.normal(0, 0.3, (4, 800, 30, 3)), axis=1)
    result = analyse(list(seeds), ['Ar'] * 30, None, **CONDITIONS, mobile='Ar')
    attributes = result.attributes()
    assert result.diffusivity.value == pytest.approx(0.3**2 / 2 / DT_PS * 29 / 30 * 1e-4, rel=0.1)
    assert attributes['sigma_full_S_per_cm'] is None
    assert attributes['sigma_tracer_S_per_cm'] is None
    assert any('no conductivity' in text for text in attributes['warnings'])
    assert not any('below 0' in text for text in attributes['warnings'])
    json.dumps(attributes, allow_nan=False)


def test_mobile_species_without_charge_are_refused():
    with pytest.raises(ValueError, match='must carry a charge'):
        analyse(**salt(), charges={'Li': 0, 'Cl': 0})
