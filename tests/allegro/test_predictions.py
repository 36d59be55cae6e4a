"""The files of predictions, whole or cut, and the errors on held-out frames."""

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator

from aiida_ionconduct.allegro.predictions import held_out_errors, read_frames

N_FRAMES = 3


@pytest.fixture
def predictions(tmp_path):
    """Return the path of a file of predictions."""
    frames, rng = [], np.random.default_rng(0)
    for _ in range(N_FRAMES):
        frame = bulk('MgO', 'rocksalt', 4.2)
        frame.calc = SinglePointCalculator(frame, energy=rng.normal(), forces=rng.normal(size=(2, 3)))
        frames.append(frame)
    ase.io.write(tmp_path / 'predictions.xyz', frames, format='extxyz')
    return tmp_path / 'predictions.xyz'


def test_cut_anywhere(predictions, tmp_path):
    """Of a file that a killed job has left, whole frames are read, never half a number."""
    text, cut = predictions.read_text(), tmp_path / 'cut.xyz'
    whole = read_frames(predictions)
    assert len(whole) == N_FRAMES
    for end in range(len(text)):
        cut.write_text(text[:end])
        frames = read_frames(cut)
        assert len(frames) < N_FRAMES, end
        for frame, expected in zip(frames, whole, strict=False):
            np.testing.assert_array_equal(frame.get_forces(), expected.get_forces())


def test_missing_file_has_no_frames(tmp_path):
    assert read_frames(tmp_path / 'predictions.xyz') == []


def test_stress_errors():
    """Errors of the stress from references that are as nequip writes them, nine numbers a frame."""
    rng = np.random.default_rng(0)
    reference = rng.normal(size=(2, 3, 3))
    reference += reference.transpose(0, 2, 1)
    parity = {
        'energy_reference_eV_per_atom': np.zeros(2),
        'energy_predicted_eV_per_atom': np.zeros(2),
        'forces_reference': np.zeros((2, 3)),
        'forces_predicted': np.zeros((2, 3)),
        'numbers': np.array([3, 8]),
        'stress_reference': reference,
        'stress_predicted': reference + 0.01 * np.array([1, -1])[:, None, None],
    }
    errors = held_out_errors(parity)
    assert errors['test_stress_mae_eV_per_A3'] == pytest.approx(0.01)
    assert errors['test_stress_rmse_eV_per_A3'] == pytest.approx(0.01)
