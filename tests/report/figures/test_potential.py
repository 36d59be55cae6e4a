"""The figures of the potential show the numbers they are given."""

import numpy as np

from aiida_ionconduct.report.figures.potential import learning_curves, parity

from .drawn import legend_texts


def test_parity_states_the_error_of_each_element():
    rng = np.random.default_rng(1)
    reference, noise = rng.normal(size=(30, 3)), rng.normal(size=(30, 3)) * 0.05
    symbols = ['Li'] * 20 + ['O'] * 10
    entries = legend_texts(parity(reference, reference + noise, label='force', unit='eV/Å', groups=symbols))
    expected = [('Li', abs(noise[:20]).sum() / 60), ('O', abs(noise[20:]).sum() / 30)]
    assert entries == [f'{name}: MAE {1000 * error:.3g} meV/Å' for name, error in expected]


def test_learning_curves_skip_epochs_without_a_value():
    figure = learning_curves({'epoch': [0, 1, 2], 'train_loss': [1.0, None, 0.5], 'val_force_mae': [0.2, 0.1, 0.1]})
    loss, error = (axes.get_lines()[0] for axes in figure.axes)
    np.testing.assert_array_equal(loss.get_xdata(), [0, 2])
    np.testing.assert_allclose(error.get_ydata(), [200, 100, 100])
