"""The mean cell of runs at constant pressure: flips of the box, equilibration, errors and warnings."""

import numpy as np
import pytest

from aiida_ionconduct.lammps.mean_cell import (
    CellSeries,
    cells_of,
    coupling_of,
    equilibration_rows,
    largest_strain,
    mean_cell,
)

FIRST = np.array([[8.0, 0, 0], [3.9, 9.0, 0], [-3.0, 4.4, 10.0]])
INTERVAL_PS = 0.05


def correlated(rng, n_rows, time_rows=10.0):
    """Return a series of unit variance whose correlation falls by 1/e in a number of rows."""
    decay, values = np.exp(-1 / time_rows), np.empty(n_rows)
    values[0] = rng.normal()
    for row in range(1, n_rows):
        values[row] = decay * values[row - 1] + np.sqrt(1 - decay**2) * rng.normal()
    return values


def series(rng, mean, n_rows=2000, amplitude=0.05, start=None, decay_rows=60.0):
    """Return a run whose cell scatters about a mean, after it has relaxed there from a start."""
    cells = np.repeat(np.asarray(mean, dtype=float)[None], n_rows, axis=0)
    for row, column in zip(*np.tril_indices(3), strict=True):
        cells[:, row, column] += amplitude * correlated(rng, n_rows)
    if start is not None:
        cells += np.exp(-np.arange(n_rows) / decay_rows)[:, None, None] * (np.asarray(start) - mean)
    return CellSeries(cells, rng.normal(900, 30, n_rows), rng.normal(0, 500, n_rows), INTERVAL_PS)


@pytest.mark.parametrize(
    ('cell', 'coupling'),
    [
        (np.diag([4.0, 5.0, 6.0]), 'aniso'),
        (np.diag([4.0, 5.0, 6.0])[[1, 2, 0]], 'aniso'),
        ([[4, 0, 0], [-2, 3.4641, 0], [0, 0, 6]], 'tri'),
        ([[4, 0, 0], [0, 5, 0], [0.001, 0, 6]], 'tri'),
    ],
)
def test_angles_change_where_they_are_not_right(cell, coupling):
    assert coupling_of(np.array(cell, dtype=float)) == coupling


def test_flips_of_the_box_are_undone():
    """A flip adds whole cell vectors to later ones; the cells are those of the same run without flips."""
    rng = np.random.default_rng(1)
    cells = FIRST + 0.05 * np.tril(rng.normal(size=(60, 3, 3)))
    flipped = cells.copy()
    flipped[10:, 1] -= flipped[10:, 0]
    flipped[20:40, 2] -= flipped[20:40, 1]
    flipped[30:, 2] += flipped[30:, 0]
    columns = [flipped[:, row, column] for row, column in ((0, 0), (1, 1), (2, 2), (1, 0), (2, 0), (2, 1))]
    np.testing.assert_allclose(cells_of(columns, FIRST), cells, atol=1e-12)


def test_flip_before_the_first_row_is_undone():
    columns = [np.full(5, value) for value in (8.0, 9.0, 10.0, 3.9 - 8.0, -3.0, 4.4)]
    np.testing.assert_allclose(cells_of(columns, FIRST), np.repeat(FIRST[None], 5, axis=0), atol=1e-12)


def test_equilibration_is_cut_off():
    """A relaxation of 100 rows in 2000 is found; without a relaxation most of the series is kept."""
    rng = np.random.default_rng(2)
    noise = correlated(rng, 2000)
    assert equilibration_rows(noise) <= 400
    assert 200 <= equilibration_rows(noise + 20 * np.exp(-np.arange(2000) / 100)) <= 1000


