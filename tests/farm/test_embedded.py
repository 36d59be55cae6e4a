"""The database of an embedded profile: read while it is written."""

import contextlib
import sqlite3
from types import SimpleNamespace

import psutil
import pytest

from aiida_ionconduct.farm.embedded import file_system, write_ahead


@pytest.fixture
def database(tmp_path):
    """Make a database with one row."""
    path = tmp_path / 'database.sqlite'
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute('CREATE TABLE node (id)')
        connection.execute('INSERT INTO node VALUES (1)')
        connection.commit()
    return path


def read_during_write(path):
    """Return what a second process would read while the first writes."""
    with contextlib.closing(sqlite3.connect(path)) as writer:
        writer.execute('BEGIN EXCLUSIVE')
        writer.execute('INSERT INTO node VALUES (2)')
        with contextlib.closing(sqlite3.connect(path, timeout=0.1)) as reader:
            return reader.execute('SELECT count(*) FROM node').fetchone()[0]


def mounted(monkeypatch, path, kind):
    """Let a folder lie on a file system of this kind."""
    mounts = [SimpleNamespace(mountpoint='/', fstype='ext4'), SimpleNamespace(mountpoint=str(path), fstype=kind)]
    monkeypatch.setattr(psutil, 'disk_partitions', lambda all: mounts)


def test_read_while_written(database, tmp_path, monkeypatch):
    mounted(monkeypatch, tmp_path, 'ext4')
    with pytest.raises(sqlite3.OperationalError, match='locked'):
        read_during_write(database)
    assert write_ahead(database)
    assert read_during_write(database) == 1


@pytest.mark.parametrize('kind', ['nfs4', 'lustre', ''])
def test_not_on_a_network(database, tmp_path, monkeypatch, kind):
    mounted(monkeypatch, tmp_path, kind)
    assert file_system(database) == kind
    assert not write_ahead(database)
    with contextlib.closing(sqlite3.connect(database)) as connection:
        assert connection.execute('PRAGMA journal_mode').fetchone() == ('delete',)
