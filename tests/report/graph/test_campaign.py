"""A campaign is collected from stored nodes as its work chain leaves them, whole and in pieces."""

import numpy as np
import pytest
from aiida import orm
from aiida.common.links import LinkType
from ase import Atoms
from plumpy import ProcessState

from aiida_ionconduct.data import ConductivityData
from aiida_ionconduct.report.graph.call_tree import CallTree
from aiida_ionconduct.report.graph.campaign import collect, repetitions
from aiida_ionconduct.report.page.campaign import write_page

pytestmark = pytest.mark.usefixtures('aiida_profile_clean')

CALL_LABELS = {'RelaxWorkChain': 'relax', 'SeedsWorkChain': 'md'}


def stored_process(cls, label, caller=None, inputs=None, **kwargs):
    """Return a stored process node that a caller called, with inputs by link label."""
    node = cls(**kwargs)
    node.set_process_label(label)
    node.base.attributes.set('version', {'core': '2.9.4', 'plugin': '0.1.0'})
    if label == 'LammpsMdCalculation':
        node.set_process_type('aiida.calculations:ionconduct.lammps.md')
    work = isinstance(node, orm.WorkflowNode)
    if caller is not None:
        call_type = LinkType.CALL_WORK if work else LinkType.CALL_CALC
        node.base.links.add_incoming(
            caller, call_type, CALL_LABELS.get(label, f'CALL_{label}_{str(node.uuid).replace("-", "_")}')
        )
    for name, value in (inputs or {}).items():
        node.base.links.add_incoming(value.store(), LinkType.INPUT_WORK if work else LinkType.INPUT_CALC, name)
    node.store()
    return node


def finish(node, status=0):
    """Let a process end with an exit status."""
    node.set_process_state(ProcessState.FINISHED)
    node.set_exit_status(status)


def stored_output(calculation, output, label, *workflows):
    """Store the output of a calculation and return it through its workflows: pairs of workflow and label."""
    output.base.links.add_incoming(calculation, LinkType.CREATE, label)
    output.store()
    for workflow, name in workflows:
        output.base.links.add_incoming(workflow, LinkType.RETURN, name)
    return output


def lithium_oxide():
    """Return a cell of three atoms."""
    positions = [[0.25] * 3, [0.75] * 3, [0, 0, 0]]
    return orm.StructureData(ase=Atoms('Li2O', scaled_positions=positions, cell=np.diag([3.0, 4.0, 5.0]), pbc=True))


@pytest.fixture
def campaign(make_conductivity, aiida_localhost):
    """Return a finished work chain: a relaxation, two seeds at one temperature, an analysis."""
    crystal = lithium_oxide()
    code = orm.InstalledCode(
        label='lmp',
        computer=aiida_localhost,
        filepath_executable='/bin/true',
        default_calc_job_plugin='core.arithmetic.add',
    ).store()
    top = stored_process(orm.WorkChainNode, 'ConductivityWorkChain', inputs={'structure': crystal})
    relax = stored_process(orm.WorkChainNode, 'RelaxWorkChain', top, {'structure': crystal})
    job = stored_process(orm.CalcJobNode, 'PwCalculation', relax, computer=aiida_localhost)
    relaxed = stored_output(job, lithium_oxide(), 'output_structure', (relax, 'output_structure'), (top, 'structure'))
    seeds = stored_process(orm.WorkChainNode, 'SeedsWorkChain', top, {'structure': relaxed})
    trajectories = []
    for seed in (1, 2):
        inputs = {'parameters': orm.Dict({'temperature_K': 800.0, 'seed': seed}), 'code': code}
        job = stored_process(orm.CalcJobNode, 'LammpsMdCalculation', seeds, inputs, computer=aiida_localhost)
        trajectory = orm.TrajectoryData()
        trajectory.set_trajectory(['Li', 'Li', 'O'] * 4, np.zeros((1, 12, 3)))
        trajectory.base.attributes.set_many({'n_atoms': 12, 'cell': np.diag([6.0, 8.0, 5.0]).tolist()})
        name = f'T800_seed{seed}'
        trajectories.append(
            stored_output(
                job, trajectory, 'trajectory', (seeds, f'trajectories__{name}'), (top, f'trajectories__{name}')
            )
        )
        finish(job)
    analysis = stored_process(
        orm.CalcFunctionNode, 'analyse_trajectories', top, dict(zip('ab', trajectories, strict=True))
    )
    synthetic = make_conductivity(800)
    conductivity = ConductivityData()
    for name, curve in synthetic.curves.items():
        conductivity.set_array(name, curve)
    conductivity.base.attributes.set_many(synthetic.attributes)
    stored_output(analysis, conductivity, 'result', (top, 'conductivities__T800'))
    stored_output(analysis, orm.Dict({'passed': True, 'checks': []}), 'validation', (top, 'validation'))
    for node in (relax, seeds, analysis, top):
        finish(node)
    top.base.extras.set('protocol', 'quickstart')
    return top


def test_what_the_process_and_its_cells_are(campaign):
    data = collect(campaign)
    assert data.process['state'] == 'finished'
    assert data.process['protocol'] == 'quickstart'
    assert data.process['pk'] == campaign.pk
    composition = {key: value for key, value in data.composition.items() if key != 'pk'}
    assert composition == {'formula': 'Li2O', 'n_atoms': 3, 'n_atoms_md': 12, 'supercell': [2, 2, 1]}


