"""Diffusivities from displacements, with intervals that cover the truth as often as they say.

What is averaged over (particles, origins, components) is never taken as independent: the error of every estimator
comes from the scatter between seeds and between long time blocks of a seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy import stats

from .constants import CM2_PER_S
from .displacement import Track, as_track, block_displacements, displacement_series, simple_displacement

MAX_BLOCKS = 8  # time blocks per seed, a power of two
# Blocks shorter than four lags are correlated with their neighbours; measured, the intervals then cover too little.
LAGS_PER_BLOCK = 4
# Vibrations and back-hops of fast ions last for picoseconds and look like diffusion at lags shorter than that, so no
# shorter lag is considered unless the run itself is short.
SHORTEST_LAG_PS = 3.8
SHORTEST_LAG_FRACTION = 1 / 4.5  # of the run
LONGEST_LAG_FRACTION = 1 / 3
# A fall of the slope by so many standard errors moves the lag on. More would keep lags that are too short when caging
# is slow (bias), less would follow noise to long lags (variance): the coverage test balances the two.
FALL_ERRORS = 1.25
# One-sided confidence that a slope is above zero, without which no number is given.
RESOLVED = 0.90
# At the longest lags the MSD of a caged particle grows with an exponent near 0; below this one the growth is no
# diffusion. An exponent between this and 1 is usual: vibrations add a constant to the MSD.
SATURATED_BETA = 0.5
MIN_FRAMES = 20


@dataclass(frozen=True)
class Estimate:
    """A positive number and its uncertainty; ``value`` and ``stderr`` are None when it is not resolved from zero.

    ``stderr`` is one standard error and ``dof`` its degrees of freedom. ``diagnostics`` holds ``lag_ps``, ``slope`` and
    ``slope_stderr`` (raw, whatever they are), ``blocks`` (seeds, blocks: their scatter is the error), ``bias`` (the
    part of the error that allows for a lag still too short), ``plateau``, ``beta``, ``beta_stderr``, ``scan`` and
    ``warnings``.
    """

    value: float | None
    stderr: float | None
    estimator: str
    dof: float
    diagnostics: dict = field(default_factory=dict, repr=False)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the two-sided confidence interval, symmetric in the logarithm, Student's t.

        Without a value it reaches from zero to the upper bound that the data allow.

        :param level: between 0 and 1.
        :raises ValueError: if the level is not between 0 and 1.
        """
        if not 0 < level < 1:
            raise ValueError(f'`level` is {level}: give a probability between 0 and 1.')
        t = stats.t.ppf(0.5 + level / 2, self.dof)
        if self.value is None:
            slope, error = self.diagnostics['slope'], self.diagnostics['slope_stderr']
            return 0.0, float(max(slope, 0.0) + t * error)
        return log_interval(self.value, self.stderr, t)

    def scaled(self, factor: float) -> Estimate:
        """Return the estimate in another unit: value, errors, blocks and scan times a positive factor."""
        scaled = {key: self.diagnostics[key] * factor for key in ('slope', 'slope_stderr', 'blocks', 'bias')}
        scan = {key: array if key == 'lag_ps' else array * factor for key, array in self.diagnostics['scan'].items()}
        value, stderr = (None, None) if self.value is None else (self.value * factor, self.stderr * factor)
        return Estimate(value, stderr, self.estimator, self.dof, {**self.diagnostics, **scaled, 'scan': scan})


def log_interval(value: float, stderr: float, t: float) -> tuple[float, float]:
    """Return value * exp(± t stderr/value); the exponent is capped so that the bounds stay finite."""
    factor = math.exp(min(t * stderr / value, 300.0))
    return float(value / factor), float(value * factor)


