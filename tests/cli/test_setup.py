"""Tests of the steps of ``aiida-ionconduct setup``."""

import contextlib
import os
import sqlite3
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from aiida import orm

from aiida_ionconduct.cli import setup
from aiida_ionconduct.engines.programs import ENGINES
from aiida_ionconduct.farm import pseudopotentials
from aiida_ionconduct.farm.embedded import LOCAL_FILE_SYSTEMS, file_system

pytestmark = pytest.mark.usefixtures('aiida_profile_clean')


def make_program(folder, name):
    """Write an executable of that name into a folder and return its path."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text('#!/bin/sh\n')
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Put fake ``pw.x`` and ``mpirun`` on PATH, behind an environment that has an ``mpirun`` of its own."""
    environment = tmp_path / 'environment'
    for name in ('mpirun', 'nequip-train', 'nequip-package', 'nequip-compile', 'lmp', 'python'):
        make_program(environment, name)
    monkeypatch.setattr(sysconfig, 'get_path', lambda name: str(environment))
    monkeypatch.setenv('PATH', f'{environment}{os.pathsep}{tmp_path / "system"}')
    return {name: make_program(tmp_path / 'system', name) for name in ('pw.x', 'mpirun')}


@pytest.fixture
def options(tmp_path):
    """Return options for the steps, with a cache that holds nothing."""
    return setup.SetupOptions('ionconduct', 2, tmp_path / 'cache')


def test_computer(programs, options):
    """The computer starts jobs at once, with the mpirun that belongs to pw.x and not the environment's."""
    assert setup.ensure_computer(options) == 'created'
    assert setup.ensure_computer(options) == 'exists'
    computer = orm.load_computer('localhost')
    assert computer.get_mpirun_command()[:3] == [*setup.YIELDING, programs['mpirun']]
    assert computer.get_minimum_job_poll_interval() == 1
    assert computer.get_configuration()['safe_interval'] == 0
    assert computer.is_configured


def test_computer_of_an_earlier_version(programs, options):
    """Its command is completed, once; a command of the user's own stays."""
    setup.ensure_computer(options)
    computer = orm.load_computer('localhost')
    whole = computer.get_mpirun_command()
    computer.set_mpirun_command(whole[len(setup.YIELDING) :])
    assert setup.ensure_computer(options).startswith('exists; ranks of MPI that wait')
    assert orm.load_computer('localhost').get_mpirun_command() == whole
    assert setup.ensure_computer(options) == 'exists'
    computer.set_mpirun_command(['srun', '-n', '{tot_num_mpiprocs}'])
    assert setup.ensure_computer(options) == 'exists'
    assert orm.load_computer('localhost').get_mpirun_command() == ['srun', '-n', '{tot_num_mpiprocs}']


def test_codes(programs, options):
    """Every code is created once, and only pw.x runs under mpirun."""
    setup.ensure_computer(options)
    for label, engine in ENGINES.items():
        assert setup.ensure_code(label, engine).startswith('created')
        assert setup.ensure_code(label, engine) == 'exists'
    codes = {code.label: code for code in orm.QueryBuilder().append(orm.Code).all(flat=True)}
    assert {label for label, code in codes.items() if code.with_mpi} == {'pw'}
    assert str(codes['pw'].get_executable()) == programs['pw.x']
    assert codes['lammps'].default_calc_job_plugin == 'ionconduct.lammps.md'


@pytest.mark.parametrize(('user', 'accepted'), [(0, True), (1000, False)])
def test_mpirun_accepts_root_for_root_alone(monkeypatch, user, accepted):
    monkeypatch.setattr(os, 'geteuid', lambda: user)
    assert ('ALLOW_RUN_AS_ROOT' in setup.prepend_text(ENGINES['pw'])) == accepted
    assert 'ALLOW_RUN_AS_ROOT' not in setup.prepend_text(ENGINES['lammps'])


def test_prepended_commands(monkeypatch):
    """The text is part of a code, and therefore of what the cache compares: it stays as it is."""
    monkeypatch.setattr(os, 'geteuid', lambda: 0)
    assert {label: setup.prepend_text(engine) for label, engine in ENGINES.items()} == {
        'pw': 'export OMP_NUM_THREADS=1\n'
        'export OMPI_MCA_rmaps_base_oversubscribe=1\n'
        'export OMPI_ALLOW_RUN_AS_ROOT=1\n'
        'export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1',
        'nequip-train': 'export MALLOC_MMAP_THRESHOLD_=1000000000\n'
        'export MALLOC_TRIM_THRESHOLD_=2000000000\n'
        'export MALLOC_TOP_PAD_=200000000',
        'nequip-package': '',
        'nequip-compile': '',
        'lammps': '',
        'ase': '',
    }


def test_existing_code(programs, options):
    """A code that the user has already is kept as it is, and one whose executable is gone is named."""
    setup.ensure_computer(options)
    setup.ensure_code('pw', ENGINES['pw']._replace(executable='mpirun'))
    assert setup.ensure_code('pw', ENGINES['pw']) == 'exists'
    assert str(orm.load_code('pw@localhost').get_executable()) == programs['mpirun']
    Path(programs['mpirun']).unlink()
    with pytest.raises(setup.SetupError, match=r'pw@localhost points to .*verdi code relabel'):
        setup.ensure_code('pw', ENGINES['pw'])


