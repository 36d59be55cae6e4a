"""The ready queries against the nodes themselves."""

import numpy as np
import pytest
from aiida import orm
from aiida.common.links import LinkType

from aiida_ionconduct import queries
from aiida_ionconduct.data import ConductivityData, IonTrajectoryData
from aiida_ionconduct.transport import arrhenius


@pytest.fixture(scope='module')
def results(stored_campaign):
    """Return the conductivities of the campaign, cold to hot."""
    return sorted(dict(stored_campaign.outputs.conductivities).values(), key=lambda node: node.temperature_K)


def test_conductivities_have_the_attributes_of_their_nodes(stored_campaign, results):
    table = queries.conductivities('ClLi', campaign=stored_campaign)
    assert table['pk'].tolist() == [node.pk for node in results]
    assert table['campaign'].tolist() == [stored_campaign.pk] * 2
    for (_, row), node in zip(table.iterrows(), results, strict=True):
        a = node.base.attributes.all
        for name in ('temperature_K', 'sigma_full_S_per_cm', 'haven_ratio', 'n_seeds', 'converged', 'estimator'):
            assert row[name] == a[name], name
        assert [row['sigma_full_ci95_low'], row['sigma_full_ci95_high']] == a['sigma_full_ci95']
        assert row['n_warnings'] == len(a['warnings'])


@pytest.mark.parametrize('composition', ['LiCl', 'ClLi', 'Li4Cl4'])
def test_a_composition_is_found_however_it_is_written(results, composition):
    assert set(queries.conductivities(composition)['pk']) >= {node.pk for node in results}


def test_conductivities_are_filtered_by_temperature_and_state(results):
    cold, hot = (node.pk for node in results)
    assert cold not in queries.conductivities('LiCl', (700, 1000))['pk'].tolist()
    assert hot in queries.conductivities('LiCl', (900, 900))['pk'].tolist()
    states = {state: set(queries.conductivities('LiCl', converged=state)['pk']) for state in (True, False)}
    assert not states[True] & states[False]
    assert states[True] | states[False] >= {cold, hot}


def test_a_text_that_is_no_formula_is_refused():
    with pytest.raises(ValueError, match='not a chemical formula'):
        queries.conductivities('sodium')


def test_a_conductivity_without_a_number_is_a_row_with_nan(aiida_profile):
    """Ions that did not diffuse give no number; the column keeps its type, and no other query fails."""
    attributes = {
        'reduced_composition': 'NaBr',
        'temperature_K': 300.0,
        'sigma_full_S_per_cm': None,
        'warnings': ['a', 'b'],
    }
    node = ConductivityData()
    node.base.attributes.set_many(attributes)
    node.store()
    table = queries.conductivities('NaBr')
    assert np.isnan(table['sigma_full_S_per_cm']).all()
    assert table.dtypes['sigma_full_S_per_cm'] == 'float64'
    assert queries.arrhenius_series('NaBr').empty
    assert queries.with_warnings('NaBr')['warning'].tolist() == ['a', 'b']
    assert queries.trajectories_behind(node).empty


