"""The temperature that runs had: errors that allow for correlation, and what is warned of."""

import numpy as np
import pytest
from scipy.signal import lfilter

from aiida_ionconduct.transport.temperature import (
    Trend,
    correlated_rows,
    mean_of_runs,
    temperature_attributes,
    trend,
)


def correlated(rng, n, decay):
    """Return a stationary series with unit variance whose correlation falls by a factor from row to row."""
    noise = rng.normal(size=n) * np.sqrt(1 - decay**2)
    noise[0] = rng.normal()
    return lfilter([1], [1, -decay], noise)


@pytest.mark.parametrize('decay', [0.0, 0.8, 0.97])
def test_errors_of_mean_and_drift_are_as_large_as_their_scatter(decay):
    """Over 400 series the errors are within 15 % of the true scatter, whatever the correlation."""
    rng = np.random.default_rng(2)
    times = 0.1 * np.arange(4000)
    runs = [trend(times, 900 + 40 * correlated(rng, len(times), decay)) for _ in range(400)]
    for value, error in (('mean', 'mean_stderr'), ('drift_per_ps', 'drift_stderr')):
        scatter = np.std([getattr(run, value) for run in runs])
        assert np.mean([getattr(run, error) for run in runs]) == pytest.approx(scatter, rel=0.15)


def test_mean_and_drift_of_a_line():
    run = trend(np.arange(101) * 0.5, 1000 + 0.4 * np.arange(101) * 0.5)
    assert (run.mean, run.drift_per_ps, run.length_ps) == pytest.approx((1010, 0.4, 50))
    assert run.drift_stderr == pytest.approx(0, abs=1e-9)


def test_short_and_constant_series():
    assert trend(np.arange(3.0), np.arange(3.0)) is None
    assert trend(np.arange(9.0), np.full(9, 300.0))[:4] == (300.0, 0.0, 0.0, 0.0)
    assert correlated_rows(np.zeros(9)) == 1.0


def run_at(mean, stderr=5.0, drift=0.0, length=100.0):
    """Return a run with a mean temperature and a drift."""
    return Trend(mean, stderr, drift, 0.01, length)


def test_runs_count_by_their_length():
    mean, _ = mean_of_runs([run_at(1200.0, length=300.0), run_at(1000.0, length=100.0)])
    assert mean == pytest.approx(1150.0)


def test_error_of_the_mean_is_the_larger_one():
    """At constant energy runs differ by more than their errors; two runs may also agree by chance."""
    assert mean_of_runs([run_at(1100.0), run_at(1300.0)])[1] == pytest.approx(100.0)
    assert mean_of_runs([run_at(1200.0), run_at(1200.0)])[1] == pytest.approx(5 / 2**0.5)
    assert mean_of_runs([run_at(1200.0)]) == (1200.0, 5.0)


def warnings(runs, constant_energy=True):
    attributes = temperature_attributes(1200.0, runs, list(range(1, len(runs) + 1)), constant_energy=constant_energy)
    return attributes['temperature_warnings']


def test_seeds_of_the_quickstart_at_constant_energy():
    """Six runs at "1200 K" of the first quickstart: all that are off are named, with a remedy."""
    (text,) = warnings([run_at(T) for T in (1062.0, 1133.0, 1195.0, 1340.0, 1456.0, 1168.0)])
    assert text.startswith('mean temperatures are not 1200 K: 1062 ± 5 K (seed 1), 1133 ± 5 K (seed 2), 1340 ± 5 K')
    assert 'seed 3' not in text
    assert '`production_thermostat: csvr`' in text


@pytest.mark.parametrize(
    ('mean', 'stderr', 'begin'),
    [
        (1210.0, 1.0, None),  # significant, but below 1 %
        (1225.0, 2.0, 'mean temperatures are not 1200 K: 1225 ± 2 K (seed 1)'),
        (1225.0, 10.0, 'the mean temperature of all seeds is 1225 ± 10 K instead of 1200 K, which may be chance'),
        (1201.0, 20.0, 'the mean temperature of all seeds is 1201 ± 20 K'),
    ],
)
def test_when_a_mean_is_warned_of(mean, stderr, begin):
    texts = warnings([run_at(mean, stderr)])
    assert len(texts) == (begin is not None)
    assert not begin or texts[0].startswith(begin)


def test_drift_is_warned_of():
    """40 K over 100 ps is more than 1 % and more than chance; 4 K is not worth a word."""
    (text,) = warnings([run_at(1200.0, drift=0.4), run_at(1200.0, drift=0.04)], constant_energy=False)
    assert text.startswith('the temperature drifts over the run: +40 ± 1 K (seed 1); ')


def test_runs_without_a_seed_are_numbered():
    attributes = temperature_attributes(1200.0, [run_at(1200.0), run_at(1300.0)], [None, None], constant_energy=False)
    assert '1300 ± 5 K (run 2)' in attributes['temperature_warnings'][0]
    assert attributes['seed_temperatures_K'] == [1200.0, 1300.0]
