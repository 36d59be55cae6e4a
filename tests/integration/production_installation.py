"""A production profile on real services: what the tests of faults and of the profile itself share."""

import contextlib
import json
import os
import pathlib
import random
import tempfile
import time

import numpy as np
import psutil
import psycopg
import pytest
import yaml

from local_services import missing, slurm

from .installation import SCRIPTS, Installation

PATIENCE_S = 900  # for a state that must come; a test that hangs must not hang the others
ACTIONS = pathlib.Path(__file__).with_name('production_actions.py')
NODE_TYPE = 'process.calculation.calcjob.CalcJobNode.'
OPTIONS = {'transport.task_retry_initial_interval': 1, 'runner.poll.interval': 2}


def why_not():
    """Return why services cannot be started, or an empty text."""
    if not os.environ.get('IONCONDUCT_FAULTS'):
        return 'starts PostgreSQL, RabbitMQ, sshd and Slurm, as `make test` does, if IONCONDUCT_FAULTS is set to short'
    names = ', '.join(missing())
    return f'not installed: {names}; as root: scripts/system_packages.sh services' if names else ''


needs_services = pytest.mark.skipif(bool(why_not()), reason=why_not())


class Farm(Installation):
    """An installation on real services.

    A job looks at three files before LAMMPS starts: it waits as long as `closed` exists, `quota` limits the size of
    what it writes, and the first job that finds `hang` will write its second restart file into a pipe that nobody
    reads, and so hang there with one restart file written.
    """

    def __init__(self, path, services, model, plugin, structure):
        super().__init__(path)
        self.services, self.model, self.structure = services, model, structure
        self.gate, self.quota, self.hang = (path / name for name in ('closed', 'quota', 'hang'))
        self.scratch, self.connection = path / 'scratch', None
        (self.home / '.ssh').mkdir(mode=0o700)
        (self.home / '.ssh' / 'config').write_text(services.ssh_config)
        self.environment |= {
            'AIIDA_IONCONDUCT_POSTGRES': services.postgres_uri,
            'AIIDA_IONCONDUCT_RABBITMQ': services.rabbitmq_uri,
        }
        prepend = (
            f'while [ -e {self.gate} ]; do sleep 0.1; done\n'
            # A write beyond the limit fails, as on a full disk, instead of ending the program.
            f"if [ -e {self.quota} ]; then trap '' XFSZ; ulimit -f 4; fi\n"
            f'if rm {self.hang} 2>/dev/null; then mkfifo production.restart.2; fi\n'
            f'export OMP_NUM_THREADS=1 LAMMPS_PLUGIN_PATH={plugin}'
        )
        computer = {
            'hostname': slurm.NODE, 'scheduler': 'slurm', 'partition': slurm.PARTITION,
            'workdir': str(self.scratch), 'poll_interval_s': 1, 'safe_interval_s': 0,
            'use_login_shell': False,  # what the user's own shell does, and leaves when killed, is another matter
        }  # fmt: skip
        code = {'executable': str(SCRIPTS / 'lmp'), 'prepend': prepend}
        site = {'computers': {'farm': computer}, 'codes': {'lammps@farm': code}}
        (path / 'site.yaml').write_text(yaml.safe_dump(site))

    def set_up(self):
        """Run the command that users run, which also starts the daemon."""
        return self.run('aiida-ionconduct', 'setup', '--site', 'site.yaml')

    def ask(self, action, *arguments):
        """Return the answer of a function of production_actions.py."""
        return json.loads(self.run('verdi', 'run', ACTIONS, action, *arguments).splitlines()[-1])

    def submit(self, seeds, at_once=1, **options):
        """Submit a campaign, from several processes at once if so asked, and return its pk."""
        options = {
            'code': 'lammps@farm', 'model': str(self.model), 'structure': str(self.structure), 'seeds': seeds,
            'max_concurrent': 30, **options,
        }  # fmt: skip
        command = ('verdi', 'run', ACTIONS, 'submit', json.dumps(options))
        outputs = [
            process.communicate(timeout=PATIENCE_S)[0] for process in [self.start(*command) for _ in range(at_once)]
        ]
        pks = {int(output.splitlines()[-1]) for output in outputs}
        assert len(pks) == 1, outputs
        return pks.pop()

    def query(self, statement, *values):
        """Return the rows of the database, or None while it does not answer."""
        try:
            if self.connection is None:
                self.connection = psycopg.connect(self.services.postgres_uri, connect_timeout=5, autocommit=True)
            return self.connection.execute(statement, values or None).fetchall()
        except psycopg.OperationalError:
            self.connection = None
            return None

    def with_database(self, name, *command, status=0):
        """Run a command that is told of another database, which is empty the first time; return what it prints."""
        with psycopg.connect(self.services.postgres_uri, autocommit=True) as connection:
            if not connection.execute('SELECT 1 FROM pg_database WHERE datname = %s', (name,)).fetchone():
                connection.execute(f'CREATE DATABASE {name}')
        uri = f'{self.services.postgres_uri.rpartition("/")[0]}/{name}'
        return self.run('env', f'AIIDA_IONCONDUCT_POSTGRES={uri}', *command, status=status)

    def jobs_in(self, *states):
        """Return how many jobs that have not ended are in these states, which AiiDA sets when one step is done."""
        statement = (
            "SELECT count(*) FROM db_dbnode WHERE node_type = %s AND coalesce(attributes->>'state', 'new') = ANY(%s) "
            "AND attributes->>'process_state' IN ('created', 'running', 'waiting')"
        )
        rows = self.query(statement, NODE_TYPE, list(states))
        return rows[0][0] if rows else 0

    def has_ended(self, pk):
        """Whether a process has ended."""
        rows = self.query("SELECT attributes->>'process_state' FROM db_dbnode WHERE id = %s", pk)
        return bool(rows) and rows[0][0] in ('finished', 'excepted', 'killed')

    def workers(self):
        """Return the workers of the daemon."""
        return [process for process in self.processes() if is_command(process, 'daemon', 'worker')]

    def engine_in(self, folder):
        """Return the LAMMPS process of a folder."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.AccessDenied, psutil.NoSuchProcess):
                if process.cwd() == str(folder) and is_command(process, '-in'):
                    return process
        return None

    def slurm_jobs(self, *states):
        """Return the ids of the jobs that Slurm has in these states."""
        return self.services.slurm('squeue', '--noheader', '--format=%i', f'--states={",".join(states)}').split()

    def kill_workers(self, every=True):
        """Kill the workers, or one of them, as `kill -9` does."""
        workers = self.workers()
        for worker in workers if every else random.sample(workers, min(1, len(workers))):
            with contextlib.suppress(psutil.NoSuchProcess):
                worker.kill()
        return len(workers)

    def diagnose(self):
        """Return what helps to understand a campaign that does not end."""
        states = self.query(
            "SELECT id, attributes->>'process_label', attributes->>'process_state', attributes->>'state', "
            "attributes->>'process_status', attributes->>'paused' FROM db_dbnode WHERE node_type LIKE 'process.%' "
            "AND coalesce(attributes->>'process_state', '') <> 'finished' ORDER BY id"
        )
        log = next((self.path / '.aiida' / 'daemon' / 'log').glob('aiida-ionconduct.log'), None)
        tail = log.read_text(errors='replace')[-6000:] if log else ''
        return f'{states}\n{self.services.slurm("squeue", check=False)}\n{tail}'


def is_command(process, *words):
    """Whether a process was started with these words."""
    with contextlib.suppress(psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
        return set(words) <= set(process.cmdline())
    return False


def wait_until(condition, farm, within=None, interval_s=0.1):
    """Wait until a condition holds and return its value.

    :param within: a process, in whose lifetime it must come true.
    """
    end = time.monotonic() + PATIENCE_S
    while not (value := condition()):
        assert time.monotonic() < end, farm.diagnose()
        assert within is None or not farm.has_ended(within), f'{within} has ended before\n{farm.diagnose()}'
        time.sleep(interval_s)
    return value


def collect(farm, pk, forget=True):
    """Return what ran for a campaign, and the arrays of its seeds; its jobs will not be taken from the cache."""
    with tempfile.TemporaryDirectory() as folder:
        answer = farm.ask('result', pk, folder, *(['forget'] if forget else []))
        arrays = {path.stem: dict(np.load(path)) for path in pathlib.Path(folder).glob('*.npz')}
    return answer, arrays
