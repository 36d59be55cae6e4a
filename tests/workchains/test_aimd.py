"""`AimdWorkChain`: a run at each temperature, in segments whose whole steps are kept however they end."""

import io
import pathlib

import numpy as np
import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.engine import Process
from aiida_quantumespresso.calculations.pw import PwCalculation
from plumpy import ProcessState
from scipy import constants

from aiida_ionconduct.workchains import aimd as aimd_module
from aiida_ionconduct.workchains.aimd import AimdRunWorkChain, PwSegmentWorkChain

pytestmark = pytest.mark.slow

TEXT = (pathlib.Path(__file__).parents[1] / 'calculations/functions/test_aimd/segment_000.out').read_text()
STEP = TEXT.index('     Entering Dynamics:    iteration =     2')


@pytest.fixture
def aimd(campaign_inputs, generate_structure, generate_workchain):
    """Return a function that makes the work chain over temperatures, set up."""

    def make(temperatures=(600, 1200.5)):
        overrides = {'aimd': {'temperatures_K': list(temperatures)}}
        inputs = campaign_inputs(overrides=overrides)['aimd']
        process = generate_workchain('ionconduct.aimd', {**inputs, 'structure': generate_structure()})
        process.setup()
        return process

    return make


@pytest.fixture
def run(campaign_inputs, generate_structure, generate_workchain):
    """Return a function that makes one run, set up, of some steps."""

    def make(n_sampling=5, n_equilibration=0, equilibration_thermostat='none', **changes):
        inputs = campaign_inputs()['aimd']
        dynamics = {**inputs['dynamics'].get_dict(), 'n_sampling': n_sampling, 'n_equilibration': n_equilibration}
        dynamics |= {'equilibration_thermostat': equilibration_thermostat, 'timestep_fs': 1.0, **changes}
        for name in ('temperatures_K', 'max_concurrent'):
            inputs.pop(name)
        inputs |= {'dynamics': orm.Dict(dynamics), 'temperature_K': orm.Float(600.0)}
        process = generate_workchain(AimdRunWorkChain, {**inputs, 'structure': generate_structure()})
        process.setup()
        return process

    return make


@pytest.fixture
def segment(aiida_localhost):
    """Return a function that stores a segment that has ended, with the output of its job, or without a job."""

    def make(text=None, exit_status=0):
        node = orm.WorkChainNode()
        node.set_process_state(ProcessState.FINISHED)
        node.set_exit_status(exit_status)
        node.store()
        if text is not None:
            job = orm.CalcJobNode(computer=aiida_localhost)
            job.base.links.add_incoming(node, LinkType.CALL_CALC, 'iteration_01')
            job.store()
            retrieved = orm.FolderData()
            retrieved.base.repository.put_object_from_filelike(io.BytesIO(text.encode()), 'aiida.out')
            retrieved.base.links.add_incoming(job, LinkType.CREATE, 'retrieved')
            retrieved.store()
        return node

    return make


def parameters(submitted):
    """Return the input parameters of the pw.x that was submitted last."""
    return submitted[-1][1].pw.parameters.get_dict()


def go(process, node):
    """Run a segment that ends as a node."""
    process.run_segment()
    process.ctx.segment = node
    return process.inspect_segment()


# Temperatures ---------------------------------------------------------------------------------------------------------


def test_setup(aimd):
    process = aimd()
    assert process.ctx.temperatures == {'T600': 600.0, 'T1200_5': 1200.5}
    assert process.ctx.pending == ['T600', 'T1200_5']


def test_runs(aimd, submitted):
    """Both are submitted as the engine takes them, from the same crystal, with seeds of their own."""
    process = aimd()
    assert process.has_pending()
    process.run_batch()
    assert not process.has_pending()
    assert [process_class for process_class, _ in submitted] == [AimdRunWorkChain, AimdRunWorkChain]
    inputs = [inputs for _, inputs in submitted]
    assert [given.metadata.call_link_label for given in inputs] == ['T600', 'T1200_5']
    assert [given.temperature_K.value for given in inputs] == [600.0, 1200.5]
    assert inputs[0].seed.value != inputs[1].seed.value
    assert all(given.structure.uuid == process.inputs.structure.uuid for given in inputs)


def test_results(aimd, child, pw_trajectory):
    process = aimd()
    ended = {label: child(trajectory=pw_trajectory(), parameters=orm.Dict({'a': 1})) for label in process.ctx.pending}
    process.ctx.finished, process.ctx.failed = ended, []
    assert process.results() is None
    assert set(process.outputs['trajectories']) == set(process.outputs['run_parameters']) == {'T600', 'T1200_5'}


