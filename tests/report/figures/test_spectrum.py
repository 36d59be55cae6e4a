"""The figure of the conductivity against frequency."""

import numpy as np

from aiida_ionconduct.report.figures.spectrum import conductivity_spectrum


def curves(low=0.5):
    """Return a spectrum that rises, the full one at twice as many frequencies as that of tracers."""
    named = {}
    for kind, n in (('full', 40), ('tracer', 20)):
        value = np.geomspace(0.01, 0.1, n)
        named[f'spectrum_{kind}_frequency_THz'] = np.geomspace(0.01, n / 10, n)
        named[f'spectrum_sigma_{kind}_S_per_cm'] = value
        named[f'spectrum_sigma_{kind}_low_S_per_cm'] = low * value
        named[f'spectrum_sigma_{kind}_high_S_per_cm'] = 2 * value
    return named


def test_both_conductivities_are_curves_over_their_frequencies():
    axes = conductivity_spectrum(curves(), {'full': (0.008, 0.012), 'tracer': None}).axes[0]
    full, at_zero, tracer = axes.lines
    assert (axes.get_xscale(), axes.get_yscale()) == ('log', 'log')
    assert (full.get_label(), tracer.get_label()) == ('full', 'tracer')
    assert full.get_xdata()[-1] == 4.0
    np.testing.assert_allclose(at_zero.get_ydata(), [0.008, 0.012])
    assert at_zero.get_xdata()[0] < 0.01


def test_a_spectrum_that_falls_to_zero_is_drawn_down_to_a_floor():
    caged = curves(low=0.0)
    caged['spectrum_sigma_full_S_per_cm'][0] = 0.0
    axes = conductivity_spectrum(caged).axes[0]
    assert axes.lines[0].get_ydata()[0] == 1e-4
    assert all(np.isfinite(path.vertices).all() for band in axes.collections for path in band.get_paths())


def test_ions_at_rest_draw_nothing():
    assert not conductivity_spectrum({name: 0 * values for name, values in curves().items()}).axes[0].lines
