"""Ewald sums of point charges, by pymatgen."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from aiida_ionconduct.structures.checks import OXIDATION_STATES


def ewald_matrix(cell: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return M of the electrostatic energy E = sum_ij q_i q_j M_ij of point charges, (sites, sites), eV/e².

    :param cell: (3, 3), cell vectors as rows, Å.
    :param positions: (sites, 3), Å.
    """
    from pymatgen.analysis.ewald import EwaldSummation  # slow to import, needed here alone
    from pymatgen.core import Lattice, Structure

    structure = Structure(Lattice(cell), ['Li+'] * len(positions), positions, coords_are_cartesian=True)
    return np.asarray(EwaldSummation(structure).total_energy_matrix)


def ewald_energy(atoms: Atoms) -> float:
    """Return the electrostatic energy of the formal charges in eV; a background neutralises a net charge."""
    from pymatgen.analysis.ewald import EwaldSummation  # slow to import, needed here alone
    from pymatgen.core import Lattice, Structure

    charges = [float(OXIDATION_STATES[symbol]) for symbol in atoms.symbols]
    structure = Structure(
        Lattice(atoms.cell.array),
        list(atoms.symbols),
        atoms.get_scaled_positions(),
        site_properties={'charge': charges},
    )
    structure.add_oxidation_state_by_site(charges)
    return float(EwaldSummation(structure).total_energy)
