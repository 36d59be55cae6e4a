"""Whether LAMMPS and nequip agree: what passes, and what does not."""

import numpy as np
import pytest
from ase import Atoms

from aiida_ionconduct.allegro.agreement import agreement, describe_disagreement, reference_frame

FORCES = np.random.default_rng(0).normal(size=(17, 3))


def outcome(energy_shift=0.0, force_factor=1.0, force_shift=0.0, **kwargs):
    """Return the comparison of two results that differ in a given way."""
    return agreement((-215.962 + energy_shift, -215.962), (force_factor * FORCES + force_shift, FORCES), **kwargs)


@pytest.mark.parametrize('change', [{}, {'energy_shift': 1e-4}, {'force_shift': 5e-5}, {'force_factor': 1 + 1e-5}])
def test_rounding_agrees(change):
    assert outcome(**change)['agrees']


@pytest.mark.parametrize(
    'change',
    [
        {'energy_shift': -0.006},  # of a message-passing model in pair_style allegro, with 6 % in the forces
        {'force_factor': 1.06},
        {'force_shift': 0.01},
        {'energy_shift': np.nan},
        {'force_factor': np.nan},
        {'force_factor': -1},
    ],
)
def test_wrong_numbers_do_not_agree(change):
    assert not outcome(**change)['agrees']


def test_tf32():
    """Ten bits of mantissa are less accurate; a message-passing model is still told."""
    assert outcome(force_factor=1.003, tf32=True)['agrees']
    assert not outcome(force_factor=1.003)['agrees']
    assert not outcome(force_factor=1.06, tf32=True)['agrees']


def test_words():
    text = describe_disagreement(outcome(energy_shift=-0.17, force_shift=0.2))
    assert text.startswith('0.01 eV/atom in the energy and up to 0.2 eV/Å in the forces, of which the largest is ')


def test_reference_frame_has_all_elements_and_forces_to_compare():
    """Of several compositions the richest is taken; atoms leave their sites, and the frame is the same every time."""
    frames = [Atoms(symbols, cell=[5, 5, 5], pbc=True) for symbols in ('Li2', 'LiPO', 'LiSiO')]
    frame = reference_frame(frames)
    assert str(frame.symbols) == 'LiPO'
    assert 0 < np.abs(frame.positions - frames[1].positions).max() < 0.3
    np.testing.assert_array_equal(frame.positions, reference_frame(frames).positions)
