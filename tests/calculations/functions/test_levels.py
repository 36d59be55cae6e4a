"""Two levels of theory in one training set: which frames are compared, what is shifted, and what is refused."""

import numpy as np
import pytest
from aiida import orm
from ase.calculators.singlepoint import SinglePointCalculator

from aiida_ionconduct.calculations.functions.levels import (
    compare_levels,
    describe_levels,
    pick_level_frames,
    shift_to_level,
)
from aiida_ionconduct.data import DatasetData

LIMITS = {'n_frames': 4, 'max_forces_rmse_eV_per_A': 0.1, 'max_energy_mae_eV_per_atom': 0.01}
SHIFTS = {'Li': -200.0, 'P': -190.0, 'O': -430.0, 'Si': -110.0}
"""The energies of atoms with pseudopotentials less those of another program, eV."""


def labelled(crystal, n_frames=5, seed=0):
    """Return rattled frames of a crystal with labels of a first program."""
    rng, frames = np.random.default_rng(seed), []
    for _ in range(n_frames):
        frame = crystal.copy()
        frame.positions += rng.normal(scale=0.05, size=frame.positions.shape)
        results = {'energy': -5.0 * len(frame) + rng.normal(), 'forces': rng.normal(size=frame.positions.shape)}
        frame.calc = SinglePointCalculator(frame, **results)
        frames.append(frame)
    return frames


def again(frames, force_error=0.0, energy_error=0.0):
    """Return frames with labels of a second program: shifted energies, and errors in eV/Å and eV/atom."""
    rng, others = np.random.default_rng(9), []
    for frame in frames:
        other = frame.copy()
        shift = sum(SHIFTS[symbol] for symbol in frame.symbols) + len(frame) * energy_error * rng.normal()
        forces = frame.get_forces() + force_error * rng.normal(size=frame.positions.shape)
        other.calc = SinglePointCalculator(other, energy=frame.get_potential_energy() + shift, forces=forces)
        others.append(other)
    return others


def compare(frames, others, **limits):
    """Return the comparison of a training set with frames that were labelled again."""
    nodes = {'label': DatasetData.from_frames(others)}
    return compare_levels(orm.Dict({**LIMITS, **limits}), DatasetData.from_frames(frames), **nodes)


def test_energies_are_shifted_by_element(aiida_profile, crystals):
    """Energies that differ by hundreds of eV per atom become those of DFT here; forces stay."""
    frames = labelled(crystals['Li3PO4'])
    outcome = compare(frames, again(frames[1:4], force_error=0.02, energy_error=1e-4))
    assert outcome['agree']
    assert outcome['n_frames'] == 3
    assert outcome['forces_rmse_eV_per_A'] == pytest.approx(0.02, rel=0.2)
    shifted = shift_to_level(DatasetData.from_frames(frames), outcome).get_frames()
    for frame, other in zip(shifted, again(frames), strict=True):
        assert abs(frame.get_potential_energy() - other.get_potential_energy()) / len(frame) < 1e-3
    np.testing.assert_allclose(shifted[0].get_forces(), frames[0].get_forces(), atol=1e-6)


@pytest.mark.parametrize('errors', [{'force_error': 0.3}, {'energy_error': 0.05}])
def test_levels_that_disagree(aiida_profile, crystals, errors):
    """Another functional, or labels of another structure: the words have the numbers."""
    frames = labelled(crystals['Li3PO4'])
    outcome = compare(frames, again(frames, **errors))
    assert not outcome['agree']
    text = describe_levels(outcome.get_dict())
    assert f'forces that differ by {outcome["forces_rmse_eV_per_A"]:.3g} eV/Å (RMS; the forces have ' in text
    assert f'energies that differ by {outcome["energy_mae_eV_per_atom"]:.3g} eV/atom' in text


def test_composition_that_was_not_labelled_again(aiida_profile, crystals):
    """One composition tells the shift of its own energies, not of others."""
    frames = labelled(crystals['Li3PO4']) + labelled(crystals['Li7PSiO8'])
    outcome = compare(frames, again(frames[:5]))
    assert not outcome['agree']
    assert outcome['uncovered'] == ['Li7O8PSi']
    assert 'the energies of Li7O8PSi cannot be shifted' in describe_levels(outcome.get_dict())
    assert compare(frames, again(frames))['agree']


def test_no_frame_in_common(aiida_profile, crystals):
    frames = labelled(crystals['Li3PO4'])
    with pytest.raises(ValueError, match='none of the labelled frames is a frame of the training set'):
        compare(frames, again(labelled(crystals['Li3PO4'], seed=5)))


def test_frames_are_picked_by_composition(aiida_profile, crystals):
    """Of every independent composition, from the lowest to the highest energy; elements unknown to DFT are left out."""
    frames = labelled(crystals['Li3PO4'], 8) + labelled(crystals['Li7PSiO8'], 6)
    structure = orm.StructureData(ase=crystals['Li7PSiO8'])
    picked = pick_level_frames(DatasetData.from_frames(frames), structure, orm.Dict(LIMITS))
    assert {label: node.numsteps for label, node in picked.items()} == {'composition_0': 2, 'composition_1': 2}
    lowest = min(frames[:8], key=lambda frame: frame.get_potential_energy())
    np.testing.assert_allclose(picked['composition_0'].get_positions()[0], lowest.positions, atol=1e-6)
    structure = orm.StructureData(ase=crystals['Li3PO4'])
    picked = pick_level_frames(DatasetData.from_frames(frames), structure, orm.Dict(LIMITS))
    assert {label: node.numsteps for label, node in picked.items()} == {'composition_0': 4}


def test_cells_of_another_size_are_not_picked(aiida_profile, crystals):
    """DFT has one mesh of k-points, which belongs to its own cell."""
    frames = labelled(crystals['Li3PO4'].repeat((2, 1, 1)))
    structure = orm.StructureData(ase=crystals['Li3PO4'])
    assert not pick_level_frames(DatasetData.from_frames(frames), structure, orm.Dict(LIMITS))
