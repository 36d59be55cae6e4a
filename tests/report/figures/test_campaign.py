"""The figures show the numbers they are given."""

import numpy as np
import pytest

from aiida_ionconduct.report.figures import campaign as figures
from aiida_ionconduct.report.figures.svg import PALETTE, colour_variables, temperature_colours
from aiida_ionconduct.transport import arrhenius


def lines(figure):
    """Return the drawn lines by label."""
    return {line.get_label(): line for line in figure.axes[0].get_lines()}


def legend(figure):
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


@pytest.mark.parametrize(('quantity', 'name'), [('msd', 'msd_A2'), ('charge_msd', 'charge_msd_e2A2')])
def test_displacement(make_conductivity, quantity, name):
    curves = {temperature: make_conductivity(temperature).curves for temperature in (800, 1200)}
    figure = figures.displacement(curves, quantity)
    for temperature in curves:
        np.testing.assert_allclose(lines(figure)[f'{temperature} K'].get_ydata(), curves[temperature][name])
    assert [axis.get_scale() for axis in (figure.axes[0].xaxis, figure.axes[0].yaxis)] == ['log', 'log']


def test_displacement_leaves_out_what_a_log_axis_cannot_show(make_conductivity):
    curve = dict(make_conductivity(800).curves)
    curve['lag_ps'] = np.concatenate([[0.0], curve['lag_ps'][1:]])
    curve['msd_A2'] = np.concatenate([[0.0, np.nan], curve['msd_A2'][2:]])
    line = lines(figures.displacement({800: curve}))['800 K']
    np.testing.assert_allclose(line.get_ydata(), curve['msd_A2'][2:])


def test_exponent_marks_the_chosen_lag(make_conductivity):
    curve = make_conductivity(1000).curves
    figure = figures.exponent({1000: curve}, {1000: 2.0})
    marked = [line for line in figure.axes[0].get_lines() if line.get_marker() == 'o']
    assert [line.get_xdata()[0] for line in marked] == [2.0]
    assert marked[0].get_ydata()[0] == pytest.approx(np.interp(2.0, curve['lag_ps'], curve['beta']))


def test_running_conductivity(make_conductivity):
    curve = make_conductivity(1000).curves
    figure = figures.running_conductivity(curve, {'full': 2.5, 'tracer': 1.6})
    drawn = lines(figure)
    np.testing.assert_allclose(drawn['full, running slope'].get_ydata(), curve['running_sigma_full_S_per_cm'])
    np.testing.assert_allclose(drawn['tracer, running slope'].get_ydata(), curve['running_sigma_tracer_S_per_cm'])
    assert drawn['tracer, chosen lag 1.6 ps'].get_xdata()[0] == 1.6
    plateau = curve['plateau_sigma_full_S_per_cm'] + curve['plateau_sigma_full_stderr']
    assert figure.axes[0].get_ylim()[1] > plateau.max()


def test_parity_states_the_error_of_each_element():
    rng = np.random.default_rng(1)
    reference, noise = rng.normal(size=(30, 3)), rng.normal(size=(30, 3)) * 0.05
    symbols = ['Li'] * 20 + ['O'] * 10
    entries = legend(figures.parity(reference, reference + noise, 'force', 'eV/Å', symbols))
    expected = [('Li', abs(noise[:20]).sum() / 60), ('O', abs(noise[20:]).sum() / 30)]
    assert entries == [f'{name}: MAE {1000 * error:.3g} meV/Å' for name, error in expected]


def test_learning_curves_skip_epochs_without_a_value():
    figure = figures.learning_curves(
        {'epoch': [0, 1, 2], 'train_loss': [1.0, None, 0.5], 'val_force_mae': [0.2, 0.1, 0.1]}
    )
    loss, error = (axes.get_lines()[0] for axes in figure.axes)
    np.testing.assert_array_equal(loss.get_xdata(), [0, 2])
    np.testing.assert_allclose(error.get_ydata(), [200, 100, 100])


def test_fit_line_agrees_with_the_extrapolation_of_the_fit():
    """Line and band at 300 K are the extrapolated value and its interval, which the fit computes on its own."""
    fit = arrhenius([800, 1000, 1200], [0.01, 0.034, 0.07], [0.002, 0.005, 0.01])
    line = figures.fit_line([300, 1200], fit)
    inverse = 1 / line['temperature_K']
    at_300 = {
        key: np.exp(np.interp(1 / 300, inverse, np.log(line[key] * line['temperature_K']))) / 300
        for key in ('sigma', 'low', 'high')
    }
    low, high = fit['extrapolated_300K_ci95']
    # The band is curved between the points of its grid.
    assert at_300['sigma'] == pytest.approx(fit['extrapolated_300K_S_per_cm'], rel=1e-6)
    assert [at_300['low'], at_300['high']] == pytest.approx([low, high], rel=0.02)


def test_no_line_without_a_fit():
    assert figures.fit_line([900], arrhenius([900], [0.01], [0.001])) is None
    assert figures.fit_line([900], {}) is None


def test_arrhenius_leaves_out_temperatures_without_a_number(make_conductivity):
    points = [
        make_conductivity(800, sigma_full_S_per_cm=None, sigma_full_ci95=None).attributes,
        make_conductivity(1200).attributes,
    ]
    (full, tracer) = figures.arrhenius(points).axes[0].containers
    np.testing.assert_allclose(full.lines[0].get_xdata(orig=False), [1000 / 1200])
    np.testing.assert_allclose(tracer.lines[0].get_xdata(orig=False), [1000 / 800, 1000 / 1200])


def test_temperature_colours_run_from_cold_to_hot_and_differ():
    colours = temperature_colours([1200, 600, 900, 900])
    assert list(colours) == [600, 900, 1200]
    assert temperature_colours([600, 1200])[600] == colours[600]
    variables = colour_variables(range(300, 1500, 100))
    assert len({light for light, _ in variables.values()}) == len(PALETTE) + 12
