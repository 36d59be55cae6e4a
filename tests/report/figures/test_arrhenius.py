"""The Arrhenius plot: points that have a number, and the line of the fit."""

import numpy as np
import pytest

from aiida_ionconduct.report.figures.arrhenius import arrhenius, fit_line
from aiida_ionconduct.transport import arrhenius as fit_arrhenius


def test_fit_line_agrees_with_the_extrapolation_of_the_fit():
    """Line and band at 300 K are the extrapolated value and its interval, which the fit computes on its own."""
    fit = fit_arrhenius([800, 1000, 1200], [0.01, 0.034, 0.07], [0.002, 0.005, 0.01])
    line = fit_line([300, 1200], fit)
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
    assert fit_line([900], fit_arrhenius([900], [0.01], [0.001])) is None
    assert fit_line([900], {}) is None


def test_arrhenius_leaves_out_temperatures_without_a_number(make_conductivity):
    points = [
        make_conductivity(800, sigma_full_S_per_cm=None, sigma_full_ci95=None).attributes,
        make_conductivity(1200).attributes,
    ]
    (full, tracer) = arrhenius(points).axes[0].containers
    np.testing.assert_allclose(full.lines[0].get_xdata(orig=False), [1000 / 1200])
    np.testing.assert_allclose(tracer.lines[0].get_xdata(orig=False), [1000 / 800, 1000 / 1200])


def test_an_upper_bound_is_drawn_where_there_is_no_number(make_conductivity):
    """The fit takes the bound, so the figure shows it."""
    lacking = {'sigma_full_S_per_cm': None, 'sigma_full_ci95': None}
    points = [
        make_conductivity(1000, **lacking, sigma_full_upper_S_per_cm=None).attributes,
        make_conductivity(800, **lacking, sigma_full_upper_S_per_cm=3e-3).attributes,
        make_conductivity(1200).attributes,
    ]
    (bound,) = (line for line in arrhenius(points).axes[0].lines if line.get_label() == 'full, upper bound')
    np.testing.assert_allclose(bound.get_xydata(), [[1000 / 800, 3e-3]])
