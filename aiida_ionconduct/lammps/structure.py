"""Cells and data files: LAMMPS wants the first cell vector along x and the second in the xy plane."""

from __future__ import annotations

import io

import numpy as np
from ase import Atoms
from ase.calculators.lammps import Prism
from ase.io.lammpsdata import write_lammps_data


def species_order(symbols) -> list[str]:
    """Return the species in order of first appearance: the order of LAMMPS' atom types and of the centres of mass."""
    return list(dict.fromkeys(symbols))


def lammps_rotation(cell: np.ndarray) -> np.ndarray:
    """Return the orthogonal matrix Q that turns row vectors into LAMMPS' frame, ``v_lammps = v @ Q``.

    Back again: ``v = v_lammps @ Q.T``.

    :param cell: cell vectors as rows, Å.
    """
    return Prism(np.asarray(cell, dtype=float)).rot_mat


def data_file(atoms: Atoms) -> str:
    """Return the text of a LAMMPS data file, ``atom_style atomic``, all digits kept.

    Types are numbered as in :func:`species_order`; masses are those of ``atoms``.

    :param atoms: periodic structure; any cell of non-zero volume, in any orientation.
    """
    stream = io.StringIO()
    write_lammps_data(stream, atoms, specorder=species_order(atoms.symbols), masses=True, atom_style='atomic')
    return stream.getvalue()
