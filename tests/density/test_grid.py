"""The density on a grid: normalised, in the right place, readable by other programs."""

import io

import numpy as np
import pytest
from ase import Atoms
from ase.io.cube import read_cube
from ase.units import Bohr

from aiida_ionconduct.density import density, participation, write_cube

TRICLINIC = np.array([[6.0, 0.0, 0.0], [1.5, 7.0, 0.0], [-1.0, 2.0, 8.0]])


def test_sums_to_the_ions():
    """The integral over the cell is the number of ions, and the grid is as fine as asked for."""
    rng = np.random.default_rng(0)
    seeds = [rng.normal(0, 20, (50, 7, 3)) for _ in range(3)]  # far outside the cell
    values = density(seeds, TRICLINIC, 0.5)
    assert values.shape == (12, 15, 17)  # cell vectors of 6, 7.16 and 8.31 Å
    assert values.sum() * np.linalg.det(TRICLINIC) / values.size == pytest.approx(7)


def test_against_histogramdd():
    """The counts are those of NumPy's histogram over fractional coordinates."""
    rng = np.random.default_rng(1)
    positions = rng.uniform(-3, 9, (200, 5, 3))
    values = density([positions], TRICLINIC, 1.0)
    scaled = (positions.reshape(-1, 3) @ np.linalg.inv(TRICLINIC)) % 1.0
    counts, _ = np.histogramdd(scaled, values.shape, [(0, 1)] * 3)
    np.testing.assert_allclose(values, counts * values.size / (200 * np.linalg.det(TRICLINIC)), rtol=1e-12)


def test_participation():
    """The participation of a uniform density is 1, and of a single occupied grid cell its share of the cell."""
    assert participation(np.ones((4, 4, 4))) == 1
    localised = np.zeros((4, 4, 4))
    localised[1, 2, 3] = 5.0
    assert participation(localised) == pytest.approx(1 / 64)


def test_cube(tmp_path):
    """ASE reads back cell, atoms and density, in atomic units, the first point in the middle of its cell."""
    atoms = Atoms('LiO', [[0.1, 0.2, 0.3], [2.0, 2.0, 2.0]], cell=TRICLINIC, pbc=True)
    values = density([np.random.default_rng(3).uniform(0, 6, (100, 3, 3))], TRICLINIC, 1.0)
    write_cube(tmp_path / 'li.cube', values, atoms)
    read = read_cube(io.StringIO((tmp_path / 'li.cube').read_text()))
    np.testing.assert_allclose(read['data'] / Bohr**3, values, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(read['atoms'].cell.array, TRICLINIC, atol=1e-4)
    np.testing.assert_allclose(read['atoms'].positions, atoms.positions, atol=1e-4)
    np.testing.assert_allclose(read['origin'], (TRICLINIC / np.array(values.shape)[:, None]).sum(axis=0) / 2, atol=1e-4)


@pytest.mark.parametrize('spacing', [0.0, -1.0])
def test_spacing_must_be_positive(spacing):
    with pytest.raises(ValueError, match='give a positive distance'):
        density([np.zeros((1, 1, 3))], TRICLINIC, spacing)


def test_positions_must_be_finite():
    with pytest.raises(ValueError, match='not finite'):
        density([np.full((1, 1, 3), np.nan)], TRICLINIC)
