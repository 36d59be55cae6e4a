"""The file of a site: its computers and codes, checked as a whole before anything is created."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import yaml
from aiida import orm
from aiida.common.exceptions import NotExistent
from pydantic import Field, field_validator, model_validator
from typing_extensions import Self

from aiida_ionconduct.engines.programs import ENGINES, RESOURCES
from aiida_ionconduct.engines.schedulers import DIRECTIVE, SCHEDULERS, SchedulerName, job_options, unknown_key
from aiida_ionconduct.farm import shell
from aiida_ionconduct.farm.scheduler import MAX_JOBS
from aiida_ionconduct.parameters import ParameterError, Parameters

TransportName = Literal['local', 'ssh']
TRANSPORTS: dict[TransportName, str] = {'local': 'core.local', 'ssh': 'core.ssh_async'}
BackendName = Literal['asyncssh', 'openssh']
REQUEST = ('partition', 'account', 'qos', 'constraint', 'max_memory_kb', 'gpu_type', 'parallel_env', 'directives')
"""The keys of a computer that every job on it asks the scheduler for, where `resources` says nothing else."""
PROPERTY = 'ionconduct_request'
"""Where they are stored with the computer."""
LABEL = r'^[A-Za-z0-9][A-Za-z0-9._-]*$'
MAX_SSH_TRANSFERS = 8
NO_LOCKS = (
    'file locks do not work in its folder. Each job is still submitted once, as Slurm is asked for it by its name; '
    'only two submissions of a job at the same moment would not see each other'
)
MPI_PROGRAMS = {word for name, engine in ENGINES.items() if engine.with_mpi for word in (name, engine.plugin)}


class SiteError(ValueError):
    """The file of a site, or what it describes, cannot be used; the message says what to do."""


class Computer(Parameters):
    """Where jobs run: one partition of a cluster, or this machine."""

    hostname: str = Field(
        'localhost',
        pattern=LABEL,
        description='name of the machine as in `ssh HOSTNAME`, such as an entry of `~/.ssh/config`',
    )
    transport: TransportName = Field('ssh', description='how the machine is reached; `local` for this machine')
    scheduler: SchedulerName = Field(description='scheduler of the machine; `direct` where there is none')
    workdir: str = Field(
        description='absolute path of the folder in which each job gets a folder of its own; `{username}` stands for '
        'the user of the machine'
    )
    partition: str | None = Field(
        None, pattern=LABEL, description='partition or queue of the scheduler; null for its default'
    )
    account: str | None = Field(None, pattern=LABEL, description='account or project that the jobs are charged to')
    qos: str | None = Field(None, pattern=LABEL, description='quality of service (Slurm)')
    constraint: str | None = Field(None, pattern=DIRECTIVE, description='features that the nodes must have (Slurm)')
    max_memory_kb: int | None = Field(
        None, ge=1, description='memory of a job on each machine, in kB; for SGE write a directive'
    )
    gpu_type: str | None = Field(
        None, pattern=LABEL, description='type of the GPUs that jobs with `gpus` ask for (Slurm and LSF)'
    )
    parallel_env: str | None = Field(
        None, pattern=LABEL, description='parallel environment of SGE, which needs one; hosts for LSF'
    )
    directives: list[Annotated[str, Field(pattern=DIRECTIVE)]] = Field(
        [], description='further directives of the scheduler without their prefix, such as `--exclusive`'
    )
    backend: BackendName | None = Field(
        None,
        description='how ssh connects; `openssh` for the connections of your own `ssh` (two factors, ControlMaster). '
        'null keeps what is configured, which is asyncssh for a new computer',
    )
    mpirun: str = Field(
        'mpirun -np {tot_num_mpiprocs}',
        description='command that starts a program under MPI; `{tot_num_mpiprocs}` stands for the number of processes',
    )
    mpiprocs_per_machine: int = Field(
        1, ge=1, description='MPI processes on each machine, where a job does not state them'
    )
    poll_interval_s: float = Field(
        30.0, ge=0.1, description='seconds between two looks at the queue, for all jobs together'
    )
    safe_interval_s: float = Field(10.0, ge=0, description='seconds between two connections to the machine')
    max_jobs: int | None = Field(
        None,
        ge=1,
        description='how many of your jobs, of this package and others, may be in the queue (Slurm); '
        'further jobs wait; null for what the scheduler admits',
    )
    prepend: str = Field('', description='shell commands at the head of every job script')
    use_login_shell: bool = Field(True, description='whether commands run in a login shell')

    @field_validator('workdir')
    @classmethod
    def _absolute(cls, path: str) -> str:
        """Refuse a path that is relative to the folder where the command runs."""
        if not path.startswith('/'):
            raise ValueError('must be an absolute path')
        return path

    @model_validator(mode='after')
    def _request_of_scheduler(self) -> Self:
        """Refuse what the scheduler cannot be asked for."""
        complaint = unknown_key(SCHEDULERS[self.scheduler].plugins[-1], self.request)
        if complaint:
            raise ValueError(complaint)
        if self.max_jobs and self.scheduler != 'slurm':
            raise ValueError('`max_jobs` needs the scheduler slurm; elsewhere lower `max_concurrent` of a campaign')
        return self

    @property
    def head(self) -> str:
        """The lines at the head of every job script."""
        limit = f'{MAX_JOBS}{self.max_jobs}' if self.max_jobs else ''
        return '\n'.join(filter(None, (limit, self.prepend.strip())))

    @property
    def request(self) -> dict[str, Any]:
        """What the jobs ask the scheduler for."""
        return {name: getattr(self, name) for name in REQUEST if getattr(self, name)}


class Code(Parameters):
    """An engine on a computer."""

    executable: str = Field(pattern=r'^/', description='absolute path of the program on the computer')
    plugin: str | None = Field(
        None,
        description='entry point of the calculation plugin; null for a code that is named like an engine: '
        + ', '.join(ENGINES),
    )
    mpi: bool = Field(False, description='whether the program runs under MPI')
    prepend: str = Field('', description='shell commands before the program, after those of the computer')


class Site(Parameters):
    """All computers and codes of a site."""

    computers: dict[str, Computer] = Field({}, description='the computers by label')
    codes: dict[str, Code] = Field(
        {},
        description='the codes by label, such as `pw@cluster`',
        json_schema_extra={'key': 'NAME@COMPUTER'},
    )

    @model_validator(mode='after')
    def _labels(self) -> Self:
        """Refuse labels that AiiDA does not allow, codes without a plugin and codes on an unknown computer."""
        for label in self.computers:
            if not re.match(LABEL, label) or label == 'localhost':
                raise ValueError(f'the computer `{label}` needs another label: letters, digits, `.`, `_`, `-`')
        for label, code in self.codes.items():
            name, _, computer = label.partition('@')
            if not (re.match(LABEL, name) and computer in {'localhost', *self.computers}):
                raise ValueError(f'the code `{label}` must be called NAME@COMPUTER, the computer being in this file')
            if (code.plugin or name) in MPI_PROGRAMS and not code.mpi:
                raise ValueError(f'the code `{label}` runs under MPI, which its plugin insists on: write `mpi: true`')
            if code.plugin is None and name not in ENGINES:
                raise ValueError(f'the code `{label}` needs a `plugin`, as its name is none of {", ".join(ENGINES)}')
        return self


def load_site(path: pathlib.Path) -> Site:
    """Read the file of a site.

    :raises SiteError: naming every key that is wrong.
    """
    try:
        return Site.check(yaml.safe_load(pathlib.Path(path).read_text()) or {})
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SiteError(f'{path} cannot be read as YAML: {error}') from error
    except ParameterError as error:
        lines = [f'  {line}' for line in str(error).splitlines()]
        raise SiteError(f'{path} is not right:\n' + '\n'.join(lines)) from None


def ensure_computer(label: str, wanted: Computer) -> str:
    """Create a computer, or change an existing computer to what the file says.

    :raises SiteError: if the label belongs to another machine already, or the machine cannot be reached.
    """
    fixed: dict[str, Any] = {
        'hostname': wanted.hostname,
        'transport_type': TRANSPORTS[wanted.transport],
        'scheduler_type': SCHEDULERS[wanted.scheduler].plugins[0],
    }
    try:
        computer, state = orm.load_computer(label), 'exists'
    except NotExistent:
        computer, state = orm.Computer(label=label, **fixed, workdir=wanted.workdir), 'created'
    for name, value in fixed.items():
        if getattr(computer, name) != value:
            raise SiteError(
                f'the computer {label} exists with {name} {getattr(computer, name)}, the file says {value}. Relabel '
                f'the old one (verdi computer relabel {label} {label}-old) or give the new one another label.'
            )
    before = computer.metadata | {'prepend': computer.get_prepend_text(), 'workdir': computer.get_workdir()}
    computer.set_workdir(wanted.workdir)
    computer.set_prepend_text(wanted.head)
    computer.set_mpirun_command(wanted.mpirun.split())
    computer.set_default_mpiprocs_per_machine(wanted.mpiprocs_per_machine)
    computer.set_minimum_job_poll_interval(wanted.poll_interval_s)
    computer.set_property(PROPERTY, wanted.request)
    after = computer.metadata | {'prepend': computer.get_prepend_text(), 'workdir': computer.get_workdir()}
    if state == 'exists' and before != after:
        state = 'changed as the file says'
    computer.store()
    options: dict[str, Any] = {'safe_interval': wanted.safe_interval_s, 'use_login_shell': wanted.use_login_shell}
    if wanted.transport == 'ssh':
        defaults = {'host': wanted.hostname, 'max_io_allowed': MAX_SSH_TRANSFERS, 'backend': 'asyncssh'}
        # What the user has configured, such as the connections of openssh, stays.
        options |= {**defaults, **(computer.get_configuration() if computer.is_configured else {}), **options}
        options |= {'backend': wanted.backend} if wanted.backend else {}
    computer.configure(**options)
    return f'{state}; {NO_LOCKS}' if NO_LOCKS in check_computer(computer) else state


def options_of_job(code: orm.AbstractCode, resources: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a job of a code: what the site says of its computer, and what `resources` says instead.

    :param resources: keys as in :func:`~aiida_ionconduct.engines.schedulers.job_options`, none of them None.
    :raises ValueError: for what the scheduler of the computer cannot be asked for.
    """
    computer = code.computer
    request = {**RESOURCES, **(computer.get_property(PROPERTY, {}) if computer else {}), **resources}
    plugin = computer.scheduler_type if computer else 'core.direct'
    return job_options(plugin, request, with_mpi=bool(code.with_mpi))


