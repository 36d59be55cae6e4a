"""The mean cell of runs at constant pressure, with its error, after the equilibration is cut away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from aiida_ionconduct.transport.temperature import LARGE, SIGNIFICANT, Trend, correlated_rows, mean_of_runs, trend

LARGEST_CUT = 0.5
"""Largest share of a run that counts as equilibration."""
N_CUTS = 21
LARGE_ERROR = 0.01
"""Relative standard error of the volume above which the mean cell is called uncertain."""
SHEAR = 1e-6
"""Cosine of the angle between cell vectors below which the angle is right."""


class CellSeries(NamedTuple):
    """A run at constant pressure: the cell, temperature and pressure at equally spaced times."""

    cells: np.ndarray
    """Shape (rows, 3, 3), Å, in LAMMPS' frame: lower triangular."""
    temperature_K: np.ndarray
    pressure_bar: np.ndarray
    interval_ps: float


class MeanCell(NamedTuple):
    """The mean over all runs."""

    cell: np.ndarray
    """Shape (3, 3), Å, in LAMMPS' frame."""
    numbers: dict[str, Any]
    """What is stored of it, see :func:`mean_cell`."""


def coupling_of(cell: np.ndarray) -> str:
    """Return which cell parameters change at constant pressure: in a cell with right angles, only the lengths.

    :param cell: (3, 3), cell vectors as rows, Å.
    """
    unit = np.asarray(cell) / np.linalg.norm(cell, axis=1)[:, None]
    cosines = unit @ unit.T - np.eye(3)
    return 'tri' if np.abs(cosines).max() > SHEAR else 'aniso'


def cells_of(columns: Sequence[np.ndarray], first: np.ndarray) -> np.ndarray:
    """Return the cells of a run, without the flips of LAMMPS.

    ``fix npt`` flips a skewed box into another cell of the same lattice: a vector changes by a multiple of the vectors
    before it. The mean over both cells would mean nothing.

    :param columns: lx, ly, lz, xy, xz, yz of every row, Å.
    :param first: (3, 3), the cell at the start in LAMMPS' frame, Å.
    :return: shape (rows, 3, 3), Å.
    """
    lx, ly, lz, xy, xz, yz = (
        np.concatenate([[start], column])
        for start, column in zip(first[(0, 1, 2, 1, 2, 2), (0, 1, 2, 0, 0, 1)], columns, strict=True)
    )
    steady_yz = np.unwrap(yz / ly, period=1) * ly
    xz = np.unwrap((xz + np.rint((steady_yz - yz) / ly) * xy) / lx, period=1) * lx
    xy = np.unwrap(xy / lx, period=1) * lx
    cells = np.zeros((len(lx), 3, 3))
    for (row, column), values in zip(
        ((0, 0), (1, 1), (2, 2), (1, 0), (2, 0), (2, 1)), (lx, ly, lz, xy, xz, steady_yz), strict=True
    ):
        cells[:, row, column] = values
    return cells[1:]


def equilibration_rows(values: np.ndarray) -> int:
    """Return how many rows at the start of a series are equilibration: the cut that leaves the most independent rows.

    Chodera 2016 (10.1021/acs.jctc.5b00784); at most half of the series is cut.

    :param values: shape (rows,).
    """
    cuts = np.unique((np.linspace(0, LARGEST_CUT, N_CUTS) * len(values)).astype(int))
    independent = [(len(values) - cut) / correlated_rows(values[cut:] - values[cut:].mean()) for cut in cuts]
    return int(cuts[np.argmax(independent)])


