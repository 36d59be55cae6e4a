"""The database of an embedded profile: read while it is written, by writers that wait for each other."""

import contextlib
import sqlite3
import threading
from types import SimpleNamespace

import psutil
import pytest
from aiida.manage.configuration import Profile
from aiida.manage.configuration.config import Config
from aiida.storage.sqlite_dos import SqliteDosStorage
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from aiida_ionconduct.cli import doctor, setup
from aiida_ionconduct.farm.embedded import (
    BUSY_S,
    STORAGE,
    PatientSqliteStorage,
    adopt_storage,
    file_system,
    network_file_system,
    write_ahead,
)


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


@pytest.fixture
def storage(tmp_path):
    """Make a profile's storage, with write-ahead log, and open it as a worker does."""
    config = {'storage': {'backend': STORAGE, 'config': {'filepath': str(tmp_path / 'storage')}}, 'process_control': {}}
    profile = Profile('embedded', config)
    PatientSqliteStorage.initialise(profile)
    assert write_ahead(tmp_path / 'storage' / 'database.sqlite')
    storage = PatientSqliteStorage(profile)
    yield storage
    storage.close()


def another_writer(storage, timeout=0.1):
    """Write a setting as another process would."""
    with contextlib.closing(sqlite3.connect(storage.filepath_database, timeout=timeout)) as connection:
        connection.execute(
            "INSERT INTO db_dbsetting (key, val, description, time) VALUES ('other', '1', '', '2026-01-01')"
        )
        connection.commit()


def test_writers_wait_for_minutes(storage):
    """AiiDA's own storage waits for five seconds."""
    with storage.get_session() as session:
        assert session.execute(text('PRAGMA busy_timeout')).scalar() == BUSY_S * 1000


def test_a_write_waits_for_another_writer(storage):
    with contextlib.closing(sqlite3.connect(storage.filepath_database, check_same_thread=False)) as connection:
        connection.execute('BEGIN IMMEDIATE')
        timer = threading.Timer(0.5, connection.rollback)
        timer.start()
        storage.set_global_variable('key', 1)
        timer.join()
    assert storage.get_global_variable('key') == 1


def read_then_write(storage):
    """Read in a transaction, let another process write, and write."""
    with storage.transaction() as session:
        session.execute(text('SELECT count(*) FROM db_dbsetting')).scalar()
        with contextlib.suppress(sqlite3.OperationalError):
            another_writer(storage)
        session.execute(
            text("INSERT INTO db_dbsetting (key, val, description, time) VALUES ('key', '1', '', '2026-01-01')")
        )


def test_a_transaction_may_read_before_it_writes(storage):
    """In AiiDA's own storage this write fails at once."""
    read_then_write(storage)
    assert storage.get_global_variable('key') == 1
    aiidas = SqliteDosStorage(storage.profile)
    aiidas.set_global_variable('key', 2)
    with pytest.raises(OperationalError, match='locked'):
        read_then_write(aiidas)
    aiidas.close()


def fail_after_a_write(storage):
    """Let a transaction fail that has written."""
    with storage.transaction():
        storage.set_global_variable('key', 1)
        raise ZeroDivisionError


@pytest.mark.parametrize('read_before', [False, True])
def test_a_failed_transaction_gives_the_database_back(storage, read_before):
    if read_before:
        storage.get_session().execute(text('SELECT 1'))
    with pytest.raises(ZeroDivisionError):
        fail_after_a_write(storage)
    another_writer(storage)
    with pytest.raises(KeyError):
        storage.get_global_variable('key')
    assert storage.get_global_variable('other') == 1


def test_existing_profiles_change_over(tmp_path):
    config = Config(str(tmp_path / 'config.json'), {})
    storage = {'backend': 'core.sqlite_dos', 'config': {'filepath': '/somewhere'}}
    config.add_profile(Profile('default', {'storage': storage, 'process_control': {}}))
    assert STORAGE in adopt_storage(config, config.get_profile('default'))
    stored = Config.from_file(str(tmp_path / 'config.json')).get_profile('default')
    assert (stored.storage_backend, stored.storage_config) == (STORAGE, {'filepath': '/somewhere'})
    assert adopt_storage(config, stored) == ''
