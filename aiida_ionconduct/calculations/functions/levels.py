"""Two levels of theory in one training set: frames of a given set are labelled anew, compared, and shifted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from aiida import orm
from aiida.engine import calcfunction
from ase import Atoms

from aiida_ionconduct.allegro.shifts import fit_energy_shifts
from aiida_ionconduct.calculations.functions.structures import frames_to_trajectory
from aiida_ionconduct.data import DatasetData

SAME_PLACE_A = 1e-3
"""Frames are the same whose atoms are nearer to each other than this."""
SIMILAR_VOLUME = 1.5
"""DFT has one mesh of k-points: frames are labelled in cells not larger or smaller than that of DFT by this factor."""


@calcfunction
def pick_level_frames(
    dataset: DatasetData, structure: orm.StructureData, parameters: orm.Dict
) -> dict[str, orm.TrajectoryData]:
    """Pick frames of a given training set that DFT labels again, so that its level of theory can be compared.

    The frames are of as many compositions as tell the energy of every element, at least two of each, with energies from
    the lowest to the highest.

    :param dataset: the given training set.
    :param structure: the cell of DFT, whose elements and size the frames have.
    :param parameters: ``n_frames``.
    :return: the frames by composition, ``composition_0`` and so on; none if no frame has the elements and the size.
    """
    frames = [frame for frame in dataset.get_frames() if _is_like(frame, structure.get_ase())]
    groups: dict[tuple[str, ...], list[Atoms]] = {}
    for frame in frames:
        groups.setdefault(tuple(frame.symbols), []).append(frame)
    ordered = sorted(groups.values(), key=len, reverse=True)
    elements = sorted(structure.get_symbols_set())
    chosen: list[list[Atoms]] = []
    rows: list[list[int]] = []
    for members in ordered:
        row = [list(members[0].symbols).count(element) for element in elements]
        if np.linalg.matrix_rank(np.array([*rows, row])) > len(rows):
            rows.append(row)
            chosen.append(members)
    n_each = max(2, -(-parameters['n_frames'] // max(len(chosen), 1)))
    return {
        f'composition_{index}': frames_to_trajectory(_spread(members, n_each)) for index, members in enumerate(chosen)
    }


def _is_like(frame: Atoms, structure: Atoms) -> bool:
    """Return whether DFT can label a frame with the pseudopotentials and the k-points of a structure."""
    ratio = float(frame.get_volume() / structure.get_volume())
    return set(frame.symbols) <= set(structure.symbols) and 1 / SIMILAR_VOLUME < ratio < SIMILAR_VOLUME


def _spread(frames: Sequence[Atoms], n_frames: int) -> list[Atoms]:
    """Return some frames from the lowest to the highest energy."""
    ordered = sorted(frames, key=lambda frame: float(frame.get_potential_energy()))
    return [ordered[index] for index in np.unique(np.linspace(0, len(ordered) - 1, n_frames).round().astype(int))]


@calcfunction
def compare_levels(parameters: orm.Dict, dataset: DatasetData, **labelled: DatasetData) -> orm.Dict:
    """Compare the labels of a given training set with those of DFT here, for the same frames.

    :param parameters: the limits ``max_forces_rmse_eV_per_A`` and ``max_energy_mae_eV_per_atom``, the latter for what
        is left of the energies after a shift of each element.
    :param dataset: the given training set.
    :param labelled: frames of it, labelled here.
    :return: ``agree``, ``n_frames``, ``shifts_eV`` by element (here less there), ``forces_rmse_eV_per_A``,
        ``forces_rms_eV_per_A``, ``energy_mae_eV_per_atom``, and ``uncovered``, the compositions of the training set
        whose shift the frames do not tell; with one of these the levels do not agree.
    :raises ValueError: if no frame is found again.
    """
    given = dataset.get_frames()
    here = [frame for _, node in sorted(labelled.items()) for frame in node.get_frames()]
    pairs = [(other, frame) for frame in here if (other := _same(frame, given)) is not None]
    if not pairs:
        raise ValueError('none of the labelled frames is a frame of the training set.')
    sizes = np.array([len(frame) for frame, _ in pairs])
    energies = np.array([frame.get_potential_energy() - other.get_potential_energy() for other, frame in pairs])
    fit = fit_energy_shifts([list(frame.symbols) for frame, _ in pairs], energies)
    shifts = fit['shifts_eV']
    left = (
        np.array([energy - _shift(frame, shifts) for energy, (_, frame) in zip(energies, pairs, strict=True)]) / sizes
    )
    difference = np.concatenate([frame.get_forces() - other.get_forces() for other, frame in pairs])
    forces = np.concatenate([frame.get_forces() for _, frame in pairs])
    outcome = {
        'n_frames': len(pairs),
        'shifts_eV': shifts,
        'uncovered': _uncovered(given, [frame for frame, _ in pairs]),
        'forces_rmse_eV_per_A': float(np.sqrt((difference**2).mean())),
        'forces_rms_eV_per_A': float(np.sqrt((forces**2).mean())),
        'energy_mae_eV_per_atom': float(np.abs(left).mean()),
    }
    agree = (
        not outcome['uncovered']
        and outcome['forces_rmse_eV_per_A'] <= parameters['max_forces_rmse_eV_per_A']
        and outcome['energy_mae_eV_per_atom'] <= parameters['max_energy_mae_eV_per_atom']
    )
    return orm.Dict({'agree': bool(agree), **outcome})


def _uncovered(given: Sequence[Atoms], labelled: Sequence[Atoms]) -> list[str]:
    """Return the formulas in a training set whose energies the shifts from some frames do not reach."""
    elements = sorted({symbol for frame in given for symbol in frame.symbols})

    def row(frame: Atoms) -> list[int]:
        return [list(frame.symbols).count(element) for element in elements]

    known = np.array([row(frame) for frame in labelled])
    rank = np.linalg.matrix_rank(known)
    by_formula = {str(frame.symbols.formula.format('hill')): frame for frame in given}
    return sorted(
        formula for formula, frame in by_formula.items() if np.linalg.matrix_rank(np.vstack([known, row(frame)])) > rank
    )


def _same(frame: Atoms, given: Sequence[Atoms]) -> Atoms | None:
    """Return the frame of a set in which all atoms are where they are in a frame."""
    for other in given:
        if len(other) == len(frame) and (other.numbers == frame.numbers).all() and np.allclose(other.cell, frame.cell):
            moved = frame.cell.scaled_positions(frame.positions - other.positions)
            if np.abs((moved - moved.round()) @ frame.cell.array).max() < SAME_PLACE_A:
                return other
    return None


def _shift(frame: Atoms, shifts_eV: dict[str, float]) -> float:
    """Return the sum of the shifts of the atoms of a frame, eV."""
    return sum(shifts_eV[symbol] for symbol in frame.symbols)


def describe_levels(outcome: dict[str, Any]) -> str:
    """Return how two levels of theory compare, in words.

    :param outcome: of :func:`compare_levels`.
    """
    uncovered = outcome['uncovered']
    return (
        f'on {outcome["n_frames"]} frames of the training set, DFT here gives forces that differ by '
        f'{outcome["forces_rmse_eV_per_A"]:.3g} eV/Å (RMS; the forces have {outcome["forces_rms_eV_per_A"]:.3g} eV/Å) '
        f'and, after a shift of each element, energies that differ by {outcome["energy_mae_eV_per_atom"]:.3g} eV/atom'
        + (
            f'; the energies of {", ".join(uncovered)} cannot be shifted, as DFT here labels no such frame'
            if uncovered
            else ''
        )
    )


@calcfunction
def shift_to_level(dataset: DatasetData, levels: orm.Dict) -> DatasetData:
    """Return a training set with its energies shifted, per element, to the level of DFT here.

    :param levels: of :func:`compare_levels`, which agree.
    """
    shifts, frames = levels['shifts_eV'], dataset.get_frames()
    for frame in frames:
        frame.calc.results = {
            name: value for name, value in frame.calc.results.items() if name in ('energy', 'forces', 'stress')
        }
        frame.calc.results['energy'] += _shift(frame, shifts)
    shifted = DatasetData.from_frames(frames)
    for name in ('n_left_out', 'notes'):
        if name in dataset.base.attributes.all:
            shifted.base.attributes.set(name, dataset.base.attributes.get(name))
    isolated = {
        symbol: energy + shifts[symbol] for symbol, energy in dataset.isolated_energies_eV.items() if symbol in shifts
    }
    if isolated:
        shifted.base.attributes.set('isolated_energies_eV', isolated)
    return shifted
