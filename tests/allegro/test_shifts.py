"""Energies of atoms by least squares, between two levels of theory."""

import numpy as np
import pytest

from aiida_ionconduct.allegro.configuration import evaluation_configuration, nequip_configuration
from aiida_ionconduct.allegro.parameters import TrainingParameters
from aiida_ionconduct.allegro.shifts import fit_energy_shifts

EXACT = {'Li': -190.0, 'O': -430.0, 'P': -180.0}
SEVERAL = [['Li'] * 3 + ['P'] + ['O'] * 4, ['Li'] * 2 + ['O'], ['Li'] * 3 + ['P']]


def test_several_compositions_determine_every_shift():
    """Energies that are sums over atoms give the energies of the atoms back, however large the frames are."""
    energies = np.array([sum(EXACT[symbol] for symbol in frame) for frame in SEVERAL])
    fit = fit_energy_shifts(SEVERAL, energies)
    assert fit['shifts_eV'] == pytest.approx(EXACT)
    assert fit['residual_eV_per_atom'] == pytest.approx(0, abs=1e-9)
    assert (fit['n_compositions'], fit['determined']) == (3, True)


def test_one_composition_determines_the_sum():
    """The sum is right; the fit says that the energies of the elements are not known."""
    frames = 5 * [SEVERAL[0]]
    energies = np.array([-2500.0, -2500.4, -2499.6, -2500.2, -2499.8])
    fit = fit_energy_shifts(frames, energies)
    assert sum(fit['shifts_eV'][symbol] for symbol in SEVERAL[0]) == pytest.approx(energies.mean())
    assert fit['residual_eV_per_atom'] == pytest.approx(energies.std() / 8)
    assert (fit['n_compositions'], fit['determined']) == (1, False)


def test_several_compositions_are_better_than_a_mean():
    """Where one energy per atom for all elements would be far off, shifts by element are not."""
    rng = np.random.default_rng(1)
    energies = np.array([sum(EXACT[symbol] for symbol in frame) for frame in SEVERAL]) + rng.normal(scale=0.01, size=3)
    sizes = np.array([len(frame) for frame in SEVERAL])
    single = energies / sizes - (energies / sizes).mean()
    assert fit_energy_shifts(SEVERAL, energies)['residual_eV_per_atom'] < 1e-3 < np.abs(single).max()


def test_configuration_with_fitted_shifts():
    """The model of the package gets them by nequip's own modifier, which its package keeps."""
    p = TrainingParameters.check({})
    configuration = nequip_configuration(p, ['Li', 'O'], initial_model='a.nequip.zip', energy_shifts={'Li': -190.0})
    model = configuration['training_module']['model']
    assert model['_target_'] == 'nequip.model.modify'
    assert model['modifiers'] == [{'modifier': 'modify_PerTypeScaleShift', 'shifts': {'Li': -190.0}}]
    assert model['model'] == {'_target_': 'nequip.model.ModelFromPackage', 'package_path': 'a.nequip.zip'}


def test_evaluation_without_shifts():
    """They are zero for every element; otherwise the model is evaluated as it is."""
    arguments = {'r_max': 4.0, 'package': 'a.nequip.zip', 'predictions': 'a'}
    model = evaluation_configuration(['Li', 'O'], **arguments, without_shifts=True)['training_module']['model']
    assert model['modifiers'][0]['shifts'] == {'Li': 0.0, 'O': 0.0}
    plain = evaluation_configuration(['Li', 'O'], **arguments)['training_module']['model']
    assert plain['_target_'] == 'nequip.model.ModelFromPackage'
