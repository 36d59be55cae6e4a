"""The cells from which a pretrained potential samples: strained, with displaced ions, of other orderings."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from aiida_ionconduct.structures import minimum_distances_of

# Shortest distances in displaced cells, as a share of the distances in the crystal: a little shorter than in a thermal
# collision. Mobile ions meet ions that they never touch in the crystal, so their contacts may be closer.
SOFT_CONTACT, SOFT_CONTACT_MOBILE = 0.8, 0.7
MAX_HOP_A = 5.0
"""The farthest mobile neighbour towards which an ion is displaced."""
HOP_FRACTIONS = (0.2, 0.8)
HOP_RATTLE_A = 0.03
ATTEMPTS = 1000
"""Displacements that are tried for each cell that is kept."""


def soft_contacts(atoms: Atoms, mobile: str) -> dict[tuple[str, str], float]:
    """Return the shortest distances in Å that displaced cells may have, by pair of species.

    :param atoms: the crystal at rest.
    :param mobile: chemical symbol of the mobile ion.
    """
    contacts = {}
    for pair, distance in minimum_distances_of([atoms]).items():
        first, second = pair.split('-')
        contacts[first, second] = distance * (SOFT_CONTACT_MOBILE if mobile in (first, second) else SOFT_CONTACT)
    return contacts


def strained(atoms: Atoms, strain: float) -> Atoms:
    """Return a copy with all cell vectors longer by a fraction, and the atoms moved with the cell."""
    copy: Atoms = atoms.copy()
    copy.set_cell(copy.cell.array * (1 + strain), scale_atoms=True)
    return copy


def in_order_of(atoms: Atoms, symbols: list[str]) -> Atoms:
    """Return a copy whose atoms are in the order of some symbols; atoms of one species keep their order.

    :raises ValueError: if the composition differs.
    """
    if sorted(atoms.symbols) != sorted(symbols):
        raise ValueError(f'the ordering {atoms.symbols} has another composition than the crystal.')
    remaining = {symbol: iter(np.flatnonzero(np.array(atoms.symbols) == symbol)) for symbol in set(symbols)}
    order = [int(next(remaining[symbol])) for symbol in symbols]
    return Atoms(symbols, positions=atoms.positions[order], cell=atoms.cell, pbc=True)


def hop_cells(atoms: Atoms, mobile: str, n_cells: int, rng: np.random.Generator) -> list[Atoms]:
    """Return copies of a crystal in which a mobile ion is on its way to the site of a neighbour, which makes room.

    The neighbour is pushed on in the same direction, as in a knock-on hop; all atoms are displaced a little besides.
    There are fewer cells, possibly none, where displacements without a hard contact are rare.

    :param mobile: chemical symbol of the mobile ion.
    :param n_cells: copies, at most.
    """
    first, second, vectors = neighbor_list('ijD', atoms, {(mobile, mobile): MAX_HOP_A})
    if not len(first):
        return []
    contacts = soft_contacts(atoms, mobile)
    cells: list[Atoms] = []
    for _ in range(ATTEMPTS * n_cells):
        if len(cells) == n_cells:
            break
        index = rng.integers(len(first))
        copy = atoms.copy()
        step = rng.uniform(*HOP_FRACTIONS) * vectors[index]
        copy.positions[first[index]] += step
        if second[index] != first[index]:  # not its own image
            copy.positions[second[index]] += rng.uniform(0, 1) * step
        copy.positions += rng.normal(scale=HOP_RATTLE_A, size=copy.positions.shape)
        if not len(neighbor_list('i', copy, contacts)):
            cells.append(copy)
    return cells


def rattled_cells(
    atoms: Atoms, mobile: str, n_cells: int, rng: np.random.Generator, *, amplitudes_A: list[float], factor: float
) -> list[Atoms]:
    """Return copies with random displacements and no hard contacts; fewer than asked for where these are rare.

    :param mobile: chemical symbol of the mobile ion.
    :param n_cells: copies, at most.
    :param amplitudes_A: smallest and largest standard deviation of a displacement; it is uniform between them.
    :param factor: by which the mobile ions move farther.
    """
    factors = np.where(np.array(atoms.symbols) == mobile, factor, 1.0)[:, None]
    contacts = soft_contacts(atoms, mobile)
    cells: list[Atoms] = []
    for _ in range(ATTEMPTS * n_cells):
        if len(cells) == n_cells:
            break
        copy = atoms.copy()
        copy.positions += (
            rng.uniform(amplitudes_A[0], amplitudes_A[1]) * factors * rng.normal(size=copy.positions.shape)
        )
        if not len(neighbor_list('i', copy, contacts)):
            cells.append(copy)
    return cells
