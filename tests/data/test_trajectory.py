"""`IonTrajectoryData`: arrays in and out, each stored once, segments, exports, and arrays that are refused."""

import ase.io
import numpy as np
import pytest
from aiida import orm
from aiida.manage import get_manager

from aiida_ionconduct.calculations.functions.trajectories import join_segments
from aiida_ionconduct.data import IonTrajectoryData
from aiida_ionconduct.labels import segment_label


@pytest.fixture
def md_run():
    """Return the arguments of a node: 5 frames of 3 atoms, the centres of mass at a stride half as long."""
    rng = np.random.default_rng(0)
    return {
        'positions': rng.normal(size=(5, 3, 3)),
        'centres_of_mass': rng.normal(size=(9, 2, 3)),
        'thermo': rng.normal(size=(5, 2)),
        'symbols': ['Li', 'Li', 'O'],
        'species': ['Li', 'O'],
        'cell': np.diag([4.0, 5.0, 6.0]),
        'temperature_K': np.float64(900),
        'timestep_fs': 1.0,
        'frame_interval_ps': 0.02,
        'com_interval_ps': 0.01,
        'seed': np.int64(3),
        'thermo_columns': ('step', 'total_energy_eV'),
        'ensemble': 'NVE',
    }


def test_arrays_come_back_as_they_were(md_run, aiida_profile_clean):
    node = orm.load_node(IonTrajectoryData(**md_run).store().pk)
    assert node.positions.dtype == np.float32
    np.testing.assert_array_equal(node.positions, md_run['positions'].astype(np.float32))
    np.testing.assert_array_equal(node.centres_of_mass, md_run['centres_of_mass'])
    assert node.centres_of_mass.dtype == np.float64
    np.testing.assert_array_equal(node.thermo['total_energy_eV'], md_run['thermo'][:, 1])
    np.testing.assert_array_equal(node.cell, md_run['cell'])


def test_attributes(md_run, aiida_profile_clean):
    """Numbers come back as plain numbers, and frames and atoms are counted."""
    node = orm.load_node(IonTrajectoryData(**md_run).store().pk)
    assert (node.symbols, node.temperature_K, node.frame_interval_ps) == (['Li', 'Li', 'O'], 900.0, 0.02)
    assert node.length_ps == pytest.approx(0.08)
    expected = {'n_frames': 5, 'n_atoms': 3, 'seed': 3, 'ensemble': 'NVE', 'species': ['Li', 'O']}
    assert {name: node.base.attributes.get(name) for name in expected} == expected


def test_arrays_are_stored_once(md_run, aiida_profile_clean):
    """Three files, the largest of the size of float32 positions, and no array in the database."""
    node = IonTrajectoryData(**md_run).store()
    sizes = {
        name: len(node.base.repository.get_object_content(name, 'rb'))
        for name in node.base.repository.list_object_names()
    }
    assert sizes == {
        'positions.npy': 128 + 5 * 3 * 3 * 4,
        'centres_of_mass.npy': 128 + 9 * 2 * 3 * 8,
        'thermo.npy': 128 + 80,
    }
    assert not {'positions', 'centres_of_mass', 'thermo'} & set(node.base.attributes.keys())


def test_query_by_attributes(md_run, aiida_profile_clean):
    for temperature in (600.0, 900.0, 1200.0):
        IonTrajectoryData(**{**md_run, 'temperature_K': temperature}).store()
    query = orm.QueryBuilder().append(IonTrajectoryData, filters={'attributes.temperature_K': {'>': 800}})
    assert sorted(node.temperature_K for node in query.all(flat=True)) == [900.0, 1200.0]


@pytest.mark.parametrize(
    ('name', 'value', 'message'),
    [
        ('positions', np.zeros((5, 2, 3)), r'positions have shape \(5, 2, 3\), expected \(frames, 3, 3\)'),
        ('positions', np.zeros((3, 3)), r'positions have shape \(3, 3\), expected \(frames, 3, 3\)'),
        ('centres_of_mass', np.zeros((5, 3, 3)), r'centres_of_mass have shape .* expected \(frames, 2, 3\)'),
    ],
)
def test_wrong_shapes_are_refused(name, value, message, md_run):
    with pytest.raises(ValueError, match=message):
        IonTrajectoryData(**{**md_run, name: value})


@pytest.mark.parametrize('name', ['positions', 'centres_of_mass', 'thermo'])
@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(name, value, md_run):
    md_run[name][3, 1] = value
    with pytest.raises(ValueError, match=f'{name} hold a value that is not finite, first in frame 3'):
        IonTrajectoryData(**md_run)


def test_an_unknown_array_is_refused(md_run):
    with pytest.raises(ValueError, match='`velocities` is not one of positions, centres_of_mass, thermo'):
        IonTrajectoryData(**md_run).get_array('velocities')


# Reading without loading --------------------------------------------------------------------------------------------


def test_arrays_of_a_stored_node_are_mapped(md_run, aiida_profile_clean):
    """The file of a stored node is mapped; the file of a node that is not stored is read."""
    node = IonTrajectoryData(**md_run)
    np.testing.assert_array_equal(node.positions, md_run['positions'].astype(np.float32))
    node.store()
    again = orm.load_node(node.pk).positions
    assert isinstance(again, np.memmap)
    assert not again.flags.writeable
    np.testing.assert_array_equal(again, md_run['positions'].astype(np.float32))


