"""How near two ions may come to each other, by the pair of species.

Ions of opposite sign bond: the shortest bonds in crystals have 0.86 to 1.0 of the sum of the covalent radii (B–O, S–O,
O–H, P–S), and sites that disorder or an average over two positions has moved are up to 15 % shorter. Ions of the same
sign do not bond: anions stay apart by about the sum of their ionic radii (edges of SiO4 and PS4 tetrahedra have 0.93 of
it), and cations do not come nearer than they would if they bonded. Bonds that stand in the file between fully
occupied sites are allowed whatever their length.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from ase.neighborlist import neighbor_list

if TYPE_CHECKING:
    from pymatgen.core import Structure

BOND_FACTOR = 0.75
"""Of the sum of covalent radii: a real bond is at least 0.86 of it, a bond of an averaged site at least 0.75."""
ANION_FACTOR = 0.7
"""Of the sum of the ionic radii of two anions: O–O 1.9 Å, S–S 2.6 Å; the shortest edges of polyhedra are above it."""
CATION_FACTOR = 0.65
"""Of the sum of the covalent radii of two cations: Li–Li 1.66 Å; pairs of lithium have 2.2 Å and more once relaxed."""
ANION_RADII_A = {
    'H': 0.9, 'N': 1.46, 'O': 1.38, 'F': 1.31, 'S': 1.84, 'Cl': 1.81, 'Se': 1.98, 'Br': 1.96, 'Te': 2.21, 'I': 2.20,
}  # fmt: skip
"""Ionic radii of Shannon (1976) at six neighbours; of hydrogen, half the H–H distance of BH4 and NH2 groups."""
RELAXED = 0.8
"""Factor of all limits where no distribution keeps them: averaged positions are that wrong, a relaxation mends it."""
BOND_MARGIN = 0.95  # of the bonds in the file
FULL = 0.95  # occupancy of a site that counts as always occupied


def contact_limit(
    first: str,
    second: str,
    charges: Mapping[str, float],
    bonds: Mapping[str, float] | None = None,
    *,
    factor: float = 1.0,
) -> float:
    """Return the shortest distance in Å at which two ions may stand.

    :param charges: oxidation states by chemical symbol.
    :param bonds: of :func:`bonds_between_full_sites`.
    :param factor: of the limit, for averaged positions.
    """
    covalent = factor * float(covalent_radii[atomic_numbers[first]] + covalent_radii[atomic_numbers[second]])
    bond = BOND_MARGIN * (bonds or {}).get(pair_name(first, second), math.inf)
    if charges.get(first, 0) * charges.get(second, 0) <= 0:
        return min(BOND_FACTOR * covalent, bond)
    if charges[first] < 0 and {first, second} <= ANION_RADII_A.keys():
        return min(factor * ANION_FACTOR * (ANION_RADII_A[first] + ANION_RADII_A[second]), bond)
    return min(CATION_FACTOR * covalent, bond)


def pair_name(first: str, second: str) -> str:
    """Return the name of a pair of species, such as ``Li-O``."""
    return '-'.join(sorted((first, second)))


def bonds_between_full_sites(structure: Structure) -> dict[str, float]:
    """Return the shortest distance below 3 Å of each pair of species on sites that are always occupied.

    Several species may share such a site.
    """
    full = [site for site in structure if site.species.num_atoms > FULL]
    if not full:
        return {}
    symbols = [[element.symbol for element in site.species.elements] for site in full]
    atoms = Atoms(['X'] * len(full), [site.coords for site in full], cell=structure.lattice.matrix, pbc=True)
    first, second, distances = neighbor_list('ijd', atoms, 3.0)
    bonds: dict[str, float] = {}
    for i, j, distance in zip(first.tolist(), second.tolist(), distances.tolist(), strict=True):
        for name in {pair_name(*pair) for pair in itertools.product(symbols[i], symbols[j])}:
            bonds[name] = min(bonds.get(name, math.inf), distance)
    return bonds


def short_contacts(atoms: Atoms, charges: Mapping[str, float], bonds: Mapping[str, float]) -> list[str]:
    """Return the contacts of a cell below their limits as text, the worst of each pair of species."""
    pairs = itertools.combinations_with_replacement(sorted(set(atoms.symbols)), 2)
    cutoffs = {pair: contact_limit(*pair, charges, bonds) for pair in pairs}
    first, second, distances = neighbor_list('ijd', atoms, cutoffs)
    worst: dict[str, float] = {}
    for i, j, distance in zip(first.tolist(), second.tolist(), distances.tolist(), strict=True):
        name = pair_name(atoms.symbols[i], atoms.symbols[j])
        worst[name] = min(worst.get(name, math.inf), distance)
    by_pair = {pair_name(*pair): limit for pair, limit in cutoffs.items()}
    return [f'{name} {worst[name]:.2f} Å (limit {by_pair[name]:.2f} Å)' for name in sorted(worst)]