def test_mean_does_not_remember_the_start():
    """A cell that relaxes by 10 % within the run has the mean that it relaxes to, within four errors."""
    rng = np.random.default_rng(3)
    mean = mean_cell([series(rng, FIRST, start=0.9 * FIRST) for _ in range(2)], 0.9 * FIRST, 900.0)
    numbers = mean.numbers
    assert abs(numbers['volume_A3'] - np.linalg.det(FIRST)) < 4 * numbers['volume_stderr_A3']
    assert numbers['initial_volume_A3'] == pytest.approx(0.9**3 * np.linalg.det(FIRST))
    assert numbers['length_expansions_percent'] == pytest.approx([100 / 9] * 3, abs=0.5)
    assert all(cut > 0 for cut in numbers['equilibration_ps'])
    assert numbers['warnings'] == []


def test_errors_hold_as_often_as_they_say():
    """Of 60 means of correlated runs, 95 % lie within two standard errors; fewer than 50 would by chance in 1e-4."""
    rng = np.random.default_rng(4)
    volume, within = np.linalg.det(FIRST), 0
    for _ in range(60):
        numbers = mean_cell([series(rng, FIRST, n_rows=600) for _ in range(2)], FIRST, 900.0).numbers
        within += abs(numbers['volume_A3'] - volume) < 2 * numbers['volume_stderr_A3']
    assert within >= 50


def test_expansion_of_each_length():
    """Lengths, angles and volume are those of the mean cell, not means of lengths and angles."""
    rng = np.random.default_rng(5)
    stretched = FIRST * [1.01, 1.02, 1.03]
    numbers = mean_cell([series(rng, stretched, amplitude=1e-6)], FIRST, 900.0).numbers
    lengths = np.linalg.norm(stretched, axis=1)
    assert numbers['lengths_A'] == pytest.approx(lengths, abs=1e-4)
    assert numbers['length_expansions_percent'][0] == pytest.approx(1.0, abs=1e-3)
    assert numbers['volume_expansion_percent'] == pytest.approx(100 * (1.01 * 1.02 * 1.03 - 1), abs=1e-3)
    cosine = stretched[0] @ stretched[1] / lengths[0] / lengths[1]
    assert numbers['angles_deg'][2] == pytest.approx(np.degrees(np.arccos(cosine)), abs=1e-3)


def test_drift_is_named():
    """A cell that grows by 20 % until the end is not in equilibrium."""
    rng = np.random.default_rng(6)
    run = series(rng, FIRST, amplitude=0.02)
    growing = run._replace(cells=run.cells * np.linspace(1, 1.07, len(run.cells))[:, None, None])
    (warning,) = [text for text in mean_cell([growing], FIRST, 900.0).numbers['warnings'] if 'still changes' in text]
    assert 'expansion.time_ps' in warning


def test_uncertain_volume_is_named():
    rng = np.random.default_rng(7)
    numbers = mean_cell([series(rng, FIRST, n_rows=40, amplitude=0.6)], FIRST, 900.0).numbers
    assert any('is known to' in text for text in numbers['warnings'])


def test_too_short_run_is_refused():
    rng = np.random.default_rng(8)
    with pytest.raises(ValueError, match='make it longer'):
        mean_cell([series(rng, FIRST, n_rows=3)], FIRST, 900.0)


def test_shear_is_a_strain_as_well():
    """A shear by 0.2 keeps the volume and stretches a diagonal by 10 %; a rotation is no strain."""
    sheared = np.eye(3) @ [[1, 0, 0], [0.2, 1, 0], [0, 0, 1]]
    assert largest_strain(np.eye(3), sheared) == pytest.approx(0.105, abs=1e-3)
    assert largest_strain(FIRST, FIRST[:, [1, 2, 0]]) == pytest.approx(0.0, abs=1e-12)
    assert largest_strain(FIRST, 0.8 * FIRST) == pytest.approx(-0.2)


def test_wrong_temperature_is_named():
    rng = np.random.default_rng(9)
    (warning,) = mean_cell([series(rng, FIRST)], FIRST, 1000.0).numbers['warnings']
    assert 'instead of 1000 K' in warning
