"""PostgreSQL with a database and a user ``aiida``, who needs a password."""

from __future__ import annotations

import os
import shutil
import signal
from typing import TYPE_CHECKING

import psycopg

from local_services.folder import HOST
from local_services.programs import as_user, program, run
from local_services.service import Service

if TYPE_CHECKING:
    from local_services.services import Services


def uri(services: Services) -> str:
    """Return where the database is, with its password."""
    return f'postgresql://aiida:{services.password}@{HOST}:{services.ports["postgresql"]}/aiida'


def prepare(services: Services) -> None:
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


def command(services: Services) -> list[str]:
    """Return the command of the server."""
    folder, port = str(services.folder / 'postgresql'), str(services.ports['postgresql'])
    return [program('postgres'), '-D', folder, '-h', HOST, '-p', port, '-k', folder]


def ready(services: Services) -> bool:
    """Return whether one can log in; the database is made on the first time."""
    server = uri(services).rpartition('/')[0]
    try:
        with psycopg.connect(f'{server}/postgres', connect_timeout=5, autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'aiida'").fetchone():
                connection.execute('CREATE DATABASE aiida')
    except psycopg.OperationalError:
        return False
    return True


SERVICES = {
    'postgresql': Service(
        command,
        ready,
        prepare,
        ports=('postgresql',),
        user='postgres',
        end=signal.SIGINT,  # SIGTERM would wait for the clients to leave
    )
}
