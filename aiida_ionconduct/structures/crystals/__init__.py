"""Published crystal structures, shipped as CIF files that name their source."""

import pathlib

import ase.io
from ase import Atoms

CRYSTALS = {path.stem: path for path in sorted(pathlib.Path(__file__).parent.glob('*.cif'))}


def crystal(name: str) -> Atoms:
    """Return the conventional cell of a shipped crystal.

    :param name: one of :data:`CRYSTALS`, such as ``beta-Li3PO4``.
    :raises ValueError: for an unknown name, listing the known ones.
    """
    if name not in CRYSTALS:
        raise ValueError(f'unknown crystal `{name}`: choose one of {", ".join(CRYSTALS)}, or give a structure file.')
    atoms = ase.io.read(CRYSTALS[name])
    return Atoms(atoms.symbols, cell=atoms.cell, scaled_positions=atoms.get_scaled_positions(), pbc=True)
