"""Blocks of several lengths: against brute force, on motion of known conductivity, and when they must not agree."""

import numpy as np
import pytest
from scipy import constants

from aiida_ionconduct.studies.block_size import block_size_study

DT, EDGE, T, IONS = 0.1, 30.0, 900.0, 6
SYMBOLS = ['Li'] * IONS + ['Cl'] * IONS
CHARGES = {'Li': 1, 'Cl': -1}
FRAMES = 3401  # 340 ps


def runs(n_seeds=4, D=1.0, shared=0.0, amplitude=0.0, seed=0, frames=FRAMES):
    """Return lithium walking at random, a part of each step shared by all, through a lattice at rest."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(n_seeds):
        steps = rng.normal(0, np.sqrt(2 * D * DT * (1 - shared)), (frames, IONS, 3))
        steps += rng.normal(0, np.sqrt(2 * D * DT * shared), (frames, 1, 3))
        walk = np.cumsum(steps, axis=0) + amplitude * rng.normal(size=steps.shape)
        made.append(np.concatenate((walk, np.zeros_like(walk)), axis=1))
    return made


def study(seeds, **kwargs):
    """Return the study of some runs."""
    return block_size_study(seeds, SYMBOLS, CHARGES, EDGE * np.eye(3), temperature_K=T, dt_ps=DT, **kwargs)


def row_of(result, block_ps, quantity, method):
    """Return the row of a block length, quantity and method."""
    rows = [
        row
        for row in result.rows
        if (row['quantity'], row['method']) == (quantity, method) and row['block_ps'] == pytest.approx(block_ps)
    ]
    assert len(rows) == 1
    return rows[0]


def exact_S_per_cm(D_A2_per_ps):
    """Return the conductivity of as many independent ions."""
    D = D_A2_per_ps * 1e-8
    return IONS * constants.e**2 * D / ((EDGE * 1e-10) ** 3 * constants.k * T) / 100


def test_rows():
    """There is one row for every length, quantity and method, and a block is as long as asked for."""
    result = study(runs(), block_ps=[85, 170, 340])
    assert len(result.rows) == 3 * 2 * 2
    assert {row['block_ps'] for row in result.rows} == {85.0, 170.0, 340.0}
    assert [row_of(result, length, 'full', 'block')['n_blocks'] for length in (85, 170, 340)] == [16, 8, 4]


def test_conductivity_is_the_slope_written_out():
    """The slope of the displacements from the start of each block, by brute force."""
    seeds = runs(n_seeds=3, frames=401)
    result = study(seeds, block_ps=[10.0])
    samples = []
    for positions in seeds:
        mu = (positions * np.array([1] * IONS + [-1] * IONS)[None, :, None]).sum(axis=1)
        curve = np.mean([((mu[o : o + 101] - mu[o]) ** 2).sum(axis=1) for o in (0, 100, 200, 300)], axis=0)
        slope = np.polyfit(np.arange(10, 101) * DT, curve[10:], 1)[0]
        scale = constants.e**2 * 1e-20 / 1e-12 / (6 * (EDGE * 1e-10) ** 3 * constants.k * T) / 100
        samples.append(slope * scale)
    row = row_of(result, 10.0, 'full', 'block')
    assert row['sigma_S_per_cm'] == pytest.approx(np.mean(samples), rel=1e-9)
    assert row['stderr'] == pytest.approx(np.std(samples, ddof=1) / np.sqrt(3), rel=1e-9)


def test_intervals_cover_the_truth():
    """The 95 % intervals of forty studies, tracer and full, block and simple, of ions that move independently."""
    truth, held = exact_S_per_cm(1.0), {}
    for seed in range(40):
        for row in study(runs(seed=seed, frames=801), block_ps=[20.0, 80.0]).rows:
            key = row['quantity'], row['method'], row['block_ps']
            held.setdefault(key, []).append(row['ci95'][0] <= truth <= row['ci95'][1])
    assert len(held) == 8
    for key, values in held.items():
        assert 33 <= sum(values) <= 40, key


def test_full_is_not_tracer():
    """Shared motion raises the full conductivity alone, by 1 + shared (ions - 1)."""
    result = study(runs(n_seeds=16, shared=0.6, frames=1701), block_ps=[20.0])
    full, tracer = (row_of(result, 20.0, quantity, 'simple')['sigma_S_per_cm'] for quantity in ('full', 'tracer'))
    assert full / tracer == pytest.approx(1 + 0.6 * (IONS - 1), rel=0.25)


def test_many_short_runs_are_converged():
    result = study(runs(n_seeds=60, frames=601), block_ps=[15.0, 30.0, 60.0])
    assert result.converged, result.statement
    assert result.statement[0].startswith('Converged')


def test_four_seeds_are_not_converged():
    """The statement says that the error of four seeds of 340 ps is too large."""
    result = study(runs(), block_ps=[85, 170, 340])
    assert not result.converged
    assert result.statement[0] == 'Not converged.'
    assert any('full: the error of the longest blocks is' in line for line in result.statement)


def test_caged_ions_disagree():
    """The displacement of ions that only rattle does not grow as diffusion would have it."""
    result = study(runs(D=0.0, amplitude=0.3), block_ps=[85, 170, 340])
    assert not result.converged
    assert any('exponent' in line for line in result.statement)


def test_curves_share_the_lags_of_their_length_and_method():

    result = study(runs(), block_ps=[85, 340])
    for name in ('block_85', 'simple_85', 'block_340', 'simple_340'):
        lag = result.curves[f'{name}_lag_ps']
        assert lag[-1] == pytest.approx(float(name.split('_')[1]))
        for quantity in ('full', 'tracer'):
            for label in ('msd', 'msd_stderr', 'running_S_per_cm', 'running_S_per_cm_stderr'):
                assert result.curves[f'{name}_{quantity}_{label}'].shape == lag.shape
    late = result.curves['block_85_tracer_running_S_per_cm'][-1]
    assert late == pytest.approx(exact_S_per_cm(1.0), rel=0.5)


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        ({'block_ps': [400]}, 'blocks of 400 ps do not fit: runs of 340 ps'),
        ({'block_ps': [0.5]}, 'blocks of 0.5 ps do not fit'),
        ({'mobile': 'Na'}, "'Na' must move through a framework"),
    ],
)
def test_blocks_and_mobile_species_must_fit(kwargs, message):
    with pytest.raises(ValueError, match=message):
        study(runs(n_seeds=2), **kwargs)


def test_a_single_seed_is_refused():
    with pytest.raises(ValueError, match='one seed has no scatter'):
        study(runs(n_seeds=1))
