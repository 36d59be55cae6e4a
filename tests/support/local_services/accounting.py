"""The accounting of Slurm: MariaDB for slurmdbd, so that ``sacct`` answers, and accounts and limits hold."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from local_services.folder import HOST
from local_services.programs import as_user, program, run
from local_services.service import Service, answers

if TYPE_CHECKING:
    import pathlib

    from local_services.services import Services

DATABASE, DATABASE_USER, SYSTEM_USER = 'slurm_acct', 'slurm', 'mysql'


def _init_file(services: Services) -> pathlib.Path:
    """Return the file of statements that MariaDB runs at its start."""
    return services.folder / 'mariadb' / 'init.sql'


def prepare_database(services: Services) -> None:
    """Make a database server whose users need the password of the folder."""
    folder = services.folder / 'mariadb'
    data = folder / 'data'
    command = [
        program('mariadb-install-db'), '--no-defaults', f'--datadir={data}', '--skip-test-db', '--skip-name-resolve',
        '--auth-root-authentication-method=normal', '--innodb-log-file-size=8M',
    ]  # fmt: skip
    statements = _init_file(services)
    statements.touch(mode=0o600)
    statements.write_text(
        f"ALTER USER root@localhost IDENTIFIED BY '{services.password}';\n"
        f"DELETE FROM mysql.global_priv WHERE User = '' OR (User = 'root' AND Host <> 'localhost');\n"
        f'FLUSH PRIVILEGES;\n'
        f"CREATE USER IF NOT EXISTS {DATABASE_USER}@'{HOST}' IDENTIFIED BY '{services.password}';\n"
        f"GRANT ALL ON {DATABASE}.* TO {DATABASE_USER}@'{HOST}';\n"
    )
    folder.chmod(0o700)
    if os.geteuid() == 0:
        for path in (folder, statements):
            shutil.chown(path, SYSTEM_USER, SYSTEM_USER)
        command = as_user(SYSTEM_USER, command)
    if not data.exists():
        run(command, cwd=folder)


def database_command(services: Services) -> list[str]:
    """Return the command of the database server, small and without waiting for the disk."""
    folder = services.folder / 'mariadb'
    return [
        program('mariadbd'), '--no-defaults', f'--datadir={folder / "data"}', f'--bind-address={HOST}',
        f'--port={services.ports["mariadb"]}', f'--socket={folder / "socket"}', f'--pid-file={folder / "pid"}',
        f'--init-file={_init_file(services)}', '--skip-name-resolve', '--skip-log-bin', '--performance-schema=OFF',
        '--innodb-buffer-pool-size=32M', '--innodb-log-file-size=8M', '--innodb-flush-log-at-trx-commit=0',
        '--innodb-lock-wait-timeout=900', '--max-connect-errors=1000000',
    ]  # fmt: skip


def settings(services: Services, machine: str, user: str) -> dict[str, object]:
    """Return the settings of slurmdbd.

    :param machine: name of this machine.
    :param user: as whom Slurm runs.
    """
    return {
        'AuthType': 'auth/munge',
        'AuthInfo': f'socket={services.folder}/munge/socket',
        'DbdHost': machine,
        'DbdAddr': HOST,
        'DbdPort': services.ports['slurmdbd'],
        'CommunicationParameters': 'NoInAddrAny',
        'SlurmUser': user,
        'PidFile': services.folder / 'slurmdbd.pidfile',
        'StorageType': 'accounting_storage/mysql',
        'StorageHost': HOST,
        'StoragePort': services.ports['mariadb'],
        'StorageUser': DATABASE_USER,
        'StoragePass': services.password,
        'StorageLoc': DATABASE,
    }


SERVICES = {
    'mariadb': Service(
        database_command,
        ready=lambda services: answers(services.ports['mariadb'], expected=b'MariaDB'),
        prepare=prepare_database,
        ports=('mariadb',),
        user=SYSTEM_USER,
    )
}
