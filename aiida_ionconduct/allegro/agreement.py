"""Whether a compiled model in LAMMPS gives the energy and the forces that nequip gives for the same model."""

from __future__ import annotations

from typing import Any

import ase
import numpy as np

RATTLE_A, RATTLE_SEED = 0.05, 19
"""By how much the atoms are displaced: a relaxed crystal has no forces that could be compared."""
ENERGY_TOLERANCE_EV_PER_ATOM = 1e-4
FORCE_TOLERANCE_EV_PER_A, FORCE_TOLERANCE_FRACTION = 1e-3, 1e-3
"""Forces in single precision differ by some 1e-5 of the largest force. A message-passing model in ``pair_style
allegro`` is some per cent off."""
TF32_FACTOR = 30
"""TF32 has 10 bits of mantissa instead of 23; nequip's own energy and forces are computed without it."""


def reference_frame(frames: list[ase.Atoms]) -> ase.Atoms:
    """Return the frame for which LAMMPS and nequip are compared: the first with the most elements, rattled.

    :param frames: periodic frames.
    """
    chosen = max(frames, key=lambda frame: len(set(frame.symbols)))
    frame = ase.Atoms(chosen.symbols, positions=chosen.positions, cell=chosen.cell, pbc=True)
    frame.rattle(RATTLE_A, seed=RATTLE_SEED)
    return frame


def agreement(
    energies_eV: tuple[float, float], forces: tuple[np.ndarray, np.ndarray], *, tf32: bool = False
) -> dict[str, Any]:
    """Return how far LAMMPS and nequip differ, and whether they agree.

    :param energies_eV: of LAMMPS and of nequip.
    :param forces: of LAMMPS and of nequip, each (atoms, 3), eV/Å.
    :param tf32: whether the compiled model may use TF32.
    :return: ``agrees``, ``energy_difference_eV_per_atom``, ``max_force_difference_eV_per_A``, ``max_force_eV_per_A``,
        ``n_atoms``.
    """
    factor = TF32_FACTOR if tf32 else 1
    energy = abs(energies_eV[0] - energies_eV[1]) / len(forces[1])
    difference, largest = np.abs(forces[0] - forces[1]).max(), np.abs(forces[1]).max()
    limit = factor * (FORCE_TOLERANCE_EV_PER_A + FORCE_TOLERANCE_FRACTION * largest)
    return {
        # written so that a value that is not a number does not agree
        'agrees': bool(energy <= factor * ENERGY_TOLERANCE_EV_PER_ATOM and difference <= limit),
        'energy_difference_eV_per_atom': float(energy),
        'max_force_difference_eV_per_A': float(difference),
        'max_force_eV_per_A': float(largest),
        'n_atoms': len(forces[1]),
    }


def describe_disagreement(outcome: dict[str, Any]) -> str:
    """Return by how much LAMMPS and nequip differ, in words.

    :param outcome: of :func:`agreement`.
    """
    return (
        f'{outcome["energy_difference_eV_per_atom"]:.3g} eV/atom in the energy and up to '
        f'{outcome["max_force_difference_eV_per_A"]:.3g} eV/Å in the forces, of which the largest is '
        f'{outcome["max_force_eV_per_A"]:.3g} eV/Å'
    )
