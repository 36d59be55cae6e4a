"""The energies of atoms from which a training starts, by element."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from ase import Atoms


def per_element_energies(
    frames: Sequence[Atoms], isolated_eV: Mapping[str, float] | None = None
) -> dict[str, float] | None:
    """Return the energy of an atom of each element that best adds up to the energies of frames of several compositions.

    A single energy for all elements leaves what distinguishes the compositions, an eV per atom, to the potential. The
    energies follow by least squares. What the compositions do not determine is taken from isolated atoms where all are
    known, and else from the mean energy per atom.

    :param frames: with energies in their calculators.
    :param isolated_eV: energies of isolated atoms by chemical symbol.
    :return: by chemical symbol, eV; None for frames of one composition, whose mean energy per atom is all there is.
    """
    elements = sorted({symbol for frame in frames for symbol in frame.symbols})
    counts = np.array([[list(frame.symbols).count(element) for element in elements] for frame in frames], dtype=float)
    fractions = counts / counts.sum(axis=1)[:, None]
    if np.allclose(fractions, fractions[0]):
        return None
    energies = np.array([frame.get_potential_energy() for frame in frames]) / counts.sum(axis=1)
    isolated = isolated_eV or {}
    start = np.full(len(elements), energies.mean())
    if all(element in isolated for element in elements):
        start = np.array([isolated[element] for element in elements])
        start += (energies - fractions @ start).mean()  # the mean cohesive energy, which is no part of the differences
    solution = start + np.linalg.lstsq(fractions, energies - fractions @ start, rcond=1e-8)[0]
    return {element: float(energy) for element, energy in zip(elements, solution, strict=True)}
