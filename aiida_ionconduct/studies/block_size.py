"""Do conductivities depend on the length of the blocks? Full against tracer, the block against the simple method.

The block method averages every lag over the same number of time origins (Frenkel and Smit, Understanding Molecular
Simulation, section 4.4). Blocks of several lengths from the same runs show whether the answer has settled. Blocking
neither makes data nor cures the divergence of trajectories: it is a way to count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from aiida_ionconduct.transport.checks import atom_charges, check_conditions, check_seeds
from aiida_ionconduct.transport.constants import SIEMENS_PER_CM
from aiida_ionconduct.transport.curves import curve_lags
from aiida_ionconduct.transport.displacement import Track, block_displacements, simple_displacement
from aiida_ionconduct.transport.reference_frame import collective_tracks

QUANTITIES = ('full', 'tracer')
FIT_FROM = 0.1  # of a block: where the straight line begins that ends with the block
CONVERGED_ERROR = 0.2  # relative standard error of the longest blocks
SIGNIFICANT = 0.05  # probability below which two lengths of blocks are said to disagree
BETA = 0.1  # largest distance of the exponent from 1 that is not asked to be significant


class BlockSizeStudy(NamedTuple):
    """The result of :func:`block_size_study`.

    ``rows``: for each block length, quantity and method a dictionary of block_ps, quantity, method, n_blocks (all seeds
    together), sigma_S_per_cm, stderr, ci95, beta, beta_stderr. ``curves``: arrays named like ``block_85_full_msd``, of
    one length for each block length and method: ``…_lag_ps``, and of each quantity ``…_msd`` (e²Å² or Å²),
    ``…_running_S_per_cm`` (slope from half the lag) and their ``…_stderr`` over seeds. ``statement``: sentences.
    """

    rows: list[dict]
    curves: dict[str, np.ndarray]
    converged: bool
    statement: list[str]


def block_size_study(
    seeds: Sequence[np.ndarray],
    symbols: Sequence[str],
    charges: dict[str, int],
    cell: np.ndarray,
    temperature_K: float,
    dt_ps: float,
    mobile: str = 'Li',
    block_ps: Sequence[float] | None = None,
) -> BlockSizeStudy:
    """Compare conductivities from blocks of several lengths, and with the simple method up to the same lags.

    Each number is the mean over seeds of the slope of the mean-squared displacement between a tenth of a block and its
    end; errors are those of the mean over seeds, with Student's t.

    :param seeds: as for :func:`aiida_ionconduct.transport.analyse`, two at least, and so are the other arguments.
    :param block_ps: lengths of the blocks; a quarter, a half and the whole of a run by default.
    :raises ValueError: as ``analyse``, for a single seed, or for a block longer than the runs.
    """
    symbols = [str(symbol) for symbol in symbols]
    cell = np.asarray(cell, dtype=float)
    atom_charges(symbols, charges)
    volume = check_conditions(cell, temperature_K)
    trajectories = check_seeds(seeds, len(symbols), dt_ps)
    if len(trajectories) < 2:
        raise ValueError('one seed has no scatter between seeds: give two at least.')
    n_mobile = symbols.count(mobile)
    if n_mobile in (0, len(symbols)):
        raise ValueError(
            f'{mobile!r} must move through a framework of other atoms: choose `mobile` among {set(symbols)}.'
        )
    lengths = block_frames(block_ps, len(trajectories[0]), dt_ps)
    charge, tracer, _ = collective_tracks(trajectories, symbols, charges, mobile=mobile, cell=cell)
    per_charge = SIEMENS_PER_CM / (volume * temperature_K)
    scales = {'full': per_charge, 'tracer': per_charge * n_mobile * charges[mobile] ** 2}
    rows, curves, slopes = [], {}, {}
    for quantity, tracks in (('full', charge), ('tracer', tracer)):
        simple = np.array([simple_displacement(track) for track in tracks])
        for length in lengths:
            displacement = {'block': block_curves(tracks, length), 'simple': simple[:, : length + 1]}
            for method, values in displacement.items():
                # A lag of the whole run has a single origin, whatever the method.
                name = f'{method}_{length * dt_ps:g}'
                samples = scales[quantity] * line_slopes(values, dt_ps) / 6
                slopes[quantity, method, length] = samples
                rows.append(
                    {
                        'block_ps': length * dt_ps,
                        'quantity': quantity,
                        'method': method,
                        'n_blocks': len(tracks) * ((len(trajectories[0]) - 1) // length),
                        **estimate(samples),
                        **exponent(values),
                    }
                )
                curves |= running(name, quantity, values, dt_ps, scales[quantity] / 6)
    converged, statement = judge(rows, slopes, lengths, dt_ps)
    return BlockSizeStudy(rows, curves, converged, statement)


def block_frames(block_ps: Sequence[float] | None, n_frames: int, dt_ps: float) -> list[int]:
    """Return the lengths of the blocks in steps between frames, ascending.

    :raises ValueError: for a block that does not fit into a run, or is too short for a line.
    """
    whole = n_frames - 1
    lengths = [whole // 4, whole // 2, whole] if block_ps is None else [round(one / dt_ps) for one in block_ps]
    for length in lengths:
        if not 10 <= length <= whole:
            raise ValueError(
                f'blocks of {length * dt_ps:g} ps do not fit: runs of {whole * dt_ps:g} ps take blocks from '
                f'{10 * dt_ps:g} ps to that length.'
            )
    return sorted(set(lengths))


def block_curves(tracks: list[Track], length: int) -> np.ndarray:
    """Return the mean-squared displacement of each seed by the block method: (seeds, length + 1)."""
    return np.array([block_displacements(track, length).mean(axis=0) for track in tracks])


def line_slopes(values: np.ndarray, dt_ps: float) -> np.ndarray:
    """Return the slope of each curve (seeds, lags) between a tenth of its length and its end, per ps."""
    lags = np.arange(max(1, round(FIT_FROM * (values.shape[1] - 1))), values.shape[1])
    return np.polyfit(lags * dt_ps, values[:, lags].T, 1)[0]


def estimate(samples: np.ndarray) -> dict:
    """Return the mean of the seeds' values, its standard error and its 95 % interval."""
    value, stderr = float(samples.mean()), float(samples.std(ddof=1) / math.sqrt(len(samples)))
    half = stderr * float(stats.t.ppf(0.975, len(samples) - 1))
    return {'sigma_S_per_cm': value, 'stderr': stderr, 'ci95': [value - half, value + half]}


