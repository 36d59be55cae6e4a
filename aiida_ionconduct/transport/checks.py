"""Checks of what is given to an analysis: charges, cell, temperature and trajectories."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from aiida_ionconduct.transport.displacement import as_floats
from aiida_ionconduct.transport.estimators import check_runs

ROUNDING = 1e-5  # e for each atom: what the digits of a file may leave of a total charge of zero


def atom_charges(symbols: Sequence[str], charges: Mapping[str, float] | Sequence[float] | np.ndarray) -> np.ndarray:
    """Return the charge of every atom in e, (atoms,), checked: known for every atom and zero in total.

    Charges that are not integers are rounded in files: what their rounding leaves in total is taken off all atoms.

    :param charges: by symbol, or of every atom.
    :raises ValueError: if a charge is missing, or the charges do not sum to zero.
    """
    if isinstance(charges, Mapping):
        missing = sorted(set(symbols) - set(charges))
        if missing:
            raise ValueError(f'`charges` lacks {missing}: give the integer oxidation state of every species.')
        values = np.array([charges[symbol] for symbol in symbols], dtype=float)
    else:
        values = np.array(charges, dtype=float)
        if values.shape != (len(symbols),) or not np.isfinite(values).all():
            raise ValueError(
                f'`charges` has shape {values.shape}: give a finite charge for each of {len(symbols)} atoms.'
            )
    whole = not (values % 1).any()
    if abs(values.sum()) > (1e-9 if whole else ROUNDING * len(values)):
        raise ValueError(
            f'the charges sum to {values.sum():+g} e over the {len(symbols)} atoms: give oxidation states that sum to '
            'zero, or the conductivity depends on the frame of reference.'
        )
    return values if whole else values - values.mean()


def mobile_species(mobile: str | Sequence[str], symbols: Sequence[str]) -> list[str]:
    """Return the mobile species as a list, checked.

    :raises ValueError: if there is none, or none of its atoms.
    """
    species = [mobile] if isinstance(mobile, str) else list(dict.fromkeys(mobile))
    for symbol in species:
        if symbol not in symbols:
            raise ValueError(f'no atom is the mobile species {symbol!r}: choose `mobile` among {sorted(set(symbols))}.')
    if not species:
        raise ValueError(f'there is no mobile species: choose `mobile` among {sorted(set(symbols))}.')
    return species


def check_conditions(cell: np.ndarray, temperature_K: float) -> float:
    """Return the volume in Å³ after checking the cell and the temperature.

    :param cell: (3, 3), cell vectors as rows, Å.
    :raises ValueError: if the temperature is not positive, or the cell is no cell.
    """
    if not (math.isfinite(temperature_K) and temperature_K > 0):
        raise ValueError(f'`temperature_K` is {temperature_K}: give a positive temperature in kelvin.')
    if cell.shape != (3, 3) or not np.isfinite(cell).all() or abs(np.linalg.det(cell)) < 1e-6:
        raise ValueError(f'`cell` must be three linearly independent vectors, the rows of (3, 3), not {cell.tolist()}.')
    return float(abs(np.linalg.det(cell)))


def check_seeds(
    seeds: Sequence[np.ndarray] | np.ndarray, n_atoms: int, dt_ps: float, name: str = 'seeds'
) -> list[np.ndarray]:
    """Return the trajectories as float arrays, the shape of each checked by itself and against the others.

    :param seeds: one array (frames, atoms, 3) per seed.
    :param name: what to call the list in a message.
    :raises ValueError: if a shape is wrong, if there are too few frames, or if two seeds are the same run.
    """
    if isinstance(seeds, np.ndarray) and seeds.ndim == 3:
        raise ValueError(f'`{name}` is one array: give a list of arrays (frames, atoms, 3), one per seed.')
    trajectories = [as_floats(positions, f'{name}[{seed}]') for seed, positions in enumerate(seeds)]
    check_runs([positions.shape for positions in trajectories], dt_ps)
    if trajectories[0].shape[1:] != (n_atoms, 3):
        raise ValueError(f'`{name}[0]` has shape {trajectories[0].shape}, expected (frames, {n_atoms}, 3).')
    for seed, positions in enumerate(trajectories):
        for other in range(seed):
            if (positions[-1] == trajectories[other][-1]).all() and np.ptp(positions[[0, -1]], axis=0).any():
                raise ValueError(f'`{name}[{other}]` and `{name}[{seed}]` are the same run: give independent seeds.')
    return trajectories
