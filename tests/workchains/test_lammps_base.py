"""`LammpsMdBaseWorkChain`: what is continued, what is repeated, and what comes out of the segments."""

import numpy as np
import pytest
from aiida import orm
from aiida.common.links import LinkType
from plumpy import ProcessState

from aiida_ionconduct.calculations.lammps_md import LammpsMdCalculation
from aiida_ionconduct.data import IonTrajectoryData
from aiida_ionconduct.lammps.script import CELL_THERMO
from aiida_ionconduct.workchains import segments as segments_module

pytestmark = pytest.mark.slow

EXIT_CODES = LammpsMdCalculation.exit_codes


@pytest.fixture
def make_base(campaign_inputs, generate_structure, generate_workchain, model, tmp_path):
    """Return a function that makes the work chain, set up, with further inputs and parameters."""

    def make(parameters=None, **others):
        inputs = campaign_inputs()['md']
        values = {**inputs['parameters'].get_dict(), 'temperature_K': 900.0, 'seeds': [1], **(parameters or {})}
        md = {'structure': generate_structure(), 'model': model('model.nequip.pt2'), 'parameters': orm.Dict(values)}
        process = generate_workchain('ionconduct.lammps.base', {'md': {**inputs['base']['md'], **md}, **others})
        process.setup()
        return process

    return make


@pytest.fixture
def segment(crystals):
    """Return a function that makes a trajectory of some frames 0.025 ps apart."""

    def make(first=0, count=4, seed=1):
        atoms = crystals['Li3PO4']
        rng = np.random.default_rng(first)
        thermo = np.column_stack([10 * np.arange(first, first + count), rng.normal(size=(count, 3))])
        return IonTrajectoryData(
            positions=atoms.positions + rng.normal(scale=0.05, size=(count, len(atoms), 3)),
            centres_of_mass=np.zeros((count, 3, 3)),
            thermo=thermo,
            symbols=list(atoms.symbols),
            species=['Li', 'P', 'O'],
            cell=atoms.cell.array,
            temperature_K=900.0,
            timestep_fs=2.5,
            frame_interval_ps=0.025,
            com_interval_ps=0.025,
            start_ps=0.025 * first,
            seed=seed,
            thermo_columns=['step', 'temperature_K', 'potential_energy_eV', 'total_energy_eV'],
        )

    return make


@pytest.fixture
def job(aiida_profile, tmp_path):
    """Return a function that makes a LAMMPS job that has ended, with its trajectories by seed."""

    def make(exit_code=None, segments=None, restart_step=None, seeds=(1,)):
        node = orm.CalcJobNode()
        node.set_process_label('LammpsMdCalculation')
        node.set_process_state(ProcessState.FINISHED)
        node.set_exit_status(exit_code.status if exit_code else 0)
        node.set_exit_message(exit_code.message if exit_code else None)
        node.store()
        outputs = {f'trajectories__seed{seed}': segment for seed, segment in (segments or {}).items()}
        outputs |= {f'output_parameters__seed{seed}': orm.Dict({'wall_time_s': 10.0}) for seed in seeds}
        if restart_step is not None:
            (tmp_path / 'production.restart').write_bytes(b'x')
            outputs['restart'] = orm.SinglefileData(tmp_path / 'production.restart')
            known = {'stage': 'production', 'step': restart_step, 'timestep_fs': 2.5}
            outputs['restart'].base.attributes.set_many({**known, 'seeds': list(seeds), 'n_atoms': 16})
        for label, output in outputs.items():
            output.base.links.add_incoming(node, LinkType.CREATE, label)
            output.store()
        return node

    return make


@pytest.fixture
def go(submitted):
    """Return a function that lets the work chain run jobs that end as given; return its last exit code."""

    def go(base, *jobs):
        exit_code = None
        for node in jobs:
            assert exit_code is None or exit_code.status == 0
            assert base.should_run_process()
            base.run_process()
            base.ctx.setdefault('children', []).append(node)
            exit_code = base.inspect_process()
        return exit_code

    return go


def test_setup(make_base, submitted):
    base = make_base()
    assert base.should_run_process()
    base.run_process()
    ((process_class, inputs),) = submitted
    assert process_class is LammpsMdCalculation
    assert inputs.metadata.call_link_label == 'iteration_01'
    assert inputs.metadata.options.max_wallclock_seconds == 3600
    assert inputs.monitors.explosion['entry_point'] == 'ionconduct.explosion'


def test_one_segment(make_base, go, job, segment):
    """The outputs of a single segment are the outputs of its job, and no new node is made."""
    base, node = make_base(), job(segments={1: segment()}, restart_step=100)
    assert go(base, node) is None
    assert not base.should_run_process()
    base.results()
    assert base.outputs['trajectories']['seed1'].pk == node.outputs.trajectories.seed1.pk
    assert base.outputs['output_parameters']['seed1'].pk == node.outputs.output_parameters.seed1.pk
    assert base.outputs['restart'].pk == node.outputs.restart.pk


