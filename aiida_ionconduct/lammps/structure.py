"""Cells and data files: LAMMPS wants the first cell vector along x and the second in the xy plane."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from ase import Atoms
from ase.calculators.lammps import Prism
from ase.io.lammpsdata import write_lammps_data

BOLTZMANN, KINETIC = 8.617343e-5, 1.0364269e-4
"""LAMMPS' Boltzmann constant (eV/K) and u Å²/ps² in eV, units metal."""


def species_order(symbols: Iterable[str]) -> list[str]:
    """Return the species in order of first appearance: the order of LAMMPS' atom types and of the centres of mass."""
    return list(dict.fromkeys(symbols))


def lammps_rotation(cell: np.ndarray) -> np.ndarray:
    """Return the orthogonal matrix Q that turns row vectors into LAMMPS' frame, ``v_lammps = v @ Q``.

    Back again: ``v = v_lammps @ Q.T``.

    :param cell: cell vectors as rows, Å.
    :return: shape (3, 3).
    """
    return np.asarray(Prism(np.asarray(cell, dtype=float)).rot_mat)


def data_file(atoms: Atoms, seeds: Sequence[int] = (), temperature_K: float = 0.0) -> str:
    """Return the text of a LAMMPS data file, ``atom_style atomic``, all digits kept.

    Types are numbered as in :func:`species_order`; masses are those of ``atoms``.

    :param atoms: periodic structure; any cell of non-zero volume, in any orientation.
    :param seeds: seeds of the velocities of the replicas, which are written one after the other, at the same place;
        without seeds the file holds the structure once, and no velocities.
    :param temperature_K: temperature of the velocities.
    """
    stream = io.StringIO()
    replicas = atoms.copy()
    for _ in seeds[1:]:
        replicas += atoms
    write_lammps_data(stream, replicas, specorder=species_order(atoms.symbols), masses=True, atom_style='atomic')
    text = stream.getvalue()
    if not seeds:
        return text
    table = np.concatenate([initial_velocities(atoms.get_masses(), temperature_K, seed) for seed in seeds])
    rows = (f'{index} {x:.17g} {y:.17g} {z:.17g}' for index, (x, y, z) in enumerate(table, start=1))
    return '\n'.join((text.rstrip('\n'), '', 'Velocities', '', *rows, ''))


def initial_velocities(masses: np.ndarray, temperature_K: float, seed: int) -> np.ndarray:
    """Return the velocities that ``velocity all create … mom yes dist gaussian`` of LAMMPS gives a single structure.

    With several replicas in the box, the command would give every replica other velocities, according to its place in
    the list of atoms.

    :param masses: shape (atoms,), u, in the order of the data file.
    :return: shape (atoms, 3), Å/ps, in LAMMPS' frame.
    """
    numbers = _park_miller_gaussians(seed)
    velocities = np.array([[next(numbers) for _ in range(3)] for _ in masses]) / np.sqrt(masses)[:, None]
    velocities -= masses @ velocities / masses.sum()
    twice_kinetic = KINETIC * (masses[:, None] * velocities**2).sum()
    scale = math.sqrt(temperature_K * 3 * (len(masses) - 1) * BOLTZMANN / twice_kinetic)
    return np.asarray(velocities * scale)


def _park_miller_gaussians(seed: int) -> Iterator[float]:
    """Yield the normal deviates of LAMMPS' ``RanPark``.

    Park and Miller's minimal standard generator (doi:10.1145/63039.63042) and Marsaglia's polar method.
    """
    modulus = 2**31 - 1

    def uniform() -> float:
        nonlocal seed
        seed = 16807 * seed % modulus
        return seed * (1.0 / modulus)

    while True:
        square = 0.0
        while not 0 < square < 1:
            first, second = 2 * uniform() - 1, 2 * uniform() - 1
            square = first**2 + second**2
        scale = math.sqrt(-2 * math.log(square) / square)
        yield second * scale
        yield first * scale