def test_conductivities_are_those_of_the_nodes(campaign, make_conductivity):
    (conductivity,), expected = collect(campaign).conductivities, make_conductivity(800)
    assert conductivity.attributes.keys() == expected.attributes.keys()
    assert conductivity.attributes['sigma_full_ci95'] == pytest.approx(expected.attributes['sigma_full_ci95'])
    assert conductivity.curves.keys() == expected.curves.keys()
    np.testing.assert_array_equal(conductivity.curves['msd_A2'], expected.curves['msd_A2'])


def test_outputs_codes_and_versions(campaign):
    data = collect(campaign)
    assert data.validation == {'passed': True, 'checks': []}
    assert (data.training, data.arrhenius, data.parity) == ({}, {}, {})
    assert data.codes == [{'label': 'lmp', 'plugin': 'core.arithmetic.add'}]
    assert data.versions == {'aiida-core': '2.9.4', 'aiida-ionconduct': '0.1.0'}


def test_stages_are_in_order_and_data_flow_between_them(campaign):
    data = collect(campaign)
    assert [(stage.title, stage.jobs) for stage in data.stages] == [
        ('Relaxation', [('pw.x', 1)]),
        ('Molecular dynamics', [('LAMMPS 800 K', 2)]),
        ('Analyse trajectories', []),
    ]
    assert all(stage.wall_time_s >= 0 for stage in data.stages)
    assert [(flow.title, flow.count, flow.source, flow.targets) for flow in data.flows] == [
        ('structure', 1, None, [0]),
        ('structure', 1, 0, [1]),
        ('ab initio trajectory', 2, 1, [2]),
        ('conductivity', 1, 2, []),
    ]


def test_the_page_of_a_stored_campaign(campaign, tmp_path):
    path = write_page(campaign, tmp_path / 'new' / 'page.html')
    text = path.read_text(encoding='utf-8')
    assert text.startswith('<!doctype html>')
    assert f'verdi process status {campaign.pk}' in text
    assert 'figure-msd' in text


def test_a_failed_chain_keeps_what_it_has(aiida_localhost, tmp_path):
    crystal = lithium_oxide()
    top = stored_process(orm.WorkChainNode, 'ConductivityWorkChain', inputs={'structure': crystal})
    relax = stored_process(orm.WorkChainNode, 'RelaxWorkChain', top, {'structure': crystal})
    finish(relax, 401)
    finish(top, 410)
    top.set_exit_message('the relaxation failed')
    data = collect(top)
    assert data.process['state'] == 'failed'
    assert data.process['message'] == 'the relaxation failed'
    assert [stage.state for stage in data.stages] == ['failed (401)']
    assert data.composition['formula'] == 'Li2O'
    text = write_page(top, tmp_path / 'page.html').read_text(encoding='utf-8')
    assert 'the relaxation failed' in text
    assert 'stopped before its end' in text


@pytest.mark.parametrize('state', [None, ProcessState.CREATED, ProcessState.WAITING, ProcessState.RUNNING])
def test_a_chain_that_has_only_started(state, tmp_path):
    top = stored_process(orm.WorkChainNode, 'ConductivityWorkChain')
    if state:
        top.set_process_state(state)
    assert collect(top).process['state'] == 'running'
    assert 'still running' in write_page(top, tmp_path / 'page.html').read_text(encoding='utf-8')


def test_a_chain_that_ends_while_it_is_read(monkeypatch):
    """It counts as running: outputs that came after they were read are not missing from a finished chain."""
    top = stored_process(orm.WorkChainNode, 'ConductivityWorkChain')

    class EndsMeanwhile(CallTree):
        def __init__(self, root):
            finish(root)
            super().__init__(root)

    monkeypatch.setattr('aiida_ionconduct.report.graph.campaign.CallTree', EndsMeanwhile)
    assert collect(top).process['state'] == 'running'
    assert collect(top).process['state'] == 'finished'


def test_a_chain_that_excepted_gives_the_last_line_of_its_exception():
    top = stored_process(orm.WorkChainNode, 'ConductivityWorkChain')
    top.set_process_state(ProcessState.EXCEPTED)
    top.set_exception('Traceback (most recent call last):\n  …\nValueError: no such thing')
    data = collect(top)
    assert (data.process['state'], data.process['message']) == ('failed', 'ValueError: no such thing')


def test_parity_names_the_element_of_every_force():
    top = stored_process(orm.WorkChainNode, 'ConductivityWorkChain')
    job = stored_process(orm.CalcFunctionNode, 'predict', top)
    parity = orm.ArrayData({'numbers': np.array([3, 8]), 'forces_reference': np.zeros((2, 3))})
    stored_output(job, parity, 'parity', (top, 'parity'))
    assert collect(top).parity['symbols'] == ['Li', 'O']


def test_a_supercell_is_recognised_only_if_it_has_the_same_lattice():
    cell = np.array([[3.0, 0, 0], [1.5, 2.6, 0], [0, 0, 5.0]])
    assert repetitions(cell, np.diag([2, 3, 1]) @ cell) == [2, 3, 1]
    assert repetitions(cell, np.array([[1, 1, 0], [-1, 1, 0], [0, 0, 1]]) @ cell) == [[1, 1, 0], [-1, 1, 0], [0, 0, 1]]
    assert repetitions(cell, np.diag([1.5, 2, 1]) @ cell) is None
