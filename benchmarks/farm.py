"""Many short jobs through AiiDA on PostgreSQL, RabbitMQ and Slurm, against the same jobs by `sbatch` in a loop.

    python benchmarks/farm.py [JOBS] [--real]

The services are started in a folder of their own and removed afterwards. LAMMPS runs once; every job then copies what
that run has left, so that the machine's time goes to the farm, whose workers handle the same files either way. With
`--real` every job runs LAMMPS itself.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import ase.io
import psutil
import psycopg
import yaml
from tabulate import tabulate

from lib import allegro, programs
from local_services import Services
from local_services.slurm import NODE, PARTITION

ACTIONS = allegro.ROOT / 'tests' / 'integration' / 'production_actions.py'
TARGET_S = 2.7  # of the workers' processor time for a job, at most
WORKERS = 2
# As in the tests: small, but trained long enough that the dynamics does not explode.
PARAMETERS = {
    'r_max': 5.0, 'l_max': 1, 'num_layers': 1, 'num_scalar_features': 16, 'num_tensor_features': 4, 'mlp_width': 16,
    'readout_width': 16, 'max_epochs': 150, 'learning_rate': 0.01, 'accelerator': 'cpu',
}  # fmt: skip
RUN = {'equilibration_steps': 20, 'production_steps': 200, 'frame_stride': 10, 'com_stride': 5}
COPY = '#!/bin/bash\ncp {}/* .\n'


def prepare(folder: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """Train and compile a small model, and run LAMMPS once; return the model and the folder of that run."""
    allegro.build_plugin()
    allegro.train(folder / 'model', PARAMETERS)
    model = allegro.compiled(folder / 'model', 'compiled', 'cpu', 'pair_allegro')
    atoms = ase.io.read(allegro.FRAMES, 2)
    allegro.lammps(folder / 'run', atoms, model, temperature_K=300.0, timestep_fs=1.0, thermo_stride=10, **RUN)
    for name in (allegro.MODEL, 'lammps.in', 'structure.data'):
        (folder / 'run' / name).unlink()
    return model, folder / 'run'


def bare(services: Services, folder: pathlib.Path, executable: pathlib.Path, n_jobs: int) -> float:
    """Submit the jobs in a loop and wait for the last; return the seconds."""
    begin = time.perf_counter()
    for index in range(n_jobs):
        workdir = folder / f'{index:04d}'
        workdir.mkdir(parents=True)
        (workdir / 'job.sh').write_text(f'#!/bin/bash\n{executable}\n')
        request = (f'--partition={PARTITION}', '--time=60', '--ntasks=1')
        services.slurm('sbatch', f'--chdir={workdir}', *request, str(workdir / 'job.sh'))
    while services.slurm('squeue', '--noheader').strip():
        time.sleep(0.2)
    return time.perf_counter() - begin


def set_up(services: Services, folder: pathlib.Path, executable: pathlib.Path) -> dict[str, str]:
    """Make a profile with the command that users run; return its environment."""
    home = folder / 'home' / '.ssh'
    home.mkdir(parents=True, mode=0o700)
    (home / 'config').write_text(services.ssh_config)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith('AIIDA_')},
        'HOME': str(home.parent), 'AIIDA_PATH': str(folder),
        'AIIDA_IONCONDUCT_CACHE': os.environ.get('AIIDA_IONCONDUCT_CACHE', str(folder / 'cache')),
        'AIIDA_IONCONDUCT_POSTGRES': services.postgres_uri, 'AIIDA_IONCONDUCT_RABBITMQ': services.rabbitmq_uri,
        'PATH': f'{pathlib.Path(sys.executable).parent}:{os.environ["PATH"]}',
    }  # fmt: skip
    # As for a cluster, but for the interval between two looks at the queue, which would hide the rest here.
    computer = {
        'hostname': NODE, 'scheduler': 'slurm', 'partition': PARTITION, 'workdir': str(folder / 'scratch'),
        'poll_interval_s': 5, 'safe_interval_s': 1, 'use_login_shell': False,
    }  # fmt: skip
    codes = {'lammps@farm': {'executable': str(executable), 'prepend': 'export OMP_NUM_THREADS=1'}}
    (folder / 'site.yaml').write_text(yaml.safe_dump({'computers': {'farm': computer}, 'codes': codes}))
    command(environment, 'aiida-ionconduct', 'setup', '--workers', str(WORKERS), '--site', str(folder / 'site.yaml'))
    return environment


def command(environment: dict[str, str], name: str, *arguments: str) -> str:
    """Return what a command of this Python environment prints."""
    program = programs.executable(name)
    done = subprocess.run([program, *arguments], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f'{name} {" ".join(arguments)}:\n{done.stdout}{done.stderr}')
    return done.stdout


def worker_seconds(folder: pathlib.Path) -> dict[int, float]:
    """Return the processor time of the daemon's workers by their ids."""
    seconds, folders = {}, (str(folder), str(folder / '.aiida'))  # the daemon has the second
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.AccessDenied, psutil.NoSuchProcess):
            if process.environ().get('AIIDA_PATH') in folders and 'worker' in process.cmdline():
                times = process.cpu_times()
                seconds[process.pid] = times.user + times.system + times.children_user + times.children_system
    return seconds


