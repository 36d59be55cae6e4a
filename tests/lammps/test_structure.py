"""Data files and orientation, against ASE."""

import io

import numpy as np
import pytest
from ase import Atoms, units
from ase.geometry import get_distances
from ase.io.lammpsdata import read_lammps_data
from scipy import stats

from aiida_ionconduct.lammps.structure import data_file, initial_velocities, lammps_rotation, species_order

SYMBOLS = ['Li', 'O', 'P', 'O', 'Li', 'O']


def skewed(seed=0, left_handed=False):
    """Return a skewed cell in a general orientation, with atoms inside and outside it."""
    generator = np.random.default_rng(seed)
    cell = np.diag([5.0, 6.0, 7.0]) + generator.uniform(-1, 1, (3, 3))
    atoms = Atoms(SYMBOLS, scaled_positions=generator.uniform(-0.3, 1.3, (6, 3)), cell=cell, pbc=True)
    atoms.rotate(70, (1, -2, 0.5), rotate_cell=True)
    if left_handed:
        atoms.set_cell(atoms.cell[[1, 0, 2]])
    return atoms


def test_species_order():
    assert species_order(SYMBOLS) == ['Li', 'O', 'P']


@pytest.mark.parametrize('left_handed', [False, True])
def test_rotation(left_handed):
    """The rotation keeps lengths and angles, gives LAMMPS its lower triangle, and goes back."""
    atoms = skewed(left_handed=left_handed)
    rotation = lammps_rotation(atoms.cell)
    cell = atoms.cell @ rotation
    assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.allclose(np.triu(cell, k=1), 0, atol=1e-12)
    assert (np.diag(cell) > 0).all()
    assert np.allclose(atoms.positions @ rotation @ rotation.T, atoms.positions, atol=1e-12)


def test_orthogonal_cell_is_kept():
    assert np.array_equal(lammps_rotation(np.diag([3.0, 4.0, 5.0])), np.eye(3))


def test_data_file():
    atoms = skewed()
    text = data_file(atoms)
    read = read_lammps_data(io.StringIO(text), sort_by_id=True)
    assert read.get_chemical_symbols() == SYMBOLS
    expected = get_distances(atoms.positions, cell=atoms.cell, pbc=True)[1]
    assert np.allclose(get_distances(read.positions, cell=read.cell, pbc=True)[1], expected, atol=1e-12)
    assert np.allclose(read.cell.cellpar(), atoms.cell.cellpar(), rtol=1e-14)
    assert '3 atom types' in text


def test_replicas():
    """Replicas are copies at the same place, one after the other, each with the velocities of its seed."""
    atoms = skewed()
    text = data_file(atoms, seeds=[4, 9], temperature_K=500.0)
    again = read_lammps_data(io.StringIO(text), units='metal', atom_style='atomic')
    assert len(again) == 12
    assert np.allclose(again.positions[:6], again.positions[6:])
    table = np.array([line.split() for line in text.split('Velocities')[1].split('\n') if line], dtype=float)
    assert table[:, 0].tolist() == list(range(1, 13))
    for seed, part in zip((4, 9), (table[:6, 1:], table[6:, 1:]), strict=True):
        assert np.allclose(part, initial_velocities(atoms.get_masses(), 500.0, seed), rtol=1e-14)
    assert not np.allclose(table[:6, 1:], table[6:, 1:])


def test_velocities():
    """The atoms are at rest as a whole and at the temperature by ASE; LAMMPS has the constants of CODATA 1998."""
    atoms = skewed()
    velocities = initial_velocities(atoms.get_masses(), 500.0, 7)
    assert np.abs(atoms.get_masses() @ velocities).max() < 1e-12
    atoms.set_velocities(velocities / (1000 * units.fs))
    temperature = 2 * atoms.get_kinetic_energy() / (3 * (len(atoms) - 1) * units.kB)
    assert temperature == pytest.approx(500, rel=1e-5)


def test_velocities_are_gaussian():
    velocities = initial_velocities(np.ones(20000), 300.0, 11).ravel()
    scaled = velocities / velocities.std()
    assert abs(scaled).max() > 3.5
    assert stats.kstest(scaled, 'norm').pvalue > 0.01
    assert abs(np.corrcoef(scaled[:-1], scaled[1:])[0, 1]) < 0.02
