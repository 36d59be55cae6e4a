"""Do conductivities depend on the length of the blocks? Full and tracer conductivity, block and simple method.

The block method averages every lag over the same number of time origins (Frenkel and Smit, Understanding Molecular
Simulation, section 4.4). Blocks of several lengths from the same runs show whether the answer has settled. Blocking
neither adds data nor cures the divergence of trajectories: it is a way of counting.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from scipy import stats

from aiida_ionconduct.transport.checks import atom_charges, check_conditions, check_seeds
from aiida_ionconduct.transport.constants import SIEMENS_PER_CM
from aiida_ionconduct.transport.curves import curve_lags
from aiida_ionconduct.transport.displacement import Track, block_displacements, simple_displacement
from aiida_ionconduct.transport.estimators.growth import Change, slope_change
from aiida_ionconduct.transport.reference_frame import collective_tracks
from aiida_ionconduct.transport.verdict import diffusion

Quantity = Literal['full', 'tracer']
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)
Slopes = dict[tuple[str, str, int], np.ndarray]
"""Slopes (seeds,) in S/cm by quantity, method and length of the blocks in frames."""
FIT_FROM = 0.1  # of a block: the straight line goes from here to the end of the block
CONVERGED_ERROR = 0.2  # relative standard error of the longest blocks
SIGNIFICANT = 0.05  # probability below which two lengths of blocks are said to disagree
RESOLVED = 0.9  # one-sided confidence that the slope of the longest blocks is above zero


class BlockSizeStudy(NamedTuple):
    """The result of :func:`block_size_study`.

    ``rows``: for each block length, quantity and method a dictionary of block_ps, quantity, method, n_blocks (all seeds
    together), sigma_S_per_cm, stderr, ci95, beta, beta_stderr. ``curves``: arrays named like ``block_85_full_msd``, of
    one length for each block length and method: ``…_lag_ps``, and of each quantity ``…_msd`` (e²Å² or Å²),
    ``…_running_S_per_cm`` (slope from half the lag) and their ``…_stderr`` over seeds. ``statement``: sentences.
    """

    rows: list[dict[str, Any]]
    curves: dict[str, np.ndarray]
    converged: bool
    statement: list[str]


def block_size_study(
    seeds: Sequence[np.ndarray],
    symbols: Sequence[str],
    charges: Mapping[str, float],
    cell: np.ndarray,
    *,
    temperature_K: float,
    dt_ps: float,
    mobile: str = 'Li',
    block_ps: Sequence[float] | None = None,
    framework: Sequence[str] | None = None,
) -> BlockSizeStudy:
    """Compare conductivities from blocks of several lengths, and with the simple method up to the same lags.

    Each number is the mean over seeds of the slope of the mean-squared displacement between a tenth of a block and its
    end, with the error of that mean (Student's t). Parameters not listed here are as for
    :func:`aiida_ionconduct.transport.analyse`.

    :param seeds: unwrapped positions in Å, one array (frames, atoms, 3) per velocity seed, at least two.
    :param block_ps: lengths of the blocks; a quarter, a half and the whole of a run by default.
    :raises ValueError: as ``analyse``, for a single seed, or for a block longer than the runs.
    """
    symbols = [str(symbol) for symbol in symbols]
    cell = np.asarray(cell, dtype=float)
    atom_charges(symbols, charges)
    volume = check_conditions(cell, temperature_K)
    trajectories = check_seeds(seeds, len(symbols), dt_ps)
    if len(trajectories) < 2:
        raise ValueError('one seed has no scatter between seeds: give at least two.')
    n_mobile = symbols.count(mobile)
    if n_mobile in (0, len(symbols)):
        raise ValueError(
            f'{mobile!r} must move through a framework of other atoms: choose `mobile` among {set(symbols)}.'
        )
    lengths = block_frames(block_ps, len(trajectories[0]), dt_ps)
    if len({len(positions) for positions in trajectories}) > 1:
        raise ValueError('the runs have different lengths: give runs of one length, which are cut into equal blocks.')
    tracks = collective_tracks(trajectories, symbols, charges, mobile=mobile, cell=cell, framework=framework)
    per_charge = SIEMENS_PER_CM / (volume * temperature_K)
    scales: dict[Quantity, float] = {'full': per_charge, 'tracer': per_charge * n_mobile * charges[mobile] ** 2}
    rows: list[dict[str, Any]] = []
    curves: dict[str, np.ndarray] = {}
    slopes: Slopes = {}
    changes: dict[Quantity, Change] = {}
    for quantity, track_of in zip(QUANTITIES, (tracks.charge, tracks.tracer), strict=True):
        simple = np.array([simple_displacement(track) for track in track_of])
        for length in lengths:
            n_blocks = len(trajectories) * ((len(trajectories[0]) - 1) // length)
            # A lag of the whole run has a single origin, whatever the method.
            displacement = {'block': _block_curves(track_of, length), 'simple': simple[:, : length + 1]}
            for method, values in displacement.items():
                samples = scales[quantity] * _line_slopes(values, dt_ps) / 6
                slopes[quantity, method, length] = samples
                row = {'block_ps': length * dt_ps, 'quantity': quantity, 'method': method, 'n_blocks': n_blocks}
                rows.append({**row, **_mean_over_seeds(samples), **_exponent(values)})
                if method == 'block':
                    changes[quantity] = slope_change(values[:, [length // 4, length // 2, length]], [1, 2, 4])
                name = f'{method}_{length * dt_ps:g}'
                scale = scales[quantity] / 6
                curves |= _running(values, dt_ps, name=name, quantity=quantity, scale=scale)
    converged, statement = _judge(rows, slopes, lengths, dt_ps=dt_ps, changes=changes)
    return BlockSizeStudy(rows, curves, converged, statement)


def block_frames(block_ps: Sequence[float] | None, n_frames: int, dt_ps: float) -> list[int]:
    """Return the lengths of the blocks in steps between frames, ascending.

    :raises ValueError: for a block that does not fit into a run, or is too short for a line.
    """
    whole = n_frames - 1
    lengths = [whole // 4, whole // 2, whole] if block_ps is None else [round(block / dt_ps) for block in block_ps]
    for length in lengths:
        if not 10 <= length <= whole:
            raise ValueError(
                f'blocks of {length * dt_ps:g} ps do not fit: runs of {whole * dt_ps:g} ps take blocks from '
                f'{10 * dt_ps:g} ps to that length.'
            )
    return sorted(set(lengths))


def _block_curves(tracks: list[Track], length: int) -> np.ndarray:
    """Return the mean-squared displacement of each seed by the block method: (seeds, length + 1)."""
    return np.array([block_displacements(track, length).mean(axis=0) for track in tracks])


def _line_slopes(values: np.ndarray, dt_ps: float) -> np.ndarray:
    """Return the slope of each curve (seeds, lags) between a tenth of its length and its end, per ps."""
    lags = np.arange(max(1, round(FIT_FROM * (values.shape[1] - 1))), values.shape[1])
    slopes: np.ndarray = np.polyfit(lags * dt_ps, values[:, lags].T, 1)[0]
    return slopes


def _mean_over_seeds(samples: np.ndarray) -> dict[str, Any]:
    """Return the mean of the seeds' values, its standard error and its 95 % interval."""
    value, stderr = float(samples.mean()), float(samples.std(ddof=1) / math.sqrt(len(samples)))
    half = stderr * float(stats.t.ppf(0.975, len(samples) - 1))
    return {'sigma_S_per_cm': value, 'stderr': stderr, 'ci95': [value - half, value + half]}


def _exponent(values: np.ndarray) -> dict[str, float]:
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


def _running(values: np.ndarray, dt_ps: float, *, name: str, quantity: Quantity, scale: float) -> dict[str, np.ndarray]:
    """Return a curve and its slope from half of each lag, both with their errors over seeds.

    :param values: (seeds, lags) mean-squared displacement.
    :param name: of the lengths and method, as it begins the names of the arrays.
    :param scale: from the slope to S/cm.
    """
    lags = curve_lags(values.shape[1] - 1)
    halves = lags // 2
    slopes = scale * (values[:, lags] - values[:, halves]) / ((lags - halves) * dt_ps)
    curves = {f'{name}_lag_ps': lags * dt_ps}
    for label, samples in (('msd', values[:, lags]), ('running_S_per_cm', slopes)):
        curves[f'{name}_{quantity}_{label}'] = samples.mean(axis=0)
        curves[f'{name}_{quantity}_{label}_stderr'] = samples.std(axis=0, ddof=1) / math.sqrt(len(samples))
    return curves


def _judge(
    rows: list[dict[str, Any]], slopes: Slopes, lengths: list[int], *, dt_ps: float, changes: Mapping[Quantity, Change]
) -> tuple[bool, list[str]]:
    """Return whether the study is converged, and sentences on how blocks and methods agree and on the errors.

    :param changes: how the slope changes with the lag within the longest blocks.
    """
    by_key = {(row['quantity'], row['method'], round(row['block_ps'] / dt_ps)): row for row in rows}
    statement: list[str] = []
    faults: list[str] = []
    names = ', '.join(f'{length * dt_ps:g}' for length in lengths)
    for quantity in QUANTITIES:
        listed = [by_key[quantity, 'block', length] for length in lengths]
        values = ', '.join(f'{row["sigma_S_per_cm"]:.3g} ± {row["stderr"]:.2g}' for row in listed)
        disagreements = _disagreeing_lengths(quantity, slopes, lengths, dt_ps)
        doubts = _doubts_of_longest(
            quantity, listed[-1], changes[quantity], len(slopes[quantity, 'block', lengths[-1]])
        )
        faults += disagreements + doubts
        statement += [
            f'{quantity}: blocks of {names} ps give {values} S/cm.',
            *disagreements,
            *_disagreeing_methods(quantity, slopes, lengths, dt_ps),
            *doubts,
        ]
    if faults:
        return False, ['Not converged.', *statement]
    return True, ['Converged: no length of blocks disagrees, and the errors are small.', *statement]


def _disagreeing_lengths(quantity: Quantity, slopes: Slopes, lengths: list[int], dt_ps: float) -> list[str]:
    """Return a sentence for each length of blocks that disagrees with the longest one."""
    longest = slopes[quantity, 'block', lengths[-1]]
    return [
        f'{quantity}: blocks of {length * dt_ps:g} and {lengths[-1] * dt_ps:g} ps disagree (p = {p:.2g}).'
        for length in lengths[:-1]
        if (p := _disagreement(slopes[quantity, 'block', length] - longest)) is not None
    ]


def _disagreeing_methods(quantity: Quantity, slopes: Slopes, lengths: list[int], dt_ps: float) -> list[str]:
    """Return a sentence for each length up to which the block and the simple method disagree."""
    return [
        f'{quantity}: block and simple method disagree up to {length * dt_ps:g} ps (p = {p:.2g}).'
        for length in lengths
        if (p := _disagreement(slopes[quantity, 'block', length] - slopes[quantity, 'simple', length])) is not None
    ]


def _doubts_of_longest(quantity: Quantity, row: dict[str, Any], change: Change, n_seeds: int) -> list[str]:
    """Return sentences on a large error of the longest blocks, and on displacements that do not grow by diffusion."""
    sentences = []
    relative = row['stderr'] / row['sigma_S_per_cm'] if row['sigma_S_per_cm'] > 0 else math.inf
    if relative > CONVERGED_ERROR:
        sentences.append(f'{quantity}: the error of the longest blocks is {relative:.0%}, not {CONVERGED_ERROR:.0%}.')
    resolved = row['sigma_S_per_cm'] > stats.t.ppf(RESOLVED, n_seeds - 1) * row['stderr']
    answer = diffusion(resolved=bool(resolved), plateau=change == 'none')
    if answer != 'yes':
        why = 'the slope is not above zero beyond its error' if answer == 'no' else f'the slope {change} with the lag'
        sentences.append(
            f'{quantity}: in the longest blocks {why}; the displacement grows with the exponent {row["beta"]:.2f} ± '
            f'{row["beta_stderr"]:.2f}.'
        )
    return sentences


def _disagreement(differences: np.ndarray) -> float | None:
    """Return the probability of differences (seeds,) this large if there are none in truth; None if not significant."""
    spread = differences.std(ddof=1)
    if not spread > 0:
        return None
    t = abs(differences.mean()) / (spread / math.sqrt(len(differences)))
    p = float(2 * stats.t.sf(t, len(differences) - 1))
    return p if p < SIGNIFICANT else None
