"""Two runs from the same point, their momenta apart by a little: how fast they part, and what that means.

The largest Lyapunov exponent is the mean rate at which an infinitesimal difference grows (Benettin, Galgani, Strelcyn
1976, 10.1103/PhysRevA.14.2338). Here the difference is finite, so the rate is read off where it is far above the digits
that were stored and far below the size of the motion itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

# A difference counts from this many times the resolution of the stored positions, up to this share of its value at late
# times.
ABOVE_STORED = 30.0
BELOW_SATURATED = 0.05
# From the kick on, the difference first turns into the direction that grows fastest: it must have grown by this factor.
TURNED = 3.0
MIN_POINTS = 5
MEANING = (
    'Two runs that differ by this little have nothing in common after a few of these times, so no trajectory of '
    'this length can be repeated digit by digit on another machine, and no single trajectory is exact. Averages do not '
    'need that: each run samples the same distribution, and the error bar of a conductivity, from the scatter '
    'between seeds, holds all of it. Nor does the exponent say how long to average: that is set by the slowest '
    'relaxation, not by the fastest divergence.'
)


class Divergence(NamedTuple):
    """The result of :func:`divergence`.

    ``time_ps`` (frames,), ``difference_A`` (pairs, frames) root mean square over atoms, ``exponent_per_ps`` mean over
    pairs, None if no pair has a window in which the difference grows freely; ``stderr``, ``ci95`` from the scatter of
    the pairs (None for a single pair); ``exponents`` of each pair with a window; ``windows_ps`` begin and end of each
    fit; ``doubling_ps``; ``horizon_ps`` mean time after which the difference has half its late value; ``warnings``.
    """

    time_ps: np.ndarray
    difference_A: np.ndarray
    exponent_per_ps: float | None
    stderr: float | None
    ci95: list[float] | None
    exponents: list[float]
    windows_ps: list[list[float]]
    doubling_ps: float | None
    horizon_ps: float | None
    warnings: list[str]


def divergence(
    references: Sequence[np.ndarray], twins: Sequence[np.ndarray], dt_ps: float, stored_A: float | None = None
) -> Divergence:
    """Follow the difference of twin runs and fit its exponential growth.

    :param references: positions in Å, (frames, atoms, 3), one array per pair; unwrapped.
    :param twins: the same runs after a kick, in the same order.
    :param dt_ps: time between two frames.
    :param stored_A: resolution of the positions; by default the resolution of single precision at the largest
        coordinate.
    :raises ValueError: for different numbers or shapes, or twins that are equal or were apart from the start.
    """
    if len(references) != len(twins) or not references:
        raise ValueError(f'{len(references)} references, {len(twins)} twins: give as many of each, at least one pair.')
    for index, (reference, twin) in enumerate(zip(references, twins, strict=True)):
        if reference.shape != twin.shape or reference.ndim != 3:
            raise ValueError(
                f'pair {index}: shapes {reference.shape} and {twin.shape}, expected (frames, atoms, 3) twice.'
            )
    curves = np.array([_difference(reference, twin) for reference, twin in zip(references, twins, strict=True)])
    if stored_A is None:
        stored_A = max(float(np.spacing(np.float32(np.abs(reference).max()))) for reference in references)
    _check_differences(curves, stored_A)
    exponents, windows, horizons, warnings = [], [], [], []
    for index, curve in enumerate(curves):
        late = float(np.median(curve[-max(len(curve) // 10, 1) :]))
        window = _growth_window(curve, ABOVE_STORED * stored_A, BELOW_SATURATED * late)
        if window is None:
            warnings.append(
                f'pair {index}: fewer than {MIN_POINTS} frames between the stored digits and saturation; take another '
                'kick, or frames more often'
            )
            continue
        begin, end = window
        times = np.arange(begin, end) * dt_ps
        exponents.append(float(np.polyfit(times, np.log(curve[begin:end]), 1)[0]))
        windows.append([float(times[0]), float(times[-1])])
        horizons.append(float(np.argmax(curve > 0.5 * late)) * dt_ps)
    if len(exponents) == 1:
        warnings.append('one pair: the exponent has no error; take more seeds')
    exponent, stderr, ci95 = _mean_over_pairs(exponents)
    return Divergence(
        time_ps=np.arange(curves.shape[1]) * dt_ps,
        difference_A=curves,
        exponent_per_ps=exponent,
        stderr=stderr,
        ci95=ci95,
        exponents=exponents,
        windows_ps=windows,
        doubling_ps=math.log(2) / exponent if exponent is not None and exponent > 0 else None,
        horizon_ps=float(np.mean(horizons)) if horizons else None,
        warnings=warnings,
    )


def _difference(reference: np.ndarray, twin: np.ndarray) -> np.ndarray:
    """Return the root mean square distance of the atoms in Å, (frames,), without the motion of the whole crystal.

    A kick that adds momentum moves the whole crystal, in proportion to time; that is no divergence. The mean over all
    atoms is subtracted, unweighted by masses, so that the rest is smallest.
    """
    apart = twin.astype(float) - reference
    apart -= apart.mean(axis=1, keepdims=True)
    distance: np.ndarray = np.sqrt((apart**2).sum(axis=2).mean(axis=1))
    return distance


def _check_differences(curves: np.ndarray, stored_A: float) -> None:
    """Refuse pairs (pairs, frames) that are the same run, or that do not begin at the same point."""
    for index, curve in enumerate(curves):
        if not curve.max() > stored_A:
            raise ValueError(f'pair {index} is the same run twice: kick the twin.')
        if curve[0] > BELOW_SATURATED * curve[-1]:
            raise ValueError(
                f'pair {index} differs by {curve[0]:.2g} Å in its first frame: both must begin at the same point, so '
                'their equilibration must be reproducible.'
            )


def _growth_window(curve: np.ndarray, floor: float, ceiling: float) -> tuple[int, int] | None:
    """Return the frames in which a difference grows freely: first, and last plus one; None if there are too few."""
    known = np.flatnonzero(curve > 0)
    floor = max(floor, TURNED * float(curve[known[0]])) if len(known) else floor
    above = np.flatnonzero(curve < floor)
    reached = np.flatnonzero(curve > ceiling)
    end = int(reached[0]) if len(reached) else len(curve)
    begin = int(above[above < end][-1]) + 1 if (above < end).any() else 0
    return (begin, end) if end - begin >= MIN_POINTS else None


def _mean_over_pairs(exponents: list[float]) -> tuple[float | None, float | None, list[float] | None]:
    """Return the mean over pairs, its standard error and its 95 % interval (Student's t)."""
    if not exponents:
        return None, None, None
    value = float(np.mean(exponents))
    if len(exponents) == 1:
        return value, None, None
    stderr = float(np.std(exponents, ddof=1) / math.sqrt(len(exponents)))
    half = stderr * float(stats.t.ppf(0.975, len(exponents) - 1))
    return value, stderr, [value - half, value + half]
