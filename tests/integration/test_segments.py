"""Runs that are cut by the wall time and killed, replicas in one run, runs that are extended: on the real LAMMPS."""

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node

from aiida_ionconduct.calculations.lammps_md import LammpsMdCalculation
from aiida_ionconduct.workchains.lammps_base import LammpsMdBaseWorkChain
from aiida_ionconduct.workchains.seeds import SeedsWorkChain

pytestmark = pytest.mark.integration

PARAMETERS = {
    'temperature_K': 250.0,
    'timestep_fs': 1.0,
    'equilibration_steps': 100,
    'production_steps': 1000,
    'seeds': [5],
    'frame_stride': 20,
    'com_stride': 5,
    'thermo_stride': 10,
    'restart_stride': 30,
}


@pytest.fixture
def md(md_of_trained):
    """Return a function that gives the inputs of a run with the trained model."""

    def inputs(walltime_s=600, **parameters):
        options = {**md_of_trained['metadata']['options'], 'max_wallclock_seconds': walltime_s}
        return {
            **md_of_trained,
            'parameters': orm.Dict({**PARAMETERS, **parameters}),
            'metadata': {'options': options},
        }

    return inputs


def base(inputs, **others):
    """Run the work chain and return its node, which must have succeeded."""
    _, node = run_get_node(LammpsMdBaseWorkChain, md=inputs, **others)
    assert node.is_finished_ok, node.exit_message
    return node


def jobs_of(node):
    """Return the jobs of a work chain in order."""
    jobs = [process for process in node.called_descendants if isinstance(process, orm.CalcJobNode)]
    return sorted(jobs, key=lambda job: job.pk)


def code_with(code, path, script):
    """Return the same code behind a shell script, in which `$lmp` is LAMMPS."""
    path.write_text(f'#!/bin/bash\nlmp={code.filepath_executable}\n{script}\n')
    path.chmod(0o755)
    return orm.InstalledCode(
        label=path.name, computer=code.computer, filepath_executable=str(path),
        default_calc_job_plugin='ionconduct.lammps.md', prepend_text=code.prepend_text,
    ).store()  # fmt: skip


CUT_AND_KILL = """
# LAMMPS' own timer, whose time is over at its first look.
sed -i 's/^\\(timer timeout 00:00:1\\) every .*/\\1 every {every}\\nshell sleep 1.1/' lammps.in
if [ -e start.bin ] && mkdir {once} 2>/dev/null; then
    # The second job is killed in the middle of its second restart file: a pipe, at which it waits for a reader.
    mkfifo production.restart.2
    set -m
    "$lmp" "$@" &
    : < production.restart.2
    kill -9 -- -$!
    rm production.restart.2
    exit 1
fi
exec "$lmp" "$@"
"""


def test_cut_and_killed(md, tmp_path):
    """Cut at least three times by the wall time and once by `kill -9`, a run equals an undisturbed run."""
    reference = base(md()).outputs.trajectories.seed5
    inputs = md(walltime_s=2)
    script = CUT_AND_KILL.format(every=250, once=tmp_path / 'killed')
    inputs['code'] = code_with(inputs['code'], tmp_path / 'lmp_cut_and_killed', script)
    node = base(inputs)
    assert [job.exit_status for job in jobs_of(node)] == [400, 320, 400, 400, 0]

    joined = node.outputs.trajectories.seed5
    assert np.array_equal(joined.times_ps, reference.times_ps)
    assert joined.centres_of_mass.shape == reference.centres_of_mass.shape
    assert np.array_equal(joined.thermo['step'], reference.thermo['step'])
    # Before the first cut nothing differs; after it, round-off grows as in any chaotic dynamics.
    difference = np.abs(joined.positions - reference.positions).max(axis=(1, 2))
    first_cut = joined.segments[0].base.attributes.get('n_frames')
    assert difference[:first_cut].max() == 0
    assert difference[first_cut : first_cut + 5].max() < 1e-4
    energy = joined.thermo['total_energy_eV']
    assert np.ptp(energy) / 17 < 2 * np.ptp(reference.thermo['total_energy_eV']) / 17 + 1e-4
    steps = np.abs(np.diff(joined.positions, axis=0)).max(axis=(1, 2))
    assert steps.max() < 2 * np.abs(np.diff(reference.positions, axis=0)).max()  # no jump where segments meet

    # Every frame once in the repository, and no second copy of it in what was retrieved.
    stored = [len(segment.base.repository.get_object_content('positions.npy', 'rb')) for segment in joined.segments]
    assert sum(stored) == joined.base.attributes.get('n_frames') * 17 * 3 * 4 + 128 * len(stored)
    assert joined.base.repository.list_object_names() == []
    for job in jobs_of(node):
        assert set(job.outputs.retrieved.list_object_names()) <= {
            'lammps.log', '_scheduler-stdout.txt', '_scheduler-stderr.txt'
        }  # fmt: skip