def usable_computers() -> list[orm.Computer]:
    """Return the computers that are configured and enabled for the user."""
    user = orm.User.collection.get_default()
    return [
        computer
        for computer in orm.Computer.collection.all()
        if user is not None and computer.is_user_configured(user) and computer.is_user_enabled(user)
    ]


def check_computer(computer: orm.Computer) -> str:
    """Return the name of the user on a computer, after its scheduler has answered, and whether file locks are missing.

    :raises SiteError: if it cannot be reached, its scheduler does not answer, or its folder cannot be written.
    """
    remedy = f'Try `ssh {computer.hostname}`: it must neither ask for a password nor for the key of the host.'
    if computer.transport_type == 'core.local':
        remedy = f'Try the commands of {computer.scheduler_type} on this machine.'
    try:
        with computer.get_transport() as transport:
            scheduler = computer.get_scheduler()
            scheduler.set_transport(transport)
            user = shell.user_name(transport)
            if transport.whoami() != user:  # AiiDA would take the text that the login shell prints for the name
                computer.set_workdir(computer.get_workdir().replace('{username}', user))
            by_user = scheduler.get_feature('can_query_by_user')
            scheduler.get_jobs(**({'user': user} if by_user else {'jobs': ['1']}))
            workdir = computer.get_workdir().format(username=user)
            transport.makedirs(workdir, ignore_existing=True)
            needs_locks = computer.scheduler_type == SCHEDULERS['slurm'].plugins[0]
            no_locks = needs_locks and not shell.locks_work(transport, workdir)
    except Exception as error:  # transports raise what their libraries raise
        raise SiteError(f'the computer {computer.label} does not answer: {error!r}\n{remedy}') from error
    return f'answers {user}' + (f'; {NO_LOCKS}' if no_locks else '')


