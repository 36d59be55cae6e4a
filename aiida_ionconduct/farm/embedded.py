"""The SQLite database of an embedded profile, which workers and the user's commands share."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import psutil

# SQLite's write-ahead log needs memory that all processes share, which network file systems do not give.
LOCAL_FILE_SYSTEMS = {'apfs', 'btrfs', 'ext2', 'ext3', 'ext4', 'f2fs', 'overlay', 'tmpfs', 'xfs', 'zfs'}

NETWORK_FILE_SYSTEMS = {
    'afs', 'beegfs', 'ceph', 'cifs', 'fuse.ceph-fuse', 'fuse.glusterfs', 'fuse.s3fs', 'fuse.sshfs', 'gpfs',
    'lustre', 'ncpfs', 'nfs', 'nfs4', 'ocfs2', 'orangefs', 'panfs', 'pvfs2', 'smb2', 'smb3', 'smbfs', 'wekafs',
}  # fmt: skip
UNSAFE_ON_NETWORK = 'SQLite can lose data on a network file system when several processes write'


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
