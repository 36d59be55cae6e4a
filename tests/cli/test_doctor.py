"""Tests of ``aiida-ionconduct doctor``; the codes themselves run in the integration tests."""

import subprocess
from collections import namedtuple
from types import SimpleNamespace

import pytest
from aiida import orm
from aiida.engine import ProcessState

from aiida_ionconduct.cli import doctor
from aiida_ionconduct.farm import site

pytestmark = pytest.mark.usefixtures('aiida_profile_clean')
Usage = namedtuple('Usage', 'free')


def rows():
    """Return the rows by name."""
    return {row.name: row for row in doctor.examine(jobs=False, timeout_s=1)}


def test_everything_is_looked_at(aiida_localhost):
    """Every check has a row, and what is wrong says what to do."""
    by_name = rows()
    assert {'aiida-core', 'storage', 'daemon', 'paused', 'pair style', 'pseudopotentials', 'disk of the profile',
            f'computer {aiida_localhost.label}'} <= set(by_name)  # fmt: skip
    assert by_name[f'computer {aiida_localhost.label}'].state == doctor.OK
    assert (by_name['daemon'].state, by_name['daemon'].remedy) == (doctor.ERROR, 'verdi daemon start 2')
    assert by_name['pseudopotentials'].remedy == 'aiida-ionconduct setup'
    assert all(row.remedy for row in by_name.values() if row.state != doctor.OK)


def test_a_check_that_breaks(monkeypatch):
    """It does not hide the others."""

    def check_broken():
        raise RuntimeError('no')
        yield

    monkeypatch.setattr(doctor, 'CHECKS', (check_broken, *doctor.CHECKS))
    by_name = rows()
    assert by_name['broken'].state == doctor.ERROR
    assert 'storage' in by_name


def test_disk(monkeypatch):
    """A disk that fills is a warning."""
    monkeypatch.setattr(doctor.shutil, 'disk_usage', lambda folder: Usage(1e9))
    (row,) = doctor.check_disk()
    assert (row.state, 'clean' in row.remedy) == (doctor.WARNING, True)


def test_computer_gone(aiida_localhost, monkeypatch):
    """A computer that does not answer is named with what to try."""

    def fail(computer):
        raise site.SiteError('it does not answer\nTry ssh')

    monkeypatch.setattr(site, 'check_computer', fail)
    (row,) = doctor.check_computers()
    assert (row.state, row.finding, row.remedy) == (doctor.ERROR, 'it does not answer', 'Try ssh')


def test_slow_shell(aiida_localhost, monkeypatch, tmp_path):
    """What a login shell runs before every command is pointed out."""
    aiida_localhost.configure(use_login_shell=True)
    (tmp_path / '.bash_profile').write_text('sleep 0.3')
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.setattr(doctor, 'SLOW_S', 0.2)
    row = rows()[f'shell of {aiida_localhost.label}']
    assert row.state == doctor.WARNING
    assert '.bash_profile' in row.remedy


def test_paused():
    """Paused processes are counted, as long as they have not ended."""
    for state in (ProcessState.WAITING, ProcessState.FINISHED):
        node = orm.CalcJobNode()
        node.set_process_state(state)
        node.pause()
        node.store()
    (row,) = doctor.check_processes()
    assert (row.state, row.finding) == (doctor.WARNING, '1 processes')


def test_settings_that_others_can_read(tmp_path, monkeypatch):
    """The settings and the copies that AiiDA leaves of them hold passwords; the advice works as typed."""
    monkeypatch.setattr(doctor, 'get_config', lambda: SimpleNamespace(dirpath=str(tmp_path / "user's")))
    (tmp_path / "user's").mkdir()
    for name in ('config.json', 'config.json.20261129-120000.000000'):
        (tmp_path / "user's" / name).touch(mode=0o600)
    (row,) = doctor.check_passwords()
    assert (row.state, '1 copies' in row.finding) == (doctor.OK, True)
    (tmp_path / "user's" / 'config.json.20261129-120000.000000').chmod(0o644)
    (row,) = doctor.check_passwords()
    assert row.state == doctor.ERROR
    assert 'others can read config.json.20261129-120000.000000' in row.finding
    subprocess.run(row.remedy, shell=True, check=True)
    (row,) = doctor.check_passwords()
    assert row.state == doctor.OK
