"""Tensors and Onsager coefficients, and the routes by currents and by centres of mass."""

import numpy as np
import pytest

from aiida_ionconduct.transport import analyse, from_currents


@pytest.fixture(scope='module')
def result(salt):
    input_ = salt(np.random.default_rng(0), frames=1000)
    # Twice as fast along x, not at all along z.
    input_['seeds'] = [seed * np.array([2**0.5, 1.0, 0.0]) for seed in input_['seeds']]
    return input_, analyse(**input_)


@pytest.mark.parametrize('kind', ['full', 'tracer'])
def test_tensors(result, kind):
    """A third of the trace is the conductivity, and the diagonal is as the motion along each axis."""
    _, analysis = result
    sigma = getattr(analysis, f'sigma_{kind}').value
    tensor, error = (analysis.matrices[f'sigma_{kind}_tensor{end}'] for end in ('', '_stderr'))
    assert np.trace(tensor) / 3 == pytest.approx(sigma, rel=1e-6)
    np.testing.assert_allclose(tensor, tensor.T, rtol=1e-12)
    assert (np.abs(tensor - np.diag([2.0, 1.0, 0.0]) * sigma) < 4 * error + 0.1 * sigma).all()
    np.testing.assert_allclose(tensor[2], 0, atol=1e-12)


def test_onsager_coefficients_add_up(result):
    """The parts of free ions and a rigid lattice of four times their mass sum to the full conductivity."""
    input_, _ = result
    analysis = analyse(**input_, masses={'Li': 1.0, 'Cl': 4.0})
    onsager = analysis.matrices['onsager']
    assert analysis.facts['species'] == ['Li', 'Cl']
    assert onsager.sum() == pytest.approx(analysis.sigma_full.value, rel=1e-6)
    np.testing.assert_allclose(onsager, onsager.T, rtol=1e-9)
    share = np.array(
        [0.8, 0.2]
    )  # of the relative displacement, of the ions and of the lattice in the barycentric frame
    np.testing.assert_allclose(onsager, np.outer(share, share) * onsager.sum(), rtol=0.02)


def test_onsager_coefficients_have_intervals(result):
    """They are symmetric about the value, wider than two standard errors, and stored with the result."""
    _, analysis = result
    value, stderr, interval = (analysis.matrices[name] for name in ('onsager', 'onsager_stderr', 'onsager_ci95'))
    np.testing.assert_allclose(interval.mean(axis=-1), value, atol=1e-12)
    half = np.ptp(interval, axis=-1) / 2
    assert (half >= 1.95 * stderr).all()
    assert (half <= 4.5 * stderr).all()
    assert analysis.attributes()['onsager_ci95'] == interval.tolist()


def test_currents_give_the_same_as_positions(result):
    input_, analysis = result
    charges = np.array([input_['charges'][symbol] for symbol in input_['symbols']])
    currents = [np.diff(np.einsum('tix,i->tx', seed, charges), axis=0) / 0.1 for seed in input_['seeds']]
    estimate = from_currents(currents, cell=input_['cell'], temperature_K=900.0, dt_ps=0.1)
    assert estimate.value == pytest.approx(analysis.sigma_full.value, rel=1e-9)
    assert estimate.interval() == pytest.approx(analysis.sigma_full.interval(), rel=1e-6)


def test_bad_currents_are_refused():
    with pytest.raises(ValueError, match=r'`currents\[0\]` has shape \(30,\)'):
        from_currents([np.zeros(30)], cell=np.eye(3), temperature_K=300.0, dt_ps=0.1)
    with pytest.raises(ValueError, match=r'`currents\[0\]`.*not finite'):
        from_currents([np.full((30, 3), np.nan)], cell=np.eye(3), temperature_K=300.0, dt_ps=0.1)