def ensure_code(label: str, wanted: Code) -> str:
    """Create a code; a code of that label that exists already must be the same.

    :raises SiteError: if the existing code differs, or the executable is missing.
    """
    name, _, computer = label.partition('@')
    try:
        code = orm.load_code(label)
    except NotExistent:
        code = orm.InstalledCode(
            label=name,
            computer=orm.load_computer(computer),
            filepath_executable=wanted.executable,
            default_calc_job_plugin=wanted.plugin or ENGINES[name].plugin,
            with_mpi=wanted.mpi,
            prepend_text=wanted.prepend,
        )
        check_executable(code)
        code.store()
        return 'created'
    same = str(code.get_executable()) == wanted.executable and code.prepend_text == wanted.prepend
    if not (same and code.with_mpi == wanted.mpi):
        raise SiteError(
            f'the code {label} exists and is not what the file says; what has run with it refers to it. Relabel it '
            f'(verdi code relabel {label} {name}-old) and run this again.'
        )
    return 'exists'


def check_executable(code: orm.InstalledCode) -> None:
    """Check that the executable of a code exists.

    :raises SiteError: if it is missing.
    """
    try:
        code.validate_filepath_executable()
    except Exception as error:  # AiiDA raises several kinds
        raise SiteError(f'the code {code.label} on {code.computer.label}: {error}') from error
