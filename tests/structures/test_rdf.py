"""Radial distribution functions against counting, in cells of any size."""

import numpy as np
import pytest
from ase.build import bulk

from aiida_ionconduct.structures import radial_distribution


def test_shells_of_a_crystal():
    """The integral of 4 pi rho r² g in rock salt: six unlike neighbours at a/2, twelve like neighbours at a/√2."""
    atoms = bulk('NaCl', 'rocksalt', a=5.0, cubic=True)
    g = radial_distribution(atoms.positions[None], list(atoms.symbols), atoms.cell.array, 4.0)
    r = np.arange(40) * 0.1 + 0.05
    shells = 4 / 3 * np.pi * np.diff((np.arange(41) * 0.1) ** 3)
    density = 4 / atoms.get_volume()
    assert (g['Cl-Na'] * shells * density)[r < 3].sum() == pytest.approx(6)
    assert (g['Na-Na'] * shells * density)[r < 4].sum() == pytest.approx(12)
    assert set(g) == {'Cl-Cl', 'Cl-Na', 'Na-Na'}


def test_cell_and_supercell():
    """The primitive cell, smaller than the cutoff, gives what its supercell gives."""
    small = bulk('NaCl', 'rocksalt', a=5.0)
    large = small.repeat(3)
    results = [
        radial_distribution(atoms.positions[None], list(atoms.symbols), atoms.cell.array, 5.0)
        for atoms in (small, large)
    ]
    for pair, g in results[0].items():
        np.testing.assert_allclose(results[1][pair], g, atol=1e-9)


def test_ideal_gas():
    """Positions without order have g = 1."""
    positions = np.random.default_rng(0).random((40, 60, 3)) * 8
    g = radial_distribution(positions, ['Li'] * 60, 8 * np.eye(3), 4.0, bin_width=0.5)
    np.testing.assert_allclose(g['Li-Li'][3:], 1, atol=0.05)
