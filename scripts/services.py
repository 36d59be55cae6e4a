#!/usr/bin/env python3
"""PostgreSQL, RabbitMQ, sshd and a one-node Slurm, on loopback, in one folder: for tests, benchmarks and trying out.

    python scripts/services.py start FOLDER    # prints how to connect
    python scripts/services.py stop FOLDER     # ends every process and removes the folder

Nothing outside of the folder is touched: every service has its own data, keys, passwords and free ports there, runs in
the foreground of a process that is recorded by its id, and listens on 127.0.0.1 only. The programs are those of
Debian (``scripts/system_packages.sh services`` installs them). Root runs PostgreSQL as ``postgres``, as it insists on.
"""

from __future__ import annotations

import argparse
import contextlib
import glob
import json
import os
import pathlib
import pwd
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import psutil

HOST = '127.0.0.1'
USER = pwd.getpwuid(os.geteuid()).pw_name
MACHINE = socket.gethostname().partition('.')[0]
NODE, PARTITION, PHRASE = 'node1', 'cpu', 'ionconduct'
PORTS = ('postgresql', 'rabbitmq', 'epmd', 'distribution', 'sshd', 'slurmctld', 'slurmd')
PROGRAMS = (
    *('initdb', 'postgres', 'epmd', 'rabbitmq-server', 'sshd', 'ssh-keygen', 'munged', 'slurmctld', 'slurmd'),
    *('sbatch', 'squeue', 'scancel', 'scontrol', 'sinfo'),
)
READY_S = 180  # for a service to answer, on a slow and busy machine
END_S = 30  # for a process to end when asked to
# Not on the PATH of every user.
FOLDERS = ('/usr/sbin', '/usr/lib/rabbitmq/bin', *sorted(glob.glob('/usr/lib/postgresql/*/bin'), reverse=True))


class ServiceError(Exception):
    """A service did not start; the message holds the end of its log."""


class Service(NamedTuple):
    """How one service is run: its command, what tells that it answers, further environment, the signal that ends it."""

    command: Callable[[Services], list[str]]
    ready: Callable[[Services], bool]
    prepare: Callable[[Services], None] = lambda services: None
    environment: Callable[[Services], dict[str, str]] = lambda services: {}
    user: str = ''  # whom root runs it as
    end: signal.Signals = signal.SIGTERM


def program(name: str) -> str:
    """Return the path of a program.

    :raises ServiceError: if it is not installed.
    """
    path = find(name)
    if path is None:
        raise ServiceError(f'{name} is not installed. Run: scripts/system_packages.sh services')
    return path


def missing() -> list[str]:
    """Return what is not installed of the programs that the services are made of."""
    names = [*PROGRAMS, *(['setpriv'] if os.geteuid() == 0 else [])]
    return [name for name in names if find(name) is None]


def find(name: str) -> str | None:
    """Return the path of a program, if it is installed."""
    return shutil.which(name, path=os.pathsep.join((os.environ['PATH'], *FOLDERS)))