def test_walltime_does_not_count(make_base, go, job, segment, submitted):
    """There may be seven segments with at most five iterations; each continues the segment before."""
    base = make_base()
    cut = [job(EXIT_CODES.ERROR_OUT_OF_WALLTIME, {1: segment(4 * i)}, 40 * (i + 1)) for i in range(6)]
    go(base, *cut, job(segments={1: segment(24)}, restart_step=280))
    base.results()
    labels = [inputs.metadata.call_link_label for _, inputs in submitted]
    assert labels == [f'iteration_{number:02d}' for number in range(1, 8)]
    restarts = [inputs.restart.base.attributes.get('step') if 'restart' in inputs else None for _, inputs in submitted]
    assert restarts == [None, 40, 80, 120, 160, 200, 240]
    whole = base.outputs['trajectories']['seed1']
    assert whole.times_ps == pytest.approx(0.025 * np.arange(28))
    assert len(whole.segments) == 7
    assert base.outputs['output_parameters']['seed1']['wall_time_s'] == 70.0
    assert base.outputs['restart'].base.attributes.get('step') == 280


def test_no_progress(make_base, go, job):
    """A wall time that is too short for a frame ends the run, instead of being tried again and again."""
    base = make_base()
    assert go(base, job(EXIT_CODES.ERROR_OUT_OF_WALLTIME)).status == 412


def preempted(node):
    """Return a job that Slurm says it has preempted."""
    lines = ('AllocCPUS|AllocTRES|ElapsedRaw|State|', '1|cpu=1|60|PREEMPTED|')
    node.set_detailed_job_info({'retval': 0, 'stdout': '\n'.join(lines), 'stderr': ''})
    return node


def test_preempted(make_base, go, job, segment, submitted):
    """Preempted jobs do not count, whether or not they have begun; the run goes on from what they have left."""
    base = make_base(max_iterations=orm.Int(2))
    lost = [preempted(job(EXIT_CODES.ERROR_OUTPUT_LOG_MISSING)) for _ in range(4)]
    cut = preempted(job(EXIT_CODES.ERROR_INCOMPLETE, {1: segment(0)}, 40))
    go(base, *lost, cut, job(segments={1: segment(4)}, restart_step=80))
    base.results()
    assert submitted[-1][1].restart.pk == cut.outputs.restart.pk
    assert base.outputs['trajectories']['seed1'].times_ps == pytest.approx(0.025 * np.arange(8))


def test_preempted_without_end(make_base, go, job, monkeypatch):
    """A job that is preempted more often than is reasonable counts as killed."""
    monkeypatch.setattr(segments_module, 'MAX_PREEMPTIONS', 2)
    base = make_base()
    jobs = [preempted(job(EXIT_CODES.ERROR_OUTPUT_LOG_MISSING)) for _ in range(4)]
    assert go(base, *jobs).status == base.exit_codes.ERROR_UNHANDLED_FAILURE.status


def test_killed(make_base, go, job, segment, submitted):
    base = make_base()
    killed = job(EXIT_CODES.ERROR_INCOMPLETE, {1: segment(0)}, 30)
    go(base, killed, job(segments={1: segment(4)}, restart_step=80))
    base.results()
    assert submitted[1][1].restart.pk == killed.outputs.restart.pk
    assert base.outputs['trajectories']['seed1'].times_ps == pytest.approx(0.025 * np.arange(8))


def test_killed_before_a_restart_file(make_base, go, job, segment, submitted):
    """The segment is repeated, and its frames are not counted twice."""
    base = make_base()
    go(base, job(EXIT_CODES.ERROR_INCOMPLETE, {1: segment(0)}), job(segments={1: segment(0)}, restart_step=40))
    base.results()
    assert 'restart' not in submitted[1][1]
    assert base.outputs['trajectories']['seed1'].times_ps == pytest.approx(0.025 * np.arange(4))


def test_killed_again_and_again(make_base, go, job, segment):
    """The run ends at the limit of iterations, with all its frames."""
    base = make_base(max_iterations=orm.Int(2))
    jobs = [job(EXIT_CODES.ERROR_INCOMPLETE, {1: segment(4 * i)}, 40 * (i + 1)) for i in range(2)]
    assert go(base, *jobs) == base.exit_codes.ERROR_MAXIMUM_ITERATIONS_EXCEEDED
    assert base.outputs['trajectories']['seed1'].times_ps == pytest.approx(0.025 * np.arange(8))
    assert base.outputs['restart'].base.attributes.get('step') == 80


def test_exploded(make_base, go, job, segment, submitted):
    """The segment is repeated with half the time step, its frames at the same times; the message names the last."""
    base = make_base()
    exploded = [job(EXIT_CODES.ERROR_EXPLODED, {1: segment()}) for _ in range(2)]
    exit_code = go(base, *exploded)
    first, second = (inputs.parameters.get_dict() for _, inputs in submitted)
    assert second['timestep_fs'] == first['timestep_fs'] / 2
    for name in ('production_steps', 'equilibration_steps', 'frame_stride', 'com_stride', 'thermo_stride'):
        assert second[name] == 2 * first[name]
    assert exit_code.status == 410
    frame = exploded[1].outputs.trajectories.seed1
    assert f'The last whole frame, 3 of IonTrajectoryData<{frame.pk}> at 0.075 ps, has ' in exit_code.message
    assert base.outputs['trajectories']['seed1'].pk == frame.pk


