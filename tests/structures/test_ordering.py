"""Numbers of ions on sublattices, and the search for the best distribution, against trying everything."""

import numpy as np
import pytest
from ase import Atoms

from aiida_ionconduct.structures import OXIDATION_STATES
from aiida_ionconduct.structures.ordering import OrderingSearch, Sublattice, fill


def test_fill():
    """Numbers are rounded by the largest remainder; the charge left is given to the ion short of its occupancy."""
    sites = [{'Li': 0.691}] * 16 + [{'Li': 0.643}] * 8 + [{'Ge': 0.515, 'P': 0.485}] * 4 + [{'S': 1.0}] * 24
    sites += [{'P': 1.0}] * 2 + [{'Li': 1.0}] * 4
    sublattices, missing = fill(sites, OXIDATION_STATES, 'Li')
    assert missing == 0
    counts = [sublattice.counts for sublattice in sublattices]
    assert counts[:3] == [{'Li': 11, '': 5}, {'Li': 5, '': 3}, {'Ge': 2, 'P': 2}]
    lost, _ = fill([{'Li': 0.75}] * 4 + [{'Cl': 1.0}] * 4, OXIDATION_STATES, 'Li')
    assert lost[0].counts == {'Li': 4, '': 0}


def test_descent_finds_the_best_of_all():
    """In a cell small enough to try everything, the descents from random starts find the lowest energy of all."""
    rng = np.random.default_rng(2)
    cell, positions = np.eye(3) * 9, rng.uniform(size=(3, 3, 3, 3)).reshape(-1, 3)[:10] * 9
    positions = np.stack(np.meshgrid(*[[0, 3, 6]] * 3, indexing='ij'), -1).reshape(-1, 3)[:10] + 0.3 * positions / 9
    sublattices = [Sublattice(np.arange(6), {'Li': 3, '': 3}), Sublattice(np.arange(6, 10), {'Cl': 3, '': 1})]
    search = OrderingSearch(cell, positions, sublattices, OXIDATION_STATES)
    everything = search.enumerate()
    assert len(everything) == 20 * 4 == sublattices[0].n_distributions * sublattices[1].n_distributions
    assert search.sample(np.random.default_rng(0), 40)[0][0] == pytest.approx(everything[0][0], abs=1e-9)


def test_clashing_sites_are_never_both_taken():
    """The two halves of a split site, 0.5 Å apart, are never occupied together."""
    positions = np.array([[0, 0, 0], [0.5, 0, 0], [4, 4, 4], [4.5, 4, 4]], dtype=float)
    sublattice = Sublattice(np.arange(4), {'Li': 2, '': 2})
    search = OrderingSearch(np.eye(3) * 8, positions, [sublattice], OXIDATION_STATES)
    best = search.atoms(search.enumerate()[0][1])
    assert isinstance(best, Atoms)
    assert best.get_distance(0, 1, mic=True) > 5
