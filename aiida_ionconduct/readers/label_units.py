"""The unit and the sign of the stress of labelled frames, from the energies of strained cells or its magnitude."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from ase import Atoms, units

from aiida_ionconduct.choices import STRESS_UNITS, StressUnit

FACTORS: dict[StressUnit, float] = {
    'eV/A^3': 1.0,
    'GPa': units.GPa,
    'kbar': units.GPa / 10,
    '-eV/A^3': -1.0,
    '-GPa': -units.GPa,
    '-kbar': -units.GPa / 10,
}
"""What turns a stress into eV/Å³ with ASE's sign, by which a compressed crystal has a negative stress."""
MAX_PLAUSIBLE_EV_PER_A3 = 0.2
"""A larger typical component, 32 GPa, is taken for another unit."""
MIN_STRAIN, MAX_DISPLACEMENT_A, MIN_PAIRS = 1e-4, 0.3, 5
MIN_EXPLAINED, SURE = 0.8, 0.95
"""The least share of the energy differences that the stress must explain for them to tell its unit (by chance, five
pairs do so in 1.6 % of the cases), and to tell that no unit fits."""
MAX_RATIO = 2.0
"""Units differ by factors of ten and more; the energies of strained cells must agree with one of them this well."""


class StressEvidence(NamedTuple):
    """What energies tell about a stress."""

    factor: float
    """What the stress must be multiplied by to agree with the energies, for ASE's unit and sign."""
    explained: float
    """The share of the energy differences that the stress explains with this factor."""
    n_pairs: int


def evidence_of_energies(frames: Sequence[Atoms]) -> StressEvidence | None:
    """Return what the energies of strained cells tell about the stress, or None if they do not tell.

    Between two frames of the same atoms, the energy changes by the work of the stress and of the forces, both as means
    of the two frames: dE = V σ:ε - F·u, with the strain ε of the cell and the displacements u beyond it. Energies and
    forces are known; the factor before the stress is fitted.

    :param frames: with energy, forces and stress in their calculators.
    """
    groups: dict[tuple[int, ...], list[Atoms]] = {}
    for frame in frames:
        groups.setdefault(tuple(frame.numbers), []).append(frame)
    works = []
    for members in groups.values():
        ordered = sorted(members, key=lambda frame: float(frame.get_volume()))
        works += [work for pair in itertools.pairwise(ordered) if (work := _works(*pair)) is not None]
    if len(works) < MIN_PAIRS:
        return None
    stress, energy = np.array(works).T
    if not (stress**2).sum() or not (energy**2).sum():
        return None
    factor = float(stress @ energy / (stress @ stress))
    explained = 1 - ((energy - factor * stress) ** 2).sum() / (energy**2).sum()
    return StressEvidence(factor, float(explained), len(works)) if explained > MIN_EXPLAINED else None


def _works(first: Atoms, second: Atoms) -> tuple[float, float] | None:
    """Return the work of the stress between two frames, and the change of energy without the work of the forces.

    :return: None if the cells are equal, or the atoms too far apart for the means of forces to hold.
    """
    strain = np.linalg.solve(first.cell.array, second.cell.array) - np.eye(3)
    strain = (strain + strain.T) / 2
    if np.abs(strain).max() < MIN_STRAIN:
        return None
    moved = second.cell.scaled_positions(second.positions) - first.cell.scaled_positions(first.positions)
    moved = (moved - moved.round()) @ ((first.cell.array + second.cell.array) / 2)
    if np.abs(moved).max() > MAX_DISPLACEMENT_A:
        return None
    stress = [frame.get_volume() * frame.get_stress(voigt=False) for frame in (first, second)]
    forces = (first.get_forces() + second.get_forces()) / 2
    energy = second.get_potential_energy() - first.get_potential_energy()
    return float(((stress[0] + stress[1]) / 2 * strain).sum()), float(energy + (forces * moved).sum())


def find_stress_unit(frames: Sequence[Atoms], stated: StressUnit | None = None) -> tuple[StressUnit, str]:
    """Return the unit of the stress, and a sentence that says how it is known; the sentence is empty for ASE's unit.

    :param frames: with energy, forces and stress in their calculators.
    :param stated: the unit that the user states, which the energies must not contradict.
    :raises ValueError: if neither energies nor magnitudes fit a unit, or the energies contradict the stated unit.
    """
    evidence = evidence_of_energies(frames)
    if evidence is not None:
        unit = _matching_unit(evidence.factor)
        told = f'the energies of {evidence.n_pairs} pairs of strained cells'
        if (unit is None and evidence.explained > SURE) or (unit is not None and stated not in (None, unit)):
            raise ValueError(
                f'the stress contradicts the energies: by {told} it must be multiplied by {evidence.factor:.3g} for '
                f'eV/Å³ with the sign of ASE{f", which is {unit}, not {stated}" if unit else ""}. Correct the '
                'stress, or remove it.'
            )
        if unit == 'eV/A^3':
            return unit, ''
        if unit is not None:
            return unit, f'the stress is in {unit}, as {told} show: it was converted to eV/Å³ with the sign of ASE.'
    if stated is not None:
        return stated, f'the stress is in {stated}, as stated.'
    typical = float(np.median([np.abs(frame.get_stress()).max() for frame in frames]))
    if typical > MAX_PLAUSIBLE_EV_PER_A3:
        raise ValueError(
            f'the stress has typically {typical:.3g}, which as eV/Å³ is {typical / units.GPa:.3g} GPa, and all cells '
            'are equal or too different to tell its unit: state it with --stress-unit GPa, kbar, -GPa or -kbar (minus '
            'where a compressed crystal has a positive stress), or eV/A^3 if it is right (a low cutoff makes it large).'
        )
    return 'eV/A^3', (
        'the stress is taken as eV/Å³ with the sign of ASE; there are not enough strained cells to check it. State '
        'another unit with --stress-unit.'
    )


def _matching_unit(factor: float) -> StressUnit | None:
    """Return the unit for which a factor is right within :data:`MAX_RATIO`, sign included, or None."""
    for unit in STRESS_UNITS:
        if 1 / MAX_RATIO < factor / FACTORS[unit] < MAX_RATIO:
            return unit
    return None
