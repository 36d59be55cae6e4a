"""Ewald sums, against Madelung constants."""

import numpy as np
import pytest
from ase.build import bulk

from aiida_ionconduct.structures.electrostatics import ewald_energy

COULOMB = 14.399645478425668  # e²/4πε₀ in eV Å


@pytest.mark.parametrize(
    ('structure', 'madelung', 'charges', 'distance', 'units'),
    [
        (bulk('NaCl', 'rocksalt', a=5.64), 1.747564594633, 1, 5.64 / 2, 1),
        (bulk('NaCl', 'rocksalt', a=5.64, cubic=True), 1.747564594633, 1, 5.64 / 2, 4),
        (bulk('NaCl', 'cesiumchloride', a=4.12), 1.762674773070, 1, 4.12 * np.sqrt(3) / 2, 1),
        (bulk('ZnS', 'zincblende', a=5.41), 1.638055053388, 4, 5.41 * np.sqrt(3) / 4, 1),
    ],
)
def test_ewald_energy(structure, madelung, charges, distance, units):
    """The energy is that of tabulated Madelung constants (ion pairs, nearest-neighbour distance)."""
    assert ewald_energy(structure) == pytest.approx(-units * madelung * charges * COULOMB / distance, rel=1e-5)
