"""Commands on a computer whose login shell prints."""

import subprocess

import pytest
from aiida import orm

from aiida_ionconduct.cli import clean
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
