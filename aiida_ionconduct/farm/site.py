"""The file of a site: its computers and codes, checked as a whole before anything is created."""

from __future__ import annotations

import pathlib
import re
from typing import Literal

import yaml
from aiida import orm
from aiida.common.exceptions import NotExistent
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from aiida_ionconduct.engines.programs import ENGINES
from aiida_ionconduct.engines.schedulers import SCHEDULERS, SchedulerName

TRANSPORTS = {'local': 'core.local', 'ssh': 'core.ssh_async'}
PARTITIONS = {name: scheduler.partition for name, scheduler in SCHEDULERS.items() if scheduler.partition}
"""The directives for a partition, by scheduler."""
LABEL = r'^[A-Za-z0-9][A-Za-z0-9._-]*$'
MAX_SSH_TRANSFERS = 8


class SiteError(ValueError):
    """The file of a site, or what it describes, cannot be used; the message says what to do."""


class Strict(BaseModel):
    """A part of the file, in which a key that is not known is an error."""

    model_config = ConfigDict(extra='forbid')


class Computer(Strict):
    """Where jobs run: one partition of one cluster."""

    hostname: str = Field('localhost', pattern=r'^[A-Za-z0-9][A-Za-z0-9._-]*$')
    transport: Literal[tuple(TRANSPORTS)] = 'ssh'
    scheduler: SchedulerName
    workdir: str
    partition: str | None = Field(None, pattern=LABEL)
    mpirun: str = 'mpirun -np {tot_num_mpiprocs}'
    mpiprocs_per_machine: int = Field(1, ge=1)
    poll_interval_s: float = Field(30, ge=0.1)
    safe_interval_s: float = Field(10, ge=0)
    prepend: str = ''
    use_login_shell: bool = True

    @field_validator('workdir')
    @classmethod
    def absolute(cls, path):
        """Refuse a path that depends on where one is."""
        if not path.startswith('/'):
            raise ValueError('must be an absolute path; {username} in it becomes the user of that machine')
        return path

    @model_validator(mode='after')
    def partition_of_scheduler(self):
        """Refuse a partition where there are none."""
        if self.partition and self.scheduler not in PARTITIONS:
            raise ValueError(f'a partition needs a scheduler, one of {", ".join(PARTITIONS)}')
        return self

    @property
    def prepend_text(self) -> str:
        """What stands at the head of each job script, the directive for the partition first."""
        directive = [PARTITIONS[self.scheduler].format(self.partition)] if self.partition else []
        return '\n'.join([*directive, self.prepend.strip()]).strip()


class Code(Strict):
    """One engine on one computer."""

    executable: str = Field(pattern=r'^/')
    plugin: str | None = None
    mpi: bool = False
    prepend: str = ''


class Site(Strict):
    """All computers and codes."""

    computers: dict[str, Computer] = {}
    codes: dict[str, Code] = {}

    @model_validator(mode='after')
    def labels(self):
        """Refuse labels that AiiDA cannot have, codes of unknown kind and codes on a computer that nobody knows."""
        for label in self.computers:
            if not re.match(LABEL, label) or label == 'localhost':
                raise ValueError(f'the computer `{label}` needs another label: letters, digits, `.`, `_`, `-`')
        for label, code in self.codes.items():
            name, _, computer = label.partition('@')
            if not (re.match(LABEL, name) and computer in {'localhost', *self.computers}):
                raise ValueError(f'the code `{label}` must be called NAME@COMPUTER, the computer being in this file')
            if code.plugin is None and name not in ENGINES:
                raise ValueError(f'the code `{label}` needs a `plugin`, as it is none of {", ".join(ENGINES)}')
        return self


def load_site(path: pathlib.Path) -> Site:
    """Read the file of a site.

    :raises SiteError: naming every key that is wrong.
    """
    try:
        return Site.model_validate(yaml.safe_load(pathlib.Path(path).read_text()) or {})
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SiteError(f'{path} cannot be read as YAML: {error}') from error
    except ValidationError as error:
        lines = [f'  {".".join(map(str, one["loc"])) or "(file)"}: {one["msg"]}' for one in error.errors()]
        raise SiteError(f'{path} is not right:\n' + '\n'.join(lines)) from None


def ensure_computer(label: str, wanted: Computer) -> str:
    """Create a computer, or bring what can be changed of an existing one to what the file says.

    :raises SiteError: if one of that label exists that is another machine, or it cannot be reached.
    """
    fixed = {
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
    computer.set_prepend_text(wanted.prepend_text)
    computer.set_mpirun_command(wanted.mpirun.split())
    computer.set_default_mpiprocs_per_machine(wanted.mpiprocs_per_machine)
    computer.set_minimum_job_poll_interval(wanted.poll_interval_s)
    after = computer.metadata | {'prepend': computer.get_prepend_text(), 'workdir': computer.get_workdir()}
    if state == 'exists' and before != after:
        state = 'changed as the file says'
    computer.store()
    options = {'safe_interval': wanted.safe_interval_s, 'use_login_shell': wanted.use_login_shell}
    if wanted.transport == 'ssh':
        options |= {'host': wanted.hostname, 'max_io_allowed': MAX_SSH_TRANSFERS, 'backend': 'asyncssh'}
    computer.configure(**options)
    check_computer(computer)
    return state


def usable_computers() -> list[orm.Computer]:
    """Return the computers that are configured and enabled for the user."""
    user = orm.User.collection.get_default()
    return [
        computer
        for computer in orm.Computer.collection.all()
        if computer.is_user_configured(user) and computer.is_user_enabled(user)
    ]


def check_computer(computer: orm.Computer) -> str:
    """Return whom a computer takes jobs from, having asked its scheduler.

    :raises SiteError: if it cannot be reached, its scheduler does not answer, or its folder cannot be written.
    """
    remedy = f'Try `ssh {computer.hostname}`: it must neither ask for a password nor for the key of the host.'
    if computer.transport_type == 'core.local':
        remedy = f'Try the commands of {computer.scheduler_type} on this machine.'
    try:
        with computer.get_transport() as transport:
            scheduler = computer.get_scheduler()
            scheduler.set_transport(transport)
            user = transport.whoami()
            by_user = scheduler.get_feature('can_query_by_user')
            scheduler.get_jobs(**({'user': user} if by_user else {'jobs': ['1']}))
            workdir = computer.get_workdir().format(username=user)
            transport.makedirs(workdir, ignore_existing=True)
    except Exception as error:  # transports raise what their libraries raise
        raise SiteError(f'the computer {computer.label} does not answer: {error!r}\n{remedy}') from error
    return f'answers {user}'


def ensure_code(label: str, wanted: Code) -> str:
    """Create a code unless there is one of that label, which must be the same.

    :raises SiteError: if it is another one, or its executable is not there.
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
    """Look whether the executable of a code is there.

    :raises SiteError: if it is not.
    """
    try:
        code.validate_filepath_executable()
    except Exception as error:  # AiiDA raises several kinds
        raise SiteError(f'the code {code.label} on {code.computer.label}: {error}') from error
