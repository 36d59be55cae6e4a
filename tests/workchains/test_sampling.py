"""Sampling work chains: a real sampling with EMT, and how jobs that were cut go on."""

import io
import sys

import pytest
from aiida import orm
from aiida.engine import run_get_node
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator

from aiida_ionconduct.calculations.ase_sampling import AseSamplingCalculation
from aiida_ionconduct.calculations.functions.structures import frames_to_trajectory
from aiida_ionconduct.data import DatasetData
from aiida_ionconduct.sampling import sampler
from aiida_ionconduct.sampling.tasks import single_tasks
from aiida_ionconduct.workchains.sampling import AseSamplingWorkChain, SamplingWorkChain

EXIT_CODES = AseSamplingCalculation.exit_codes
TEACHER = {'title': 'EMT', 'target': 'ase.calculators.emt.EMT', 'arguments': {}}
DYNAMICS = {'timestep_fs': 2.0, 'friction_per_ps': 10.0, 'max_force_eV_per_A': 30.0}
PARAMETERS = {
    **DYNAMICS, 'temperatures_K': [300.0, 450.0], 'strains': [0.03], 'steps': 4, 'stride': 2, 'n_hops': 1,
    'n_rattled': 2, 'seed': 1, 'mobile': 'Au', 'rattle': {'amplitudes_A': [0.02, 0.05], 'mobile_factor': 1.0},
    'relax': 'positions_cell', 'relax_steps': 100, 'relax_force_eV_per_A': 0.05,
}  # fmt: skip
OPTIONS = {'resources': {'num_machines': 1}, 'max_wallclock_seconds': 600}


def alloy(a=3.8):
    """Return copper with gold, 4 atoms."""
    atoms = bulk('Cu', cubic=True, a=a)
    atoms.symbols[:2] = 'Au'
    return atoms


@pytest.fixture
def python(aiida_localhost):
    """The Python of these tests as the code of the engine `ase`."""
    executable = {'computer': aiida_localhost, 'filepath_executable': sys.executable}
    return orm.InstalledCode(label='ase', default_calc_job_plugin='ionconduct.ase.sampling', **executable).store()


@pytest.mark.slow
def test_sampling_with_a_real_calculator(aiida_profile_clean, python):
    """Relaxation, MD, strained and displaced cells by jobs on this machine; all frames state whose labels they have."""
    job = {'code': python, 'teacher': orm.Dict(TEACHER), 'metadata': {'options': OPTIONS}}
    outputs, node = run_get_node(
        SamplingWorkChain,
        structure=orm.StructureData(ase=alloy()),
        orderings={'ordering_01': orm.StructureData(ase=alloy()[[2, 3, 0, 1]])},
        base={'job': job},
        parameters=orm.Dict(PARAMETERS),
        max_concurrent=orm.Int(2),
    )
    assert node.is_finished_ok, node.exit_message
    sources = outputs['dataset'].base.attributes.get('sources')
    assert sources == {'hops': 1, 'orderings': 2, 'pretrained_md': 4, 'rattled': 2, 'strained': 2}
    assert sum(outputs['dataset'].labelled_by.values()) == outputs['dataset'].n_frames == 11
    assert outputs['dataset'].base.attributes.get('temperatures_K') == [300.0, 450.0]
    assert outputs['structure'].get_cell_volume() > 1.02 * alloy().get_volume()  # of gold, the larger atom
    assert outputs['output_parameters']['versions']['ase']


def cut_frames(n_frames):
    """Return the restart of a job that was cut."""
    node = orm.SinglefileData(io.BytesIO(b'frames'), filename=sampler.FRAMES)
    node.base.attributes.set('n_frames', n_frames)
    return node


@pytest.fixture
def chain(generate_workchain, fixture_code):
    """The work chain over one job, set up."""
    inputs = {
        'job': {
            'code': fixture_code('ionconduct.ase.sampling'),
            'cells': frames_to_trajectory([alloy()]),
            'tasks': orm.List(single_tasks(1, 'rattled')),
            'teacher': orm.Dict(TEACHER),
            'dynamics': orm.Dict(DYNAMICS),
            'metadata': {'options': OPTIONS},
        }
    }
    process = generate_workchain('ionconduct.ase.base', inputs)
    process.setup()
    return process


def test_job_that_was_killed_goes_on(chain, child):
    """Its frames are handed to the next job; a job that left no more frames is repeated."""
    killed = child(EXIT_CODES.ERROR_INCOMPLETE.status, node_class=orm.CalcJobNode, restart=cut_frames(3))
    assert chain.handle_killed(killed).do_break
    assert chain.ctx.inputs.restart.base.attributes.get('n_frames') == 3
    again = child(EXIT_CODES.ERROR_INCOMPLETE.status, node_class=orm.CalcJobNode, restart=cut_frames(3))
    assert not chain.continue_from(again)
    assert chain.ctx.inputs.restart.uuid == killed.outputs.restart.uuid


def test_calculator_that_refuses_is_not_asked_again(chain, child):
    status = EXIT_CODES.ERROR_CALCULATOR.status
    refused = child(status, 'The calculator failed: no such element', node_class=orm.CalcJobNode)
    report = chain.handle_calculator(refused)
    assert report.exit_code.status != 0
    assert 'no such element' in report.exit_code.message


def labelled(n_frames, energy):
    """Return frames with the labels of a pretrained potential, told apart by their energies."""
    frames = []
    for index in range(n_frames):
        atoms = alloy()
        atoms.rattle(0.1, seed=index)
        atoms.info.update(source='hops', labelled_by='EMT')
        atoms.calc = SinglePointCalculator(atoms, energy=energy + index, forces=0.1 * atoms.positions)
        frames.append(atoms)
    return DatasetData.from_frames(frames)


@pytest.fixture
def inputs(fixture_code):
    """Inputs of a sampling without a relaxation, in two jobs."""
    job = {'code': fixture_code('ionconduct.ase.sampling'), 'teacher': orm.Dict(TEACHER)}
    return {
        'structure': orm.StructureData(ase=alloy()),
        'base': {'job': {**job, 'metadata': {'options': OPTIONS}}},
        'parameters': orm.Dict({**PARAMETERS, 'relax': None}),
        'max_concurrent': orm.Int(2),
    }


def test_a_job_that_failed_leaves_the_frames_of_the_others(run_chain, inputs, child):
    ended = {
        'sampling_0': lambda _: child(dataset=labelled(3, 0.0), output_parameters=orm.Dict({'title': 'EMT'})),
        'sampling_1': lambda _: child(exit_status=401, exit_message='killed'),
    }
    run = run_chain(SamplingWorkChain, inputs, ended)
    assert run.node.is_finished_ok
    assert run.node.outputs.dataset.n_frames == 3
    assert set(run.children) == {'sampling_0', 'sampling_1'}
    assert all(process_class is AseSamplingWorkChain for process_class, _ in run.children.values())


def test_failure_names_the_reason(run_chain, inputs, child):
    failed = {f'sampling_{index}': child(exit_status=401, exit_message='no such module') for index in (0, 1)}
    run = run_chain(SamplingWorkChain, inputs, failed)
    assert run.node.exit_status == 402
    assert 'no such module' in run.node.exit_message
