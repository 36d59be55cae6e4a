"""What tests do in a production profile: `verdi run production_actions.py ACTION ARGUMENT…` prints JSON."""

import hashlib
import io
import json
import pathlib
import pickle
import sys
import tempfile

import ase.io
import numpy as np
from aiida import orm
from aiida.engine import ProcessState

from aiida_ionconduct.data import AllegroModelData
from aiida_ionconduct.data.trajectory import ARRAYS
from aiida_ionconduct.farm.site import options_of_job
from aiida_ionconduct.farm.submission import submit_once
from aiida_ionconduct.workchains.seeds import SeedsWorkChain

STEPS = {'equilibration_steps': 20, 'production_steps': 200}
STRIDES = {'frame_stride': 10, 'com_stride': 5, 'thermo_stride': 10, 'restart_stride': 20}
T_K = 300


def submit(specification: str) -> int:
    """Submit a campaign and return its pk."""
    options = json.loads(specification)
    builder = SeedsWorkChain.get_builder()
    builder.base.md.code = orm.load_code(options['code'])
    builder.base.md.model, builder.base.md.trust_model = AllegroModelData(options['model']), orm.Bool(True)
    builder.base.md.structure = named_structure(options)
    builder.base.md.metadata.label = builder.base.md.metadata.description = options.get('names', '')
    builder.metadata.label = builder.metadata.description = options.get('names', '')
    builder.base.md.metadata.options = {
        **options_of_job(builder.base.md.code, {'max_wallclock_seconds': options.get('walltime_s', 3600)}),
        # Slurm would start a login shell of the user for every job, and kill it if it takes more than two seconds.
        'import_sys_environment': False,
    }
    builder.parameters = orm.Dict({'timestep_fs': 1.0, **STEPS, **STRIDES, **options.get('parameters', {})})
    builder.temperatures_K = orm.List([T_K])
    builder.seeds = orm.List(options['seeds'])
    builder.max_concurrent = orm.Int(options['max_concurrent'])
    return submit_once(builder)[0].pk


def named_structure(options: dict) -> orm.StructureData:
    """Return the structure, read from a file of a name and with a comment that are given, if any are."""
    atoms, names = ase.io.read(options['structure'], 2), options.get('names')
    if not names:
        return orm.StructureData(ase=atoms)
    path = pathlib.Path(tempfile.mkdtemp(), f'{names}.xyz')
    ase.io.write(path, atoms, format='xyz', comment=names)
    named = ase.io.read(path)
    named.set_cell(atoms.cell)
    named.pbc = True
    structure = orm.StructureData(ase=named)
    structure.label, structure.description = names, names
    structure.base.extras.set('comment', names)
    return structure


def trap(folder: str) -> dict:
    """Store a model whose file leaves a mark when it is unpickled; return the node and the mark."""
    marker = pathlib.Path(folder, 'unpickled')

    class Trap:
        def __reduce__(self):
            return (open, (str(marker), 'w'))

    pickle.loads(pickle.dumps(Trap())).close()
    assert marker.exists()
    marker.unlink()
    model = AllegroModelData(io.BytesIO(pickle.dumps(Trap())), filename='m.nequip.zip', type_names=['Li'], r_max=5.0)
    return {'uuid': str(model.store().uuid), 'marker': str(marker)}


def contents() -> dict:
    """Return by the identity of each node what it is, its attributes, its files and its links."""
    described = {}
    for (node,) in orm.QueryBuilder().append(orm.Node).all():
        links = sorted([link.link_label, str(link.node.uuid)] for link in node.base.links.get_outgoing().all())
        files = {
            name: hashlib.sha256(node.base.repository.get_object_content(name, 'rb')).hexdigest()
            for name in node.base.repository.list_object_names()
            if node.base.repository.get_object(name).is_file()
        }
        described[str(node.uuid)] = [node.node_type, node.base.attributes.all, files, links]
    return described


def result(pk: str, folder: str, forget: str = '') -> dict:
    """Write the arrays of every seed into a folder, and tell what ran; if asked to, keep the jobs out of the cache."""
    node = orm.load_node(pk)
    trajectories = node.outputs.trajectories if 'trajectories' in node.outputs else {}
    for label, trajectory in trajectories.items():
        arrays = {name: getattr(trajectory, name) for name in ARRAYS if name != 'thermo'}
        thermo = np.column_stack(list(trajectory.thermo.values()))
        np.savez(pathlib.Path(folder, label), **arrays, thermo=thermo, times_ps=trajectory.times_ps)
    jobs = [process for process in node.called_descendants if isinstance(process, orm.CalcJobNode)]
    for job in jobs if forget else ():
        job.base.caching.is_valid_cache = False
    described = [
        {
            'run': job.caller.base.links.get_incoming(node_class=orm.WorkChainNode).one().link_label,
            'pk': job.pk,
            'job_id': job.get_job_id(),
            'folder': job.get_remote_workdir(),
            'exit_status': job.exit_status,
            'state': (job.process_state or ProcessState.CREATED).value,
            'cached': job.base.caching.is_created_from_cache,
        }
        for job in jobs
    ]
    return {
        'state': (node.process_state or ProcessState.CREATED).value,
        'exit_status': node.exit_status,
        'runs': [
            [link.link_label, (link.node.process_state or ProcessState.CREATED).value, link.node.exit_status]
            for link in called(node)
        ],
        'seeds': sorted(trajectories),
        'jobs': described,
    }


def called(node):
    """Return the links to the runs of a campaign."""
    return node.base.links.get_outgoing(node_class=orm.WorkChainNode).all()


ACTIONS = (submit, result, trap, contents)

if __name__ == '__main__':
    name, *arguments = sys.argv[1:]
    print(json.dumps({function.__name__: function for function in ACTIONS}[name](*arguments)))
