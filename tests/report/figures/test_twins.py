"""The figure of twin runs."""

import numpy as np
import pytest

from aiida_ionconduct.report.figures.twins import divergence

TIME_PS = 0.1 * np.arange(100)
DIFFERENCE_A = 1e-5 * np.exp(np.minimum(TIME_PS, 6))[None] * np.array([[1.0], [1.1]])


def test_the_fitted_growth_is_drawn_over_the_twins():
    lyapunov = {'exponent_per_ps': 1.0, 'stderr': 0.05, 'windows_ps': [[1.0, 5.0], [1.0, 5.0]]}
    (axes,) = divergence(TIME_PS, DIFFERENCE_A, lyapunov).axes
    assert axes.get_yscale() == 'log'
    assert len(axes.lines) == 3
    fitted = axes.lines[2]
    slope = np.polyfit(fitted.get_xdata(), np.log(fitted.get_ydata()), 1)[0]
    assert slope == pytest.approx(1.0)
    assert fitted.get_label() == 'λ = (1.000 ± 0.050) /ps'


def test_without_an_exponent_the_twins_are_drawn_alone():
    lyapunov = {'exponent_per_ps': None, 'stderr': None, 'windows_ps': []}
    assert len(divergence(TIME_PS, DIFFERENCE_A, lyapunov).axes[0].lines) == 2
