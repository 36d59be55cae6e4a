"""What stands where in an ordered cell: the sites as the file has them, and the ions that the cell has on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.geometry import get_distances
from tabulate import tabulate

INTERSTITIAL = 'interstitial'
SAME_SITE_A = 0.3  # an atom of a cell stands on a site of its parent if it is nearer than this


class SiteOrigin(NamedTuple):
    """A site as the file has it: its label, and its species with their occupancies as text; no species is ``–``."""

    label: str
    species: str


class SiteRow(NamedTuple):
    """The sites of one label in a cell: how the file occupies them, how many there are, and the ions on them."""

    label: str
    in_file: str
    n_sites: int
    in_cell: dict[str, int]

    @property
    def n_vacant(self) -> int:
        """Number of sites without an ion."""
        return self.n_sites - sum(self.in_cell.values())


NEW_SITE = SiteOrigin(INTERSTITIAL, '–')
"""Where the file has no site."""


def occupancies_text(occupancies: Mapping[str, float]) -> str:
    """Return the species of a site with their occupancies: ``Ge 0.515, P 0.485``."""
    return ', '.join(f'{symbol} {amount:.3g}' for symbol, amount in occupancies.items())


def site_rows(origins: Sequence[SiteOrigin], symbols: Sequence[str]) -> list[SiteRow]:
    """Return the sites of a cell by their label in the file; interstitial sites only where an ion is on them.

    :param origins: of each site of the cell.
    :param symbols: what each site holds; an empty string for a vacancy.
    """
    n_sites = Counter(origins)
    ions = Counter(pair for pair in zip(origins, symbols, strict=True) if pair[1])
    rows = []
    for origin, n in n_sites.items():
        in_cell = {symbol: number for (site, symbol), number in ions.items() if site == origin}
        if origin == NEW_SITE:
            n = sum(in_cell.values())
        if n:
            rows.append(SiteRow(*origin, n, in_cell))
    return rows


def compared_sites(parent: Atoms, atoms: Atoms) -> list[SiteRow]:
    """Return the sites of a cell that was made of an ordered crystal by substitution, without a supercell.

    :param parent: the crystal.
    :param atoms: the cell, which may be strained.
    """
    places = parent.copy()
    places.set_cell(atoms.cell, scale_atoms=True)
    distances = get_distances(places.positions, atoms.positions, cell=atoms.cell, pbc=True)[1]
    nearest = distances.argmin(axis=1)
    is_filled = distances[np.arange(len(places)), nearest] < SAME_SITE_A
    symbols = [str(atoms.symbols[index]) if filled else '' for index, filled in zip(nearest, is_filled, strict=True)]
    origins = [SiteOrigin(str(symbol), f'{symbol} 1') for symbol in places.symbols]
    added = sorted(set(range(len(atoms))) - set(nearest[is_filled].tolist()))
    return site_rows(
        [*origins, *(NEW_SITE for _ in added)], [*symbols, *(str(atoms.symbols[index]) for index in added)]
    )


def cell_text(row: SiteRow) -> str:
    """Return the ions on the sites of a row, and how many sites are empty: ``P 12, Si 4``."""
    parts = [f'{symbol} {number}' for symbol, number in row.in_cell.items()]
    return ', '.join([*parts, *([f'empty {row.n_vacant}'] if row.n_vacant else [])])


def occupancies_table(labels: Sequence[str], occupancies: Sequence[Mapping[str, float]]) -> str:
    """Return the sites of a crystal as a table: label, species with occupancies, number of sites in the cell."""
    sites = Counter(zip(labels, map(occupancies_text, occupancies), strict=True))
    lines = [(label, species, number) for (label, species), number in sites.items()]
    return tabulate(
        lines, headers=('site', 'occupied by', 'sites in the cell'), tablefmt='simple', disable_numparse=True
    )


def sites_table(rows: Sequence[SiteRow]) -> str:
    """Return the sites as a table: label, species in the file, number of sites, ions in the cell."""
    lines = [(row.label, row.in_file, row.n_sites, cell_text(row)) for row in rows]
    headers = ('site', 'in the file', 'sites', 'in the cell')
    return tabulate(lines, headers=headers, tablefmt='simple', disable_numparse=True)