def stored(connection: psycopg.Connection, folder: pathlib.Path) -> tuple[int, int, int]:
    """Return the bytes of the database and of the repository, and the number of nodes."""
    (database,) = connection.execute('SELECT pg_database_size(current_database())').fetchone()
    (nodes,) = connection.execute('SELECT count(*) FROM db_dbnode').fetchone()
    files = (folder / '.aiida' / 'repository').rglob('*')
    return database, sum(path.stat().st_size for path in files if path.is_file()), nodes


def farmed(services: Services, folder: pathlib.Path, executable, model, n_jobs: int) -> dict[str, float]:
    """Run the jobs as the seeds of one campaign; return what it took."""
    environment = set_up(services, folder, executable)
    try:
        with psycopg.connect(services.postgres_uri, autocommit=True) as connection:
            before, seconds = stored(connection, folder), worker_seconds(folder)
            begin = time.perf_counter()
            options = {
                'code': 'lammps@farm', 'model': str(model), 'structure': str(allegro.FRAMES),
                'seeds': list(range(1, n_jobs + 1)), 'max_concurrent': n_jobs, 'parameters': RUN,
            }  # fmt: skip
            answer = command(environment, 'verdi', 'run', str(ACTIONS), 'submit', json.dumps(options))
            pk = int(answer.splitlines()[-1])
            states = "SELECT attributes->>'process_state', attributes->>'exit_status' FROM db_dbnode WHERE id = %s"
            while (row := connection.execute(states, (pk,)).fetchone())[0] not in ('finished', 'excepted', 'killed'):
                time.sleep(0.5)
            if row != ('finished', '0'):
                raise RuntimeError(f'the campaign ended with {row}')
            wall = time.perf_counter() - begin
            after, used = stored(connection, folder), worker_seconds(folder)
    finally:
        command(environment, 'verdi', 'daemon', 'stop')
    if used.keys() != seconds.keys():
        raise RuntimeError('a worker was replaced by another while this ran: its processor time is lost')
    database, repository, nodes = ((late - early) / n_jobs for early, late in zip(before, after, strict=True))
    cpu = sum(used.values()) - sum(seconds.values())
    return {'wall': wall, 'cpu': cpu / n_jobs, 'database': database, 'repository': repository, 'nodes': nodes}


def main():
    """Print the table and the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('jobs', type=int, nargs='?', default=300)
    parser.add_argument('--real', action='store_true', help='Let every job run LAMMPS.')
    arguments = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix='ionconduct-farm-'))
    folder.chmod(0o711)
    services = Services.make(folder / 'services')
    try:
        model, run = prepare(folder)
        copy = folder / 'copy.sh'
        copy.write_text(COPY.format(run))
        copy.chmod(0o755)
        executable = pathlib.Path(programs.executable('lmp')) if arguments.real else copy
        services.start()
        seconds = None if arguments.real else bare(services, folder / 'bare', copy, arguments.jobs)
        farm = farmed(services, folder / 'farm', executable, model, arguments.jobs)
    finally:
        services.remove()
        shutil.rmtree(folder)
    rows = [('farm', f'{60 * arguments.jobs / farm["wall"]:.0f}', f'{farm["wall"]:.0f} s', f'{farm["cpu"]:.2f} s')]
    if seconds is not None:
        rows.append(('sbatch in a loop', f'{60 * arguments.jobs / seconds:.0f}', f'{seconds:.0f} s', ''))
    print(f'{arguments.jobs} jobs, {WORKERS} workers\n')
    print(tabulate(rows, headers=('', 'jobs a minute', 'all of them', "workers' processor time a job")))
    print(
        f'\neach job: {farm["nodes"]:.1f} nodes, {farm["database"] / 1e3:.0f} kB in the database, '
        f'{farm["repository"] / 1e3:.0f} kB in the repository'
    )
    met = farm['cpu'] <= TARGET_S
    print(f'RESULT worker_cpu_s_per_job={farm["cpu"]:.2f} target={TARGET_S:g} {"met" if met else "missed"}')
    sys.exit(not met)


if __name__ == '__main__':
    main()
