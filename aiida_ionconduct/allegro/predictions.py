"""The predictions of a model on some frames, and its errors on held-out frames."""

from __future__ import annotations

import io
import pathlib
from collections.abc import Mapping
from typing import Any

import ase.io
import numpy as np
from ase.data import chemical_symbols


def read_frames(path: pathlib.Path) -> list[ase.Atoms]:
    """Return the frames of a file of predictions; none if the file is missing or was cut when the job was killed."""
    text = path.read_text() if path.exists() else ''
    try:
        return list(ase.io.read(io.StringIO(text[: text.rfind('\n') + 1]), ':', format='extxyz'))
    except (ValueError, LookupError, OSError, RuntimeError):  # what ASE raises where a frame lacks lines
        return []


def read_predictions(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Return the reference values and the predictions on held-out frames.

    :return: energies, (frames,), in eV/atom; forces, (atoms of all frames, 3), in eV/Å; where both are known, stresses,
        (frames, 3, 3), in eV/Å³; the atomic number and the frame of every atom.
    """
    frames = ase.io.read(path, ':', format='extxyz')
    sizes = np.array([len(frame) for frame in frames])
    stress = {}
    if all('original_dataset_stress' in frame.info for frame in frames):
        stress = {
            'stress_reference': np.array([np.reshape(f.info['original_dataset_stress'], (3, 3)) for f in frames]),
            'stress_predicted': np.array([f.get_stress(voigt=False) for f in frames]),
        }
    return {
        'energy_reference_eV_per_atom': np.array([f.info['original_dataset_energy'] for f in frames]) / sizes,
        'energy_predicted_eV_per_atom': np.array([f.get_potential_energy() for f in frames]) / sizes,
        'forces_reference': np.concatenate([f.arrays['original_dataset_forces'] for f in frames]),
        'forces_predicted': np.concatenate([f.get_forces() for f in frames]),
        'numbers': np.concatenate([f.numbers for f in frames]),
        'frame': np.repeat(np.arange(len(frames)), sizes),
        **stress,
    }


def held_out_errors(parity: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return mean absolute and root-mean-square errors on held-out frames, of forces also by element.

    :param parity: as :func:`read_predictions` returns it.
    """
    energy = parity['energy_predicted_eV_per_atom'] - parity['energy_reference_eV_per_atom']
    forces = parity['forces_predicted'] - parity['forces_reference']
    symbols = np.array([chemical_symbols[number] for number in parity['numbers']])
    by_element = {str(symbol): forces[symbols == symbol] for symbol in np.unique(symbols)}
    errors = {
        'n_test_frames': len(energy),
        'test_energy_mae_eV_per_atom': _mae(energy),
        'test_energy_rmse_eV_per_atom': _rmse(energy),
        'test_forces_mae_eV_per_A': _mae(forces),
        'test_forces_rmse_eV_per_A': _rmse(forces),
        'test_forces_mae_by_element': {symbol: _mae(errors) for symbol, errors in by_element.items()},
        'test_forces_rmse_by_element': {symbol: _rmse(errors) for symbol, errors in by_element.items()},
    }
    if 'stress_reference' in parity:
        stress = parity['stress_predicted'] - parity['stress_reference']
        errors |= {'test_stress_mae_eV_per_A3': _mae(stress), 'test_stress_rmse_eV_per_A3': _rmse(stress)}
    return errors


def _mae(errors: np.ndarray) -> float:
    """Return the mean absolute error over all components."""
    return float(np.abs(errors).mean())


def _rmse(errors: np.ndarray) -> float:
    """Return the root-mean-square error over all components."""
    return float(np.sqrt((errors**2).mean()))
