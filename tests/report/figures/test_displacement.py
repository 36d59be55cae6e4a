"""The figures of ion motion show the numbers they are given."""

import numpy as np
import pytest

from aiida_ionconduct.report.figures.displacement import displacement, exponent, running_conductivity

from .drawn import lines_by_label


@pytest.mark.parametrize(('quantity', 'name'), [('msd', 'msd_A2'), ('charge_msd', 'charge_msd_e2A2')])
def test_displacements_are_drawn_as_given_on_logarithmic_axes(make_conductivity, quantity, name):
    curves = {temperature: make_conductivity(temperature).curves for temperature in (800, 1200)}
    figure = displacement(curves, quantity)
    for temperature in curves:
        np.testing.assert_allclose(lines_by_label(figure)[f'{temperature} K'].get_ydata(), curves[temperature][name])
    assert [axis.get_scale() for axis in (figure.axes[0].xaxis, figure.axes[0].yaxis)] == ['log', 'log']


def test_displacement_leaves_out_what_a_log_axis_cannot_show(make_conductivity):
    curve = dict(make_conductivity(800).curves)
    curve['lag_ps'] = np.concatenate([[0.0], curve['lag_ps'][1:]])
    curve['msd_A2'] = np.concatenate([[0.0, np.nan], curve['msd_A2'][2:]])
    line = lines_by_label(displacement({800: curve}))['800 K']
    np.testing.assert_allclose(line.get_ydata(), curve['msd_A2'][2:])


def test_exponent_marks_the_chosen_lag(make_conductivity):
    curve = make_conductivity(1000).curves
    figure = exponent({1000: curve}, {1000: 2.0})
    marked = [line for line in figure.axes[0].get_lines() if line.get_marker() == 'o']
    assert [line.get_xdata()[0] for line in marked] == [2.0]
    assert marked[0].get_ydata()[0] == pytest.approx(np.interp(2.0, curve['lag_ps'], curve['beta']))


def test_running_slopes_and_chosen_lags_are_drawn_on_the_scale_of_the_plateau(make_conductivity):
    curve = make_conductivity(1000).curves
    figure = running_conductivity(curve, {'full': 2.5, 'tracer': 1.6})
    drawn = lines_by_label(figure)
    np.testing.assert_allclose(drawn['full, running slope'].get_ydata(), curve['running_sigma_full_S_per_cm'])
    np.testing.assert_allclose(drawn['tracer, running slope'].get_ydata(), curve['running_sigma_tracer_S_per_cm'])
    assert drawn['tracer, chosen lag 1.6 ps'].get_xdata()[0] == 1.6
    plateau = curve['plateau_sigma_full_S_per_cm'] + curve['plateau_sigma_full_stderr']
    assert figure.axes[0].get_ylim()[1] > plateau.max()
