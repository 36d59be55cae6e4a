"""All services of one folder: the table of them, starting, stopping, and what their clients need."""

from __future__ import annotations

import contextlib
import os
import pathlib
import secrets
import shlex
import shutil
import signal
import subprocess
import time

import psutil

from local_services import folder as service_folder
from local_services import postgresql, processes, rabbitmq, slurm, sshd
from local_services.programs import ServiceError, as_user, program

READY_S = 180  # for a service to answer, on a slow and busy machine
SERVICES = {**postgresql.SERVICES, **rabbitmq.SERVICES, **sshd.SERVICES, **slurm.SERVICES}
"""Every service by its name, in the order in which they are started."""


class Services:
    """The services of one folder. Ports and passwords are drawn once and kept there, so that a restart finds them."""

    def __init__(self, folder: pathlib.Path, settings: service_folder.Settings):
        self.folder: pathlib.Path = folder
        self.ports: dict[str, int] = settings.ports
        self.password: str = settings.password
        self.slots: int = settings.slots

    @classmethod
    def open(cls, folder: pathlib.Path | str) -> Services:
        """Return the services of a folder that :meth:`make` has made for the caller.

        :raises ServiceError: if the folder is missing or is anything else; it is left as it is.
        """
        path = service_folder.locate(folder)
        return cls(path, service_folder.adopt(path))

    @classmethod
    def make(cls, folder: pathlib.Path | str, slots: int | None = None) -> Services:
        """Return the services of a folder, which is made if it is missing or empty.

        :param folder: best with a short path, as sockets lie in it.
        :param slots: of the Slurm node of a new folder; by default as many as the machine has cores, but at least two.
        :raises ServiceError: if the folder holds anything else than services of the caller; it is left as it is.
        """
        path = service_folder.locate(folder)
        if service_folder.is_new(path):
            names = [name for service in SERVICES.values() for name in service.ports]
            ports = dict(zip(names, service_folder.free_ports(len(names)), strict=True))
            slots = slots or max(2, os.cpu_count() or 1)
            service_folder.make(path, service_folder.Settings(ports, secrets.token_urlsafe(24), slots))
        return cls.open(path)

    # What a client needs -------------------------------------------------------------------------------------------

    @property
    def postgres_uri(self) -> str:
        """Where the database is, with its password."""
        return postgresql.uri(self)

    @property
    def rabbitmq_uri(self) -> str:
        """Where the broker is, with its password."""
        return rabbitmq.uri(self)

    @property
    def ssh_config(self) -> str:
        """The entry for ``~/.ssh/config``; the host has the name of the Slurm node."""
        return sshd.client_config(self)

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which the commands of Slurm find this one."""
        return {**os.environ, 'SLURM_CONF': str(slurm.config_path(self))}

    def slurm(self, *command: str, check: bool = True) -> str:
        """Return what a command of Slurm prints.

        :raises ServiceError: with what it says, if it fails, unless `check` is false.
        """
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
        """Start services, all by default, and wait until each answers; services that run are left alone.

        :raises ServiceError: with the end of the log of the first service that does not answer.
        """
        for name in names or SERVICES:
            if self.process(name) is None:
                self._spawn(name)
            self._wait_for(name)

    def _spawn(self, name: str) -> None:
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
        processes.record(self._record(name), process.pid)

    def _wait_for(self, name: str) -> None:
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

    def _record(self, name: str) -> pathlib.Path:
        """Return the file in which the process of a service is recorded."""
        return self.folder / f'{name}.pid'

    def process(self, name: str) -> psutil.Process | None:
        """Return the process of a service, or None if the service does not run."""
        return processes.recorded(self._record(name))

    def stop(self, *names: str, kill: bool = False) -> None:
        """End services with their children, all by default.

        :param kill: at once; otherwise only those that do not end by themselves are killed.
        """
        for name in reversed(names or tuple(SERVICES)):
            process = self.process(name)
            if process is None:
                continue
            family = [process, *processes.children(process)]
            # PostgreSQL ends its own children in good order, the others leave theirs.
            for member in family if kill else family[:1]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    member.send_signal(signal.SIGKILL if kill else SERVICES[name].end)
            with contextlib.suppress(psutil.TimeoutExpired):
                process.wait(processes.END_S)
            processes.kill(family)
            self._record(name).unlink(missing_ok=True)

    def remove(self) -> None:
        """End the jobs and all services, and remove the folder."""
        if self.process('slurmctld') and self.process('slurmd'):
            self.slurm('scancel', '--signal=KILL', '--full', f'--user={slurm.USER}', check=False)
            self.slurm('scancel', f'--user={slurm.USER}', check=False)
            end = time.monotonic() + processes.END_S
            while time.monotonic() < end and self.slurm('squeue', '--noheader', check=False).strip():
                time.sleep(0.2)
        self.stop()
        self.kill_jobs()
        service_folder.remove(self.folder)

    def kill_jobs(self) -> None:
        """Kill what Slurm has started and what would go on without it."""
        processes.kill(processes.with_environment('SLURM_CONF', self.environment['SLURM_CONF']))
