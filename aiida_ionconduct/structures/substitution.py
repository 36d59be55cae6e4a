"""Aliovalent substitution, the charge balanced by interstitials at the sites of lowest electrostatic energy."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.geometry import get_distances

from .checks import OXIDATION_STATES

GRID_SPACING = 0.4  # Å; fine enough to find every void, the relaxation does the rest
MIN_DISTANCE = {True: 1.6, False: 1.7}  # Å from ions of the same sign, and of the opposite sign


def substitute(
    parent: Atoms, replace: str, by: str, n_sites: int = 1, compensate: str = 'Li', strain: float = 0.0
) -> Atoms:
    """Return the parent with sites replaced and as many interstitial ions as its neutrality asks for.

    The first ``n_sites`` sites are replaced; interstitials go one by one to the void where their electrostatic
    energy in the lattice of formal charges (Ewald sum) is lowest. Li3PO4 with P → Si and interstitial Li is the solid
    solution of Deng et al. 2015, 10.1021/jacs.5b04444.

    :param parent: a neutral ordered crystal.
    :param replace: chemical symbol to replace.
    :param by: chemical symbol that takes its place.
    :param n_sites: how many sites.
    :param compensate: chemical symbol of the interstitial ion.
    :param strain: linear strain applied to the cell, for the volume the guest needs.
    :raises ValueError: if there are too few sites, or the charge cannot be balanced by adding the ion.
    """
    sites = [index for index, symbol in enumerate(parent.symbols) if symbol == replace]
    if len(sites) < n_sites:
        raise ValueError(f'the parent has {len(sites)} {replace} sites, {n_sites} are to be replaced.')
    atoms = parent.copy()
    atoms.symbols[sites[:n_sites]] = by
    atoms.set_cell(atoms.cell * (1 + strain), scale_atoms=True)
    deficit = -sum(OXIDATION_STATES[symbol] for symbol in atoms.symbols)
    n_interstitials, rest = divmod(deficit, OXIDATION_STATES[compensate])
    if rest or n_interstitials < 0:
        raise ValueError(f'the charge {-deficit:+} cannot be balanced by adding {compensate}.')
    for _ in range(n_interstitials):
        candidates = void_positions(atoms, compensate)
        energies = [ewald_energy(atoms + Atoms(compensate, positions=[position])) for position in candidates]
        atoms += Atoms(compensate, positions=[candidates[int(np.argmin(energies))]])
    order = list(dict.fromkeys(atoms.symbols))
    return atoms[np.argsort([order.index(symbol) for symbol in atoms.symbols], kind='stable')]


def void_positions(atoms: Atoms, symbol: str, n_best: int = 12) -> np.ndarray:
    """Return grid points where an ion finds room, the roomiest first and no two within 1 Å, (n, 3) in Å.

    :raises ValueError: if there is none.
    """
    counts = np.maximum(np.round(atoms.cell.lengths() / GRID_SPACING).astype(int), 1)
    fractional = np.stack(np.meshgrid(*(np.arange(count) / count for count in counts), indexing='ij'), axis=-1)
    points = fractional.reshape(-1, 3) @ atoms.cell.array
    _, distances = get_distances(points, atoms.positions, cell=atoms.cell, pbc=True)
    sign = np.sign(OXIDATION_STATES[symbol])
    room = distances / np.array([MIN_DISTANCE[np.sign(OXIDATION_STATES[other]) == sign] for other in atoms.symbols])
    room = room.min(axis=1)
    chosen: list[int] = []
    for index in np.argsort(-room, kind='stable'):
        if room[index] < 1 or len(chosen) == n_best:
            break
        if chosen and get_distances(points[[index]], points[chosen], cell=atoms.cell, pbc=True)[1].min() < 1:
            continue
        chosen.append(int(index))
    if not chosen:
        raise ValueError(f'{atoms.symbols} has no void for another {symbol}: strain the cell.')
    return points[chosen]


def ewald_energy(atoms: Atoms) -> float:
    """Return the electrostatic energy of the formal charges in eV; a net charge is neutralised by a background."""
    from pymatgen.analysis.ewald import EwaldSummation  # slow to import, needed here alone
    from pymatgen.core import Lattice, Structure

    charges = [OXIDATION_STATES[symbol] for symbol in atoms.symbols]
    structure = Structure(
        Lattice(atoms.cell.array),
        list(atoms.symbols),
        atoms.get_scaled_positions(),
        site_properties={'charge': charges},
    )
    structure.add_oxidation_state_by_site(charges)
    return float(EwaldSummation(structure).total_energy)
