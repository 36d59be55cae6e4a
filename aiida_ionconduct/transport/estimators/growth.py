"""How the mean-squared displacement grows at the longest lags: its exponent, its slope, and how the slope changes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from scipy import stats

from aiida_ionconduct.transport.displacement import Track, displacement_series
from aiida_ionconduct.transport.estimators.results import Slope, mean_and_error

# At the longest lags the MSD of a caged particle grows with an exponent near 0. Below this exponent most of the MSD is
# motion within cages, and a slope must be shown to be more than the last of that motion. An exponent between this value
# and 1 is usual: vibrations add a constant to the MSD.
CAGED_BETA = 0.5
# One-sided confidence that a slope is above zero, without which no number is given: of an estimate, and of an estimate
# for particles whose MSD is mostly motion within cages.
RESOLVED, CAGED_RESOLVED = 0.90, 0.99
# The slope is said to change with the lag if it does so by more than this share from one octave of lags to the next,
# beyond its error at this one-sided confidence.
CHANGE, CHANGE_CONFIDENCE = 0.25, 0.995


Change = Literal['none', 'falls', 'rises']


class Growth(NamedTuple):
    """The growth of the MSD M over the octave up to a quarter of the run.

    ``beta`` is d ln M/d ln t; ``caged`` whether most of M is motion within cages; ``slope`` the slope of M over that
    octave as a diffusivity in Å²/ps. As M flattens while cages are explored, this slope is above the diffusivity or at
    it. ``dof`` are the degrees of freedom of both errors. ``change`` is how the slope changes from the octave before.
    """

    beta: float
    beta_stderr: float
    caged: bool
    slope: float
    slope_stderr: float
    dof: int
    change: Change

    @property
    def rises(self) -> bool:
        """Whether the slope at the longest lags is above zero beyond its error."""
        return bool(self.slope > stats.t.ppf(RESOLVED, self.dof) * self.slope_stderr)

    def exceeded_by(self, estimate: Slope) -> bool:
        """Whether an estimate is above the slope at the longest lags beyond the errors of both."""
        error = math.hypot(self.slope_stderr, estimate.stderr)
        return bool(estimate.value - self.slope > stats.t.ppf(0.975, self.dof) * error)


def growth(tracks: list[Track], dt_ps: float, displacements: np.ndarray | None = None) -> Growth:
    """Return how the MSD of particles grows.

    :param displacements: (samples, lags) of :class:`~aiida_ionconduct.transport.observed.Observed`, where it is known.
    """
    lag = max(1, tracks[0].n_frames // 8)
    lags = [lag // 2, lag, 2 * lag]
    if displacements is None:
        series = [displacement_series(track, lags) for track in tracks]
        values = np.array([[by_lag[k].mean() for k in lags] for by_lag in series])
    else:
        values = displacements[:, lags]
    near, far = values[:, 1:].T
    beta, error, dof = log_slope(near, far)
    slope, slope_stderr, _ = mean_and_error((far - near) / (2 * tracks[0].dimension * lag * dt_ps))
    caged = bool(beta < CAGED_BETA and beta + stats.t.ppf(0.99, dof) * error < 1)
    return Growth(beta, error, caged, slope, slope_stderr, dof, slope_change(values, lags))


def slope_change(displacements: np.ndarray, lags: Sequence[int]) -> Change:
    """Return whether the slope of the MSD changes from one octave of lags to the next.

    :param displacements: (samples, 3), MSD at three lags.
    :param lags: three lags in frames, each about twice the one before.
    """
    early, late = (np.diff(displacements, axis=1) / np.diff(lags)).T
    difference, error, dof = mean_and_error(late - early)
    if abs(difference) <= stats.t.ppf(CHANGE_CONFIDENCE, dof) * error:
        return 'none'
    if difference < -CHANGE * abs(early.mean()):
        return 'falls'
    return 'rises' if difference > CHANGE * abs(early.mean()) else 'none'


def widened(estimate: Slope, seen: Growth) -> Slope:
    """Return an estimate for caged particles, its interval wide enough for the slope at the longest lags.

    How the motion within cages fades is a model, and what the model takes for such motion may be slow diffusion. The
    slope at the longest lags takes nothing for such motion: the truth is between the two.
    """
    rise = max(seen.slope - estimate.value, 0.0)
    if estimate.mixture is None:
        return estimate._replace(stderr=math.hypot(estimate.stderr, rise / 2))
    weights, values, widths = estimate.mixture[:3]
    both = estimate.mixture._replace(
        weights=np.tile(weights / 2, 2), values=np.concatenate((values, values + rise)), widths=np.tile(widths, 2)
    )
    return estimate._replace(mixture=both, stderr=both.stderr)


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
