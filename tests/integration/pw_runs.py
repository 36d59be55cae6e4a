"""AIMD and relaxation of 16 atoms on the real pw.x: `verdi run pw_runs.py NAME [MAX_SECONDS]` prints it as JSON."""

import json
import sys
import threading
import time
from functools import partial

import numpy as np
import psutil
from aiida import orm
from aiida.engine import run_get_node
from aiida.manage.caching import disable_caching

from aiida_ionconduct.calculations.functions.aimd import count_whole_steps, output_of
from aiida_ionconduct.structures import crystal
from aiida_ionconduct.workchains.aimd import AimdWorkChain
from aiida_ionconduct.workchains.inputs import load_codes
from aiida_ionconduct.workchains.protocols import protocol_inputs
from aiida_ionconduct.workchains.relax import RelaxWorkChain
from aiida_ionconduct.workchains.stage_inputs import aimd_inputs, relax_inputs

N_STEPS = 9
DISTURBED_AFTER = 3  # whole steps
RELAXATION = {'relax_type': 'positions', 'forc_conv_thr': 0.004, 'etot_conv_thr_per_atom': 1e-5}
AIMD = {'temperatures_K': [900], 'timestep_fs': 1.0, 'sampling_ps': N_STEPS * 1e-3}
EQUILIBRATED = {
    'equilibration_ps': 4e-3,
    'sampling_ps': 4e-3,
    'equilibration_thermostat': 'rescale',
    'thermostat_steps': 2,
}
OVERRIDES = {'dft': {'ecutwfc': 20.0, 'conv_thr_per_atom': 1e-9}}


def filled_builder(process_class, make_inputs, atoms, section: dict):
    """Return the builder of a work chain on some atoms, with the inputs that a section of the protocol gives."""
    p, structure = protocol_inputs('conductivity', 'quickstart', {**OVERRIDES, **section}), orm.StructureData(ase=atoms)
    builder = process_class.get_builder()
    builder._update({**make_inputs(load_codes()['pw'], structure, p), 'structure': structure})
    return builder


def aimd_builder(max_seconds: str = '', **aimd):
    """Return the builder of a run; pw.x stops itself after so many seconds, if they are given."""
    builder = filled_builder(AimdWorkChain, aimd_inputs, crystal('beta-Li3PO4'), {'aimd': {**AIMD, **aimd}})
    if max_seconds:
        builder.base.pw.parameters['CONTROL']['max_seconds'] = float(max_seconds)
    return builder


def relaxation_builder():
    """Return the builder of the relaxation of a crystal whose ions are off their sites."""
    atoms = crystal('beta-Li3PO4')
    atoms.rattle(0.05, seed=1)
    return filled_builder(RelaxWorkChain, relax_inputs, atoms, {'relax': RELAXATION})


def count_energies(output: str) -> int:
    """Return how many self-consistent energies pw.x has printed."""
    return sum(line.startswith('!') for line in output.splitlines())


def count_iterations(output: str) -> int:
    """Return how many iterations of the first self-consistent cycle pw.x has printed."""
    return output.partition('\n!')[0].count('iteration #')


def disturb(workdir: str, count, act, n_jobs: int, seen: dict) -> None:
    """Do something to the pw.x below a folder that has done some steps, counted in its output; once in each job."""
    folders = set()
    while len(folders) < n_jobs:
        for process in psutil.process_iter(['name', 'cwd']):
            folder = process.info['cwd'] or ''
            if process.info['name'] != 'pw.x' or not folder.startswith(workdir) or folder in folders:
                continue
            try:
                with open(f'{folder}/aiida.out') as handle:
                    n_steps = count(handle.read())
            except FileNotFoundError:
                continue
            if n_steps >= DISTURBED_AFTER:
                folders.add(folder)
                seen['n_steps'] = n_steps
                act(process)
        time.sleep(0.05)


def hold(process: psutil.Process, max_seconds: str) -> None:
    """Let it sleep until the time after which it stops itself is over."""
    process.suspend()
    time.sleep(max(0.0, process.create_time() + float(max_seconds) + 1 - time.time()))
    process.resume()


def describe(node: orm.WorkChainNode, jobs: list) -> dict:
    """Return what the tests of AIMD look at."""
    trajectory = node.outputs.trajectories.T900
    return {
        'parameters': node.outputs.run_parameters.T900.get_dict(),
        'times_ps': trajectory.get_times().tolist(),
        'positions': trajectory.get_positions().tolist(),
        'velocities': trajectory.get_velocities().tolist(),
        'conserved_eV': trajectory.get_array('conserved_energy').tolist(),
        'temperature': trajectory.get_array('temperature').tolist(),
        'jobs': [(job.exit_status, count_whole_steps(output_of(job.outputs.retrieved))) for job in jobs],
        'seconds': [job.outputs.output_parameters['wall_time_seconds'] for job in jobs if job.is_finished_ok],
    }


def describe_relaxation(node: orm.WorkChainNode, jobs: list) -> dict:
    """Return what the test of a relaxation looks at; of each job the energies and where the ions began."""
    return {
        'jobs': [job.exit_status for job in jobs],
        'begins': [job.inputs.structure.uuid for job in jobs],
        'ends': [job.outputs.output_structure.uuid for job in jobs],
        'energies_eV': [job.outputs.output_trajectory.get_array('energy').tolist() for job in jobs],
        'largest_force_eV_per_A': float(
            np.linalg.norm(jobs[-1].outputs.output_trajectory.get_array('forces')[-1], axis=1).max()
        ),
    }


def describe_statuses(node: orm.WorkChainNode, jobs: list) -> dict:
    """Return how the jobs and the work chains have ended, and how many energies each job has."""
    outputs = [output_of(job.outputs.retrieved) for job in jobs]
    return {
        'jobs': [job.exit_status for job in jobs],
        'n_energies': [count_energies(output) for output in outputs],
        'excepted': [process.pk for process in node.called_descendants if process.is_excepted],
    }


RUNS = {
    'uncut': (aimd_builder, describe, None),
    'cut': (aimd_builder, describe, (count_whole_steps, hold, 2)),
    'killed': (aimd_builder, describe, (count_whole_steps, psutil.Process.kill, 1)),
    'aimd_killed_at_once': (aimd_builder, describe_statuses, (count_iterations, psutil.Process.kill, 1)),
    'relaxation_killed_at_once': (relaxation_builder, describe_statuses, (count_iterations, psutil.Process.kill, 1)),
    'equilibrated': (partial(aimd_builder, **EQUILIBRATED), describe, None),
    'relaxation': (relaxation_builder, describe_relaxation, (count_energies, psutil.Process.kill, 1)),
}
"""By name: builder, description of the result; what counts steps, what then happens, and in how many jobs."""


def main(name: str, *arguments: str) -> None:
    """Run it."""
    make_builder, describe_result, disturbance = RUNS[name]
    builder, seen = make_builder(*arguments), {}
    if disturbance:
        count, act, n_jobs = disturbance
        workdir = orm.load_computer('localhost').get_workdir()
        args = (workdir, count, lambda process: act(process, *arguments), n_jobs, seen)
        threading.Thread(target=disturb, args=args, daemon=True).start()
    with disable_caching():
        _, node = run_get_node(builder)
    jobs = [process for process in node.called_descendants if isinstance(process, orm.CalcJobNode)]
    jobs.sort(key=lambda job: job.pk)
    print(json.dumps({'exit_status': node.exit_status, 'disturbed': seen, **describe_result(node, jobs)}))


if __name__ == '__main__':
    main(*sys.argv[1:])
