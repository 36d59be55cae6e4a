"""The covariance-based estimator (Vestergaard, Blainey, Flyvbjerg 2014, 10.1103/PhysRevE.89.022726)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from aiida_ionconduct.transport.displacement import Track, displacement_series
from aiida_ionconduct.transport.estimators.results import Slope, mean_and_error, merge_blocks

MAX_BLOCKS = 8  # time blocks per seed, a power of two
# Blocks shorter than four lags are correlated with their neighbours; measured, the intervals then cover too little.
LAGS_PER_BLOCK = 4
# Vibrations and back-hops of fast ions last for picoseconds and look like diffusion at lags shorter than that, so no
# shorter lag is considered unless the run itself is short.
SHORTEST_LAG_PS = 3.8
SHORTEST_LAG_FRACTION = 1 / 4.5  # of the run
LONGEST_LAG_FRACTION = 1 / 3
# A fall of the slope by this many standard errors moves the lag on. A larger factor would keep lags that are too short
# when caging is slow (bias), a smaller factor would follow noise to long lags (variance).
FALL_ERRORS = 1.25


def covariance(tracks: list[Track], dt_ps: float, lag_ps: float | None = None) -> Slope:
    """Estimate D at the shortest lag from which on the slope no longer falls, or at the lag nearest to ``lag_ps``.

    The slope's fall from half the lag is added to the error as an estimate of what it may still fall: half of it, or
    all of it in a run too short for the lag it should have.
    """
    scan = scan_slopes(tracks)
    index = _choose_lag(scan, dt_ps) if lag_ps is None else int(np.abs(scan.lags - lag_ps / dt_ps).argmin())
    blocks = scan.blocks(scan.slopes[index], index) / dt_ps
    short = scan.lags[index] * dt_ps < SHORTEST_LAG_PS
    if short and index == 0:
        # Nothing to compare with: all of the slope may be vibration.
        bias = abs(float(blocks.mean()))
    else:
        fall = scan.contrast(scan.position(scan.lags[index] / 2), index)[0] / dt_ps
        bias = max(0.0, fall if short else fall / 2)
    value, error, dof = mean_and_error(blocks)
    return Slope(
        value,
        math.hypot(error, bias),
        dof,
        blocks,
        bias,
        float(scan.lags[index] * dt_ps),
        not _falls(scan, index),
        _scan_table(scan, dt_ps),
        warnings=('short run: back-hops may still count as diffusion; run longer',) if short else (),
    )


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

    def position(self, lag: float) -> int:
        """Return the position of the first lag not shorter than the given one, or of the last lag."""
        return min(int(np.searchsorted(self.lags, lag)), len(self.lags) - 1)


def _scan_lags(n_frames: int) -> list[int]:
    """Return 1, 2, 3, 4, 6, 8, 12 … frames up to a third of the run: twice a lag is a lag again."""
    longest = max(1, min(int(n_frames * LONGEST_LAG_FRACTION), (n_frames - MAX_BLOCKS) // 2))
    lags = {1} | {factor * 2**power for power in range(n_frames.bit_length()) for factor in (2, 3)}
    return sorted(lag for lag in lags if lag <= longest)


def scan_slopes(tracks: list[Track]) -> Scan:
    """Compute the slopes at all lags, of all seeds and blocks, in one pass over every track.

    With overlapping increments d over a lag, <d²>/(2 lag) + <d_n d_{n+1}>/lag = [M(2 lag) - M(lag)]/(2 lag): each
    origin contributes one difference, and blocks are stretches of origins.
    """
    n_frames, dimension = tracks[0].n_frames, tracks[0].dimension
    lags = _scan_lags(n_frames)
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


def _choose_lag(scan: Scan, dt_ps: float) -> int:
    """Return the position of the shortest lag from which on the slope no longer falls significantly.

    The slope is compared with those at half and at twice the lag, by paired blocks.
    """
    index = scan.position(min(SHORTEST_LAG_PS / dt_ps, scan.n_frames * SHORTEST_LAG_FRACTION))
    while index < len(scan.lags) - 1 and _falls(scan, index):
        index += 1
    return index


def _falls(scan: Scan, index: int) -> bool:
    """Whether the slope falls significantly towards this lag or beyond it."""
    pairs = [(scan.position(scan.lags[index] / 2), index)]
    if 2 * scan.lags[index] <= scan.lags[-1]:
        pairs.append((index, scan.position(2 * scan.lags[index])))
    return any(difference > FALL_ERRORS * error for difference, error in (scan.contrast(*pair) for pair in pairs))


def _scan_table(scan: Scan, dt_ps: float) -> dict[str, np.ndarray]:
    """Return the plateau scan: lag_ps, value and stderr of D in Å²/ps."""
    rows = np.array([scan.slope(index)[:2] for index in range(len(scan.lags))])
    return {'lag_ps': scan.lags * dt_ps, 'value': rows[:, 0] / dt_ps, 'stderr': rows[:, 1] / dt_ps}
