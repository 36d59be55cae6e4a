"""AIMD of 16 atoms at a low cutoff on the real pw.x: `verdi run aimd_runs.py NAME [MAX_SECONDS]` prints it as JSON."""

import json
import sys
import threading
import time

import psutil
from aiida import orm
from aiida.engine import run_get_node
from aiida.manage.caching import disable_caching

from aiida_ionconduct.calculations.functions.aimd import count_whole_steps, output_of
from aiida_ionconduct.structures import crystal
from aiida_ionconduct.workchains.aimd import AimdWorkChain
from aiida_ionconduct.workchains.builder import aimd_inputs, load_codes
from aiida_ionconduct.workchains.protocols import protocol_inputs

N_STEPS = 9
KILLED_AFTER = 3  # whole steps
AIMD = {'temperatures_K': [900], 'timestep_fs': 1.0, 'sampling_ps': N_STEPS * 1e-3}
EQUILIBRATED = {
    'equilibration_ps': 4e-3,
    'sampling_ps': 4e-3,
    'equilibration_thermostat': 'rescale',
    'thermostat_steps': 2,
}
OVERRIDES = {'dft': {'ecutwfc': 20.0, 'conv_thr_per_atom': 1e-9}}


def builder_of(aimd: dict, max_seconds: float | None):
    """Return the builder of a run; pw.x stops itself after so many seconds."""
    p = protocol_inputs('conductivity', 'quickstart', {**OVERRIDES, 'aimd': {**AIMD, **aimd}})
    structure = orm.StructureData(ase=crystal('beta-Li3PO4'))
    inputs = aimd_inputs(load_codes()['pw'], structure, p)
    if max_seconds:
        inputs['base']['pw']['parameters']['CONTROL']['max_seconds'] = max_seconds
    builder = AimdWorkChain.get_builder()
    builder._update({**inputs, 'structure': structure})
    return builder


def kill_once(workdir: str, seen: dict) -> None:
    """Kill the pw.x that runs below a folder as soon as it has done some steps."""
    while True:
        for process in psutil.process_iter(['name', 'cwd']):
            folder = process.info['cwd'] or ''
            if process.info['name'] != 'pw.x' or not folder.startswith(workdir):
                continue
            try:
                with open(f'{folder}/aiida.out') as handle:
                    n_steps = count_whole_steps(handle.read())
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


def main(name: str, max_seconds: str = '') -> None:
    """Run it."""
    builder = builder_of(EQUILIBRATED if name == 'equilibrated' else {}, float(max_seconds) if max_seconds else None)
    seen: dict = {}
    if name == 'killed':
        workdir = orm.load_computer('localhost').get_workdir()
        threading.Thread(target=kill_once, args=(workdir, seen), daemon=True).start()
    with disable_caching():
        _, node = run_get_node(builder)
    print(json.dumps(describe(node, seen)))


if __name__ == '__main__':
    main(*sys.argv[1:])
