"""`ConductivityData`: attributes a query can filter on, and the curves of an analysis."""

import numpy as np
import pytest
from aiida import orm
from aiida.orm.implementation.utils import clean_value

from aiida_ionconduct.data import ConductivityData
from aiida_ionconduct.transport import analyse


@pytest.fixture(scope='module')
def analysed():
    """Return the analysis of random walkers, which have a conductivity."""
    rng = np.random.default_rng(1)
    walk = np.cumsum(rng.normal(scale=0.3, size=(4, 400, 8, 3)), axis=1)
    lattice = np.zeros((4, 400, 8, 3))
    seeds = list(np.concatenate((walk, lattice), axis=2))
    symbols, charges = ['Li'] * 8 + ['Cl'] * 8, {'Li': 1, 'Cl': -1}
    return analyse(seeds, symbols, charges=charges, cell=20 * np.eye(3), temperature_K=900.0, dt_ps=0.1)


def test_round_trip(analysed, aiida_profile_clean):
    """A stored node has the numbers and curves of the analysis."""
    node = ConductivityData.from_result(analysed, composition='LiCl', seeds=[1, 2, 3, 4]).store()
    node = orm.load_node(node.pk)
    stored = {name: value for name, value in node.base.attributes.all.items() if not name.startswith('array')}
    # AiiDA keeps 14 digits of a number
    assert stored == clean_value({**analysed.attributes(), 'composition': 'LiCl', 'seeds': [1, 2, 3, 4]})
    assert set(node.get_arraynames()) == set(analysed.curves)
    for name, curve in analysed.curves.items():
        np.testing.assert_array_equal(node.get_array(name), curve)
    assert node.temperature_K == 900.0


@pytest.mark.parametrize(
    ('filters', 'count'),
    [
        ({'attributes.sigma_full_S_per_cm': {'>': 1e-3}}, 1),
        ({'attributes.sigma_full_S_per_cm': {'>': 1e3}}, 0),
        ({'attributes.composition': 'LiCl', 'attributes.n_seeds': 4}, 1),
        ({'attributes.diffusive': True, 'attributes.temperature_K': {'<': 800}}, 0),
    ],
)
def test_query_by_attributes(filters, count, analysed, aiida_profile_clean):
    ConductivityData.from_result(analysed, composition='LiCl').store()
    assert orm.QueryBuilder().append(ConductivityData, filters=filters).count() == count


def test_without_a_number(aiida_profile_clean):
    """Ions that only rattle have no conductivity: the attribute is None, as a database cannot hold NaN."""
    rng = np.random.default_rng(2)
    seeds = list(rng.normal(scale=0.1, size=(2, 200, 4, 3)))
    result = analyse(
        seeds, ['Li', 'Li', 'Cl', 'Cl'], charges={'Li': 1, 'Cl': -1}, cell=9 * np.eye(3), temperature_K=300.0, dt_ps=0.1
    )
    node = orm.load_node(ConductivityData.from_result(result).store().pk)
    assert node.base.attributes.get('sigma_full_S_per_cm') is None
    assert node.base.attributes.get('diffusive') is False
    query = orm.QueryBuilder().append(ConductivityData, filters={'attributes.sigma_full_S_per_cm': {'>': 0}})
    assert query.count() == 0