def exponent(values: np.ndarray) -> dict:
    """Return d ln M/d ln t from half a block to its end, and its error over seeds."""
    near, far = values[:, (values.shape[1] - 1) // 2], values[:, -1]
    octaves = math.log((values.shape[1] - 1) / ((values.shape[1] - 1) // 2))
    if not (near.mean() > 0 and far.mean() > 0):
        return {'beta': 0.0, 'beta_stderr': 0.0}
    scatter = (far / far.mean() - near / near.mean()) / octaves
    return {
        'beta': math.log(far.mean() / near.mean()) / octaves,
        'beta_stderr': float(scatter.std(ddof=1) / math.sqrt(len(values))),
    }


def running(name: str, quantity: str, values: np.ndarray, dt_ps: float, scale: float) -> dict[str, np.ndarray]:
    """Return a curve and its slope from half of each lag, both with their errors over seeds."""
    lags = curve_lags(values.shape[1] - 1)
    halves = lags // 2
    slopes = scale * (values[:, lags] - values[:, halves]) / ((lags - halves) * dt_ps)
    found = {f'{name}_lag_ps': lags * dt_ps}
    for label, samples in (('msd', values[:, lags]), ('running_S_per_cm', slopes)):
        found[f'{name}_{quantity}_{label}'] = samples.mean(axis=0)
        found[f'{name}_{quantity}_{label}_stderr'] = samples.std(axis=0, ddof=1) / math.sqrt(len(samples))
    return found


def judge(rows: list[dict], slopes: dict, lengths: list[int], dt_ps: float) -> tuple[bool, list[str]]:
    """Say whether the numbers depend on the blocks, on the method, and how well they are known."""
    by_key = {(row['quantity'], row['method'], round(row['block_ps'] / dt_ps)): row for row in rows}
    statement, sound = [], True
    for quantity in QUANTITIES:
        listed = [by_key[quantity, 'block', length] for length in lengths]
        names = ', '.join(f'{length * dt_ps:g}' for length in lengths)
        values = ', '.join(f'{row["sigma_S_per_cm"]:.3g} ± {row["stderr"]:.2g}' for row in listed)
        statement.append(f'{quantity}: blocks of {names} ps give {values} S/cm.')
        longest = slopes[quantity, 'block', lengths[-1]]
        for other in lengths[:-1]:
            if p := disagreement(slopes[quantity, 'block', other] - longest):
                sound = False
                statement.append(
                    f'{quantity}: blocks of {other * dt_ps:g} and {lengths[-1] * dt_ps:g} ps disagree (p = {p:.2g}).'
                )
        for length in lengths:
            if p := disagreement(slopes[quantity, 'block', length] - slopes[quantity, 'simple', length]):
                statement.append(
                    f'{quantity}: block and simple method disagree up to {length * dt_ps:g} ps (p = {p:.2g}).'
                )
        last = listed[-1]
        relative = last['stderr'] / last['sigma_S_per_cm'] if last['sigma_S_per_cm'] > 0 else math.inf
        if relative > CONVERGED_ERROR:
            sound = False
            statement.append(
                f'{quantity}: the error of the longest blocks is {relative:.0%}, not {CONVERGED_ERROR:.0%}.'
            )
        if abs(last['beta'] - 1) > max(BETA, 2 * last['beta_stderr']):
            sound = False
            statement.append(
                f'{quantity}: the displacement grows with the exponent {last["beta"]:.2f} ± {last["beta_stderr"]:.2f}, '
                'not 1.'
            )
    verdict = 'Converged: no length of blocks disagrees, and the errors are small.' if sound else 'Not converged.'
    return sound, [verdict, *statement]


def disagreement(differences: np.ndarray) -> float | None:
    """Return the probability of differences (seeds,) as large as these if there are none, where it is significant."""
    spread = differences.std(ddof=1)
    if not spread > 0:
        return None
    t = abs(differences.mean()) / (spread / math.sqrt(len(differences)))
    p = float(2 * stats.t.sf(t, len(differences) - 1))
    return p if p < SIGNIFICANT else None
