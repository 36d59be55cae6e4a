"""Training sets: which frames they have, with which labels, and how they are split."""

import numpy as np
import pytest
from aiida import orm

from aiida_ionconduct.calculations.functions.datasets import (
    dataset_from_aimd,
    dataset_from_labels,
    labelled_frames,
    merge_datasets,
    pick_frames,
    split_dataset,
)
from aiida_ionconduct.data import DatasetData, IonTrajectoryData

SPLIT = {'validation': 0.1, 'test': 0.2, 'seed': 1}


def pw_trajectory(n_frames, first_energy=0.0, force=0.1, missing=0):
    """Return what pw.x's parser makes; energies count the frames, forces are told apart by frame, atom and axis."""
    trajectory = orm.TrajectoryData()
    trajectory.set_trajectory(
        symbols=['Li', 'O'],
        positions=np.arange(n_frames * 6).reshape(n_frames, 2, 3) / 10,
        cells=np.array([np.diag([4.0, 5.0, 6.0 + index]) for index in range(n_frames)]),
        stepids=np.arange(n_frames),
    )
    forces = force * np.arange(1, n_frames * 6 + 1).reshape(n_frames, 2, 3)
    trajectory.set_array('forces', forces[: n_frames - missing])
    trajectory.set_array('energy', first_energy + np.arange(n_frames, dtype=float))
    return trajectory


def energies(dataset):
    """Return the energies of all frames."""
    return [frame.get_potential_energy() for frame in dataset.get_frames()]


def test_frames_have_their_own_labels_and_cells():
    frames = labelled_frames(pw_trajectory(3), source='aimd', temperature_K=900.0)
    assert [frame.get_potential_energy() for frame in frames] == [0, 1, 2]
    np.testing.assert_allclose(frames[1].get_forces(), 0.1 * np.arange(7, 13).reshape(2, 3))
    np.testing.assert_allclose(frames[1].positions, np.arange(6, 12).reshape(2, 3) / 10)
    assert [frame.cell.lengths()[2] for frame in frames] == [6, 7, 8]
    assert all(frame.pbc.all() and frame.info == {'source': 'aimd', 'temperature_K': 900.0} for frame in frames)


def test_labelled_frames_with_stress():
    """pw.x prints a pressure of 3 GPa as positive; in ASE the stress of a compressed cell is negative."""
    run = pw_trajectory(2)
    run.set_array('stress', np.array([np.diag([2.0, 3.0, 4.0]), np.eye(3)]))
    stress = labelled_frames(run)[0].get_stress()
    np.testing.assert_allclose(stress, np.array([-2, -3, -4, 0, 0, 0]) / 160.21766208)


def test_labels_of_another_number_of_frames_are_refused():
    """Otherwise forces would belong to other positions."""
    with pytest.raises(ValueError, match='the trajectory has 3 positions, 2 forces and 3 energies'):
        labelled_frames(pw_trajectory(3, missing=1))


def test_dataset_from_aimd():
    """Every third frame of each run, in the order of the labels, with the run and its temperature."""
    parameters = {'stride': 3, 'temperatures_K': {'T600': 600, 'T1200': 1200}}
    runs = {'T600': pw_trajectory(10), 'T1200': pw_trajectory(6, first_energy=100)}
    dataset = dataset_from_aimd(orm.Dict(parameters), **runs)
    assert energies(dataset) == [100, 103, 0, 3, 6, 9]
    stated = [(frame.info['run'], frame.info['temperature_K']) for frame in dataset.get_frames()]
    assert stated == [('T1200', 1200.0)] * 2 + [('T600', 600.0)] * 4
    assert dataset.base.attributes.get('temperatures_K') == [600.0, 1200.0]
    assert dataset.base.attributes.get('sources') == {'aimd': 6}


def test_dataset_from_labels():
    """One frame is left out: the largest force component is 1.2 in the first job, 6 and 12 in the second."""
    runs = {'a': pw_trajectory(2, force=0.1), 'b': pw_trajectory(2, force=1.0, first_energy=50), 'c': pw_trajectory(1)}
    limit = {'source': 'rattled', 'max_force_eV_per_A': 10.0}
    dataset = dataset_from_labels(orm.Dict(limit), **runs)
    assert energies(dataset) == [0, 1, 50, 0]
    assert dataset.base.attributes.get('n_left_out')['exploded'] == 1
    assert dataset.base.attributes.get('sources') == {'rattled': 4}
    negative = dataset_from_labels(
        orm.Dict({**limit, 'max_force_eV_per_A': 1.0}), a=pw_trajectory(1, force=-0.1), b=pw_trajectory(1, force=-0.2)
    )
    assert negative.base.attributes.get('n_left_out')['exploded'] == 1


