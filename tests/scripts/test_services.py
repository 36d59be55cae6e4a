"""Tests of ``scripts/services.py``: which folders it makes, adopts and removes. No service is started."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from local_services import ServiceError, Services
from local_services import folder as service_folder

SCRIPT = pathlib.Path(__file__).parents[2] / 'scripts' / 'services.py'
ACTIONS = ('start', 'stop', 'status')


def run(action, folder):
    """Run the script as users do; return its exit status and what it prints to standard error."""
    done = subprocess.run([sys.executable, SCRIPT, action, folder], capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def contents(folder):
    """Return every path below a folder with its mode, its owner and, of a file, its text."""
    paths = [folder, *folder.rglob('*')]
    return {path: (path.lstat()[:5], path.read_text() if path.is_file() else '') for path in paths}


@pytest.fixture
def home(tmp_path):
    """A folder with somebody's work in it."""
    folder = tmp_path / 'home'
    (folder / 'thesis').mkdir(parents=True)
    (folder / 'thesis' / 'chapter.tex').write_text('years of work')
    folder.chmod(0o755)
    return folder


@pytest.fixture
def made(tmp_path):
    """A folder that was made for services."""
    return Services.make(tmp_path / 'services').folder


def rewritten(folder, **changes):
    """Change the settings of a folder; None leaves a value out."""
    path = folder / service_folder.SETTINGS
    content = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not None}))


# A folder of somebody else's --------------------------------------------------------------------------------------


@pytest.mark.parametrize('action', ACTIONS)
def test_folder_with_other_files_is_refused(action, home):
    """A home directory is neither removed nor adopted nor changed, whatever the action."""
    before = contents(home)
    status, message = run(action, home)
    assert status == 1
    assert f'{home} ' in message
    assert 'not made by this command' in message
    assert contents(home) == before


@pytest.mark.parametrize('action', ['stop', 'status'])
def test_missing_folder_is_refused(action, tmp_path):
    """Stopping or asking about a folder that does not exist does not make it."""
    status, message = run(action, tmp_path / 'missing')
    assert (status, message) == (1, f'{tmp_path}/missing does not exist.\n')
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('action', ['stop', 'status'])
def test_empty_folder_is_refused(action, tmp_path):
    """An empty folder without settings was not made by the command, and stays."""
    status, message = run(action, tmp_path)
    assert status == 1
    assert 'has no settings.json' in message
    assert tmp_path.is_dir()


@pytest.mark.parametrize('action', ACTIONS)
def test_file_is_refused(action, tmp_path):
    """A file in the place of the folder stays as it is."""
    (tmp_path / 'file').write_text('text')
    status, message = run(action, tmp_path / 'file')
    assert status == 1
    assert message.count('\n') == 1
    assert (tmp_path / 'file').read_text() == 'text'


@pytest.mark.parametrize('action', ACTIONS)
@pytest.mark.parametrize('target', ['made', 'home'])
def test_link_to_a_folder_is_refused(action, target, tmp_path, request):
    """A symbolic link is not followed, even to a folder that the command has made."""
    folder = request.getfixturevalue(target)
    before = contents(folder)
    (tmp_path / 'link').symlink_to(folder)
    status, message = run(action, tmp_path / 'link')
    assert (status, message) == (1, f'{tmp_path}/link is a symbolic link. Nothing was changed.\n')
    assert contents(folder) == before


# Settings of another program, folder or user ---------------------------------------------------------


@pytest.mark.parametrize('action', ACTIONS)
@pytest.mark.parametrize(
    'text',
    [
        'not JSON',
        '[]',
        '{"ports": {"postgresql": 5432}, "password": "secret", "slots": 2}',
        '{"editor.fontSize": 14}',
    ],
)
def test_settings_of_another_program_are_refused(action, text, home):
    """Many programs keep a ``settings.json``: it must have been written by this one."""
    (home / 'settings.json').write_text(text)
    before = contents(home)
    status, message = run(action, home)
    assert status == 1
    assert 'was not written by this command' in message
    assert contents(home) == before


@pytest.mark.parametrize(
    'changes',
    [
        {'made_by': 'another program'},
        {'password': 7},
        {'password': None},
        {'slots': True},
        {'ports': [1, 2]},
        {'ports': {'postgresql': 'high'}},
        {'further': 1},
    ],
)
def test_settings_of_another_shape_are_refused(changes, made):
    """A missing, further or mistyped value is not what the command writes."""
    rewritten(made, **changes)
    with pytest.raises(ServiceError, match='was not written by this command'):
        Services.open(made)


@pytest.mark.parametrize('action', ACTIONS)
def test_copied_settings_are_refused(action, made, home):
    """Settings count for the folder alone that they were written for."""
    (home / 'settings.json').write_text((made / 'settings.json').read_text())
    before = contents(home)
    status, message = run(action, home)
    assert status == 1
    assert 'for this folder' in message
    assert contents(home) == before


