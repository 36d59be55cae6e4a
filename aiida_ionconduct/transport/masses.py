"""Masses of the species."""

from __future__ import annotations

from collections.abc import Mapping

from ase.data import atomic_masses, atomic_numbers


def atomic_mass(symbol: str, masses: Mapping[str, float] | None = None) -> float:
    """Return the mass of a species in u: the given one, else the standard atomic weight.

    :raises ValueError: if the mass is not known.
    """
    if masses is not None and symbol in masses:
        return float(masses[symbol])
    if symbol not in atomic_numbers:
        raise ValueError(f'{symbol!r} is not a chemical element: give its mass in `masses`.')
    return float(atomic_masses[atomic_numbers[symbol]])
