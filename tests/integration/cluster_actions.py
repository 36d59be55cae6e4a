"""What the tests of the cluster do in a profile: `verdi run cluster_actions.py ACTION ARGUMENT…` prints JSON."""

import io
import json
import sys
import time
import uuid
import zipfile

from aiida import orm
from aiida.engine import ProcessBuilder, submit
from ase.build import bulk

from aiida_ionconduct.calculations.allegro_compile import AllegroCompileCalculation
from aiida_ionconduct.data import AllegroModelData
from aiida_ionconduct.farm.site import options_of_job
from aiida_ionconduct.workchains.seeds import SeedsWorkChain

POLL_S, PATIENCE_S = 0.5, 300


def run_jobs(resources: str, number: str = '1') -> list[dict]:
    """Run jobs on the GPU computer of the site at the same time, and return what became of them.

    :param resources: what they ask for beside or instead of what the site file says, as JSON.
    """
    nodes = [submit(job(json.loads(resources))) for _ in range(int(number))]
    end = time.monotonic() + PATIENCE_S
    while not all(node.is_terminated or node.paused for node in nodes) and time.monotonic() < end:
        time.sleep(POLL_S)
    return [
        {
            'pk': node.pk,
            'folder': node.get_remote_workdir(),
            'job_id': node.get_job_id(),
            'exit_status': node.exit_status,
            'message': node.exit_message or node.process_status,
            'errors': node.get_scheduler_stderr(),
            'logged': [log.message for log in orm.Log.collection.get_logs_for(node) if log.levelname == 'ERROR'],
        }
        for node in nodes
    ]


def job(resources: dict) -> ProcessBuilder:
    """Return the builder of a job that no job before was like."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, 'w') as package:
        package.writestr('unique', uuid.uuid4().hex)  # no job is taken from the cache
    content.seek(0)
    builder = AllegroCompileCalculation.get_builder()
    builder.code = orm.load_code('nequip-compile@cluster-gpu')
    builder.model = AllegroModelData(content, filename='model.nequip.zip', type_names=['Li', 'O'], r_max=5.0)
    builder.trust_model = orm.Bool(True)
    builder.parameters = orm.Dict({'target': 'mliap'})
    for name, value in options_of_job(builder.code, resources).items():
        builder.metadata.options[name] = value
    return builder


def start_runs(n_seeds: str) -> int:
    """Submit runs of LAMMPS on the GPU computer, a job for each seed, and return the pk of the work chain."""
    atoms = bulk('LiF', 'rocksalt', 4.03, cubic=True)
    builder = SeedsWorkChain.get_builder()
    builder.base.md.code = orm.load_code('lammps@cluster-gpu')
    builder.base.md.model = AllegroModelData(
        io.BytesIO(uuid.uuid4().bytes), filename='model.nequip.pt2', type_names=['Li', 'F'], r_max=5.0
    )
    builder.base.md.trust_model = orm.Bool(True)
    builder.base.md.structure = orm.StructureData(ase=atoms)
    for name, value in options_of_job(builder.base.md.code, {'max_wallclock_seconds': 3600}).items():
        builder.base.md.metadata.options[name] = value
    builder.parameters = orm.Dict({'timestep_fs': 1.0, 'equilibration_steps': 20, 'production_steps': 200})
    builder.temperatures_K = orm.List([300])
    builder.seeds = orm.List(list(range(1, int(n_seeds) + 1)))
    builder.atoms_per_run = orm.Int(len(atoms))
    builder.max_concurrent = orm.Int(int(n_seeds))
    return submit(builder).pk


ACTIONS = (run_jobs, start_runs)

if __name__ == '__main__':
    name, *arguments = sys.argv[1:]
    print(json.dumps({function.__name__: function for function in ACTIONS}[name](*arguments)))
