"""Commands on a computer whose login shell prints."""

import os
import shutil
import subprocess

import pytest
from aiida import orm

from aiida_ionconduct.cli import clean, doctor
from aiida_ionconduct.farm import shell, site


class TalkingTransport:
    """A transport whose shell prints a banner before each command and a farewell after it."""

    def exec_command_wait(self, command, workdir=None):
        """Run a command."""
        script = f"trap 'echo Bye' EXIT; printf 'Welcome to /cluster\\t7 %%\\nno newline'; {command}"
        done = subprocess.run(['bash', '-c', script], cwd=workdir, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr


def test_output_without_the_banner():
    status, printed, noise = shell.run(TalkingTransport(), "printf 'a\\nb'; exit 3")
    assert (status, printed) == (3, 'a\nb')
    assert 'Welcome' in noise
    assert 'Bye' in noise


def test_name_of_the_user():
    name = subprocess.run('whoami', capture_output=True, text=True, check=True).stdout.strip()
    assert shell.user_name(TalkingTransport()) == name


def test_sizes_of_folders(tmp_path):
    (tmp_path / 'file').write_bytes(b'0' * 50_000)
    assert list(clean.sizes(TalkingTransport(), [str(tmp_path)])) == [str(tmp_path)]


class Stat(TalkingTransport):
    """A transport to a computer with a ``stat`` of its own."""

    def __init__(self, printed):
        self.printed = printed

    def exec_command_wait(self, command, workdir=None):
        """Run a command."""
        return super().exec_command_wait(f'stat() {{ {self.printed}; }}; {command}', workdir)


def test_free_space(tmp_path):
    """The space is what the system says, whatever the share is called and however much the shell prints."""
    free = shell.free_bytes(TalkingTransport(), str(tmp_path))
    assert free == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.05)


@pytest.mark.parametrize('printed', ['false', 'echo unknown', 'echo', 'echo "- 4096"'])
def test_free_space_that_is_not_told(printed, tmp_path):
    assert shell.free_bytes(Stat(printed), str(tmp_path)) is None


def test_locks(tmp_path):
    assert shell.locks_work(TalkingTransport(), str(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def no_locks(tmp_path, monkeypatch):
    """Let the file system refuse locks, as Lustre does without the option flock."""
    (tmp_path / 'bin').mkdir()
    for name, script in {'flock': 'echo "flock: Function not implemented" >&2; exit 1', 'squeue': 'exit 0'}.items():
        (tmp_path / 'bin' / name).write_text(f'#!/bin/sh\n{script}\n')
        (tmp_path / 'bin' / name).chmod(0o755)
    monkeypatch.setenv('PATH', f'{tmp_path / "bin"}:{os.environ["PATH"]}')


@pytest.mark.parametrize('scheduler', ['slurm', 'direct'])
def test_missing_locks_are_reported(aiida_profile_clean, tmp_path, no_locks, scheduler):
    """`setup` and `doctor` say that locks are missing and what is done instead, where the scheduler needs locks."""
    described = {'transport': 'local', 'scheduler': scheduler, 'workdir': f'{tmp_path}/work', 'use_login_shell': False}
    state = site.ensure_computer('here', site.Computer.check(described))
    (row,) = [row for row in doctor.check_computers() if row.name == 'computer here']
    if scheduler == 'direct':
        assert (state, row.state) == ('created', doctor.OK)
    else:
        assert 'file locks do not work' in state
        assert 'Slurm is asked for it by its name' in state
        assert (row.state, 'flock' in row.remedy) == (doctor.WARNING, True)


@pytest.fixture
def talking_shell(tmp_path, monkeypatch):
    """Let the login shell of this machine print."""
    (tmp_path / 'home').mkdir()
    (tmp_path / 'home' / '.bash_profile').write_text('echo Welcome to the cluster\n')
    monkeypatch.setenv('HOME', str(tmp_path / 'home'))


def test_folder_is_not_named_after_the_banner(aiida_profile_clean, tmp_path, talking_shell):
    """AiiDA itself would take the banner for a part of the user's name."""
    described = {'transport': 'local', 'scheduler': 'direct', 'workdir': f'{tmp_path}/work/{{username}}'}
    site.ensure_computer('here', site.Computer.check(described))
    (folder,) = (tmp_path / 'work').iterdir()
    assert 'Welcome' not in folder.name
    assert orm.load_computer('here').get_workdir() == str(folder)
