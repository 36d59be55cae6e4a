"""AIMD and relaxation of 16 atoms on the real pw.x: `verdi run pw_runs.py NAME [MAX_SECONDS]` prints it as JSON."""

import json
import sys
import threading
import time

import numpy as np
import psutil
from aiida import orm
from aiida.engine import run_get_node
from aiida.manage.caching import disable_caching

from aiida_ionconduct.calculations.functions.aimd import count_whole_steps, output_of
from aiida_ionconduct.structures import crystal
from aiida_ionconduct.workchains.aimd import AimdWorkChain
from aiida_ionconduct.workchains.builder import aimd_inputs, load_codes, relax_inputs
from aiida_ionconduct.workchains.protocols import protocol_inputs
from aiida_ionconduct.workchains.relax import RelaxWorkChain

N_STEPS = 9
KILLED_AFTER = 3  # whole steps
RELAXATION = {'relax_type': 'positions', 'forc_conv_thr': 0.004, 'etot_conv_thr_per_atom': 1e-5}
AIMD = {'temperatures_K': [900], 'timestep_fs': 1.0, 'sampling_ps': N_STEPS * 1e-3}
EQUILIBRATED = {
    'equilibration_ps': 4e-3,
    'sampling_ps': 4e-3,
    'equilibration_thermostat': 'rescale',
    'thermostat_steps': 2,
}
OVERRIDES = {'dft': {'ecutwfc': 20.0, 'conv_thr_per_atom': 1e-9}}


def builder_of(aimd: dict, max_seconds: float):
    """Return the builder of a run; pw.x stops itself after so many seconds, 0 for never."""
    p = protocol_inputs('conductivity', 'quickstart', {**OVERRIDES, 'aimd': {**AIMD, **aimd}})
    structure = orm.StructureData(ase=crystal('beta-Li3PO4'))
    inputs = aimd_inputs(load_codes()['pw'], structure, p)
    if max_seconds:
        inputs['base']['pw']['parameters']['CONTROL']['max_seconds'] = max_seconds
    builder = AimdWorkChain.get_builder()
    builder._update({**inputs, 'structure': structure})
    return builder


def relaxation_builder():
    """Return the builder of the relaxation of a crystal whose ions are off their sites."""
    p = protocol_inputs('conductivity', 'quickstart', {**OVERRIDES, 'relax': RELAXATION})
    atoms = crystal('beta-Li3PO4')
    atoms.rattle(0.05, seed=1)
    structure = orm.StructureData(ase=atoms)
    builder = RelaxWorkChain.get_builder()
    builder._update({**relax_inputs(load_codes()['pw'], structure, p), 'structure': structure})
    return builder


def count_energies(output: str) -> int:
    """Return how many self-consistent energies pw.x has printed."""
    return sum(line.startswith('!') for line in output.splitlines())


def kill_once(workdir: str, count, seen: dict) -> None:
    """Kill the pw.x that runs below a folder as soon as it has done some steps, which are counted in its output."""
    while True:
        for process in psutil.process_iter(['name', 'cwd']):
            folder = process.info['cwd'] or ''
            if process.info['name'] != 'pw.x' or not folder.startswith(workdir):
                continue
            try:
                with open(f'{folder}/aiida.out') as handle:
                    n_steps = count(handle.read())
            except FileNotFoundError:
                continue
            if n_steps >= KILLED_AFTER:
                process.kill()
                seen['n_steps'] = n_steps
                return
        time.sleep(0.05)


def describe(node: orm.WorkChainNode, seen: dict) -> dict:
    """Return all that the tests look at."""
    trajectory = node.outputs.trajectories.T900
    jobs = [one for one in node.called_descendants if isinstance(one, orm.CalcJobNode)]
    jobs.sort(key=lambda one: one.pk)
    return {
        'exit_status': node.exit_status,
        'parameters': node.outputs.run_parameters.T900.get_dict(),
        'times_ps': trajectory.get_times().tolist(),
        'positions': trajectory.get_positions().tolist(),
        'velocities': trajectory.get_velocities().tolist(),
        'conserved_eV': trajectory.get_array('conserved_energy').tolist(),
        'temperature': trajectory.get_array('temperature').tolist(),
        'jobs': [(one.exit_status, count_whole_steps(output_of(one.outputs.retrieved))) for one in jobs],
        'seconds': [one.outputs.output_parameters['wall_time_seconds'] for one in jobs if one.is_finished_ok],
        'killed': seen,
    }


def describe_relaxation(node: orm.WorkChainNode, seen: dict) -> dict:
    """Return all that the test of a relaxation looks at; of each job the energies and where the ions began."""
    jobs = sorted((one for one in node.called_descendants if isinstance(one, orm.CalcJobNode)), key=lambda one: one.pk)
    return {
        'exit_status': node.exit_status,
        'jobs': [one.exit_status for one in jobs],
        'begins': [one.inputs.structure.uuid for one in jobs],
        'ends': [one.outputs.output_structure.uuid for one in jobs],
        'energies_eV': [one.outputs.output_trajectory.get_array('energy').tolist() for one in jobs],
        'largest_force_eV_per_A': float(
            np.linalg.norm(jobs[-1].outputs.output_trajectory.get_array('forces')[-1], axis=1).max()
        ),
        'killed': seen,
    }


def main(name: str, max_seconds: str = '') -> None:
    """Run it."""
    seen: dict = {}
    if name == 'relaxation':
        builder, describe_it, count = relaxation_builder(), describe_relaxation, count_energies
    else:
        aimd = EQUILIBRATED if name == 'equilibrated' else {}
        builder, describe_it, count = builder_of(aimd, float(max_seconds or 0)), describe, count_whole_steps
    if name in ('killed', 'relaxation'):
        workdir = orm.load_computer('localhost').get_workdir()
        threading.Thread(target=kill_once, args=(workdir, count, seen), daemon=True).start()
    with disable_caching():
        _, node = run_get_node(builder)
    print(json.dumps(describe_it(node, seen)))


if __name__ == '__main__':
    main(*sys.argv[1:])
