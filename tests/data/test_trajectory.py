"""`IonTrajectoryData`: arrays in and out, each stored once, and what it refuses."""

import numpy as np
import pytest
from aiida import orm

from aiida_ionconduct.data import IonTrajectoryData


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


def test_round_trip(md_run, aiida_profile_clean):
    node = orm.load_node(IonTrajectoryData(**md_run).store().pk)
    assert node.positions.dtype == np.float32
    np.testing.assert_array_equal(node.positions, md_run['positions'].astype(np.float32))
    np.testing.assert_array_equal(node.centres_of_mass, md_run['centres_of_mass'])
    assert node.centres_of_mass.dtype == np.float64
    np.testing.assert_array_equal(node.thermo['total_energy_eV'], md_run['thermo'][:, 1])
    np.testing.assert_array_equal(node.cell, md_run['cell'])
    assert (node.symbols, node.temperature_K, node.frame_interval_ps) == (['Li', 'Li', 'O'], 900.0, 0.02)
    assert node.length_ps == pytest.approx(0.08)
    expected = {'n_frames': 5, 'n_atoms': 3, 'seed': 3, 'ensemble': 'NVE', 'species': ['Li', 'O']}
    assert {name: node.base.attributes.get(name) for name in expected} == expected


def test_stored_once(md_run, aiida_profile_clean):
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


def test_found_by_attributes(md_run, aiida_profile_clean):
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
def test_wrong_shape(name, value, message, md_run):
    with pytest.raises(ValueError, match=message):
        IonTrajectoryData(**{**md_run, name: value})


@pytest.mark.parametrize('name', ['positions', 'centres_of_mass', 'thermo'])
@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_not_finite(name, value, md_run):
    md_run[name][3, 1] = value
    with pytest.raises(ValueError, match=f'{name} hold a value that is not finite, first in frame 3'):
        IonTrajectoryData(**md_run)


def test_unknown_array(md_run):
    with pytest.raises(ValueError, match='`velocities` is not one of positions, centres_of_mass, thermo'):
        IonTrajectoryData(**md_run).get_array('velocities')
