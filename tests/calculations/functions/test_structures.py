"""Structures from structures: statistics, units and contacts against ASE and the constants of SciPy."""

import numpy as np
import pytest
from aiida import orm
from ase import Atoms
from ase.build import bulk
from ase.geometry import get_distances
from scipy import constants

from aiida_ionconduct.calculations.functions.structures import (
    frames_to_trajectory,
    initial_conditions,
    make_supercell,
    maxwell_boltzmann,
    rattle,
    substitute_structure,
)
from aiida_ionconduct.sampling import cells
from aiida_ionconduct.sampling.cells import SOFT_CONTACT, SOFT_CONTACT_MOBILE

RATTLE = {'n_frames': 12, 'amplitudes_A': [0.03, 0.12], 'mobile': 'Li', 'mobile_factor': 2.0, 'seed': 1}


def pair_distances(atoms):
    """Return the shortest distance of every pair of species between distinct atoms, by ASE's minimum image."""
    distances = get_distances(atoms.positions, cell=atoms.cell, pbc=True)[1]
    shortest = {}
    for i in range(len(atoms)):
        for j in range(i):
            pair = tuple(sorted((atoms.symbols[i], atoms.symbols[j])))
            shortest[pair] = min(shortest.get(pair, np.inf), distances[i, j])
    return shortest


@pytest.mark.parametrize('temperature', [1.0, 300.0, 2400.0])
def test_velocities_have_the_temperature_and_no_momentum(temperature, crystals):
    atoms = crystals['Li7PSiO8'].copy()
    atoms.set_velocities(maxwell_boltzmann(atoms.get_masses(), temperature, np.random.default_rng(3)))
    assert np.allclose(atoms.get_momenta().sum(axis=0), 0, atol=1e-12)
    kinetic = atoms.get_kinetic_energy() * constants.e
    assert kinetic / (1.5 * (len(atoms) - 1) * constants.k) == pytest.approx(temperature, rel=1e-6)


def test_velocities_are_normal():
    """The variance of a component is kT/m, for heavy and light atoms."""
    masses = np.repeat([7.0, 31.0], 5000)
    velocities = maxwell_boltzmann(masses, 900.0, np.random.default_rng(0)) * np.sqrt(masses)[:, None]
    reduced = velocities / np.sqrt(constants.k * 900 / constants.e)
    for half in (reduced[:5000].ravel(), reduced[5000:].ravel()):
        assert np.mean(half**2) == pytest.approx(1, abs=0.05)  # the standard error is 0.012
        assert np.mean(half**4) == pytest.approx(3, abs=0.3)  # 0.08
        assert np.mean(half) == pytest.approx(0, abs=0.04)  # 0.008


def test_velocities_for_pw(generate_structure):
    """The velocities are in Rydberg atomic units: the unit is half of the Hartree atomic unit."""
    structure = generate_structure('Li7PSiO8')
    settings = orm.Dict({'gamma_only': True})
    start = initial_conditions(structure, settings, orm.Float(900.0), orm.Int(5))
    assert start['settings']['gamma_only'] is True
    unit = constants.value('atomic unit of velocity') / 2  # m/s
    velocities = np.array(start['settings']['ATOMIC_VELOCITIES']) * unit
    masses = structure.get_ase().get_masses() * constants.atomic_mass
    kinetic = 0.5 * (masses[:, None] * velocities**2).sum()
    # Twice the temperature of the run: half of the kinetic energy becomes potential energy.
    assert kinetic / (1.5 * (len(masses) - 1) * constants.k) == pytest.approx(1800.0, rel=1e-5)


def test_initial_conditions_by_seed(generate_structure):
    """The same seed gives the same start, another seed another start, near the crystal."""
    structure = generate_structure()

    def start(seed):
        outcome = initial_conditions(structure, orm.Dict({}), orm.Float(600.0), orm.Int(seed))
        return outcome['structure'].get_ase().positions, outcome['settings']['ATOMIC_VELOCITIES']

    (positions, velocities), again, other = start(1), start(1), start(2)
    np.testing.assert_array_equal(positions, again[0])
    assert velocities == again[1]
    assert not np.allclose(positions, other[0], atol=1e-3)
    assert not np.allclose(velocities, other[1], rtol=1e-2)
    moved = positions - structure.get_ase().positions
    assert 0.01 < moved.std() < 0.03
    assert np.abs(moved).max() < 0.1


