"""Seeds of unequal length: the default estimator uses all of their frames."""

import numpy as np
import pytest

from aiida_ionconduct.transport import analyse, diffusivity
from aiida_ionconduct.transport.observed import stretch_length

DT_PS, D = 0.2, 0.05


def walks(number, lengths, n_ions=8):
    """Return random walks of a diffusivity of 0.05 Å²/ps, one (frames, ions, 3) for each length."""
    rng = np.random.default_rng(number)
    return [np.cumsum(rng.normal(0, np.sqrt(2 * D * DT_PS), (frames, n_ions, 3)), axis=0) for frames in lengths]


@pytest.mark.parametrize('lengths', [(400, 60), (60, 400), (300, 100, 100, 40)])
def test_intervals_cover(lengths):
    """Of 60 replicas, the 68 % and 95 % intervals hold the truth as they say; by chance it fails in 0.1 %.

    The intervals of a random walk are too wide rather than too narrow: nothing excludes relaxation slower than the run.
    """
    held = []
    for number in range(60):
        estimate = diffusivity(walks(number, lengths), DT_PS)
        held.append([low < D * 1e-4 < high for low, high in (estimate.interval(0.6827), estimate.interval(0.95))])
    inner, outer = np.mean(held, axis=0)
    assert 0.48 < inner < 0.97
    assert outer >= 0.85


@pytest.mark.parametrize('lengths', [(60, 400), (300, 100, 100, 40)])
def test_safety_is_not_bought_by_width(lengths):
    """The error is within five times that of the best estimate of a random walk, which knows that nothing relaxes.

    The intervals are about half as wide as those of a straight line.
    """
    values, widths, widths_of_line = [], [], []
    for number in range(20):
        seeds = walks(number, lengths)
        estimate = diffusivity(seeds, DT_PS)
        values.append(estimate.value / (D * 1e-4))
        widths.append(np.ptp(estimate.interval()))
        widths_of_line.append(np.ptp(diffusivity(seeds, DT_PS, 'einstein').interval()))
    independent_steps = 3 * 8 * sum(frames - 1 for frames in lengths)
    assert np.sqrt(np.mean((np.array(values) - 1) ** 2)) < 5 * np.sqrt(2 / independent_steps)
    assert np.mean(widths) < 0.6 * np.mean(widths_of_line)


def test_short_seeds_count():
    """Seeds of 400, 200 and 200 frames know D better than the long one alone, by the square root of two."""
    replicas = [walks(number, (400, 200, 200)) for number in range(40)]
    together = [diffusivity(seeds, DT_PS).diagnostics['slope'] for seeds in replicas]
    alone = [diffusivity(seeds[:1], DT_PS).diagnostics['slope'] for seeds in replicas]
    assert np.std(together) < 0.9 * np.std(alone)


def test_the_order_of_seeds_does_not_matter():
    seeds = walks(3, (300, 100, 200))
    forward, backward = (diffusivity(order, DT_PS) for order in (seeds, seeds[::-1]))
    assert forward.value == pytest.approx(backward.value, rel=1e-9)
    assert forward.interval() == pytest.approx(backward.interval(), rel=1e-6)


def test_two_pieces_of_a_run_say_what_it_says():
    """A run cut into pieces of unequal length keeps its diffusivity, within its error."""
    (run,) = walks(4, (2000,), n_ions=40)
    whole, pieces = diffusivity([run], DT_PS), diffusivity([run[:1200], run[1200:]], DT_PS)
    assert pieces.value == pytest.approx(whole.value, abs=whole.stderr)


def test_all_coefficients_of_unequal_seeds():
    """Tensors, Onsager coefficients, transference numbers and the Haven ratio take all frames too."""
    seeds = walks(5, (800, 300), n_ions=36)
    for seed in seeds:
        seed[:, 24:] = np.random.default_rng(6).normal(0, 0.05, seed[:, 24:].shape)
    symbols, charges = ['Li'] * 12 + ['Na'] * 12 + ['Cl'] * 12, {'Li': 1, 'Na': 1, 'Cl': -2}
    result = analyse(
        seeds, symbols, charges, 20 * np.eye(3), temperature_K=600.0, dt_ps=DT_PS, mobile=['Li', 'Na'], axes=True
    )
    assert result.facts['n_frames'] == 1100
    assert result.sigma_full.value == pytest.approx(np.sum(result.matrices['onsager']), rel=1e-6)
    assert result.sigma_full.value == pytest.approx(np.trace(result.matrices['sigma_full_tensor']) / 3, rel=1e-6)
    assert sum(species.transference.value for species in result.species) == pytest.approx(1, abs=1e-2)
    assert result.haven_ratio.value > 0


@pytest.mark.parametrize('estimator', ['cve', 'einstein', 'block', 'green-kubo', 'cepstral', 'multivariate'])
def test_other_estimators_say_what_they_leave_out(estimator):
    estimate = diffusivity(walks(7, (400, 60)), DT_PS, estimator)
    assert any('60 of 460 frames are left out' in text for text in estimate.diagnostics['warnings'])


@pytest.mark.parametrize(
    ('lengths', 'length'),
    [
        ((100, 100), 100),
        ((400, 60), 200),
        ((400, 400, 60), 400),
        ((400, 300), 300),
        ((401,), 200),
        ((100, 100, 30), 100),
    ],
)
def test_stretches_leave_out_the_fewest_frames(lengths, length):
    assert stretch_length(lengths) == length
