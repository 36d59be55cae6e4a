"""The average over models of a spectrum, on spectra that are exactly as expected."""

import numpy as np
import pytest
from scipy import stats

from aiida_ionconduct.transport.estimators.lengths import Bins
from aiida_ionconduct.transport.estimators.models import average_models, truncated
from aiida_ionconduct.transport.spectrum import spectral_grid


def averaged(D, relaxations, length_ps=1000.0, components=200):
    """Return mean and standard deviation of D of the expected spectrum, relaxations being (amplitude, time in ps)."""
    grid = spectral_grid(round(length_ps / 0.2), 0.2)
    spectrum = D * grid.white
    for amplitude, time_ps in relaxations:
        nearest = int(np.abs(np.log(grid.times / time_ps)).argmin())
        spectrum = spectrum + amplitude / (2 * grid.times[nearest]) * grid.relaxation[nearest]
    bins = Bins(grid.top, grid.white, grid.times, grid.relaxation, 1)
    average = average_models(spectrum, components * grid.pairs, bins)
    mean = average.probability @ average.value
    variance = average.probability @ (average.variance + (average.value - mean) ** 2)
    return mean, variance**0.5


@pytest.mark.parametrize(
    'relaxations',
    [[], [(3.0, 2.0)], [(1.0, 0.5), (1.0, 15.0)], [(0.3, 0.3), (1.0, 20.0)], [(0.3, 0.3), (1.0, 50.0)]],
    ids=['white', 'cage', 'cage and back-hops', 'slow back-hops', 'very slow back-hops'],
)
def test_the_value_at_zero_is_within_its_error(relaxations):
    """Vibrations and back-hops together do not count as diffusion: one relaxation alone cannot describe both."""
    D = 0.1
    mean, width = averaged(D, relaxations)
    assert abs(mean - D) < width
    assert width < 0.2 * D


def test_relaxation_as_slow_as_the_run_widens_the_interval():
    """What a run cannot tell apart from diffusion is an uncertainty of the number: the truth is within two widths."""
    D, back_hops = 0.02, [(0.3, 0.3), (1.0, 50.0)]
    mean, width = averaged(D, back_hops, length_ps=200.0)
    _, width_of_long = averaged(D, back_hops, length_ps=2000.0)
    assert abs(mean - D) < 2 * width
    assert width > 2 * width_of_long


def test_the_time_between_frames_does_not_matter():
    """Relaxations too fast to be seen are no part of the average."""
    widths = []
    for dt_ps in (0.1, 0.4):
        grid = spectral_grid(round(400 / dt_ps), dt_ps)
        bins = Bins(grid.top, grid.white, grid.times, grid.relaxation, 1)
        average = average_models(grid.white.copy(), 200 * grid.pairs, bins)
        mean = average.probability @ average.value
        widths.append(average.probability @ (average.variance + (average.value - mean) ** 2))
    assert widths[0] == pytest.approx(widths[1], rel=0.5)


@pytest.mark.parametrize(
    ('centre', 'top'), [(-20.0, 5.0), (-8.0, 5.0), (-2.0, 2.0), (0.0, 4.0), (1.0, 50.0), (30.0, 20.0)]
)
def test_places_of_a_truncated_normal_distribution(centre, top):
    """Mean, variance and mass are those of the distribution."""
    places, missing, log_mass = truncated(np.array([centre]), np.array([top]), 6)
    reference = stats.truncnorm(-centre, top - centre, loc=centre)
    width = reference.std()
    assert places.mean() == pytest.approx(reference.mean(), abs=0.1 * width)
    assert places.var() + missing[0] == pytest.approx(reference.var(), rel=0.1)
    if centre > -5:
        assert log_mass[0] == pytest.approx(np.log(np.diff(stats.norm.cdf([-centre, top - centre]))[0]), rel=1e-6)