def test_supercell_has_enough_atoms_and_the_same_distances(generate_structure):
    structure = generate_structure()
    supercell = make_supercell(structure, orm.Int(60))
    assert len(supercell.sites) == 64
    assert supercell.get_composition() == {'Li': 24, 'P': 8, 'O': 32}
    assert supercell.get_cell_volume() == pytest.approx(4 * structure.get_cell_volume())
    before, after = pair_distances(structure.get_ase()), pair_distances(supercell.get_ase())
    assert after[('O', 'P')] == pytest.approx(before[('O', 'P')])


def rattled(structure, **changes):
    """Return the positions of rattled cells."""
    return rattle(structure, orm.Dict({**RATTLE, **changes})).get_positions()


def test_rattled_cells_depend_on_the_seed(generate_structure):
    structure = generate_structure()
    frames = rattled(structure)
    assert frames.shape == (12, 16, 3)
    np.testing.assert_array_equal(frames, rattled(structure))
    assert not np.allclose(frames, rattled(structure, seed=2))


def test_rattle_has_no_hard_contacts(crystals, generate_structure):
    """No pair is nearer than a share of its shortest distance in the crystal, though the amplitudes would allow it."""
    limits = {
        pair: distance * (SOFT_CONTACT_MOBILE if 'Li' in pair else SOFT_CONTACT)
        for pair, distance in pair_distances(crystals['Li7PSiO8']).items()
    }
    frames = rattled(generate_structure('Li7PSiO8'), n_frames=8, amplitudes_A=[0.12, 0.14])
    atoms = crystals['Li7PSiO8'].copy()
    closest = []
    for positions in frames:
        atoms.positions = positions
        distances = pair_distances(atoms)
        closest.append(min(distances[pair] / limits[pair] for pair in limits))
    assert min(closest) >= 1
    assert min(closest) < 1.1


def test_mobile_ions_move_more(crystals, generate_structure):
    frames = rattled(generate_structure(), n_frames=60, amplitudes_A=[0.05, 0.05])
    moved = frames - crystals['Li3PO4'].positions
    mobile = np.array([symbol == 'Li' for symbol in crystals['Li3PO4'].symbols])
    assert moved[:, mobile].std() == pytest.approx(0.10, rel=0.1)
    assert moved[:, ~mobile].std() == pytest.approx(0.05, rel=0.1)


def test_amplitudes_are_uniform(crystals, generate_structure):
    """Each frame has an amplitude of its own, uniform between the two limits."""
    frames = rattled(generate_structure(), n_frames=60, amplitudes_A=[0.02, 0.08], mobile_factor=1.0)
    deviations = np.std(frames - crystals['Li3PO4'].positions, axis=(1, 2))
    assert deviations.min() < 0.035
    assert deviations.max() > 0.065
    assert (deviations < 0.05).mean() == pytest.approx(0.5, abs=0.25)


def test_rattling_gives_up(monkeypatch):
    """The search for cells without hard contacts ends with an error."""
    monkeypatch.setattr(cells, 'SOFT_CONTACT_MOBILE', 1.5)
    with pytest.raises(ValueError, match='only 0 of 1 rattled cells have no hard contact: lower the amplitudes'):
        rattled(orm.StructureData(ase=bulk('LiO', 'rocksalt', a=4.2)), n_frames=1)


def test_substitution_keeps_its_parent(generate_structure):
    parameters = {'replace': 'P', 'by': 'Si', 'n_sites': 1, 'compensate': 'Li', 'strain': 0.01}
    structure = substitute_structure(generate_structure(), orm.Dict(parameters))
    assert structure.get_composition() == {'Li': 7, 'P': 1, 'Si': 1, 'O': 8}
    assert structure.creator.inputs.parent.get_composition() == {'Li': 6, 'P': 2, 'O': 8}


def test_each_frame_keeps_its_cell():

    frames = [Atoms('Li', cell=np.eye(3) * edge, pbc=True) for edge in (3.0, 4.0)]
    trajectory = frames_to_trajectory(frames)
    assert [trajectory.get_step_structure(index).cell[0][0] for index in (0, 1)] == [3.0, 4.0]
