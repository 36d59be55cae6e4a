"""Published crystal structures, shipped as CIF files that name their source, and the reading of crystals."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, cast

import ase.io
from ase import Atoms

from aiida_ionconduct.structures.checks import check_cell
from aiida_ionconduct.structures.reading import read_structure

if TYPE_CHECKING:
    from pymatgen.core import Structure

CRYSTALS = {path.stem: path for path in sorted(pathlib.Path(__file__).parent.glob('*.cif'))}


def crystal(name: str) -> Atoms:
    """Return the conventional cell of a shipped crystal.

    :param name: one of :data:`CRYSTALS`, such as ``beta-Li3PO4``.
    :raises ValueError: for an unknown name, listing the known ones, and for a crystal with partial occupancies.
    """
    if name not in CRYSTALS:
        raise ValueError(f'unknown crystal `{name}`: choose one of {", ".join(CRYSTALS)}, or give a structure file.')
    atoms = next(ase.io.iread(CRYSTALS[name]))
    if is_disordered(atoms):
        raise ValueError(f'`{name}` has partial occupancies: make ordered cells of it with `alloy`.')
    return Atoms(atoms.symbols, cell=atoms.cell, scaled_positions=atoms.get_scaled_positions(), pbc=True)


def is_disordered(atoms: Atoms) -> bool:
    """Return whether atoms that ASE has read from a CIF have sites with vacancies or with several species."""
    occupancies = (atoms.info.get('occupancy') or {}).values()
    return any(sum(site.values()) < 0.999 or len(site) > 1 for site in occupancies)


def read_disordered(source: str | pathlib.Path | Atoms | Structure) -> Structure:
    """Return a crystal as a pymatgen structure, which knows partial occupancies.

    :param source: name of a shipped crystal, path of a CIF file, or a structure of either library.
    :raises ValueError: if there is no such crystal or file, or it cannot be read.
    """
    from pymatgen.core import Structure  # slow to import, needed here alone
    from pymatgen.io.ase import AseAtomsAdaptor

    if isinstance(source, Structure):
        copy: Structure = source.copy()
        return copy
    if isinstance(source, Atoms):
        check_cell(source)
        sites = AseAtomsAdaptor.get_structure(source).sites
        return cast('Structure', Structure.from_sites(sites))
    path = CRYSTALS.get(str(source), pathlib.Path(source))
    if not path.exists():
        raise ValueError(f'`{source}` is neither a file nor one of {", ".join(CRYSTALS)}.')
    return read_structure(path).structure