@pytest.mark.parametrize('action', ACTIONS)
def test_linked_settings_are_refused(action, made, home):
    """A symbolic link may lead to the settings of another folder or another user."""
    (home / 'settings.json').symlink_to(made / 'settings.json')
    before = contents(home)
    status, message = run(action, home)
    assert status == 1
    assert 'settings.json is a symbolic link' in message
    assert contents(home) == before


@pytest.mark.parametrize('name', ['', 'settings.json'], ids=['folder', 'settings'])
def test_owner_is_the_caller(name, made, monkeypatch):
    """Neither the folder nor its settings may belong to another user."""
    lstat = pathlib.Path.lstat

    def stranger(path):
        status = lstat(path)
        values = list(status)
        values[4] += path == made / name
        return os.stat_result(values)

    monkeypatch.setattr(pathlib.Path, 'lstat', stranger)
    for refused in (lambda: Services.open(made), lambda: Services.make(made), lambda: service_folder.remove(made)):
        with pytest.raises(ServiceError, match='belongs to another user'):
            refused()
    assert (made / 'settings.json').exists()


def test_new_folder_of_another_user_is_refused(tmp_path, monkeypatch):
    """An empty folder of another user is left empty."""
    monkeypatch.setattr(os, 'geteuid', lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(ServiceError, match='belongs to another user'):
        Services.make(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can give a folder to another user')
@pytest.mark.parametrize('action', ACTIONS)
@pytest.mark.parametrize('name', ['', 'settings.json'], ids=['folder', 'settings'])
def test_folder_that_another_user_has_prepared_is_refused(action, name, made):
    """A copy of what the command makes, by a user who has guessed the path, is neither started nor removed by root."""
    os.chown(made / name, 65534, 65534)
    before = contents(made)
    status, message = run(action, made)
    assert (status, message) == (1, f'{made / name} belongs to another user. Nothing was changed.\n')
    assert contents(made) == before


@pytest.mark.parametrize('action', ACTIONS)
@pytest.mark.parametrize('name', ['', 'settings.json'], ids=['folder', 'settings'])
def test_folder_that_others_can_write_is_refused(action, name, made):
    """Others could have written settings and scripts that the services would obey."""
    (made / name).chmod(0o777)
    status, message = run(action, made)
    assert (status, message) == (1, f'{made / name} can be written by other users. Nothing was changed.\n')
    assert made.exists()


@pytest.mark.parametrize('action', ACTIONS)
def test_folder_in_a_folder_of_everybody_is_refused(action, made):
    """Everybody could put another folder in its place; in a folder like /tmp, which is sticky, nobody can."""
    made.parent.chmod(0o777)
    status, message = run(action, made)
    assert status == 1
    assert f'is in {made.parent}, which everybody can write' in message
    made.parent.chmod(0o1777)
    assert Services.open(made).folder == made


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can give a folder to another user')
@pytest.mark.parametrize('action', ['start', 'status'])
def test_new_folder_below_a_folder_of_another_user_is_refused(action, tmp_path):
    """Root makes nothing in a folder of another user, who could replace it."""
    os.chown(tmp_path, 65534, 65534)
    status, message = run(action, tmp_path / 'deep' / 'farm')
    assert status == 1
    assert f'is in {tmp_path}, which belongs to another user' in message
    assert list(tmp_path.iterdir()) == []


# Folders of its own -----------------------------------------------------------------------------------------------


def test_folder_is_made_for_the_caller_alone(made):
    """Passwords are in a file that only the caller can read."""
    assert (made / 'settings.json').stat().st_mode & 0o777 == 0o600
    assert made.stat().st_mode & 0o777 == 0o711


def test_folder_is_adopted_again(made):
    """Ports and password are those that were drawn when the folder was made."""
    first, again = Services.open(made), Services.make(made, slots=99)
    assert (again.ports, again.password, again.slots) == (first.ports, first.password, first.slots)


def test_status_and_stop_of_its_own_folder(made):
    """What the command has made, it shows and removes, however the path is written."""
    command = [sys.executable, SCRIPT, 'status', made]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert 'slurmd       not running' in done.stdout
    assert run('stop', made.parent / 'elsewhere' / '..' / made.name) == (0, '')
    assert not made.exists()


def test_links_inside_are_not_followed(made, home):
    """What a link in the folder points to outlives the folder."""
    (made / 'work').symlink_to(home)
    assert run('stop', made) == (0, '')
    assert (home / 'thesis' / 'chapter.tex').read_text() == 'years of work'


def test_every_port_is_drawn_once(made):
    """The ports of the services are named once each and differ."""
    ports = Services.open(made).ports
    assert set(ports) >= {'postgresql', 'rabbitmq', 'sshd', 'slurmctld', 'slurmd'}
    assert len(set(ports.values())) == len(ports)
