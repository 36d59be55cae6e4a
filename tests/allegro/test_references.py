"""The energies of atoms from which a training starts, of one composition and of several."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from aiida_ionconduct.allegro.configuration import nequip_configuration
from aiida_ionconduct.allegro.parameters import TrainingParameters
from aiida_ionconduct.allegro.references import per_element_energies

ENERGIES = {'Li': -2.0, 'O': -5.0, 'P': -8.0}


def frame(symbols, noise=0.0):
    """Return a frame whose energy is the sum of the energies of its atoms, and some noise per atom."""
    atoms = Atoms(symbols)
    energy = sum(ENERGIES[symbol] for symbol in atoms.symbols) + noise * len(atoms)
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=np.zeros((len(atoms), 3)))
    return atoms


def residual(frames, energies):
    """Return the mean deviation of the energies per atom from sums over atoms, eV/atom."""
    sums = np.array([sum(energies[symbol] for symbol in frame.symbols) / len(frame) for frame in frames])
    return np.abs(sums - [frame.get_potential_energy() / len(frame) for frame in frames]).mean()


def test_one_composition_has_its_mean():
    assert per_element_energies([frame('Li3PO4', 0.1), frame('Li3PO4')]) is None


def test_several_compositions():
    """A mean over all leaves most of an eV per atom; energies of the elements leave the noise."""
    noise = np.random.default_rng(1).normal(scale=0.02, size=12)
    frames = [
        frame(symbols, shift) for symbols, shift in zip(['Li3PO4', 'Li2O', 'LiPO3', 'P2O5'] * 3, noise, strict=True)
    ]
    fitted = per_element_energies(frames)
    assert residual(frames, fitted) < 0.05
    mean = np.mean([frame.get_potential_energy() / len(frame) for frame in frames])
    assert residual(frames, dict.fromkeys(ENERGIES, mean)) > 0.8


def test_isolated_atoms_tell_what_compositions_do_not():
    """Two compositions do not determine three energies; those of isolated atoms fix the rest."""
    frames = [frame('Li3PO4'), frame('LiPO3')]
    isolated = {symbol: energy + 3.0 for symbol, energy in ENERGIES.items()}
    assert per_element_energies(frames, isolated) == pytest.approx(ENERGIES)
    assert residual(frames, per_element_energies(frames)) < 1e-9
    assert residual(frames, per_element_energies(frames, {'Li': 1.0})) < 1e-9


def test_configuration_has_the_energies_in_the_order_of_the_types():
    p, types = TrainingParameters.check({}), ['Li', 'O', 'P']
    model = nequip_configuration(p, types, atom_energies=ENERGIES)['training_module']['model']
    assert model['per_type_energy_shifts'] == ENERGIES
    model = nequip_configuration(p, types)['training_module']['model']
    assert model['per_type_energy_shifts'] == '${training_data_stats:per_atom_energy_mean}'
