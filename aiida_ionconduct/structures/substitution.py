"""Aliovalent substitution, the charge balanced by interstitials at the sites of lowest electrostatic energy."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from aiida_ionconduct.structures.checks import OXIDATION_STATES
from aiida_ionconduct.structures.electrostatics import ewald_energy
from aiida_ionconduct.structures.voids import void_positions


def substitute(
    parent: Atoms, replace: str, by: str, *, n_sites: int = 1, compensate: str = 'Li', strain: float = 0.0
) -> Atoms:
    """Return the parent with replaced sites, and with the interstitial ions that make it neutral.

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
    atoms: Atoms = parent.copy()
    atoms.symbols[sites[:n_sites]] = by
    atoms.arrays.pop('masses', None)  # masses of the parent: the guest has its own
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
    grouped: Atoms = atoms[np.argsort([order.index(symbol) for symbol in atoms.symbols], kind='stable')]
    return grouped
