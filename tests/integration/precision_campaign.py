"""Campaigns to a requested error under a daemon.

`verdi run precision_campaign.py submit|extend|describe ARGUMENT…` prints JSON.
"""

import json
import pathlib
import shlex
import sys

import ase.io
from aiida import orm
from aiida.engine import submit

from aiida_ionconduct.data import AllegroModelData
from aiida_ionconduct.lammps.script import START_FILE
from aiida_ionconduct.workchains.precision import PrecisionWorkChain

PARAMETERS = {
    'timestep_fs': 1.0,
    'equilibration_steps': 50,
    'production_steps': 400,
    'frame_stride': 10,
    'com_stride': 10,
    'thermo_stride': 10,
}
SEEDS, TEMPERATURE_K = [1, 2], 250.0
FIRST_NS = len(SEEDS) * 450e-6


def start(model, frames, max_md_ns, gate):
    """Submit a campaign with a compiled model on a frame of a file; return its PK.

    :param gate: a run that goes on from another one waits as long as this file exists.
    """
    builder = PrecisionWorkChain.get_builder()
    builder.md.base.md.code = orm.load_code('lammps@localhost')
    builder.md.base.md.model, builder.md.base.md.trust_model = AllegroModelData(pathlib.Path(model)), orm.Bool(True)
    builder.md.base.md.structure = orm.StructureData(ase=ase.io.read(frames, 2))
    builder.md.base.md.metadata.options = {
        'resources': {'num_machines': 1, 'num_mpiprocs_per_machine': 1},
        'prepend_text': f'while [ -e {START_FILE} ] && [ -e {shlex.quote(gate)} ]; do sleep 0.1; done',
    }
    builder.md.parameters = orm.Dict(PARAMETERS)
    builder.md.temperatures_K, builder.md.seeds = orm.List([TEMPERATURE_K]), orm.List(SEEDS)
    builder.analysis = orm.Dict({'charges': {'Li': 1, 'P': 5, 'Si': 4, 'O': -2}, 'mobile': 'Li'})
    builder.target_relative_error, builder.max_md_ns = orm.Float(0.1), orm.Float(float(max_md_ns))
    return submit(builder).pk


def extend(pk, max_md_ns):
    """Submit a campaign that goes on with another one; return its PK."""
    return submit(PrecisionWorkChain.get_builder_extending(orm.load_node(int(pk)), max_md_ns=float(max_md_ns))).pk


def describe(pk):
    """Return the state of a campaign, and what its jobs have run."""
    node = orm.load_node(int(pk))
    terminated = node.is_terminated  # first: what has ended by now has its outputs
    jobs = [process for process in node.called_descendants if isinstance(process, orm.CalcJobNode)]
    jobs.sort(key=lambda job: job.pk)
    runs = {}
    for job in jobs:
        begun = job.inputs.restart.base.attributes.get('step') if 'restart' in job.inputs else 0
        for seed in job.inputs.parameters['seeds']:
            runs.setdefault(str(seed), []).append([begun, job.inputs.parameters['production_steps']])
    outcome = node.outputs.outcome.get_dict() if 'outcome' in node.outputs else None
    frames = {
        label: trajectory.positions.shape[0]
        for label, trajectory in (node.outputs.trajectories.items() if 'trajectories' in node.outputs else ())
    }
    return {
        'terminated': terminated,
        'exit_status': node.exit_status,
        'runs': runs,
        'outcome': outcome,
        'frames': frames,
    }


if __name__ == '__main__':
    function = {'submit': start, 'extend': extend, 'describe': describe}[sys.argv[1]]
    print(json.dumps(function(*sys.argv[2:])))
