"""Distributions that symmetry makes equal."""

import math

import numpy as np

from aiida_ionconduct.structures.ordering import OrderingSearch, Sublattice
from aiida_ionconduct.structures.symmetry import distinct, site_permutations, symmetry_operations


def test_symmetry_duplicates():
    """One ion removed from a row of eight equal ions: one way, not eight; two removed: four distances."""
    cell = np.diag([24.0, 4.0, 5.0])
    positions = np.array([[3.0 * i, 0, 0] for i in range(8)])
    permutations = site_permutations(cell, positions, symmetry_operations(cell, positions, [0] * 8))
    for removed, n_ways in ((1, 1), (2, 4), (4, 8)):
        sublattices = [Sublattice(np.arange(8), {'Li': 8 - removed, '': removed})]
        distributions = OrderingSearch(cell, positions, sublattices, {'Li': 0}).enumerate()
        assert len(distributions) == math.comb(8, removed)
        assert len(distinct(distributions, permutations, 100)) == n_ways  # necklaces under rotation and reflection