def test_one_run_failed(aimd, child, pw_trajectory):
    """The trajectory of the other run is kept."""
    process = aimd()
    process.ctx.batch = process.ctx.pending
    process.has_pending()
    trajectory = pw_trajectory()
    process.ctx.child_T600 = child(trajectory=trajectory, parameters=orm.Dict({}))
    process.ctx.child_T1200_5 = child(exit_status=401)
    process.inspect_batch()
    exit_code = process.results()
    assert exit_code.status == 401
    assert 'The AIMD at T1200_5 failed' in exit_code.message
    assert process.outputs['trajectories'] == {'T600': trajectory}


# Segments -------------------------------------------------------------------------------------------------------------


def test_first_segment(run, submitted):
    """A segment has the whole length, from seeded velocities; pw.x counts time in ħ/Ry, twice the atomic unit."""
    process = run(n_sampling=5)
    assert process.is_unfinished()
    process.run_segment()
    process_class, inputs = submitted[0]
    assert process_class is PwSegmentWorkChain
    assert inputs.metadata.call_link_label == 'segment_000'
    assert np.array(inputs.pw.settings['ATOMIC_VELOCITIES']).shape == (16, 3)
    assert inputs.pw.settings['gamma_only']
    control = parameters(submitted)['CONTROL']
    assert control['nstep'] == 5
    assert control['dt'] * 2 * constants.value('atomic unit of time') == pytest.approx(1e-15, rel=1e-6)
    assert parameters(submitted)['IONS']['ion_temperature'] == 'not_controlled'
    assert parameters(submitted)['ELECTRONS']['scf_must_converge'] is False
    assert 'startingwfc' not in parameters(submitted)['ELECTRONS']


def test_cut_and_continued(run, segment, submitted):
    """After three of five steps, the second segment repeats the third and adds two; each step is there once."""
    process = run(n_sampling=5)
    assert go(process, segment(TEXT)) is None
    assert process.ctx.n_steps == 3
    first = process.ctx.structure
    assert go(process, segment(TEXT, exit_status=402)) is None
    assert parameters(submitted)['CONTROL']['nstep'] == 3
    assert submitted[-1][1].pw.structure.uuid == first.uuid
    assert process.ctx.n_steps == 5
    assert not process.is_unfinished()
    assert process.ctx.n_idle == 0
    assert sorted(process.ctx.segments) == ['segment_000', 'segment_001']


def test_killed(run, segment, submitted):
    """The whole step of a job whose output breaks off is kept; a job without a whole step changes nothing."""
    process = run(n_sampling=5)
    assert go(process, segment(TEXT[:STEP], exit_status=402)) is None
    assert process.ctx.n_steps == 1
    before = process.ctx.structure, process.ctx.settings
    assert go(process, segment(TEXT[:100], exit_status=402)) is None
    assert (process.ctx.structure, process.ctx.settings) == before
    assert process.ctx.n_idle == 1
    assert go(process, segment(TEXT)) is None
    assert (process.ctx.n_idle, process.ctx.n_steps) == (0, 3)


@pytest.mark.parametrize('text', ['', None])
def test_no_progress(text, run, segment, submitted):
    """Three segments without a step end the run, the last of them with the safest diagonalization."""
    process = run()
    for index in range(3):
        exit_code = go(process, segment(text, exit_status=402))
        assert parameters(submitted)['ELECTRONS'].get('diagonalization') == ('cg' if index == 2 else None)
    assert exit_code.status == 401
    assert '3 segments in a row have not gained a step after step 0' in exit_code.message


def test_preempted(run, segment, submitted, monkeypatch):
    """Segments that are preempted before a step are repeated as they are, and do not count as failures."""
    monkeypatch.setattr(aimd_module, 'was_preempted', lambda job: True)
    process = run(n_sampling=5)
    assert [go(process, segment('', exit_status=402)) for _ in range(4)] == 4 * [None]
    assert process.ctx.n_idle == 0
    assert 'diagonalization' not in parameters(submitted)['ELECTRONS']


def test_preempted_without_end(run, segment, submitted, monkeypatch):
    """A segment that is preempted more often than is reasonable counts as killed."""
    monkeypatch.setattr(aimd_module, 'was_preempted', lambda job: True)
    monkeypatch.setattr(aimd_module, 'MAX_PREEMPTIONS', 2)
    process = run(n_sampling=5)
    assert [go(process, segment('', exit_status=402)) for _ in range(4)] == 4 * [None]
    assert go(process, segment('', exit_status=402)).status == 401