def test_replicas_equal_single_runs(md):
    """Four seeds in one run against each alone, over their first 200 steps."""
    short = {'equilibration_steps': 0, 'production_steps': 200, 'thermo_stride': 10}
    seeds = [5, 6, 7, 8]
    _, together = run_get_node(LammpsMdCalculation, **md(seeds=seeds, **short))
    assert together.is_finished_ok, together.exit_message
    for seed in seeds:
        _, alone = run_get_node(LammpsMdCalculation, **md(seeds=[seed], **short))
        assert alone.is_finished_ok, alone.exit_message
        single, several = (node.outputs.trajectories[f'seed{seed}'] for node in (alone, together))
        for name in ('potential_energy_eV', 'kinetic_energy_eV', 'total_energy_eV'):
            assert np.abs(single.thermo[name] - several.thermo[name]).max() / 17 < 1e-6
        assert np.ptp(single.thermo['potential_energy_eV']) / 17 > 1e-3  # the energies do move
        assert np.abs(single.positions - several.positions).max() < 1e-4


def test_sick_replicas(md):
    """A time step too long for anything: together, then one by one, each once more with half of it."""
    inputs = md(timestep_fs=30.0, equilibration_steps=0, production_steps=40, frame_stride=1, thermo_stride=2)
    _, node = run_get_node(SeedsWorkChain, **seeds_inputs(inputs, seeds=orm.List([5, 6]), atoms_per_run=orm.Int(34)))
    assert node.exit_status == 401
    runs = [
        [
            (job.inputs.parameters['seeds'], job.inputs.parameters['timestep_fs'], job.exit_status)
            for job in jobs_of(run)
        ]
        for run in sorted(node.called, key=lambda run: run.pk)
    ]
    assert runs == [
        [([5, 6], 30.0, 410)],
        *([([seed], 30.0, 410), ([seed], 15.0, 410)] for seed in (5, 6)),
    ]
    assert all('exploded' in run.exit_message for run in node.called)


def seeds_inputs(inputs, **others):
    """Return the inputs of a ``SeedsWorkChain`` from the inputs of a single run."""
    parameters = inputs.pop('parameters').get_dict()
    seeds, temperature = parameters.pop('seeds'), parameters.pop('temperature_K')
    return {
        'base': {'md': inputs},
        'parameters': orm.Dict(parameters),
        'seeds': orm.List(seeds),
        'temperatures_K': orm.List([temperature]),
        **others,
    }


def test_monitor(md, tmp_path):
    """A run that heats up without LAMMPS' own limit is killed by AiiDA in mid-run, and what came before is kept."""
    inputs = md(temperature_K=50.0, equilibration_steps=0, production_steps=10**7)
    heat = 's/fix integrate all nve/&\\nfix heat all langevin 300 300 0.05 1/'
    script = f'sed -i -e "/fix explosion_/d" -e "{heat}" lammps.in\nexec "$lmp" "$@"'
    inputs['code'] = code_with(inputs['code'], tmp_path / 'lmp_without_limit', script)
    inputs['monitors'] = {'explosion': orm.Dict({'entry_point': 'ionconduct.explosion'})}
    results, node = run_get_node(LammpsMdCalculation, **inputs)
    assert node.exit_status == 410
    assert 'the temperature ran away at step' in node.exit_message
    assert results['output_parameters']['seed5']['n_steps'] < 10**6
    assert results['trajectories']['seed5'].base.attributes.get('n_frames') > 0
    log = node.outputs.retrieved.get_object_content('lammps.log')
    assert 'Loop time' not in log.split('ionconduct stage: production')[1]  # it did not end by itself
    assert 'ERROR' not in log


def test_extended(md):
    """Given the outputs, more steps and one more seed, the runs go on as if they had been longer at once."""
    _, first = run_get_node(SeedsWorkChain, **seeds_inputs(md(production_steps=100), atoms_per_run=orm.Int(1)))
    builder = SeedsWorkChain.get_builder_extending(first, production_steps=200, seeds=[5, 6])
    _, second = run_get_node(builder)
    assert second.is_finished_ok, second.exit_message
    _, direct = run_get_node(LammpsMdCalculation, **md(production_steps=200))
    extended, reference = second.outputs.trajectories.T250_seed5, direct.outputs.trajectories.seed5
    assert np.array_equal(extended.times_ps, reference.times_ps)
    assert extended.segments[0].uuid == first.outputs.trajectories.T250_seed5.uuid
    assert np.abs(extended.positions - reference.positions).max() < 1e-4
    assert second.outputs.run_parameters.T250_seed5['n_segments'] == 2
    steps = [job.outputs.restart.base.attributes.get('step') for job in jobs_of(second)]
    assert steps == [200, 200]
    assert 'restart' in jobs_of(second)[0].inputs
    assert 'restart' not in jobs_of(second)[1].inputs
