"""The database of an embedded profile: read while it is written."""

import contextlib
import sqlite3
from types import SimpleNamespace

import psutil
import pytest

from aiida_ionconduct.cli import doctor, setup
from aiida_ionconduct.farm.embedded import file_system, network_file_system, write_ahead


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


@pytest.mark.parametrize(('kind', 'network'), [('nfs4', True), ('lustre', True), ('ext4', False), ('', False)])
def test_network_file_systems(tmp_path, monkeypatch, kind, network):
    mounted(monkeypatch, tmp_path, kind)
    assert bool(network_file_system(tmp_path / 'folder')) == network


@pytest.mark.parametrize('kind', ['nfs', 'cifs', 'beegfs'])
def test_setup_refuses_a_network_file_system(tmp_path, monkeypatch, kind):
    """SQLite on such a file system may lose data: `setup` says where else the profile could be."""
    mounted(monkeypatch, tmp_path, kind)
    monkeypatch.setattr(setup, 'get_config', lambda create: SimpleNamespace(dirpath=str(tmp_path), profile_names=[]))
    with pytest.raises(setup.SetupError, match=rf'is on {kind}, and SQLite can lose data[^!]*AIIDA_PATH=') as raised:
        setup.ensure_profile(setup.SetupOptions('new', 1, tmp_path))
    assert '--postgres' in str(raised.value)


@pytest.mark.parametrize(('kind', 'state'), [('nfs4', doctor.WARNING), ('ext4', doctor.OK)])
def test_doctor_warns_of_a_network_file_system(tmp_path, monkeypatch, kind, state):
    mounted(monkeypatch, tmp_path, kind)
    profile = SimpleNamespace(storage_backend='core.sqlite_dos', storage_config={'filepath': str(tmp_path)})
    row = doctor.embedded_row(profile)
    assert row.state == state
    assert (kind in row.finding) == (state == doctor.WARNING)
