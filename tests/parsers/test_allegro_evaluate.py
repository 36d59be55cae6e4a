"""`AllegroEvaluateParser`: the file of predictions, whole or not; real ones are in the integration tests."""

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator

from aiida_ionconduct.parsers.allegro_evaluate import read_frames

N_FRAMES = 3


@pytest.fixture
def predictions(tmp_path):
    """A file of predictions."""
    frames, rng = [], np.random.default_rng(0)
    for _ in range(N_FRAMES):
        frame = bulk('MgO', 'rocksalt', 4.2)
        frame.calc = SinglePointCalculator(frame, energy=rng.normal(), forces=rng.normal(size=(2, 3)))
        frames.append(frame)
    ase.io.write(tmp_path / 'predictions.xyz', frames, format='extxyz')
    return tmp_path / 'predictions.xyz'


def test_cut_anywhere(predictions, tmp_path):
    """Of a file that a killed job has left there are all frames or fewer, never half a number."""
    text, cut = predictions.read_text(), tmp_path / 'cut.xyz'
    whole = read_frames(predictions)
    assert len(whole) == N_FRAMES
    for end in range(len(text)):
        cut.write_text(text[:end])
        frames = read_frames(cut)
        assert len(frames) < N_FRAMES, end
        for frame, expected in zip(frames, whole, strict=False):
            np.testing.assert_array_equal(frame.get_forces(), expected.get_forces())


def test_not_there(tmp_path):
    assert read_frames(tmp_path / 'predictions.xyz') == []
