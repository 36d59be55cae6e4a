"""Numbers of ions on sublattices, and the search for the best distribution, against trying everything."""

import numpy as np
import pytest
from ase import Atoms

from aiida_ionconduct.structures import OXIDATION_STATES
from aiida_ionconduct.structures.composition import fill
from aiida_ionconduct.structures.contacts import bonds_between_full_sites
from aiida_ionconduct.structures.ordering import OrderingSearch, Sublattice


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


def split_chain(n_pairs):
    """Return the cell and positions of pairs of sites 0.6 Å apart, the pairs 4 Å from each other."""
    positions = np.array([[4.0 * pair + offset, 0, 0] for pair in range(n_pairs) for offset in (0, 0.6)])
    return np.diag([4.0 * n_pairs, 4, 4]), positions


def test_exclusive_sites_hold_one_ion_in_every_minimum():
    """With one ion for each pair of exclusive sites, no minimum of the search has ions on both sites of a pair."""
    cell, positions = split_chain(12)
    search = OrderingSearch(cell, positions, [Sublattice(np.arange(24), {'Li': 12, '': 12})], OXIDATION_STATES)
    for energy, occupation in search.sample(np.random.default_rng(0), 50):
        assert search.contacts(occupation) == []
        assert energy < 1e4
        np.testing.assert_array_equal(search.present[occupation].reshape(12, 2).sum(axis=1), 1)


def test_exclusive_sites_of_two_sublattices():
    """Ions that only an exchange uphill in energy takes apart are taken apart all the same."""
    cell, positions = split_chain(8)
    halves = [Sublattice(np.arange(0, 16, 2), {'Na': 4, '': 4}), Sublattice(np.arange(1, 16, 2), {'Cl': 4, '': 4})]
    search = OrderingSearch(cell, positions, halves, OXIDATION_STATES)
    minima = search.sample(np.random.default_rng(0), 20)
    assert not any(search.contacts(occupation) for _, occupation in minima)


def test_impossible_distributions_are_given_up():
    """Thirteen ions on twelve pairs of exclusive sites leave a contact, and the search ends early."""
    cell, positions = split_chain(12)
    search = OrderingSearch(cell, positions, [Sublattice(np.arange(24), {'Li': 13, '': 11})], OXIDATION_STATES)
    minima = search.sample(np.random.default_rng(0), 2000)
    assert len(minima) == 100
    assert [search.distances[pair] for pair in search.contacts(minima[0][1])] == [pytest.approx(0.6)]


def test_limits_follow_the_pair():
    """A limit between two species holds for these species alone, and bonds between full sites are no contacts."""
    positions = np.array([[0, 0, 0], [1.4, 0, 0], [4, 4, 4], [4, 4, 5.4]], dtype=float)
    sublattices = [
        Sublattice(np.array([0, 2]), {'B': 1, '': 1}),
        Sublattice(np.array([1]), {'O': 1}),
        Sublattice(np.array([3]), {'Li': 1}),
    ]
    limits = {('B', 'Li'): 1.8, ('B', 'O'): 1.2}
    search = OrderingSearch(
        np.eye(3) * 8,
        positions,
        sublattices,
        OXIDATION_STATES,
        limit=lambda first, second: limits.get((min(first, second), max(first, second)), 0.0),
    )
    occupations = [occupation for _, occupation in search.enumerate()]
    contacts = [search.contacts(occupation) for occupation in occupations]
    assert contacts == [[], [(2, 3)]]


def test_descent_ends_in_a_minimum():
    """No exchange of two ions lowers the energy further, by the energies of all exchanges."""
    rng = np.random.default_rng(3)
    grid = np.stack(np.meshgrid(*[[0, 3, 6]] * 3, indexing='ij'), -1).reshape(-1, 3) + rng.normal(
        scale=0.2, size=(27, 3)
    )
    sublattices = [
        Sublattice(np.arange(12), {'Li': 5, 'Mg': 2, '': 5}),
        Sublattice(np.arange(12, 27), {'O': 4, 'Cl': 3, '': 8}),
    ]
    positions = grid + rng.normal(scale=0.2, size=grid.shape)
    search = OrderingSearch(np.eye(3) * 9, positions, sublattices, OXIDATION_STATES)
    energy, occupation = search.sample(rng, 1)[0]
    for sublattice in sublattices:
        for i in sublattice.sites:
            for j in sublattice.sites:
                other = occupation.copy()
                other[[i, j]] = other[[j, i]]
                assert search.energies(other[None])[0] > energy - 1e-6


def test_bonds_of_shared_sites():
    """A site that two species share is always occupied: its bonds count for both; a partly empty site has none."""
    from pymatgen.core import Lattice, Structure

    species = [{'Ce': 0.5, 'Sm': 0.5}, {'O': 1.0}, {'Li': 0.5}]
    structure = Structure(Lattice.cubic(6), species, [[0, 0, 0], [0.3, 0, 0], [0.6, 0, 0]])
    assert bonds_between_full_sites(structure) == {'Ce-O': pytest.approx(1.8), 'O-Sm': pytest.approx(1.8)}


def test_random_distributions_are_drawn_with_a_seed_and_without_contacts():
    """Sites of a pair exclude each other: every draw has one ion on each pair, and other seeds give other draws."""
    cell, positions = split_chain(8)
    search = OrderingSearch(cell, positions, [Sublattice(np.arange(16), {'Li': 8, '': 8})], OXIDATION_STATES)
    draws = search.draw(np.random.default_rng(3), 20)
    assert len(draws) == 20
    for energy, occupation in draws:
        assert not search.contacts(occupation)
        assert energy == pytest.approx(float(search.energies(occupation[None])[0]))
    again = search.draw(np.random.default_rng(3), 20)
    assert all((first == second).all() for (_, first), (_, second) in zip(draws, again, strict=True))
    assert len({tuple(occupation) for _, occupation in draws}) > 10


def test_random_distributions_of_a_free_lattice_are_equally_probable():
    """Of 6 distributions of 2 ions over 4 free sites, each comes up in 600 draws 60 to 140 times."""
    positions = np.array([[0.0, 0, 0], [4, 0, 0], [0, 4, 0], [0, 0, 4.0]])
    search = OrderingSearch(8 * np.eye(3), positions, [Sublattice(np.arange(4), {'Li': 2, '': 2})], {'Li': 1})
    drawn = [tuple(occupation) for _, occupation in search.draw(np.random.default_rng(1), 600)]
    numbers = [drawn.count(distribution) for distribution in set(drawn)]
    assert len(numbers) == 6
    assert 60 < min(numbers) <= max(numbers) < 140