def mean_cell(runs: Sequence[CellSeries], first: np.ndarray, temperature_K: float) -> MeanCell:
    """Return the mean cell of some runs with its errors, and how it differs from the cell that they started from.

    Errors are standard errors: the larger of the error from within the runs, which allows for the correlation in time,
    and the error from the scatter between them. Expansions are in percent.

    :param runs: at one temperature.
    :param first: (3, 3), the cell at the start in LAMMPS' frame, Å.
    :param temperature_K: that was asked for.
    :raises ValueError: if a run is too short.
    """
    cuts = [equilibration_rows(_volumes(run)) for run in runs]
    kept = [
        run._replace(**{name: getattr(run, name)[cut:] for name in run._fields[:3]})
        for run, cut in zip(runs, cuts, strict=True)
    ]
    cell = np.zeros((3, 3))
    for row, column in zip(*np.tril_indices(3), strict=True):
        cell[row, column] = mean_of_runs([_trend(run, run.cells[:, row, column]) for run in kept])[0]
    lengths_stderr = [
        mean_of_runs([_trend(run, np.linalg.norm(run.cells[:, axis], axis=1)) for run in kept])[1] for axis in range(3)
    ]
    volumes = [_trend(run, _volumes(run)) for run in kept]
    temperature = mean_of_runs([_trend(run, run.temperature_K) for run in kept])
    pressure = mean_of_runs([_trend(run, run.pressure_bar) for run in kept])
    before, after = (_lengths_and_angles(matrix) for matrix in (first, cell))
    volume_0, volume = (abs(float(np.linalg.det(matrix))) for matrix in (first, cell))
    volume_stderr = mean_of_runs(volumes)[1]
    numbers = {
        'lengths_A': after[0].tolist(),
        'lengths_stderr_A': lengths_stderr,
        'angles_deg': after[1].tolist(),
        'volume_A3': volume,
        'volume_stderr_A3': volume_stderr,
        'initial_lengths_A': before[0].tolist(),
        'initial_angles_deg': before[1].tolist(),
        'initial_volume_A3': volume_0,
        'length_expansions_percent': (100 * (after[0] / before[0] - 1)).tolist(),
        'length_expansions_stderr_percent': (100 * np.array(lengths_stderr) / before[0]).tolist(),
        'largest_strain_percent': 100 * largest_strain(first, cell),
        'volume_expansion_percent': 100 * (volume / volume_0 - 1),
        'volume_expansion_stderr_percent': 100 * volume_stderr / volume_0,
        'measured_temperature_K': temperature[0],
        'measured_temperature_stderr_K': temperature[1],
        'pressure_bar': pressure[0],
        'pressure_stderr_bar': pressure[1],
        'equilibration_ps': [cut * run.interval_ps for cut, run in zip(cuts, runs, strict=True)],
        'averaged_ps': [run.length_ps for run in volumes],
    }
    warnings = [
        *_warnings(volumes, volume, volume_stderr),
        *_warnings_of_temperature(*temperature, temperature_K),
    ]
    return MeanCell(cell, {**numbers, 'warnings': warnings})


def largest_strain(first: np.ndarray, cell: np.ndarray) -> float:
    """Return the largest relative change of a length in any direction, with its sign.

    :param first: (3, 3), the cell before, vectors as rows.
    :param cell: (3, 3), the cell after.
    """
    changes = np.linalg.svd(np.linalg.solve(first, cell), compute_uv=False) - 1
    return float(changes[np.argmax(np.abs(changes))])


def _volumes(run: CellSeries) -> np.ndarray:
    """Return the volumes of a run, shape (rows,), Å³."""
    return np.asarray(np.linalg.det(run.cells))


def _trend(run: CellSeries, values: np.ndarray) -> Trend:
    """Return mean and drift of a quantity of a run.

    :raises ValueError: if the run is too short.
    """
    known = trend(np.arange(len(values)) * run.interval_ps, values)
    if known is None:
        raise ValueError(f'a run at constant pressure has {len(values)} rows after its equilibration: make it longer.')
    return known


def _lengths_and_angles(cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lengths in Å and the angles in degrees of a cell."""
    lengths = np.linalg.norm(cell, axis=1)
    unit = cell / lengths[:, None]
    cosines = np.array([unit[1] @ unit[2], unit[0] @ unit[2], unit[0] @ unit[1]])
    return lengths, np.degrees(np.arccos(cosines))


def _warnings_of_temperature(mean: float, stderr: float, temperature_K: float) -> list[str]:
    """Return a warning if the runs did not have the temperature that was asked for."""
    if abs(mean - temperature_K) <= max(LARGE * temperature_K, SIGNIFICANT * stderr):
        return []
    return [
        f'the mean temperature is {mean:.0f} ± {stderr:.0f} K instead of {temperature_K:g} K: make the runs longer '
        '(expansion.time_ps), or the time step smaller'
    ]


def _warnings(volumes: Sequence[Trend], volume: float, stderr: float) -> list[str]:
    """Return warnings of a volume that is uncertain or still drifts."""
    warnings = []
    if stderr > LARGE_ERROR * volume:
        warnings.append(
            f'the volume is known to {100 * stderr / volume:.1f} % only: make the runs longer (expansion.time_ps), or '
            'take more seeds (expansion.seeds)'
        )
    for number, run in enumerate(volumes, start=1):
        change, error = run.drift_per_ps * run.length_ps, run.drift_stderr * run.length_ps
        if abs(change) > max(LARGE_ERROR * volume, SIGNIFICANT * error):
            warnings.append(
                f'the volume of run {number} still changes by {100 * change / volume:+.1f} % over the part that is '
                'averaged: the crystal is not in equilibrium; make the runs longer (expansion.time_ps)'
            )
    return warnings