def free_ports(n: int) -> list[int]:
    """Return ports that nothing listens on, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n)]
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]


class Services:
    """The services of one folder. Ports and passwords are drawn once and kept there, so that a restart finds them.

    :param folder: made if missing; best with a short path, as sockets lie in it.
    :param slots: of the Slurm node of a new folder; as many as the machine has cores, two at least, if not given.
    """

    def __init__(self, folder: pathlib.Path | str, slots: int | None = None):
        self.folder = pathlib.Path(folder).absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o711)  # the user of PostgreSQL passes through
        path = self.folder / 'settings.json'
        if not path.exists():
            ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
            slots = slots or max(2, os.cpu_count() or 1)
            text = json.dumps({'ports': ports, 'password': secrets.token_urlsafe(24), 'slots': slots})
            path.touch(mode=0o600)
            path.write_text(text)
        settings = json.loads(path.read_text())
        self.ports, self.password, self.slots = settings['ports'], settings['password'], settings['slots']

    # What a client needs -------------------------------------------------------------------------------------------

    @property
    def postgres_uri(self) -> str:
        """Where the database is, with its password."""
        return f'postgresql://aiida:{self.password}@{HOST}:{self.ports["postgresql"]}/aiida'

    @property
    def rabbitmq_uri(self) -> str:
        """Where the broker is, with its password."""
        return f'amqp://aiida:{self.password}@{HOST}:{self.ports["rabbitmq"]}'

    @property
    def ssh_config(self) -> str:
        """Return the entry for ``~/.ssh/config``; the host is called as the Slurm node is."""
        return (
            f'Host {NODE}\n  HostName {HOST}\n  Port {self.ports["sshd"]}\n  User {USER}\n'
            f'  IdentityFile {self.folder}/ssh/client\n  IdentitiesOnly yes\n'
            f'  UserKnownHostsFile {self.folder}/ssh/known_hosts\n'
            '  ConnectTimeout 20\n  ServerAliveInterval 10\n  ServerAliveCountMax 3\n'
        )

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment in which the commands of Slurm find this one."""
        return {**os.environ, 'SLURM_CONF': str(self.folder / 'slurm' / 'slurm.conf')}

    def slurm(self, *command: str, check: bool = True) -> str:
        """Return what a command of Slurm prints."""
        words = [program(command[0]), *command[1:]]
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise ServiceError(f'{shlex.join(command)}: {done.stderr}')
        return done.stdout

    def finished_jobs(self) -> list[dict[str, str]]:
        """Return what Slurm has noted of every job that ended: JobId, JobState, WorkDir and more."""
        path = self.folder / 'slurm' / 'jobs.log'
        lines = path.read_text().splitlines() if path.exists() else []
        return [dict(word.split('=', 1) for word in line.split() if '=' in word) for line in lines]

    # Start and end -------------------------------------------------------------------------------------------------

    def start(self, *names: str) -> None:
        """Start services, all by default, and wait until each answers; those that run are left alone.

        :raises ServiceError: with the end of its log, if one does not.
        """
        for name in names or SERVICES:
            if self.process(name) is None:
                self.spawn(name)
            self.wait_for(name)

    def spawn(self, name: str) -> None:
        """Start a process of its own for a service and note its id."""
        service = SERVICES[name]
        (self.folder / name).mkdir(exist_ok=True)
        service.prepare(self)
        command = service.command(self)
        if service.user and os.geteuid() == 0:
            shutil.chown(self.folder / name, service.user, service.user)
            command = as_user(service.user, command)
        with self.log(name).open('ab') as log:
            process = subprocess.Popen(
                command,
                cwd=self.folder / name,
                env={**self.environment, **service.environment(self)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        created = psutil.Process(process.pid).create_time()
        (self.folder / f'{name}.pid').write_text(json.dumps([process.pid, created]))

    def wait_for(self, name: str) -> None:
        """Wait until a service answers."""
        end = time.monotonic() + READY_S
        while not SERVICES[name].ready(self):
            dead = self.process(name) is None
            if dead or time.monotonic() > end:
                why = 'has ended' if dead else f'does not answer after {READY_S} s'
                tail = self.log(name).read_text(errors='replace')[-3000:]
                raise ServiceError(f'{name} {why}. The end of {self.log(name)}:\n{tail}')
            time.sleep(0.1)

    def log(self, name: str) -> pathlib.Path:
        """Return the file that a service writes to."""
        return self.folder / f'{name}.log'

    def process(self, name: str) -> psutil.Process | None:
        """Return the process of a service, if it runs."""
        try:
            pid, created = json.loads((self.folder / f'{name}.pid').read_text())
            process = psutil.Process(pid)
            # A process of another service may have got the same id since.
            same = abs(process.create_time() - created) < 1
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except (OSError, ValueError, psutil.NoSuchProcess):
            return None

    def stop(self, *names: str, kill: bool = False) -> None:
        """End services with their children, all by default; killed at once, or when they do not end by themselves."""
        for name in reversed(names or tuple(SERVICES)):
            process = self.process(name)
            if process is None:
                continue
            family = [process, *children(process)]
            for one in family[: None if kill else 1]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.send_signal(signal.SIGKILL if kill else SERVICES[name].end)
            # PostgreSQL ends its own children in good order, the others leave theirs.
            with contextlib.suppress(psutil.TimeoutExpired):
                process.wait(END_S)
            reap(family)
            (self.folder / f'{name}.pid').unlink(missing_ok=True)

    def remove(self) -> None:
        """End the jobs and all services, and remove the folder."""
        if self.process('slurmctld') and self.process('slurmd'):
            self.slurm('scancel', '--signal=KILL', '--full', f'--user={USER}', check=False)
            self.slurm('scancel', f'--user={USER}', check=False)
            end = time.monotonic() + END_S
            while time.monotonic() < end and self.slurm('squeue', '--noheader', check=False).strip():
                time.sleep(0.2)
        self.stop()
        self.kill_jobs()
        shutil.rmtree(self.folder)

    def kill_jobs(self) -> None:
        """Kill what Slurm has started and what would go on without it."""
        ours = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
                if process.environ().get('SLURM_CONF') == self.environment['SLURM_CONF']:
                    ours.append(process)
        reap([process for process in ours if process.pid != os.getpid()])


def children(process: psutil.Process) -> list[psutil.Process]:
    """Return all descendants of a process."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.children(recursive=True)
    return []


def reap(processes: list[psutil.Process]) -> None:
    """Kill what is left of some processes."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=END_S)


def as_user(user: str, command: list[str]) -> list[str]:
    """Return the command as root runs it for another user."""
    return [program('setpriv'), f'--reuid={user}', f'--regid={user}', '--clear-groups', *command]


def answers(port: int, greeting: bytes = b'', expected: bytes = b'') -> bool:
    """Return whether something on a port answers a greeting as expected."""
    try:
        with socket.create_connection((HOST, port), timeout=5) as connection:
            connection.settimeout(5)
            connection.sendall(greeting)
            return not expected or expected in connection.recv(512)
    except OSError:
        return False


def run(command: list[str], **options) -> None:
    """Run a command.

    :raises ServiceError: with its output, if it fails.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        raise ServiceError(f'{shlex.join(map(str, command))} failed:\n{done.stdout}{done.stderr}')


# PostgreSQL --------------------------------------------------------------------------------------------------------


def prepare_postgresql(services: Services) -> None:
    """Make a cluster whose only user needs a password."""
    folder = services.folder / 'postgresql'
    if (folder / 'PG_VERSION').exists():
        return
    words = folder.with_name('postgresql.password')
    words.touch(mode=0o600)
    words.write_text(services.password)
    folder.chmod(0o700)
    command = [
        program('initdb'), '--pgdata', str(folder), '--username=aiida', f'--pwfile={words}',
        '--auth=scram-sha-256', '--encoding=UTF8', '--locale=C.UTF-8', '--no-sync',
    ]  # fmt: skip
    if os.geteuid() == 0:
        for path in (folder, words):
            shutil.chown(path, 'postgres', 'postgres')
        command = as_user('postgres', command)
    run(command, cwd=folder)
    words.unlink()


def postgresql_answers(services: Services) -> bool:
    """Whether one can log in; the database is made on the first time."""
    import psycopg

    server = services.postgres_uri.rpartition('/')[0]
    try:
        with psycopg.connect(f'{server}/postgres', connect_timeout=5, autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'aiida'").fetchone():
                connection.execute('CREATE DATABASE aiida')
    except psycopg.OperationalError:
        return False
    return True


# RabbitMQ ----------------------------------------------------------------------------------------------------------


def prepare_rabbitmq(services: Services) -> None:
    """Write the settings: one user, loopback, and no limit to how long a task may take, as AiiDA's take days."""
    folder = services.folder / 'rabbitmq'
    config = folder / 'rabbitmq.conf'
    config.touch(mode=0o600)
    config.write_text(
        f'listeners.tcp.local = {HOST}:{services.ports["rabbitmq"]}\n'
        f'default_user = aiida\ndefault_pass = {services.password}\n'
        'log.console = true\nlog.file = false\ndisk_free_limit.absolute = 50MB\n'
    )
    (folder / 'advanced.config').write_text('[{rabbit, [{consumer_timeout, undefined}]}].\n')
    (folder / 'enabled_plugins').write_text('[].\n')


def erlang_environment(services: Services) -> dict[str, str]:
    """Return the environment of everything that runs on Erlang."""
    folder = services.folder / 'rabbitmq'
    return {
        'HOME': str(folder),  # of the cookie
        'ERL_EPMD_PORT': str(services.ports['epmd']),
        'ERL_EPMD_ADDRESS': HOST,
        'RABBITMQ_NODENAME': f'ionconduct{services.ports["rabbitmq"]}@localhost',
        'RABBITMQ_CONFIG_FILE': str(folder / 'rabbitmq'),
        'RABBITMQ_ADVANCED_CONFIG_FILE': str(folder / 'advanced.config'),
        'RABBITMQ_ENABLED_PLUGINS_FILE': str(folder / 'enabled_plugins'),
        'RABBITMQ_MNESIA_BASE': str(folder / 'data'),
        'RABBITMQ_LOG_BASE': str(folder / 'log'),
        'RABBITMQ_PID_FILE': str(folder / 'node.pid'),
        'RABBITMQ_CONF_ENV_FILE': str(folder / 'rabbitmq-env.conf'),  # not that of the system
        'RABBITMQ_DIST_PORT': str(services.ports['distribution']),
        # It serves one client: one scheduler, which sleeps when there is nothing to do.
        'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS': '-kernel inet_dist_use_interface {127,0,0,1} '
        '+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none',
    }


# ssh ---------------------------------------------------------------------------------------------------------------


def prepare_sshd(services: Services) -> None:
    """Make the keys of both sides and the settings; the environment of a session is that of this Slurm."""
    folder, home = services.folder / 'ssh', services.folder / 'home'
    for path in (folder, home):
        path.mkdir(exist_ok=True, mode=0o700)
    for name in ('host', 'client'):
        if not (folder / name).exists():
            run([program('ssh-keygen'), '-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', str(folder / name)])
    shutil.copy(folder / 'client.pub', folder / 'authorized_keys')
    key = (folder / 'host.pub').read_text()
    (folder / 'known_hosts').write_text(f'[{HOST}]:{services.ports["sshd"]} {key}')
    (folder / 'sshd_config').write_text(
        f'ListenAddress {HOST}:{services.ports["sshd"]}\nHostKey {folder}/host\nPidFile none\n'
        f'AuthorizedKeysFile {folder}/authorized_keys\nAllowUsers {USER}\nPermitRootLogin prohibit-password\n'
        'PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nStrictModes no\n'
        'MaxStartups 100\nMaxSessions 100\nSubsystem sftp internal-sftp\n'
        # An empty home: what a user's ~/.bashrc runs at every command can take long, or leave a lock when it is killed.
        f'SetEnv SLURM_CONF={services.folder}/slurm/slurm.conf HOME={home}\n'
    )
    if os.geteuid() == 0:
        pathlib.Path('/run/sshd').mkdir(exist_ok=True)  # sshd of Debian wants it, and its init script makes it


# Slurm -------------------------------------------------------------------------------------------------------------


def prepare_munge(services: Services) -> None:
    """Make the key that the parts of Slurm trust each other by."""
    key = services.folder / 'munge' / 'key'
    (key.parent / 'socket').unlink(missing_ok=True)  # by which it is known to be there
    if not key.exists():
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))


