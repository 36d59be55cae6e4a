"""The temperature that runs really had: its mean and drift with standard errors, and when to warn of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

LARGE = 0.01
"""Share of the temperature above which a deviation matters: with Ea = 6 kT it changes the conductivity by 6 %."""
SIGNIFICANT = 3.0
"""Standard errors above which a deviation is not chance: with dozens of seeds, two would warn of good runs."""
FEWEST_ROWS = 4
_WINDOW = 5.0  # correlation times after which an autocorrelation is noise (Sokal 1997, 10.1007/978-1-4899-0319-8_6)


class Trend(NamedTuple):
    """Mean and slope of a quantity against time in one run, with standard errors that allow for correlation."""

    mean: float
    mean_stderr: float
    drift_per_ps: float
    drift_stderr: float
    length_ps: float


def trend(times_ps: np.ndarray, values: np.ndarray) -> Trend | None:
    """Return mean and drift of a time series; None of fewer than four rows.

    The drift is the slope of the line of least squares. The error of the mean allows for the correlation of the
    deviations from the mean, the error of the drift for the correlation of the deviations from the line.

    :param times_ps: shape (rows,), equally spaced.
    :param values: shape (rows,).
    """
    n = len(values)
    if n < FEWEST_ROWS:
        return None
    mean, time = float(np.mean(values)), np.asarray(times_ps) - np.mean(times_ps)
    deviations = np.asarray(values, dtype=float) - mean
    moment = float(time @ time)
    drift = float(time @ deviations) / moment
    about_line = deviations - drift * time
    return Trend(
        mean,
        math.sqrt(correlated_rows(deviations) * float(deviations @ deviations) / (n - 1) / n),
        drift,
        math.sqrt(correlated_rows(about_line) * float(about_line @ about_line) / (n - 2) / moment),
        float(times_ps[-1] - times_ps[0]),
    )


def correlated_rows(deviations: np.ndarray) -> float:
    """Return how many rows of a series count as one independent row, at least 1.

    This is 1 + 2 sum rho(k) up to the first lag that exceeds five correlation times.

    :param deviations: shape (rows,), from the mean or from a line.
    """
    n = len(deviations)
    power = np.abs(np.fft.rfft(deviations, 2 * n)) ** 2
    covariance = np.fft.irfft(power)[:n]
    if not covariance[0] > 0:
        return 1.0
    sums = 2 * np.cumsum(covariance / covariance[0]) - 1
    beyond = np.flatnonzero(np.arange(n) >= _WINDOW * sums / 2)
    return float(min(max(1.0, sums[beyond[0]] if len(beyond) else sums[-1]), n / 2))


def mean_of_runs(runs: Sequence[Trend]) -> tuple[float, float]:
    """Return the mean over all runs, each weighted by its length, and its standard error.

    The error is the larger of the error from within the runs and the error from the scatter between them: at constant
    energy every run has a temperature of its own.
    """
    weights = np.array([run.length_ps for run in runs])
    weights = weights / weights.sum()
    means, stderrs = (np.array([getattr(run, name) for run in runs]) for name in ('mean', 'mean_stderr'))
    mean = float(weights @ means)
    within = float(np.sqrt((weights**2 * stderrs**2).sum()))
    n = len(runs)
    between = math.sqrt(float((weights**2 * (means - mean) ** 2).sum()) * n / (n - 1)) if n > 1 else 0.0
    return mean, max(within, between)


def temperature_attributes(
    temperature_K: float, runs: Sequence[Trend], seeds: Sequence[int | None], *, constant_energy: bool
) -> dict[str, Any]:
    """Return what a result states of its temperature, as flat attributes, with ``temperature_warnings``.

    :param temperature_K: the temperature on the label.
    :param runs: temperature of each run against time, K.
    :param seeds: the seed of each run.
    :param constant_energy: whether the runs have no thermostat.
    """
    mean, stderr = mean_of_runs(runs)
    return {
        'measured_temperature_K': mean,
        'measured_temperature_stderr': stderr,
        'seed_temperatures_K': [run.mean for run in runs],
        'seed_temperatures_stderr': [run.mean_stderr for run in runs],
        'seed_temperature_drifts_K_per_ps': [run.drift_per_ps for run in runs],
        'seed_temperature_drifts_stderr': [run.drift_stderr for run in runs],
        'temperature_warnings': _warnings(temperature_K, runs, seeds, constant_energy=constant_energy),
    }


def _warnings(
    temperature_K: float, runs: Sequence[Trend], seeds: Sequence[int | None], *, constant_energy: bool
) -> list[str]:
    """Return warnings of runs that are off the temperature on the label by more than chance and by enough to matter."""
    large, warnings = LARGE * temperature_K, []
    names = [f'seed {seed}' if seed is not None else f'run {index}' for index, seed in enumerate(seeds, start=1)]
    off = [
        f'{run.mean:.0f} ± {run.mean_stderr:.0f} K ({name})'
        for run, name in zip(runs, names, strict=True)
        if abs(run.mean - temperature_K) > max(large, SIGNIFICANT * run.mean_stderr)
    ]
    mean, stderr = mean_of_runs(runs)
    advice = (
        'a production with `ensemble: nvt` and `production_thermostat: csvr` keeps the temperature'
        if constant_energy
        else 'a longer equilibration, or a smaller time step, lets the thermostat hold it'
    )
    if off:
        warnings.append(f'mean temperatures are not {temperature_K:g} K: {", ".join(off)}; {advice}')
    elif max(abs(mean - temperature_K), stderr) > large:
        warnings.append(
            f'the mean temperature of all seeds is {mean:.0f} ± {stderr:.0f} K instead of {temperature_K:g} K, which '
            'may be chance: longer runs, or more seeds, tell'
        )
    drifting = [
        f'{run.drift_per_ps * run.length_ps:+.0f} ± {run.drift_stderr * run.length_ps:.0f} K ({name})'
        for run, name in zip(runs, names, strict=True)
        if abs(run.drift_per_ps * run.length_ps) > max(large, SIGNIFICANT * run.drift_stderr * run.length_ps)
    ]
    if drifting:
        warnings.append(
            f'the temperature drifts over the run: {", ".join(drifting)}; the crystal is not in equilibrium, or the '
            'energy is not conserved: analyse with --discard-ps, or equilibrate longer'
        )
    return warnings
