"""What an estimator returns: a number, its interval, and what they rest on."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from scipy import optimize, special, stats

RESOLVED_WIDTHS = 4.0  # a value above this many of its widths is well above zero


class Mixture(NamedTuple):
    """A distribution of the true value about several ``values``, each with a weight and a width.

    About a value well above its width it is normal in the logarithm, since the error of a variance is in proportion to
    its true value; about any other value it is normal in the value itself. With finite ``dof`` it is Student's t.
    """

    weights: np.ndarray
    values: np.ndarray
    widths: np.ndarray
    dof: float = math.inf

    @property
    def relative(self) -> np.ndarray:
        """Widths over values where the values count as well above zero, else infinity."""
        resolved = self.values > RESOLVED_WIDTHS * self.widths
        return np.where(resolved, self.widths / np.where(resolved, self.values, 1.0), np.inf)

    def below(self, x: float) -> float:
        """Return the probability of a value below x."""
        reach, relative = (x - self.values) / self.widths, self.relative
        in_proportion = np.isfinite(relative)
        if x > 0:
            reach[in_proportion] = np.log(x / self.values[in_proportion]) / relative[in_proportion]
        else:
            reach[in_proportion] = -np.inf
        return float(
            self.weights @ (special.stdtr(self.dof, reach) if math.isfinite(self.dof) else special.ndtr(reach))
        )

    def quantile(self, probability: float) -> float:
        """Return the value below which the true value lies with a probability."""
        reach, relative = stats.t.ppf(max(probability, 1 - probability), self.dof), self.relative
        in_proportion = np.isfinite(relative)
        factor = np.exp(reach * np.where(in_proportion, relative, 0.0))
        low = float(np.where(in_proportion, self.values / factor, self.values - reach * self.widths).min())
        high = float(np.where(in_proportion, self.values * factor, self.values + reach * self.widths).max())
        # A single value has its quantile at an end of this range, to rounding.
        if not high > low or self.below(low) >= probability:
            return low
        if self.below(high) <= probability:
            return high
        return float(optimize.brentq(lambda x: self.below(x) - probability, low, high, xtol=1e-6 * (high - low)))

    @property
    def stderr(self) -> float:
        """Half the width of the central 68.27 %."""
        return (self.quantile(0.84135) - self.quantile(0.15865)) / 2

    def scaled(self, factor: float) -> Mixture:
        """Return the distribution of the value times a factor."""
        return self._replace(values=self.values * factor, widths=self.widths * factor)


class SpectralWeights(NamedTuple):
    """How a spectral estimate is an average over the spectrum.

    ``weights`` (bins,) of the spectrum in the value; ``variance`` (bins,) of the spectrum; the bins are those of
    :class:`~aiida_ionconduct.transport.estimators.lengths.Bins`. ``band`` (bins,) are the weights of the spectrum in
    the level of a run, ``levels`` (runs,) the levels, about 1, and ``shares`` (runs,) how the runs make up the whole;
    ``models`` is the distribution of the value without the excess scatter of the runs, and ``excess`` its variance.
    """

    weights: np.ndarray
    variance: np.ndarray
    band: np.ndarray
    levels: np.ndarray
    shares: np.ndarray
    models: Mixture
    excess: float

    def scaled(self, factor: float) -> SpectralWeights:
        """Return the weights of the estimate times a factor."""
        return self._replace(
            variance=self.variance * factor**2,
            band=self.band / factor if factor else self.band,
            models=self.models.scaled(factor),
            excess=self.excess * factor**2,
        )


class Slope(NamedTuple):
    """What an estimator finds, in Å²/ps.

    ``blocks`` (seeds, blocks): the value of equal stretches of each run, whose scatter is that of ``value``; ``bias``
    the part of ``stderr`` that is not scatter; ``lag_ps`` the time from which on motion counts as diffusion;
    ``plateau`` whether the value no longer changes with that time; ``scan`` how it changes (lag_ps, value, stderr).
    """

    value: float
    stderr: float
    dof: float
    blocks: np.ndarray
    bias: float
    lag_ps: float
    plateau: bool
    scan: dict[str, np.ndarray]
    mixture: Mixture | None = None
    spectral: SpectralWeights | None = None
    tensor: tuple[np.ndarray, np.ndarray] | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Estimate:
    """A positive number and its uncertainty; ``value`` and ``stderr`` are None when it is not resolved from zero.

    ``stderr`` is one standard error and ``dof`` its degrees of freedom. ``diagnostics`` holds ``lag_ps``, ``slope`` and
    ``slope_stderr`` (raw, resolved or not), ``blocks`` (seeds, blocks: their scatter is the error), ``bias`` (the part
    of the error that is not scatter), ``plateau``, ``beta``, ``beta_stderr``, ``caged`` (whether most of the motion is
    within cages), ``ballistic`` (whether the slope still rises with the lag), ``scan`` and ``warnings``; and, of a
    spectral estimate, else None, ``mixture`` (a :class:`Mixture`, which gives the interval), ``spectral``
    (:class:`SpectralWeights`) and ``tensor`` ((d, d), and its standard error).
    """

    value: float | None
    stderr: float | None
    estimator: str
    dof: float
    diagnostics: dict[str, Any] = field(default_factory=dict, repr=False)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the two-sided confidence interval.

        It comes from the estimator's own distribution where it has one, and is Student's t of the logarithm otherwise.
        Without a value it reaches from zero to the upper bound that the data allow; of motion that is ballistic during
        the whole run, they allow none.

        :param level: between 0 and 1.
        :raises ValueError: if the level is not between 0 and 1.
        """
        if not 0 < level < 1:
            raise ValueError(f'`level` is {level}: give a probability between 0 and 1.')
        if self.diagnostics.get('ballistic'):
            return 0.0, math.inf
        mixture, above = self.diagnostics.get('mixture'), 0.5 + level / 2
        if mixture is not None and self.value is None:
            return 0.0, max(mixture.quantile(above), 0.0)
        if mixture is not None:
            # What the distribution has below zero is impossible.
            negative = mixture.below(0.0)
            low, high = (mixture.quantile(negative + share * (1 - negative)) for share in (1 - above, above))
            return max(low, 0.0), high
        t = stats.t.ppf(above, self.dof)
        if self.value is None or self.stderr is None:
            slope, error = self.diagnostics['slope'], self.diagnostics['slope_stderr']
            return 0.0, float(max(slope, 0.0) + t * error)
        return _log_interval(self.value, self.stderr, t)

    @property
    def upper(self) -> float | None:
        """The upper bound at 97.5 % confidence; None where the data allow none."""
        high = self.interval(0.95)[1]
        return high if math.isfinite(high) else None

    @property
    def excess_share(self) -> float | None:
        """Share of the error's square that is scatter of the runs beyond what each says; None if not known."""
        spectral = self.diagnostics.get('spectral')
        if spectral is None or not self.stderr:
            return None
        return float(min(spectral.excess / self.stderr**2, 1.0))

    def scaled(self, factor: float) -> Estimate:
        """Return the estimate in another unit: value, errors, blocks and scan times a positive factor."""
        scaled = {key: self.diagnostics[key] * factor for key in ('slope', 'slope_stderr', 'blocks', 'bias')}
        scaled['scan'] = {
            key: array if key == 'lag_ps' else array * factor for key, array in self.diagnostics['scan'].items()
        }
        mixture = self.diagnostics['mixture']
        scaled['mixture'] = None if mixture is None else mixture.scaled(factor)
        spectral = self.diagnostics['spectral']
        scaled['spectral'] = spectral and spectral.scaled(factor)
        tensor = self.diagnostics['tensor']
        scaled['tensor'] = None if tensor is None else tuple(part * factor for part in tensor)
        value, stderr = (
            (None, None) if self.value is None or self.stderr is None else (self.value * factor, self.stderr * factor)
        )
        return Estimate(value, stderr, self.estimator, self.dof, {**self.diagnostics, **scaled})


def _log_interval(value: float, stderr: float, t: float) -> tuple[float, float]:
    """Return value × exp(± t stderr/value); the exponent is capped so that the bounds stay finite."""
    factor = math.exp(min(t * stderr / value, 300.0))
    return float(value / factor), float(value * factor)


def merge_blocks(values: np.ndarray, blocks: int) -> np.ndarray:
    """Average neighbouring columns of (seeds, n) into (seeds, blocks)."""
    merged: np.ndarray = values.reshape(len(values), blocks, -1).mean(axis=2)
    return merged


def mean_and_error(samples: np.ndarray) -> tuple[float, float, int]:
    """Return the mean of samples, its standard error and degrees of freedom."""
    return float(samples.mean()), float(samples.std(ddof=1) / math.sqrt(samples.size)), samples.size - 1
