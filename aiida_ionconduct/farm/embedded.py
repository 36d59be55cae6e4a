"""The SQLite database of an embedded profile, which workers and the user's commands share."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import psutil
from aiida.manage.configuration import Profile
from aiida.manage.configuration.config import Config
from aiida.storage.sqlite_dos import SqliteDosStorage
from aiida.storage.sqlite_zip.utils import create_sqla_engine
from sqlalchemy import Connection, event
from sqlalchemy.orm import Session, scoped_session, sessionmaker

BUSY_S = 600
"""How long a writer waits for another writer; the import of a large archive holds the database for minutes."""
STORAGE = 'ionconduct.sqlite'
AIIDA_STORAGE = 'core.sqlite_dos'

# SQLite's write-ahead log needs memory that all processes share, which network file systems do not give.
LOCAL_FILE_SYSTEMS = {'apfs', 'btrfs', 'ext2', 'ext3', 'ext4', 'f2fs', 'overlay', 'tmpfs', 'xfs', 'zfs'}

NETWORK_FILE_SYSTEMS = {
    'afs', 'beegfs', 'ceph', 'cifs', 'fuse.ceph-fuse', 'fuse.glusterfs', 'fuse.s3fs', 'fuse.sshfs', 'gpfs',
    'lustre', 'ncpfs', 'nfs', 'nfs4', 'ocfs2', 'orangefs', 'panfs', 'pvfs2', 'smb2', 'smb3', 'smbfs', 'wekafs',
}  # fmt: skip
UNSAFE_ON_NETWORK = 'SQLite can lose data on a network file system when several processes write'


class PatientSqliteStorage(SqliteDosStorage):
    """AiiDA's SQLite storage, with writers that wait for each other.

    In AiiDA's own storage a write fails ("database is locked") after five seconds of waiting for another writer, and
    at once in a transaction that has read before another process wrote. Either leaves a process excepted. The files
    are the files of `core.sqlite_dos`.
    """

    def _initialise_session(self) -> None:
        """Make the session factory, with a long timeout and transactions that own the database from their begin."""
        engine = create_sqla_engine(self.filepath_database, connect_args={'timeout': BUSY_S})
        event.listen(engine, 'savepoint', begin_immediate)
        self._session_factory = scoped_session(sessionmaker(bind=engine, future=True, expire_on_commit=True))

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Session]:
        """Open a transaction; one that fails gives the database back to the other processes."""
        try:
            with super().transaction() as session:
                yield session
        except BaseException:
            if not self.in_transaction:
                self.get_session().rollback()
            raise


def begin_immediate(connection: Connection, _savepoint: str) -> None:
    """Wait for the other writers before the first statement of a transaction.

    AiiDA's transactions begin with a savepoint. SQLite gives a savepoint no lock until the first write, which fails if
    another process has written since the first read, however long the timeout is.
    """
    if not connection.connection.dbapi_connection.in_transaction:  # type: ignore[union-attr]
        connection.exec_driver_sql('BEGIN IMMEDIATE')


def adopt_storage(config: Config, profile: Profile) -> str:
    """Let an existing profile on AiiDA's SQLite storage use the patient storage; return what was changed, or nothing.

    Daemon workers that run already use it after the next start of the daemon.
    """
    if profile.storage_backend != AIIDA_STORAGE:
        return ''
    profile.set_storage(STORAGE, profile.storage_config)
    config.update_profile(profile)
    config.store()
    return f', its storage is now {STORAGE}, whose writers wait for each other (from the next start of the daemon on)'


def write_ahead(database: Path) -> bool:
    """Let a database be read while it is written, permanently; return whether its file system allows it.

    Without this a reader waits for the end of a write, and gives up after five seconds ("database is locked"), which a
    slow disk under load can take.
    """
    if file_system(database) not in LOCAL_FILE_SYSTEMS:
        return False
    with contextlib.closing(sqlite3.connect(database)) as connection:
        (mode,) = connection.execute('PRAGMA journal_mode=WAL').fetchone()
    return mode == 'wal'


def network_file_system(path: Path) -> str:
    """Return the type of the network file system that a path is on; an empty text on a local disk, or if unknown."""
    kind = file_system(path)
    return kind if kind in NETWORK_FILE_SYSTEMS else ''


def file_system(path: Path) -> str:
    """Return the type of the file system that a path is on; an empty text if it is unknown."""
    path = path.resolve()
    mounts = {Path(partition.mountpoint): partition.fstype for partition in psutil.disk_partitions(all=True)}
    return next((mounts[parent] for parent in (path, *path.parents) if parent in mounts), '').lower()
