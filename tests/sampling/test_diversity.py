"""The choice of frames for DFT."""

import numpy as np
import pytest

from aiida_ionconduct.sampling.diversity import diverse_frames, shares
from aiida_ionconduct.sampling.frames import read_frames, whole_frames
from aiida_ionconduct.structures import crystal


@pytest.mark.parametrize(
    ('sizes', 'n_frames', 'expected'),
    [
        ([100, 50, 50], 20, [10, 5, 5]),
        ([100, 1, 1], 10, [8, 1, 1]),
        ([3, 2], 10, [3, 2]),
        ([5, 5, 5], 2, [1, 1, 0]),
    ],
)
def test_shares(sizes, n_frames, expected):
    """In proportion to the groups, at least one frame of each as far as they suffice, never more than there are."""
    assert shares(sizes, n_frames) == expected


def frame(amplitude, seed, **info):
    """Return a crystal with random displacements."""
    atoms = crystal('beta-Li3PO4')
    atoms.positions += np.random.default_rng(seed).normal(scale=amplitude, size=atoms.positions.shape)
    atoms.info.update(info)
    return atoms


def test_frames_that_differ_are_chosen():
    """Of many frames that hardly differ and two that do, these two are among three."""
    frames = [frame(0.001, seed, run='T900') for seed in range(8)]
    frames[3], frames[6] = frame(0.3, 20, run='T900'), frame(0.3, 21, run='T900')
    assert {3, 6} <= set(diverse_frames(frames, 3))


def test_every_kind_of_sampling_has_its_share():
    frames = [frame(0.05, seed, run='T900') for seed in range(6)] + [frame(0.3, seed, source='hops') for seed in (7, 8)]
    chosen = diverse_frames(frames, 4)
    assert len([index for index in chosen if index < 6]) == 3
    assert len([index for index in chosen if index >= 6]) == 1


def test_equal_frames_are_taken_once():
    frames = [frame(0.0, 0, run='T900') for _ in range(5)]
    assert len(diverse_frames(frames, 3)) == 1


def test_text_that_is_no_frame():
    """An empty file, or one that ends within its first frame, has no frames."""
    assert read_frames('') == []
    assert whole_frames('2\nLattice="1 0 0 0 1 0 0 0 1"\nLi 0 0 0\n') == ''
    assert whole_frames('not a number\n') == ''