def test_exploded_after_segments(make_base, go, job, segment, submitted):
    """Only the segment that exploded is repeated, and the segments before it are kept."""
    base = make_base()
    cut = job(EXIT_CODES.ERROR_OUT_OF_WALLTIME, {1: segment(0)}, 40)
    go(base, cut, job(EXIT_CODES.ERROR_EXPLODED, {1: segment(4)}), job(segments={1: segment(4)}, restart_step=160))
    base.results()
    assert submitted[2][1].restart.pk == cut.outputs.restart.pk
    assert submitted[2][1].parameters['timestep_fs'] == 1.25
    assert base.outputs['trajectories']['seed1'].times_ps == pytest.approx(0.025 * np.arange(8))


def test_exploded_replicas(make_base, go, job):
    """A run of several replicas ends, so that `SeedsWorkChain` can run them one by one."""
    base = make_base({'seeds': [1, 2]})
    exit_code = go(base, job(EXIT_CODES.ERROR_EXPLODED, seeds=(1, 2)))
    assert exit_code.status == 410
    assert 'It had written no frame' in exit_code.message


def test_out_of_memory(make_base, go, job):
    assert go(make_base(), job(EXIT_CODES.ERROR_OUT_OF_MEMORY)).status == 411


def test_not_started(make_base, go, job, segment, submitted):
    """A job that was cancelled in the queue is repeated; a code that never starts ends the work chain."""
    base, missing = make_base(), EXIT_CODES.ERROR_OUTPUT_LOG_MISSING
    go(base, job(missing), job(EXIT_CODES.ERROR_INCOMPLETE, {1: segment(0)}, 40), job(missing))
    assert base.should_run_process()
    assert submitted[2][1].restart.base.attributes.get('step') == 40
    exit_code = go(base, job(missing))
    assert exit_code.status == base.exit_codes.ERROR_UNHANDLED_FAILURE.status
    assert 'has failed twice in a row: LAMMPS wrote no log' in exit_code.message


def test_other_failures(make_base, go, job):
    """Other failures are tried once more, then end the work chain; or they end it at once if the user asks for it."""
    failed = EXIT_CODES.ERROR_LAMMPS
    base = make_base()
    assert go(base, job(failed)) is None
    assert base.should_run_process()
    assert go(base, job(failed)) == base.exit_codes.ERROR_UNHANDLED_FAILURE
    base = make_base(on_unhandled_failure=orm.Str('abort'))
    assert go(base, job(failed)) == base.exit_codes.ERROR_UNHANDLED_FAILURE


def test_installation_that_cannot_work(make_base, go, job):
    """A processor, library or driver that does not fit ends the work chain at once, with the quoted line."""
    failed = EXIT_CODES.ERROR_CANNOT_RUN.format(detail='the driver does not fit: "CUDA driver version"')
    exit_code = go(make_base(), job(failed))
    assert exit_code.status == 402
    assert 'CUDA driver version' in exit_code.message


def test_crashed_twice_without_progress(make_base, go, job):
    failed = EXIT_CODES.ERROR_CRASHED.format(detail='"Segmentation fault"')
    exit_code = go(make_base(), job(failed), job(failed))
    assert exit_code.status == 402
    assert 'Segmentation fault' in exit_code.message


def test_mean_cell(make_base, go, job, generate_structure):
    """At constant pressure the mean is over the second half of the whole run, not of the last segment."""
    base, lengths = make_base({'ensemble': 'npt'}), np.linspace(5.0, 6.0, 10)
    jobs = [job(EXIT_CODES.ERROR_OUT_OF_WALLTIME, restart_step=70), job(restart_step=100)]
    for node, part in zip(jobs, (lengths[:7], lengths[7:]), strict=True):
        zero = np.zeros(len(part))
        thermo = orm.ArrayData(
            dict(zip(CELL_THERMO.values(), (part, zero + 6.0, zero + 7.0, zero, zero, zero), strict=True))
        )
        thermo.base.links.add_incoming(node, LinkType.CREATE, 'thermo')
        thermo.store()
    go(base, *jobs)
    base.results()
    assert [len(part.get_array('cell_lx_A')) for part in base.outputs['thermo_segments'].values()] == [7, 3]
    mean = base.outputs['mean_structure'].get_ase()
    assert mean.cell.lengths() == pytest.approx([lengths[5:].mean(), 6, 7])
    given = generate_structure().get_ase()
    np.testing.assert_allclose(mean.get_scaled_positions(), given.get_scaled_positions(), atol=1e-9)


def test_extended(make_base, go, job, segment, submitted):
    """The trajectory in the outputs covers the earlier run and its extension."""
    earlier = job(segments={1: segment(0)}, restart_step=40)
    base = make_base(previous={'seed1': earlier.outputs.trajectories.seed1})
    base.ctx.inputs.restart = earlier.outputs.restart
    go(base, job(segments={1: segment(4)}, restart_step=80))
    base.results()
    assert base.outputs['trajectories']['seed1'].times_ps == pytest.approx(0.025 * np.arange(8))