def test_packed_arrays_are_read(md_run, aiida_profile_clean):
    """`verdi storage maintain` packs files together, and packed files cannot be mapped."""
    node = IonTrajectoryData(**md_run).store()
    before = node.positions
    get_manager().get_profile_storage().get_repository().maintain(live=False)
    after = orm.load_node(node.pk).positions
    assert not isinstance(after, np.memmap)
    np.testing.assert_array_equal(after, md_run['positions'].astype(np.float32))
    np.testing.assert_array_equal(before, after)  # what was mapped stays readable


# Segments -----------------------------------------------------------------------------------------------------------


COLUMNS = ('step', 'temperature_K', 'potential_energy_eV', 'total_energy_eV')


@pytest.fixture
def segments(md_run):
    """Return three segments of 5, 3 and 1 frames, with twice as many centres of mass."""
    rng = np.random.default_rng(1)
    parts = []
    for first, count in ((0, 5), (5, 3), (8, 1)):
        arrays = {
            'positions': rng.normal(size=(count, 3, 3)),
            'centres_of_mass': rng.normal(size=(2 * count, 2, 3)),
            'thermo': np.column_stack([np.arange(first, first + count) * 20.0, rng.normal(size=(count, 3))]),
        }
        own = {'thermo_columns': COLUMNS, 'start_ps': 0.02 * first, 'com_start_ps': 0.02 * first}
        parts.append(IonTrajectoryData(**{**md_run, **arrays, **own}))
    return parts


def joined(segments):
    """Return the outputs of the calculation function that joins segments."""
    named = {segment_label(index): part.store() for index, part in enumerate(segments)}
    named |= {f'parameters_{index:03d}': orm.Dict({'wall_time_s': 2.0, 'n_steps': 3}) for index in range(len(segments))}
    return join_segments(**named)


def test_joined_by_reference(segments, aiida_profile):
    """A joined trajectory has all frames in order, and stores none of them a second time."""
    node = orm.load_node(joined(segments)['trajectory'].pk)
    assert node.base.repository.list_object_names() == []
    assert [segment.uuid for segment in node.segments] == [segment.uuid for segment in segments]
    for name in ('positions', 'centres_of_mass', 'thermo'):
        expected = np.concatenate([segment.get_array(name) for segment in segments])
        np.testing.assert_array_equal(node.get_array(name), expected)
    assert node.base.attributes.get('n_frames') == 9


def test_times_of_a_joined_trajectory(segments, aiida_profile):
    """Times go on over the segments."""
    node = orm.load_node(joined(segments)['trajectory'].pk)
    assert node.times_ps == pytest.approx(0.02 * np.arange(9))
    assert node.thermo_times_ps == pytest.approx(0.02 * np.arange(9))
    assert node.length_ps == pytest.approx(0.16)


def test_description_of_a_joined_trajectory(segments, aiida_profile):
    """It counts the segments, and adds up their wall times."""
    description = joined(segments)['output_parameters'].get_dict()
    assert description['n_segments'] == 3
    assert description['wall_time_s'] == 6.0


def test_joined_twice(segments, aiida_profile):
    """A run that is extended is joined to what was joined before, and has the original segments."""
    first = joined(segments[:2])['trajectory']
    both = orm.load_node(joined([first, segments[2]])['trajectory'].pk)
    assert len(both.positions) == 9
    assert [segment.uuid for segment in both.segments] == [segment.uuid for segment in segments]


def test_hash_knows_the_content(segments, md_run, aiida_profile):
    """Two joined runs of the same length and temperature are not the same to the cache."""
    first = joined(segments[:2])['trajectory']
    changed = {'positions': md_run['positions'] + 1, 'thermo': np.ones((5, 4)), 'thermo_columns': COLUMNS}
    second = joined([IonTrajectoryData(**{**md_run, **changed}), segments[1]])['trajectory']
    assert first.base.caching.compute_hash() != second.base.caching.compute_hash()


@pytest.mark.parametrize(
    ('order', 'message'), [((0, 2), r'a gap of 0\.06 ps'), ((1, 0), 'an overlap of 0.16 ps'), ((0, 0), 'an overlap')]
)
def test_a_gap_or_overlap_is_refused(order, message, segments):
    with pytest.raises(ValueError, match=message):
        IonTrajectoryData.join([segments[index] for index in order])


def test_segments_of_another_run_are_refused(segments, md_run):
    with pytest.raises(ValueError, match='differ in seed: they are not of one run'):
        IonTrajectoryData.join([segments[0], IonTrajectoryData(**{**md_run, 'seed': 4, 'start_ps': 0.1})])


# Exports ------------------------------------------------------------------------------------------------------------


def test_extxyz(segments, aiida_profile, tmp_path):
    """ASE reads back every second frame, counted across the segments."""
    node = joined(segments)['trajectory']
    assert node.write_extxyz(tmp_path / 'run.extxyz', stride=2) == 5
    frames = ase.io.read(tmp_path / 'run.extxyz', ':')
    np.testing.assert_allclose([frame.positions for frame in frames], node.positions[::2], atol=1e-6)
    assert [frame.info['time_ps'] for frame in frames] == pytest.approx([0, 0.04, 0.08, 0.12, 0.16])
    assert frames[0].get_chemical_formula() == 'Li2O'
    assert frames[0].cell.lengths() == pytest.approx([4, 5, 6])
    assert frames[0].pbc.all()


def test_export_as_a_trajectory_of_aiida(md_run, aiida_profile_clean):
    node = IonTrajectoryData(**md_run).store()
    core = node.get_trajectory(stride=2).store()
    np.testing.assert_array_equal(core.get_positions(), node.positions[::2])
    assert core.symbols == ['Li', 'Li', 'O']
    assert core.get_times() == pytest.approx([0, 0.04, 0.08])
    assert core.get_step_structure(1).get_ase().cell.lengths() == pytest.approx([4, 5, 6])