def prepare_slurm(services: Services) -> None:
    """Write the settings of one node without cgroups, whose slots need not be cores, with quick polling."""
    folder = services.folder / 'slurm'
    for name in ('state', 'spool'):
        (folder / name).mkdir(parents=True, exist_ok=True)
    values = {
        'ClusterName': PHRASE,
        'SlurmctldHost': f'{MACHINE}({HOST})',
        'SlurmctldPort': services.ports['slurmctld'],
        'SlurmdPort': services.ports['slurmd'],
        'SlurmUser': USER,
        'SlurmdUser': USER,
        'AuthType': 'auth/munge',
        'AuthInfo': f'socket={services.folder}/munge/socket',
        'CredType': 'cred/munge',
        'CommunicationParameters': 'NoInAddrAny,NoCtldInAddrAny',
        'StateSaveLocation': folder / 'state',
        'SlurmdSpoolDir': folder / 'spool',
        'SlurmctldPidFile': folder / 'slurmctld.pid',
        'SlurmdPidFile': folder / 'slurmd.pid',
        'ProctrackType': 'proctrack/linuxproc',
        'TaskPlugin': 'task/none',
        'MpiDefault': 'none',
        'SwitchType': 'switch/none',
        'JobAcctGatherType': 'jobacct_gather/none',
        'AccountingStorageType': 'accounting_storage/none',
        'JobCompType': 'jobcomp/filetxt',
        'JobCompLoc': folder / 'jobs.log',
        'SchedulerType': 'sched/builtin',
        'SchedulerParameters': 'batch_sched_delay=1,sched_interval=2,sched_min_interval=100000',
        'SelectType': 'select/cons_tres',
        'SelectTypeParameters': 'CR_CPU',
        'SlurmdParameters': 'config_overrides',
        'MaxJobCount': 20000,
        'KillWait': 2,
        'MinJobAge': 60,
        'ReturnToService': 2,
        'GetEnvTimeout': 120,  # the login shell that --get-user-env starts is killed after it
        'SlurmdTimeout': 300,
    }
    lines = [f'{name}={value}' for name, value in values.items()]
    lines += [
        f'NodeName={NODE} NodeHostname={MACHINE} NodeAddr={HOST} CPUs={services.slots} State=UNKNOWN',
        f'PartitionName={PARTITION} Nodes={NODE} Default=YES MaxTime=INFINITE State=UP',
    ]
    (folder / 'slurm.conf').write_text('\n'.join(lines) + '\n')