@pytest.mark.parametrize(
    ('find', 'name', 'advice'),
    [(setup.find_program, 'pw.x', 'apt-get install'), (setup.find_script, 'nequip-train', 'pip install')],
)
def test_missing_program(tmp_path, monkeypatch, find, name, advice):
    """A program that is missing is named together with the command that installs it."""
    monkeypatch.setenv('PATH', str(tmp_path))
    monkeypatch.setattr(sysconfig, 'get_path', lambda name: str(tmp_path))
    with pytest.raises(setup.SetupError, match=rf'{name} is not .*{advice}'):
        find(name)


def test_programs_of_other_environments_are_passed_over(tmp_path, monkeypatch):
    """An active environment besides this one may have an `mpirun` of its own, which is not that of pw.x."""
    for folder in ('other/bin', 'usr/bin'):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / 'mpirun').touch(mode=0o755)
    (tmp_path / 'other' / 'pyvenv.cfg').touch()
    monkeypatch.setenv('PATH', f'{tmp_path}/other/bin:{tmp_path}/usr/bin')
    assert setup.find_program('mpirun') == str(tmp_path / 'usr' / 'bin' / 'mpirun')


def test_pseudos_cannot_be_fetched(options, monkeypatch):
    """Without the wheel the step says how to have the pseudopotentials from PseudoDojo."""
    monkeypatch.setattr(subprocess, 'run', lambda command, **_: subprocess.CompletedProcess(command, 1))
    with pytest.raises(setup.SetupError, match='aiida-pseudo install pseudo-dojo'):
        setup.ensure_pseudos(options)
    assert not pseudopotentials.family_exists()


@pytest.fixture
def command_in(tmp_path):
    """Return a function that runs a command of this environment in an AiiDA configuration of its own."""
    scripts = Path(sys.executable).parent
    (tmp_path / 'home' / '.aiida').mkdir(parents=True)
    (tmp_path / 'home' / '.aiida' / 'config.json').write_text('the profiles of a user')
    names = {'AIIDA_IONCONDUCT_POSTGRES', 'AIIDA_IONCONDUCT_RABBITMQ'}
    environment = {'AIIDA_IONCONDUCT_CACHE': str(tmp_path / 'cache')} | os.environ
    environment = {name: value for name, value in environment.items() if name not in names}
    environment |= {'AIIDA_PATH': str(tmp_path / 'clone'), 'HOME': str(tmp_path / 'home')}
    (tmp_path / 'clone').mkdir()

    def run(name, *arguments):
        command = [scripts / name, *arguments]
        process = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
        assert process.returncode == 0, process.stdout + process.stderr
        return process.stdout

    yield run
    run('verdi', 'daemon', 'stop', '--timeout', '60')


@pytest.mark.integration
def test_setup_twice(command_in, tmp_path):
    """The real thing, on the installed engines: all is created, then nothing; other profiles are not touched."""
    first = command_in('aiida-ionconduct', 'setup').splitlines()
    second = command_in('aiida-ionconduct', 'setup').splitlines()
    assert [line.split()[-1] for line in second] == ['exists'] * (len(first) - 1) + ['running']
    assert any('created: 72 elements' in line for line in first)
    assert 'Daemon is running' in command_in('verdi', 'status')
    assert command_in('verdi', 'config', 'get', 'caching.default_enabled').strip() == 'True'
    (database,) = (tmp_path / 'clone' / '.aiida').rglob('database.sqlite')
    with contextlib.closing(sqlite3.connect(database)) as connection:
        keys = {key for (key,) in connection.execute('SELECT key FROM db_dbsetting')}
        (mode,) = connection.execute('PRAGMA journal_mode').fetchone()
    assert (mode == 'wal') == (file_system(database) in LOCAL_FILE_SYSTEMS)
    assert keys >= {'process|state_change|calculation', 'process|state_change|work'}
    user = tmp_path / 'home' / '.aiida'
    assert [path.name for path in user.rglob('*')] == ['config.json']
    assert (user / 'config.json').read_text() == 'the profiles of a user'


@pytest.mark.parametrize(
    ('workers', 'state'),
    [({}, 'restarted: it had no workers'), ({'1': {'started': 0.0}}, 'restarted: the source is newer')],
)
def test_daemon_that_runs_without_use(monkeypatch, options, workers, state):
    """Without workers, or with workers of an older source, the daemon is restarted."""
    restarts = []

    class Client:
        is_daemon_running = True

        def get_worker_info(self, timeout):
            return {'info': workers}

        def restart_daemon(self, timeout):
            restarts.append(timeout)

    monkeypatch.setattr(setup, 'daemon_client', lambda profile: Client())
    assert setup.ensure_daemon(options) == state
    assert restarts == [setup.PATIENCE_S]
