"""Tests of ``scripts/system_packages.sh`` with a PATH of fakes, so that nothing is installed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / 'scripts' / 'system_packages.sh'
TOOLS = ('bash', 'env', 'grep', 'paste', 'tr', 'cat', 'tee', 'chmod', 'rm')
ENGINES = ('pw.x', 'mpirun', 'dot', 'g++', 'ps')
SERVERS = (
    *('initdb', 'rabbitmq-server', 'sshd', 'ssh', 'slurmctld', 'slurmd', 'squeue', 'munged', 'slurmdbd', 'mariadbd'),
    'setpriv',
)


@pytest.fixture
def run(tmp_path):
    """Return a function that runs the script for a user, with the engines but those missing on PATH."""

    def write(name, body):
        (tmp_path / name).write_text(f'#!/bin/sh\n{body}\n')
        (tmp_path / name).chmod(0o755)

    def run_script(*arguments, user=0, missing=(), python=sys.executable):
        for name in TOOLS:
            (tmp_path / name).symlink_to(shutil.which(name))
        for name in {*ENGINES, *SERVERS} - set(missing):
            write(name, '')
        write('id', f'echo {user}')
        if not (tmp_path / 'apt-get').exists():
            write('apt-get', f'echo "$@" >> {tmp_path}/apt.log')
        environment = {'PATH': str(tmp_path), 'PYTHON': python, 'SBIN': str(tmp_path), 'POSTGRES': str(tmp_path)}
        result = subprocess.run([SCRIPT, *arguments], env=environment, capture_output=True, text=True, check=False)
        log = tmp_path / 'apt.log'
        return result.returncode, result.stderr, log.read_text() if log.exists() else ''

    run_script.write = write
    return run_script


def test_all_there(run):
    """Nothing is installed where every program is on PATH."""
    assert run('run') == (0, '', '')


def test_analysis_needs_no_engines(run):
    """What reads results needs a compiler, and neither pw.x nor MPI."""
    assert run('analysis', missing=['pw.x', 'mpirun', 'dot', 'ps']) == (0, '', '')


@pytest.mark.parametrize(
    ('purpose', 'missing', 'packages'),
    [
        ('run', ['pw.x', 'dot'], ['quantum-espresso', 'graphviz']),
        ('test', [], ['chromium']),
        ('services', ['initdb', 'munged'], ['postgresql', 'munge']),
    ],
)
def test_as_root(run, purpose, missing, packages):
    """Root gets the packages of what is missing, and no others; only the tests need a browser."""
    code, _, log = run(purpose, missing=missing)
    assert code == 0
    assert log.split()[:1] + log.split()[3:-1] == ['install', *packages]


def test_servers_are_not_started(run, tmp_path):
    """While packages with servers are installed, Debian is told to start none; afterwards all is as before."""
    run.write('apt-get', f'"{tmp_path}/policy-rc.d"; echo $? >> {tmp_path}/apt.log')
    code, _, log = run('services', missing=['sshd'])
    assert (code, log) == (0, '101\n')
    assert not (tmp_path / 'policy-rc.d').exists()


def test_as_user(run):
    """A user without sudo is told what is missing and the command, and nothing is run."""
    code, message, log = run('run', user=1000, missing=['pw.x', 'mpirun'])
    assert (code, log) == (1, '')
    assert 'Missing: pw.x mpirun' in message
    assert 'apt-get install -y --no-install-recommends quantum-espresso openmpi-bin' in message


@pytest.mark.parametrize(('missing', 'status'), [(['slurmd'], 0), (['slurmd', 'pw.x'], 1)])
def test_services_are_optional(run, missing, status):
    """A user who can install nothing goes on without services, never without an engine."""
    code, message, log = run('services', user=1000, missing=missing)
    assert (code, log) == (status, '')
    assert 'slurmd' in message
    assert ('Going on without them' in message) == (status == 0)


def test_old_python(run, tmp_path):
    """A Python that is too old, or none, is refused by name before anything is installed."""
    run.write('python3.9', '[ "$1" = --version ] && echo Python 3.9.2; exit 1')
    code, message, log = run('run', missing=['pw.x'], python='python3.9')
    assert (code, log) == (1, '')
    assert 'Python 3.9.2 is too old' in message
    assert (
        'No python3.99 on PATH'
        in subprocess.run(
            [SCRIPT], env={'PATH': str(tmp_path), 'PYTHON': 'python3.99'}, capture_output=True, text=True, check=False
        ).stderr
    )