class Scan(NamedTuple):
    """Slopes of the MSD between a lag and twice that lag, which is the covariance-based estimator at that lag.

    ``lags`` (P,) in frames; ``slopes`` (P, seeds, MAX_BLOCKS) D in Å² per frame, of equal stretches of origins;
    ``msd`` lag to (seeds,), Å²; ``n_frames``; ``dimension``.
    """

    lags: np.ndarray
    slopes: np.ndarray
    msd: dict[int, np.ndarray]
    n_frames: int
    dimension: int

    def blocks(self, values: np.ndarray, index: int) -> np.ndarray:
        """Merge values (seeds, MAX_BLOCKS) into as many blocks as are independent at a lag: (seeds, blocks)."""
        fitting = self.n_frames / (LAGS_PER_BLOCK * self.lags[index])
        blocks = max([size for size in (1, 2, 4, 8) if size <= fitting], default=1)
        return merge_blocks(values, blocks)

    def slope(self, index: int) -> tuple[float, float, int]:
        """Return D at a lag, its standard error and the error's degrees of freedom."""
        return mean_and_error(self.blocks(self.slopes[index], index))

    def contrast(self, early: int, late: int) -> tuple[float, float]:
        """Return D(early) - D(late) and its standard error from paired blocks."""
        return mean_and_error(self.blocks(self.slopes[early] - self.slopes[late], late))[:2]

    def index(self, lag: float) -> int:
        """Return the position of the first lag not shorter than this one, or of the last."""
        return min(int(np.searchsorted(self.lags, lag)), len(self.lags) - 1)


def merge_blocks(values: np.ndarray, blocks: int) -> np.ndarray:
    """Average neighbouring columns of (seeds, n) into (seeds, blocks)."""
    return values.reshape(len(values), blocks, -1).mean(axis=2)


def mean_and_error(samples: np.ndarray) -> tuple[float, float, int]:
    """Return the mean of samples, its standard error and degrees of freedom."""
    return float(samples.mean()), float(samples.std(ddof=1) / math.sqrt(samples.size)), samples.size - 1


def at_least_two(tracks: list[Track]) -> list[Track]:
    """Return the tracks; a single one as its two halves, which are then the samples that give the error."""
    if len(tracks) > 1:
        return tracks
    ((positions, particles, shift),) = tracks
    half = len(positions) // 2
    return [Track(positions[part], particles, shift[part]) for part in (slice(0, half), slice(half, 2 * half))]


