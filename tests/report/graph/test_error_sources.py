"""What the profile knows of errors: studies of cell sizes, other potentials, the functional of the DFT."""

import io
import os

import pytest
from aiida import orm
from aiida.common.links import LinkType

from aiida_ionconduct.calculations.functions.studies import compare_sizes
from aiida_ionconduct.data import AllegroModelData, ConductivityData
from aiida_ionconduct.report.graph.campaign import collect
from aiida_ionconduct.report.graph.error_sources import functionals
from aiida_ionconduct.report.tables.any_result import as_data, describe


@pytest.fixture(scope='module')
def hot(stored_campaign):
    """Return the conductivity of the campaign at 900 K."""
    return stored_campaign.outputs.conductivities['T900']


def copy_of(node, **attributes):
    """Return a stored conductivity with some attributes changed."""
    changed = ConductivityData()
    known = {name: value for name, value in node.base.attributes.all.items() if not name.startswith('array|')}
    changed.base.attributes.set_many({**known, **attributes})
    return changed.store()


def test_a_campaign_alone_knows_its_runs(stored_campaign):
    sources = collect(stored_campaign).error_sources
    assert sources['sizes'] == []
    assert sources['functionals'] == []
    assert not sources['given_labels']
    assert all(len(values) == 1 for values in sources['potentials'].values())


def test_studies_of_sizes_of_the_material_are_known_from_any_campaign(stored_campaign, hot):
    n_atoms = hot.base.attributes.get('n_atoms')
    larger = [copy_of(hot, n_atoms=factor * n_atoms) for factor in (8, 27)]
    compare_sizes(a=larger[0], b=larger[1])
    (study,) = collect(stored_campaign).error_sources['sizes']
    assert study['temperature_K'] == 900.0
    assert f'study {study["pk"]}' in describe(stored_campaign)


def test_the_same_production_with_another_potential(stored_campaign, hot, make_salt_run):
    """Conductivities of one cell and temperature from other models tell the error of the potential."""
    model = AllegroModelData(
        io.BytesIO(os.urandom(16)), filename='n.nequip.zip', type_names=['Li', 'Cl'], r_max=5.0
    ).store()
    job = orm.CalcJobNode(
        computer=orm.load_computer('secret-machine'), process_type='aiida.calculations:ionconduct.lammps.md'
    )
    job.set_options({'resources': {'num_machines': 1, 'tot_num_mpiprocs': 1}})
    job.base.links.add_incoming(model, LinkType.INPUT_CALC, 'model')
    job.store()
    run = make_salt_run(77)
    run.base.links.add_incoming(job, LinkType.CREATE, 'trajectory')
    run.store()
    analysis = orm.CalcFunctionNode()
    analysis.set_process_label('analyse_trajectories')
    analysis.base.links.add_incoming(run, LinkType.INPUT_CALC, 'T900_seed77')
    analysis.store()
    sigma = 1.4 * hot.base.attributes.get('sigma_full_S_per_cm')
    known = {name: value for name, value in hot.base.attributes.all.items() if not name.startswith('array|')}
    other = ConductivityData()
    other.base.attributes.set_many({**known, 'sigma_full_S_per_cm': sigma})
    other.base.links.add_incoming(analysis, LinkType.CREATE, 'result')
    other.store()
    values = collect(stored_campaign).error_sources['potentials']
    assert len(values['600']) == 1
    assert sorted(value for value, _ in values['900'])[1] == pytest.approx(sigma)
    rows = {row['source']: row for row in as_data(stored_campaign)['error_budget']}
    assert rows['Potential']['size'].startswith('900 K: 0.24 among 2 potentials')


def test_the_functional_is_that_of_the_input_or_of_the_pseudopotentials():
    pseudo = orm.SinglefileData(io.BytesIO(b'<PP_HEADER element="Li"\n functional=" PBE"\n z_valence="3"/>'))
    inputs = {'aimd__pw__pseudos__Li': pseudo, 'aimd__pw__parameters': orm.Dict({'SYSTEM': {'ecutwfc': 40}})}
    assert functionals(inputs) == ['PBE']
    inputs['aimd__pw__parameters'] = orm.Dict({'SYSTEM': {'input_dft': 'PBEsol'}})
    assert functionals(inputs) == ['PBEsol']
    assert functionals({}) == []
