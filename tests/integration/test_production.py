"""A production profile on real services: set-up, doctor, clean, secrets, listening sockets, archives, moving in."""

import contextlib
import itertools
import json
import pathlib
import re
import stat
import zipfile

import psutil
import pytest

from local_services import SERVICES
from local_services.processes import children

from .production_installation import ACTIONS, collect, needs_services, wait_until

pytestmark = [pytest.mark.integration, needs_services]
EVIL = '$(touch bad)`touch bad`;touch bad&&"touch bad" \'|touch bad #'


@pytest.fixture(scope='module')
def ended(farm):
    """A campaign of one seed that has ended, with everything that a shell would mind in its names."""
    pk = farm.submit([77], names=EVIL)
    wait_until(lambda: farm.has_ended(pk), farm)
    answer, _ = collect(farm, pk)
    assert answer['exit_status'] == 0, answer
    return pk


@pytest.fixture(scope='module')
def archive(farm, ended, tmp_path_factory):
    """An archive of everything in the profile."""
    path = tmp_path_factory.mktemp('archive') / 'everything.aiida'
    farm.run('verdi', 'archive', 'create', '--all', path)
    return path


def test_setup(farm):
    """The command says the versions, creates all, and the second time nothing; the configuration is for one user."""
    assert re.search(r'PostgreSQL \d+\.\d+, RabbitMQ \d+\.\d+\.\d+', farm.first)
    states = {line[:40].strip(): line.split()[-1] for line in farm.second.splitlines() if line.strip()}
    assert states['computer farm'] == states['code lammps@farm'] == states['profile ionconduct'] == 'exists'
    config = farm.path / '.aiida' / 'config.json'
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert 'differs in database_name' in farm.with_database('other', 'aiida-ionconduct', 'setup', status=1)
    taken = farm.run('aiida-ionconduct', 'setup', '-p', 'second', status=1)
    assert re.search(r'the database aiida holds \d+ tables already', taken)


def test_doctor(farm):
    """Every check is fine, and every code of both computers runs as a job, which is deleted again."""
    before = farm.query('SELECT count(*) FROM db_dbnode')
    text = farm.run('aiida-ionconduct', 'doctor')
    assert 'ERROR' not in text
    assert 'Deletion' not in text
    for row in ('code lammps@farm', 'code pw@localhost', 'code nequip-compile@localhost', 'computer farm', 'broker'):
        assert re.search(rf'^{row} +ok', text, flags=re.MULTILINE), text
    assert farm.query('SELECT count(*) FROM db_dbnode') == before


def test_doctor_finds_what_is_wrong(farm):
    """Services and machines that are away are named, with what to do."""
    farm.services.stop('sshd', kill=True)
    try:
        text = farm.run('aiida-ionconduct', 'doctor', '--no-jobs', status=1)
    finally:
        farm.services.start('sshd')
    assert re.search(r'^computer farm +ERROR', text, flags=re.MULTILINE), text
    assert 'ssh node1' in text


def test_clean(farm, ended):
    """Nothing goes without being asked; then the folders of finished runs, and no others."""
    answer, arrays = collect(farm, ended)
    (folder,) = (pathlib.Path(job['folder']) for job in answer['jobs'])
    text = farm.run('aiida-ionconduct', 'clean')
    assert re.search(r'farm: [1-9]\d* folders, .* can be removed', text)
    assert (folder / 'trajectory.bin').exists()
    farm.run('aiida-ionconduct', 'clean', '--apply')
    assert not (folder / 'trajectory.bin').exists()
    assert 'Nothing to remove' in farm.run('aiida-ionconduct', 'clean')
    again = collect(farm, ended)[1]
    assert all((again[label]['positions'] == before['positions']).all() for label, before in arrays.items())


def test_no_shell(farm, ended):
    """Labels, descriptions, comments and names of files that a shell would run were never given to one."""
    folders = (farm.path, farm.home, pathlib.Path.cwd())
    assert not [path for folder in folders for path in folder.glob('bad')]
    assert not list(farm.scratch.rglob('bad'))


def test_loopback(farm):
    """Whatever listens for the services and the daemon does so for this machine alone."""
    started = [farm.services.process(name) for name in SERVICES]
    processes = itertools.chain(started, *map(children, started), farm.processes())
    listening = {}
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            for connection in process.net_connections():
                if connection.status == psutil.CONN_LISTEN:
                    listening[connection.laddr.port] = (connection.laddr.ip, process.name())
    assert set(farm.services.ports.values()) <= set(listening)
    assert {ip for ip, _ in listening.values()} <= {'127.0.0.1', '::1'}, listening


def test_no_secrets(farm, archive):
    """No password and no key is in an archive, in the repository, or in a log."""
    keys = [farm.services.folder / 'ssh' / name for name in ('client', 'host')]
    secrets = [farm.services.password.encode(), b'PRIVATE KEY', (farm.services.folder / 'munge' / 'key').read_bytes()]
    secrets += [max(key.read_bytes().splitlines(), key=len) for key in keys]
    logs = [path for path in (farm.path / '.aiida' / 'daemon').rglob('*') if path.is_file()]
    logs += farm.services.folder.glob('*.log')
    files = [path for path in (farm.path / '.aiida' / 'repository').rglob('*') if path.is_file()]
    assert len(logs) > 5
    assert len(files) > 5
    texts = {str(path): path.read_bytes() for path in (*logs, *files)}
    with zipfile.ZipFile(archive) as opened:
        texts |= {f'archive {name}': opened.read(name) for name in opened.namelist()}
    assert any(b'LammpsMdCalculation' in text for name, text in texts.items() if name.startswith('archive'))
    leaks = [(name, secret[:8]) for name, text in texts.items() for secret in secrets if secret in text]
    assert not leaks
    (rows,) = farm.query('SELECT count(*) FROM db_dbnode WHERE attributes::text LIKE %s', f'%{farm.services.password}%')
    assert rows == (0,)


def test_archive_of_a_stranger(farm, second_installation, archive):
    """What comes from elsewhere is data: nothing is opened that could run, and no computer can be used."""
    answer = farm.ask('trap', farm.path)
    trapped = farm.path / 'trapped.aiida'
    farm.run('verdi', 'archive', 'create', '--nodes', answer['uuid'], '--', trapped)
    for path in (trapped, archive):
        second_installation.run('verdi', 'archive', 'import', path)
    assert not pathlib.Path(answer['marker']).exists()
    assert second_installation.ask('configured_computers') == []
    assert second_installation.run('verdi', 'node', 'show', answer['uuid'])
    assert not pathlib.Path(answer['marker']).exists()


def test_embedded_profile_moves_in(farm, second_installation, ended, archive):
    """An archive of an embedded profile, imported into PostgreSQL: the same nodes, links and files."""
    second_installation.run('verdi', 'archive', 'import', archive)
    moved = second_installation.path / 'moved.aiida'
    second_installation.run('verdi', 'archive', 'create', '--all', moved)
    setup = ('aiida-ionconduct', 'setup', '--profile', 'production', '--workers', '1')
    try:
        farm.with_database('moved', *setup)
        farm.run('verdi', '-p', 'production', 'archive', 'import', moved)
        words = ('run', ACTIONS, 'contents')
        here = json.loads(farm.run('verdi', '-p', 'production', *words).splitlines()[-1])
    finally:
        farm.run('verdi', '-p', 'production', 'daemon', 'stop', '--timeout', '60', status=None)
    there = json.loads(second_installation.run('verdi', *words).splitlines()[-1])
    assert there
    assert all(here[uuid] == described for uuid, described in there.items())