def scan_lags(n_frames: int) -> list[int]:
    """Return 1, 2, 3, 4, 6, 8, 12 … frames up to a third of the run: twice a lag is a lag again."""
    longest = max(1, min(int(n_frames * LONGEST_LAG_FRACTION), (n_frames - MAX_BLOCKS) // 2))
    lags = {1} | {factor * 2**power for power in range(n_frames.bit_length()) for factor in (2, 3)}
    return sorted(lag for lag in lags if lag <= longest)


def scan_slopes(tracks: list[Track]) -> Scan:
    """Compute the slopes of all lags of :func:`scan_lags`, seeds and blocks, one pass over every track.

    With overlapping increments d over a lag, <d²>/(2 lag) + <d_n d_{n+1}>/lag = [M(2 lag) - M(lag)]/(2 lag): each
    origin contributes one difference, and blocks are stretches of origins.
    """
    n_frames, dimension = tracks[0].n_frames, tracks[0].dimension
    lags = scan_lags(n_frames)
    needed = sorted({*lags, *(2 * lag for lag in lags)})
    slopes, msd = np.empty((len(lags), len(tracks), MAX_BLOCKS)), {lag: np.empty(len(tracks)) for lag in needed}
    for seed, track in enumerate(tracks):
        series = displacement_series(track, needed)
        for lag in needed:
            msd[lag][seed] = series[lag].mean()
        for index, lag in enumerate(lags):
            near, far = series[lag], series[2 * lag]
            rises = (far - 0.5 * (near[: len(far)] + near[lag:])) / (2 * dimension * lag)
            edges = np.linspace(0, len(far), MAX_BLOCKS + 1).astype(int)
            slopes[index, seed] = np.add.reduceat(rises, edges[:-1]) / np.diff(edges)
    return Scan(np.array(lags), slopes, msd, n_frames, dimension)


def choose_lag(scan: Scan, dt_ps: float) -> int:
    """Return the position of the shortest lag from which on the slope no longer falls significantly.

    The slope is compared with those at half and at twice the lag, by paired blocks.
    """
    index = scan.index(min(SHORTEST_LAG_PS / dt_ps, scan.n_frames * SHORTEST_LAG_FRACTION))
    while index < len(scan.lags) - 1 and _falls(scan, index):
        index += 1
    return index


def _falls(scan: Scan, index: int) -> bool:
    """Whether the slope falls towards this lag or beyond it by more than its error lets it."""
    pairs = [(scan.index(scan.lags[index] / 2), index)]
    if 2 * scan.lags[index] <= scan.lags[-1]:
        pairs.append((index, scan.index(2 * scan.lags[index])))
    return any(difference > FALL_ERRORS * error for difference, error in (scan.contrast(*pair) for pair in pairs))


# --- the estimators: (tracks, scan, dt_ps) -> blocks (seeds, blocks) in Å² per frame, lag index, bias allowance ---


def covariance_blocks(tracks: list[Track], scan: Scan, dt_ps: float) -> tuple[np.ndarray, int, float]:
    """Covariance-based estimator at the lag chosen by :func:`choose_lag`.

    The slope's fall from half the lag is added to the error as an estimate of what it may still fall: half of it, or
    all of it in a run too short for the lag it should have.
    """
    index = choose_lag(scan, dt_ps)
    blocks = scan.blocks(scan.slopes[index], index)
    short = scan.lags[index] * dt_ps < SHORTEST_LAG_PS
    if short and index == 0:
        # Nothing to compare with: all of the slope may be vibration.
        return blocks, index, abs(float(blocks.mean()))
    fall, _ = scan.contrast(scan.index(scan.lags[index] / 2), index)
    return blocks, index, max(0.0, fall if short else fall / 2)


def einstein_blocks(tracks: list[Track], scan: Scan, dt_ps: float) -> tuple[np.ndarray, int, float]:
    """Straight line through the simple MSD from 1/30 to 1/10 of the run (at least 3 lags), one slope per seed."""
    start = max(1, scan.n_frames // 30)
    lags = np.arange(start, max(start + 3, scan.n_frames // 10))
    slopes = [np.polyfit(lags, simple_displacement(track)[lags], 1)[0] for track in tracks]
    return np.array(slopes)[:, None] / (2 * scan.dimension), scan.index(lags[-1]), 0.0


def segment_blocks(tracks: list[Track], scan: Scan, dt_ps: float) -> tuple[np.ndarray, int, float]:
    """Block method, the clock restarted every quarter of the run: a line from 1/10 of the block to its end, averaged
    within a seed."""
    block = (scan.n_frames - 1) // 4
    lags = np.arange(max(1, block // 10), block + 1)
    slopes = [np.polyfit(lags, block_displacements(track, block)[:, lags].T, 1)[0].mean() for track in tracks]
    return np.array(slopes)[:, None] / (2 * scan.dimension), scan.index(block), 0.0


ESTIMATORS: dict[str, Callable[[list[Track], Scan, float], tuple[np.ndarray, int, float]]] = {
    'cve': covariance_blocks,
    'einstein': einstein_blocks,
    'block': segment_blocks,
}
AUTO = 'cve'  # the one whose intervals hold: tests/transport/test_coverage.py


def diffusivity(tracks: list[np.ndarray], dt_ps: float, estimator: str = 'auto') -> Estimate:
    """Estimate the diffusivity of particles, or of collective coordinates.

    :param tracks: one array per seed, (frames, n, d), unwrapped, all of one shape.
    :param dt_ps: time between two frames.
    :param estimator: 'auto', 'cve' (covariance-based, Vestergaard et al. 2014, 10.1103/PhysRevE.89.022726, the lag
        chosen by a plateau scan), 'einstein' (straight line through the simple MSD, error over seeds) or 'block'.
    :return: D in cm²/s for positions in Å; ``value`` is None if the motion is not diffusive.
    :raises ValueError: for bad shapes, values that are not finite, dt_ps <= 0, fewer than 20 frames or an unknown
        estimator.
    """
    if isinstance(tracks, np.ndarray) and tracks.ndim == 3:
        raise ValueError('`tracks` is one array: give a list of arrays (frames, n, d), one per seed.')
    wrapped = [as_track(track, f'tracks[{seed}]') for seed, track in enumerate(tracks)]
    return estimate(wrapped, dt_ps, estimator).scaled(CM2_PER_S)


def estimate(tracks: list[Track], dt_ps: float, estimator: str = 'auto') -> Estimate:
    """Estimate D in Å²/ps: :func:`diffusivity` on tracks that were checked already."""
    name = AUTO if estimator == 'auto' else estimator
    if name not in ESTIMATORS:
        raise ValueError(f"`estimator` is '{estimator}': choose one of auto, {', '.join(ESTIMATORS)}.")
    check_runs([track.positions.shape for track in tracks], dt_ps)
    n_seeds, tracks = len(tracks), at_least_two(tracks)
    scan = scan_slopes(tracks)
    blocks, index, bias = ESTIMATORS[name](tracks, scan, dt_ps)
    slope, error, dof = mean_and_error(blocks)
    error = math.hypot(error, bias)
    beta, beta_stderr, saturated = growth(scan)
    resolved = slope > 0 and slope > stats.t.ppf(RESOLVED, dof) * error and not saturated
    plateau = not _falls(scan, index)
    per_ps = 1 / dt_ps
    diagnostics = {
        'lag_ps': float(scan.lags[index] * dt_ps),
        'slope': slope * per_ps,
        'slope_stderr': error * per_ps,
        'blocks': blocks * per_ps,
        'bias': bias * per_ps,
        'plateau': plateau,
        'beta': beta,
        'beta_stderr': beta_stderr,
        'scan': scan_table(scan, dt_ps),
        'warnings': _warnings(n_seeds, resolved, saturated, plateau, beta, scan.lags[index] * dt_ps),
    }
    value, stderr = (slope * per_ps, error * per_ps) if resolved else (None, None)
    return Estimate(value, stderr, name, dof, diagnostics)


def check_runs(shapes: list[tuple[int, ...]], dt_ps: float) -> None:
    """Raise ValueError unless the seeds have one shape, frames enough and a positive interval between them."""
    if not shapes:
        raise ValueError('no seeds were given: give a list with at least one trajectory.')
    if len(set(shapes)) > 1:
        raise ValueError(
            f'the seeds have different shapes {shapes}: cut them to the same number of frames and give the same atoms.'
        )
    if shapes[0][0] < MIN_FRAMES:
        raise ValueError(
            f'{shapes[0][0]} frames are too few for an error estimate: give at least {MIN_FRAMES}, '
            'by running longer or storing more often.'
        )
    if not (math.isfinite(dt_ps) and dt_ps > 0):
        raise ValueError(f'`dt_ps` is {dt_ps}: give the positive time between two frames in ps.')


def growth(scan: Scan) -> tuple[float, float, bool]:
    """Return beta = d ln M / d ln t over the last octave up to half the run, its error, and whether M has saturated."""
    lag = max((lag for lag in scan.lags if 4 * lag <= scan.n_frames), default=1)
    beta, error, dof = log_slope(scan.msd[lag], scan.msd[2 * lag])
    return beta, error, beta < SATURATED_BETA and beta + stats.t.ppf(0.95, dof) * error < 1


def log_slope(near: np.ndarray, far: np.ndarray, octaves: float = 1.0) -> tuple[float, float, int]:
    """Return d ln M / d ln t between two lags, its standard error and degrees of freedom.

    :param near: (seeds,) MSD at the shorter lag.
    :param far: (seeds,) MSD at the longer lag.
    :param octaves: log2 of the ratio of the lags.
    """
    if near.mean() <= 0 or far.mean() <= 0:
        return 0.0, 0.0, len(near) - 1
    width = octaves * math.log(2)
    _, error, dof = mean_and_error((far / far.mean() - near / near.mean()) / width)
    return math.log(far.mean() / near.mean()) / width, error, dof


def scan_table(scan: Scan, dt_ps: float) -> dict[str, np.ndarray]:
    """Return the plateau scan: lag_ps, value and stderr of D in Å²/ps."""
    rows = np.array([scan.slope(index)[:2] for index in range(len(scan.lags))])
    return {'lag_ps': scan.lags * dt_ps, 'value': rows[:, 0] / dt_ps, 'stderr': rows[:, 1] / dt_ps}


def _warnings(seeds: int, resolved: bool, saturated: bool, plateau: bool, beta: float, lag_ps: float) -> list[str]:
    """Say what a reader has to know before using the number."""
    checks = {
        f'not diffusive: the mean-squared displacement saturates (beta = {beta:.2f} at the longest lag)': saturated,
        f'not resolved: the slope at {lag_ps:.3g} ps is not above zero beyond its error; run longer or add seeds': (
            not resolved and not saturated
        ),
        f'no plateau: the slope still falls at {lag_ps:.3g} ps; run longer': resolved and not plateau,
        f'short run: at a lag of only {lag_ps:.3g} ps back-hops may still count as diffusion; run longer': (
            resolved and lag_ps < SHORTEST_LAG_PS
        ),
        'one seed: the error rests on the parts of a single run; add seeds': seeds == 1,
    }
    return [message for message, applies in checks.items() if applies]