def test_the_line_of_a_series_takes_bounds_and_measured_temperatures(aiida_profile):
    """A temperature without a number is no row, but its upper bound is in the fit; a bound of zero is not."""
    campaign, numbers = orm.WorkChainNode(), {600.0: None, 650.0: None, 900.0: 1e-3, 1200.0: 1e-2}
    campaign.base.attributes.set('process_label', 'ConductivityWorkChain')
    campaign.set_process_type('aiida.workflows:ionconduct.conductivity')
    campaign.store()
    for T, sigma in numbers.items():
        node = ConductivityData()
        node.base.attributes.set_many(
            {
                'reduced_composition': 'KBr', 'temperature_K': T, 'sigma_full_S_per_cm': sigma,
                'sigma_full_stderr': sigma and 0.1 * sigma, 'sigma_full_dof': 1e9, 'measured_temperature_K': T + 3.0,
                'measured_temperature_stderr': 2.0,
                'sigma_full_upper_S_per_cm': {600.0: 1e-6, 650.0: 0.0}.get(T, 1.2 * (sigma or 0)), 'warnings': [],
            }
        )  # fmt: skip
        node.store()
        node.base.links.add_incoming(campaign, LinkType.RETURN, f'conductivities__T{T:.0f}')
    table = queries.arrhenius_series('KBr')
    assert table['temperature_K'].tolist() == [900.0, 1200.0]
    fit = table.attrs['fits'][campaign.pk]
    assert (fit['n_temperatures'], fit['n_bounds']) == (2, 1)
    expected = arrhenius(
        [603.0, 903.0, 1203.0], [None, 1e-3, 1e-2], [None, 1e-4, 1e-3], uppers=[1e-6, None, None],
        temperature_stderrs_K=[2.0] * 3,
    )  # fmt: skip
    assert fit['activation_energy_ci95'] == pytest.approx(expected['activation_energy_ci95'])


def test_empty_frames_have_their_columns_and_types():
    for query, columns in (
        (queries.conductivities, queries.CONDUCTIVITY_COLUMNS),
        (queries.arrhenius_series, queries.SERIES_COLUMNS),
        (queries.campaigns, queries.CAMPAIGN_COLUMNS),
        (queries.with_warnings, queries.WARNING_COLUMNS),
    ):
        table = query('KI')
        assert tuple(table.columns) == columns
        assert table.empty
        assert table.dtypes['pk'] == 'Int64'


def test_points_and_fit_of_a_series_agree_with_the_campaign(stored_campaign):
    table = queries.arrhenius_series(campaign=stored_campaign)
    T = table['temperature_K']
    np.testing.assert_allclose(table['ln_sigma_T'], np.log(table['sigma_full_S_per_cm'] * T))
    np.testing.assert_allclose(table['inverse_temperature_1000_per_K'], 1000 / T)
    assert T.is_monotonic_increasing
    fit, own = table.attrs['fits'][stored_campaign.pk], stored_campaign.outputs.arrhenius
    for name in ('activation_energy_eV', 'activation_energy_stderr'):
        assert fit[name] == pytest.approx(own[name], rel=1e-10)


def test_a_campaign_is_a_row_with_its_fit_and_its_state(stored_campaign):
    table = queries.campaigns('LiCl')
    row = table[table['pk'] == stored_campaign.pk].iloc[0]
    assert (row['state'], row['exit_status'], row['protocol'], row['temperatures_K']) == (
        'finished',
        0,
        'balanced',
        '600, 900',
    )
    assert row['activation_energy_eV'] == pytest.approx(stored_campaign.outputs.arrhenius['activation_energy_eV'])
    assert row['passed_validation']


def test_everything_below_a_model_or_a_node_with_the_same_file_is_found(stored_campaign, results):
    runs = [run.pk for run in dict(stored_campaign.outputs.trajectories).values()]
    copy = orm.load_node(stored_campaign.outputs.model.pk).clone().store()
    for model in (stored_campaign.outputs.model, copy):
        table = queries.made_with_model(model)
        assert set(table['pk']) == {*runs, *(node.pk for node in results)}
        assert set(table[table['kind'] == 'ConductivityData']['temperature_K']) == {600.0, 900.0}


def test_trajectories_behind_a_conductivity_name_their_model_and_job(stored_campaign, results):
    table = queries.trajectories_behind(results[1])
    runs = {label: run for label, run in dict(stored_campaign.outputs.trajectories).items() if label.startswith('T900')}
    assert dict(zip(table['label'], table['pk'], strict=True)) == {label: run.pk for label, run in runs.items()}
    assert table['seed'].tolist() == [1, 2, 3]
    assert table['length_ps'].tolist() == [pytest.approx(200.0)] * 3
    assert set(table['model']) == {stored_campaign.outputs.model.pk}
    assert set(table['job']) == {run.creator.pk for run in runs.values()}


def test_stored_data_are_listed(stored_campaign):
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