def node_is_up(services: Services) -> bool:
    """Whether the node takes jobs, or does not because somebody wanted it so."""
    state = services.slurm('sinfo', '--noheader', f'--nodes={NODE}', '--format=%T', check=False).strip()
    return state in ('idle', 'mixed', 'allocated', 'draining', 'drained', 'completing')


SERVICES = {
    'postgresql': Service(
        command=lambda services: [
            program('postgres'), '-D', str(services.folder / 'postgresql'), '-h', HOST,
            '-p', str(services.ports['postgresql']), '-k', str(services.folder / 'postgresql'),
        ],
        ready=postgresql_answers,
        prepare=prepare_postgresql,
        user='postgres',
        end=signal.SIGINT,  # SIGTERM would wait for the clients to leave
    ),
    'epmd': Service(
        command=lambda services: [program('epmd'), '-port', str(services.ports['epmd']), '-address', HOST],
        ready=lambda services: answers(services.ports['epmd']),
    ),
    'rabbitmq': Service(
        command=lambda services: [program('/usr/lib/rabbitmq/bin/rabbitmq-server')],
        ready=lambda services: answers(services.ports['rabbitmq'], b'AMQP\x00\x00\x09\x01', b'RabbitMQ'),
        prepare=prepare_rabbitmq,
        environment=erlang_environment,
    ),
    'sshd': Service(
        command=lambda services: [program('sshd'), '-D', '-e', '-f', str(services.folder / 'ssh' / 'sshd_config')],
        ready=lambda services: answers(services.ports['sshd'], b'SSH-2.0-ready\r\n', b'SSH-2.0'),
        prepare=prepare_sshd,
    ),
    'munge': Service(
        command=lambda services: [
            program('munged'), '--foreground', '--force', '--key-file', str(services.folder / 'munge' / 'key'),
            *('--socket', str(services.folder / 'munge' / 'socket')),
            *(f'--{name}-file={services.folder / "munge" / name}' for name in ('pid', 'seed', 'log')),
        ],
        ready=lambda services: (services.folder / 'munge' / 'socket').exists(),
        prepare=prepare_munge,
    ),
    'slurmctld': Service(
        command=lambda services: [program('slurmctld'), '-D'],
        ready=lambda services: 'is UP' in services.slurm('scontrol', 'ping', check=False),
        prepare=prepare_slurm,
    ),
    'slurmd': Service(
        command=lambda services: [program('slurmd'), '-D', '-N', NODE],
        ready=node_is_up,
    ),
}  # fmt: skip


def main() -> None:
    """Start or stop the services of a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('action', choices=('start', 'stop', 'status'))
    parser.add_argument('folder', type=pathlib.Path)
    arguments = parser.parse_args()
    services = Services(arguments.folder)
    try:
        if arguments.action == 'stop':
            services.remove()
            return
        if arguments.action == 'start':
            services.start()
    except ServiceError as error:
        sys.exit(str(error))
    for name in SERVICES:
        process = services.process(name)
        print(f'{name:12s} {f"process {process.pid}" if process else "not running"}')
    print(f'\n--postgres {services.postgres_uri}\n--rabbitmq {services.rabbitmq_uri}\n\n{services.ssh_config}')
    print(f'export SLURM_CONF={services.environment["SLURM_CONF"]}')


if __name__ == '__main__':
    main()