def test_merged_sets_come_in_the_order_of_their_labels(make_frame):
    sets = {name: DatasetData.from_frames([make_frame(i, source=name)]) for i, name in enumerate('ab')}
    merged = merge_datasets(b=sets['b'], a=sets['a'])
    assert energies(merged) == [0, 1]
    assert merged.base.attributes.get('sources') == {'a': 1, 'b': 1}


@pytest.fixture
def mixed(make_frame):
    """Return 40 frames of a run, 20 of another run, 30 single calculations; energies from 0, 100 and 200 on."""
    runs = [make_frame(float(i), source='aimd', run='T600') for i in range(40)]
    runs += [make_frame(100.0 + i, source='aimd', run='T1200') for i in range(20)]
    return DatasetData.from_frames(runs + [make_frame(200.0 + i, source='rattled') for i in range(30)])


def test_split_is_a_partition(mixed):
    parts = split_dataset(mixed, orm.Dict(SPLIT))
    by_part = {name: energies(part) for name, part in parts.items()}
    assert {name: len(values) for name, values in by_part.items()} == {'train': 63, 'validation': 9, 'test': 18}
    assert sorted(by_part['train'] + by_part['validation'] + by_part['test']) == sorted(energies(mixed))


def test_neighbours_in_time_stay_together(mixed):
    """Validation and test have one block of each run, so that few frames have a neighbour in another part."""
    for name, part in split_dataset(mixed, orm.Dict(SPLIT)).items():
        for first, last in ((0, 100), (100, 200)):
            block = np.array([value for value in energies(part) if first <= value < last])
            assert np.count_nonzero(np.diff(block) != 1) == (1 if name == 'train' else 0)


def test_single_calculations_are_shuffled(mixed):
    def of_rattled(seed):
        """Return the energies of single calculations in the parts."""
        parts = split_dataset(mixed, orm.Dict({**SPLIT, 'seed': seed}))
        return [[value for value in energies(parts[name]) if value >= 200] for name in ('train', 'validation', 'test')]

    once, again, other = of_rattled(1), of_rattled(1), of_rattled(2)
    assert once == again != other
    assert [len(part) for part in once] == [21, 3, 6]
    assert np.ptp(once[2]) > 6  # not a block


def test_labels_survive_the_split(mixed):
    before = {frame.get_potential_energy(): frame for frame in mixed.get_frames()}
    for frame in split_dataset(mixed, orm.Dict(SPLIT))['test'].get_frames():
        same = before[frame.get_potential_energy()]
        np.testing.assert_allclose(frame.get_forces(), same.get_forces())
        assert frame.info == same.info


def test_too_few_frames_to_split_are_refused(make_frame):
    few = DatasetData.from_frames([make_frame(float(i)) for i in range(4)])
    with pytest.raises(ValueError, match='4 frames are too few: none is left for validation'):
        split_dataset(few, orm.Dict(SPLIT))


def md_run(n_frames, offset):
    """Return an ion trajectory of two atoms that leave the cell; the first coordinate counts the frames."""
    positions = np.zeros((n_frames, 2, 3))
    positions[:, 1] = 2
    positions[:, 0, 0] = offset + np.arange(n_frames) / 100
    return IonTrajectoryData(
        positions=positions,
        centres_of_mass=positions,
        thermo=np.zeros((1, 1)),
        symbols=['Li', 'O'],
        species=['Li', 'O'],
        cell=4 * np.eye(3),
        frame_interval_ps=0.01,
        thermo_columns=['step'],
    )


def test_pick_frames():
    """Each run gives the same number of frames at equal times, from the first to the last, wrapped into the cell."""
    runs = {'T900_seed1': md_run(101, 0), 'T900_seed2': md_run(51, 8)}
    frames = pick_frames(orm.Dict({'n_frames': 6}), **runs)
    positions = frames.get_positions()
    assert list(frames.symbols) == ['Li', 'O']
    np.testing.assert_allclose(positions[:, 0, 0], [0, 0.5, 1, 0, 0.25, 0.5], atol=1e-6)
    np.testing.assert_allclose(positions[:, 1], 2)


def test_no_frame_is_picked_twice():
    assert len(pick_frames(orm.Dict({'n_frames': 10}), a=md_run(3, 0)).get_positions()) == 3
