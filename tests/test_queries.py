"""The ready queries against the nodes themselves."""

import numpy as np
import pytest
from aiida import orm

from aiida_ionconduct import queries
from aiida_ionconduct.data import ConductivityData, IonTrajectoryData


@pytest.fixture(scope='module')
def results(stored_campaign):
    """Conductivities of the campaign, cold to hot."""
    return sorted(dict(stored_campaign.outputs.conductivities).values(), key=lambda one: one.temperature_K)


def test_conductivities(stored_campaign, results):
    found = queries.conductivities('ClLi', campaign=stored_campaign)
    assert found['pk'].tolist() == [one.pk for one in results]
    assert found['campaign'].tolist() == [stored_campaign.pk] * 2
    for (_, row), one in zip(found.iterrows(), results, strict=True):
        a = one.base.attributes.all
        for name in ('temperature_K', 'sigma_full_S_per_cm', 'haven_ratio', 'n_seeds', 'converged', 'estimator'):
            assert row[name] == a[name], name
        assert [row['sigma_full_ci95_low'], row['sigma_full_ci95_high']] == a['sigma_full_ci95']
        assert row['n_warnings'] == len(a['warnings'])


@pytest.mark.parametrize('composition', ['LiCl', 'ClLi', 'Li4Cl4'])
def test_any_way_to_write_a_composition(results, composition):
    assert set(queries.conductivities(composition)['pk']) >= {one.pk for one in results}


def test_filters(results):
    cold, hot = (one.pk for one in results)
    assert cold not in queries.conductivities('LiCl', (700, 1000))['pk'].tolist()
    assert hot in queries.conductivities('LiCl', (900, 900))['pk'].tolist()
    states = {state: set(queries.conductivities('LiCl', converged=state)['pk']) for state in (True, False)}
    assert not states[True] & states[False]
    assert states[True] | states[False] >= {cold, hot}
    with pytest.raises(ValueError, match='no chemical formula'):
        queries.conductivities('sodium')


def test_without_a_number(aiida_profile):
    """What did not diffuse has no number, and the frame says so without a Python object in it."""
    attributes = {
        'reduced_composition': 'NaBr',
        'temperature_K': 300.0,
        'sigma_full_S_per_cm': None,
        'warnings': ['a', 'b'],
    }
    node = ConductivityData()
    node.base.attributes.set_many(attributes)
    node.store()
    found = queries.conductivities('NaBr')
    assert np.isnan(found['sigma_full_S_per_cm']).all()
    assert found.dtypes['sigma_full_S_per_cm'] == 'float64'
    assert queries.arrhenius_series('NaBr').empty
    assert queries.with_warnings('NaBr')['warning'].tolist() == ['a', 'b']
    assert queries.trajectories_behind(node).empty


def test_empty_frames_have_their_columns_and_types():
    for query, columns in (
        (queries.conductivities, queries.CONDUCTIVITY_COLUMNS),
        (queries.arrhenius_series, queries.SERIES_COLUMNS),
        (queries.campaigns, queries.CAMPAIGN_COLUMNS),
        (queries.with_warnings, queries.WARNING_COLUMNS),
    ):
        found = query('KI')
        assert tuple(found.columns) == columns
        assert found.empty
        assert found.dtypes['pk'] == 'Int64'


def test_arrhenius_series(stored_campaign):
    """Points and line are those of the campaign's own fit."""
    found = queries.arrhenius_series(campaign=stored_campaign)
    T = found['temperature_K']
    np.testing.assert_allclose(found['ln_sigma_T'], np.log(found['sigma_full_S_per_cm'] * T))
    np.testing.assert_allclose(found['inverse_temperature_1000_per_K'], 1000 / T)
    assert T.is_monotonic_increasing
    fit, own = found.attrs['fits'][stored_campaign.pk], stored_campaign.outputs.arrhenius
    for name in ('activation_energy_eV', 'activation_energy_stderr'):
        assert fit[name] == pytest.approx(own[name], rel=1e-10)


def test_campaigns(stored_campaign):
    found = queries.campaigns('LiCl')
    row = found[found['pk'] == stored_campaign.pk].iloc[0]
    assert (row['state'], row['exit_status'], row['protocol'], row['temperatures_K']) == (
        'finished',
        0,
        'balanced',
        '600, 900',
    )
    assert row['activation_energy_eV'] == pytest.approx(stored_campaign.outputs.arrhenius['activation_energy_eV'])
    assert row['passed_validation']


def test_made_with_model(stored_campaign, results):
    """Everything below the model, and below another node with the same file; nothing else."""
    runs = [run.pk for run in dict(stored_campaign.outputs.trajectories).values()]
    copy = orm.load_node(stored_campaign.outputs.model.pk).clone().store()
    for model in (stored_campaign.outputs.model, copy):
        found = queries.made_with_model(model)
        assert set(found['pk']) == {*runs, *(one.pk for one in results)}
        assert set(found[found['kind'] == 'ConductivityData']['temperature_K']) == {600.0, 900.0}


def test_trajectories_behind(stored_campaign, results):
    found = queries.trajectories_behind(results[1])
    runs = {label: run for label, run in dict(stored_campaign.outputs.trajectories).items() if label.startswith('T900')}
    assert dict(zip(found['label'], found['pk'], strict=True)) == {label: run.pk for label, run in runs.items()}
    assert found['seed'].tolist() == [1, 2, 3]
    assert found['length_ps'].tolist() == [pytest.approx(200.0)] * 3
    assert set(found['model']) == {stored_campaign.outputs.model.pk}
    assert set(found['job']) == {run.creator.pk for run in runs.values()}


def test_lists_of_data(stored_campaign):
    model = stored_campaign.outputs.model
    assert model.pk in queries.models()['pk'].tolist()
    assert queries.models().set_index('pk').loc[model.pk, 'type_names'] == 'Li, Cl'
    assert stored_campaign.inputs.structure.pk in queries.structures()['pk'].tolist()
    n_runs = orm.QueryBuilder().append(IonTrajectoryData).count()
    assert len(queries.trajectories()) == n_runs >= 6
    assert tuple(queries.datasets().columns) == queries.DATASET_COLUMNS


def test_every_attribute_is_documented(results):
    """The docstring of the node type names every attribute that a conductivity has."""
    text = ConductivityData.__doc__
    names = [name for name in results[0].base.attributes.all if not name.startswith('array|')]
    assert [name for name in names if f'``{name}``' not in text] == []