def test_nothing_is_gained_by_the_step_that_is_done_again(run, segment, submitted):
    process = run(n_sampling=5)
    go(process, segment(TEXT))
    go(process, segment(TEXT[:STEP], exit_status=402))
    assert (process.ctx.n_steps, process.ctx.n_idle) == (3, 1)
    assert list(process.ctx.segments) == ['segment_000']


def test_equilibration(run, segment, submitted):
    """The first segment has the thermostat and ends with the equilibration; the second has none."""
    process = run(n_sampling=4, n_equilibration=3, equilibration_thermostat='rescale', thermostat_steps=7)
    go(process, segment(TEXT))
    ions = parameters(submitted)['IONS']
    assert (ions['ion_temperature'], ions['tempw'], ions['nraise']) == ('rescale-v', 600.0, 7)
    assert parameters(submitted)['CONTROL']['nstep'] == 3
    process.run_segment()
    assert parameters(submitted)['IONS']['ion_temperature'] == 'not_controlled'
    assert 'tempw' not in parameters(submitted)['IONS']
    assert parameters(submitted)['CONTROL']['nstep'] == 5


def test_joined(run, segment, submitted):
    process = run(n_sampling=3)
    go(process, segment(TEXT))
    assert process.results() is None
    assert process.outputs['trajectory'].numsteps == 3
    assert process.outputs['parameters']['n_segments'] == 1


def test_energy_jump(run, segment, submitted):
    """The energies of a second segment are off by a tenth of a Rydberg: the run is kept, and fails."""
    shifted = TEXT.replace('-363.4', '-363.3')
    process = run(n_sampling=5)
    go(process, segment(TEXT))
    process.ctx.segments['segment_001'] = segment(shifted.replace('-363.1', '-363.0')).called[0].outputs.retrieved
    exit_code = process.results()
    assert exit_code.status == 402
    assert process.outputs['trajectory'].numsteps == 5


def test_walltime_is_no_failure(child, run, submitted, generate_workchain):
    """`PwBaseWorkChain` would start anew from its last structure; a segment ends instead."""
    process = run()
    process.run_segment()
    inputs = {name: value for name, value in submitted[0][1].items() if name != 'metadata'}
    base = generate_workchain(PwSegmentWorkChain, inputs)
    base.setup()
    job = child(exit_status=PwCalculation.exit_codes.ERROR_OUT_OF_WALLTIME.status, node_class=orm.CalcJobNode)
    base.ctx.iteration, base.ctx.children = 1, [job]
    report = base.handle_out_of_walltime(job)
    assert report.do_break
    assert base.ctx.is_finished
    handlers = {handler.__name__ for handler in PwSegmentWorkChain.get_process_handlers()}
    assert 'handle_out_of_walltime' in handlers
    assert 'handle_diagonalization_errors' not in handlers


@pytest.mark.parametrize('label', ['ERROR_IONIC_INTERRUPTED_PARTIAL_TRAJECTORY', 'ERROR_SCHEDULER_NODE_FAILURE'])
def test_segment_that_a_node_took_down(label, run, submitted, generate_workchain, child):
    """It ends, without an exception, also before its first step; the run goes on from its last whole step."""
    process = run()
    process.run_segment()
    inputs = {name: value for name, value in submitted[0][1].items() if name != 'metadata'}
    base = generate_workchain(PwSegmentWorkChain, inputs)
    base.setup()
    job = child(exit_status=PwCalculation.exit_codes[label].status, node_class=orm.CalcJobNode)
    base.ctx.iteration, base.ctx.children = 1, [job]
    exit_code = base.inspect_process()
    assert exit_code == base.exit_codes.ERROR_UNHANDLED_FAILURE
    assert len(submitted) == 1


def test_seeds_differ_by_temperature(aimd, generate_workchain):
    """The same seed for all temperatures would give the same directions of motion."""
    process = aimd((600, 900, 1200))
    directions = []
    for label in process.ctx.pending:
        run = generate_workchain(AimdRunWorkChain, process.child_inputs(label))
        run.setup()
        directions.append(np.array(run.ctx.settings['ATOMIC_VELOCITIES']).ravel())
    correlations = np.corrcoef(directions) - np.eye(3)
    assert np.abs(correlations).max() < 0.5
    assert issubclass(AimdRunWorkChain, Process)
