"""What a structure and its charges must satisfy before anything is submitted."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from ase.neighborlist import neighbor_list

OXIDATION_STATES = {
    'H': 1, 'Li': 1, 'Na': 1, 'K': 1, 'Ag': 1, 'Cu': 1, 'Mg': 2, 'Ca': 2, 'Zn': 2, 'B': 3, 'Al': 3, 'Ga': 3, 'Y': 3,
    'La': 3, 'Sc': 3, 'In': 3, 'Si': 4, 'Ge': 4, 'Sn': 4, 'Ti': 4, 'Zr': 4, 'P': 5, 'Ta': 5, 'Nb': 5, 'N': -3, 'O': -2,
    'S': -2, 'Se': -2, 'F': -1, 'Cl': -1, 'Br': -1, 'I': -1,
}  # fmt: skip
"""Usual integer oxidation states in solid electrolytes; anything else is stated by the user."""

CONTACT_FRACTION = 0.52
"""Atoms nearer than this fraction of the sum of their covalent radii overlap. No bond in a solid is that short, and no
contact in an ordered cell (:mod:`.contacts`), where averaged positions may still have to be relaxed."""

NEUTRAL = 1e-9
"""A total charge below this is a rounding error of the computer."""

MAX_VOLUME_A3 = 100.0
"""A cell with more volume for each atom is mostly empty: caesium iodide, one of the loosest salts, has 48 Å³."""


def check_cell(atoms: Atoms) -> None:
    """Refuse atoms that are no crystal.

    :raises ValueError: if there are no atoms, a coordinate is not a number, the cell is not periodic in three
        dimensions or has no volume, or most of it is empty.
    """
    if not len(atoms):
        raise ValueError('the structure has no atoms.')
    if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
        raise ValueError('the structure has coordinates that are not numbers.')
    volume = atoms.get_volume() if atoms.cell.rank == 3 else 0
    if not atoms.pbc.all() or abs(volume) < 1e-3:
        raise ValueError('the structure needs a cell that is periodic in three dimensions.')
    if volume > MAX_VOLUME_A3 * len(atoms):
        raise ValueError(
            f'the cell has {volume / len(atoms):.0f} Å³ for each atom and is mostly empty: give a crystal, no '
            'molecule or slab in a box.'
        )


def check_structure(atoms: Atoms, mobile: str = 'Li') -> None:
    """Refuse a structure that cannot be calculated.

    :param mobile: chemical symbol of the ion whose transport is asked for.
    :raises ValueError: as :func:`check_cell`, and if the mobile species is absent or two atoms overlap.
    """
    check_cell(atoms)
    if mobile not in set(atoms.symbols):
        raise ValueError(
            f'the structure {atoms.symbols} has no {mobile}: name its mobile species with --mobile, '
            f'one of {", ".join(sorted(set(atoms.symbols)))}.'
        )
    check_overlap(atoms)


def check_overlap(atoms: Atoms) -> None:
    """Refuse atoms that are nearer to each other than any bond, see :data:`CONTACT_FRACTION`.

    :raises ValueError: naming the nearest pair.
    """
    cutoffs = CONTACT_FRACTION * covalent_radii[atoms.numbers]
    first, second, distance = neighbor_list('ijd', atoms, cutoffs)
    if len(first):
        worst = int(np.argmin(distance))
        i, j = sorted((int(first[worst]), int(second[worst])))
        raise ValueError(
            f'atoms {i} ({atoms.symbols[i]}) and {j} ({atoms.symbols[j]}) are {distance[worst]:.2f} Å apart and '
            f'overlap: remove one of them, or resolve the partial occupancies of the file.'
        )


def check_charges(
    atoms: Atoms, charges: Mapping[str, float] | None = None, stated: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Return a charge for every species of the structure, from the user, the table, or the statistics of pymatgen.

    :param charges: charges given by the user, by chemical symbol; for the others see
        :func:`~aiida_ionconduct.structures.oxidation.oxidation_states`.
    :param stated: oxidation states that the file of the structure gives.
    :return: whole numbers; the average of an element of mixed valence is not whole.
    :raises ValueError: if a charge is unknown, names a species that is absent, or the sum over the cell is not zero.
    """
    from aiida_ionconduct.structures.oxidation import balancing_option, oxidation_states  # need the table

    species = sorted(set(atoms.symbols), key=lambda symbol: atomic_numbers[symbol])
    absent = sorted(set(charges or {}) - set(species))
    if absent:
        raise ValueError(f'charges are given for {", ".join(absent)}, which the structure does not contain.')
    known = {**OXIDATION_STATES, **(charges or {})}
    amounts = atoms.symbols.formula.count()
    if all(symbol in known for symbol in species):
        total = sum(amounts[symbol] * known[symbol] for symbol in species)
        if abs(total) < NEUTRAL:
            return _whole_if_possible({symbol: known[symbol] for symbol in species})
    try:
        states = oxidation_states(amounts, user=charges, stated=stated).charges
    except ValueError:
        if not all(symbol in known for symbol in species):
            raise
        used = ', '.join(f'{symbol} {known[symbol]:+g}' for symbol in species)
        raise ValueError(
            f'the charges sum to {total:+g} instead of zero ({used}; {atoms.symbols.formula:reduce}): give oxidation '
            f'states that balance, {balancing_option(amounts, known)}.'
        ) from None
    return _whole_if_possible({symbol: states[symbol] for symbol in species})


def _whole_if_possible(states: Mapping[str, float]) -> dict[str, float]:
    """Return whole states as integers."""
    return {symbol: int(state) if state == int(state) else state for symbol, state in states.items()}
