"""Tests of the file of a site."""

import typing
from pathlib import Path

import pytest
import yaml
from aiida import orm

from aiida_ionconduct.farm import site

EXAMPLE = Path(__file__).parents[2] / 'docs' / 'examples' / 'site.yaml'


def write(tmp_path, **contents):
    """Write a file of a site."""
    path = tmp_path / 'site.yaml'
    path.write_text(yaml.safe_dump(contents))
    return path


def computer(**changes):
    """Return a computer that needs nothing but this machine."""
    return {'transport': 'local', 'scheduler': 'direct', 'workdir': '/tmp/{username}/aiida', **changes}


def test_example():
    """The example of the documentation is right."""
    example = site.load_site(EXAMPLE)
    assert {'cluster', 'cluster-gpu'} <= set(example.computers)


@pytest.mark.parametrize(
    ('contents', 'complaint'),
    [
        ({'computer': {}}, 'unknown key `computer`: did you mean `computers`'),
        (
            {'computers': {'c': computer(sheduler='slurm')}},
            r'unknown key `computers\.c\.sheduler`: did you mean `computers\.c\.scheduler`',
        ),
        (
            {'computers': {'c': computer(scheduler='condor')}},
            r"`computers\.c\.scheduler` is 'condor', but must be 'direct'",
        ),
        ({'computers': {'c': computer(workdir='scratch')}}, r"`computers\.c\.workdir` is 'scratch', .*absolute path"),
        ({'computers': {'c': computer(hostname='-oProxyCommand=touch x')}}, r'`computers\.c\.hostname` .*must match'),
        ({'computers': {'c': computer(partition='gpu')}}, r'`computers\.c`: `partition` needs a scheduler'),
        (
            {'computers': {'c': computer(scheduler='slurm', partition='a;b')}},
            r'`computers\.c\.partition` .*must match',
        ),
        ({'computers': {'c': computer(mpiprocs_per_machine='4')}}, r"mpiprocs_per_machine` is '4', .*valid integer"),
        ({'computers': {'c': computer(poll_interval_s=0)}}, r'poll_interval_s` is 0, .*greater than or equal to 0\.1'),
        ({'computers': {'c': {'scheduler': 'direct'}}}, r'`computers\.c\.workdir` is missing'),
        ({'computers': {'a b': computer()}}, 'the computer `a b` needs another label'),
        ({'computers': {'localhost': computer()}}, 'the computer `localhost` needs another label'),
        ({'computers': ['c']}, r"`computers` is \['c'\], but must be a mapping of keys"),
        ({'computers': {'c': computer(scheduler='sge')}}, r'`computers\.c`: core\.sge needs a `parallel_env`'),
        ({'computers': {'c': computer(scheduler='pbspro', qos='high')}}, 'write the directive into `directives`'),
        ({'computers': {'c': computer(scheduler='slurm', directives=['-x\ntouch x'])}}, r'directives.*must match'),
        ({'codes': {'pw@localhost': {'executable': '/bin/pw.x'}}}, 'runs under MPI.*write `mpi: true`'),
        ({'codes': {'pw@c': {'executable': '/bin/pw.x'}}}, 'the computer being in this file'),
        ({'codes': {'vasp@localhost': {'executable': '/bin/vasp'}}}, 'needs a `plugin`'),
        ({'codes': {'pw@localhost': {'executable': 'pw.x'}}}, r'`codes\.pw@localhost\.executable` .*must match'),
    ],
)
def test_refused(tmp_path, contents, complaint):
    """Every mistake is named by its key, before anything is created."""
    with pytest.raises(site.SiteError, match=complaint):
        site.load_site(write(tmp_path, **contents))


def test_all_mistakes_are_named_at_once(tmp_path):
    path = write(tmp_path, computers={'c': computer(workdir='scratch', nodes=2)}, code={})
    with pytest.raises(site.SiteError, match=r'site\.yaml is not right:') as raised:
        site.load_site(path)
    assert len(str(raised.value).splitlines()) == 4


def test_a_file_without_keys_is_refused(tmp_path):
    path = tmp_path / 'site.yaml'
    path.write_text('- computers')
    with pytest.raises(site.SiteError, match='the parameters must be a mapping of keys'):
        site.load_site(path)


def test_every_key_is_described():
    """The documentation of the file is made from the fields."""
    keys = {key.path: key for key in site.Site.keys(path='')}
    assert {'computers.NAME.hostname', 'codes.NAME@COMPUTER.executable'} <= set(keys)
    assert all(key.description for key in keys.values())


def test_names_of_transports_are_those_of_the_table():
    assert typing.get_args(site.TransportName) == tuple(site.TRANSPORTS)


def test_not_yaml(tmp_path):
    """A file that is not YAML is refused."""
    (tmp_path / 'site.yaml').write_text('computers: [')
    with pytest.raises(site.SiteError, match='cannot be read as YAML'):
        site.load_site(tmp_path / 'site.yaml')


def test_computer(aiida_profile_clean, tmp_path):
    """A computer is created, left alone, changed where it can be, and not mistaken for another machine."""
    wanted = site.Computer(**computer(workdir=str(tmp_path / 'work'), poll_interval_s=3))
    assert site.ensure_computer('here', wanted) == 'created'
    assert site.ensure_computer('here', wanted) == 'exists'
    node = orm.load_computer('here')
    assert node.get_minimum_job_poll_interval() == 3
    assert node.is_configured
    assert (tmp_path / 'work').is_dir()
    changed = wanted.model_copy(update={'poll_interval_s': 60, 'prepend': 'module load lammps'})
    assert site.ensure_computer('here', changed).startswith('changed')
    assert orm.load_computer('here').get_prepend_text() == 'module load lammps'
    with pytest.raises(site.SiteError, match=r'hostname.*verdi computer relabel'):
        site.ensure_computer('here', wanted.model_copy(update={'hostname': 'elsewhere'}))


def test_connections_of_the_user_are_kept(aiida_profile_clean, tmp_path, monkeypatch):
    """What the user has configured for ssh, such as two factors through openssh, survives another `setup`."""
    monkeypatch.setattr(site, 'check_computer', lambda computer: 'answers')
    wanted = site.Computer(**computer(transport='ssh', hostname='cluster', workdir=str(tmp_path)))
    site.ensure_computer('cluster', wanted)
    node = orm.load_computer('cluster')
    assert node.get_configuration()['backend'] == 'asyncssh'
    node.configure(backend='openssh', max_io_allowed=2)
    site.ensure_computer('cluster', wanted)
    kept = orm.load_computer('cluster').get_configuration()
    assert (kept['backend'], kept['max_io_allowed']) == ('openssh', 2)
    site.ensure_computer('cluster', wanted.model_copy(update={'backend': 'asyncssh'}))
    assert orm.load_computer('cluster').get_configuration()['backend'] == 'asyncssh'


def test_no_answer(aiida_profile_clean, tmp_path):
    """A scheduler that is not there is named with what to try."""
    wanted = site.Computer(**computer(scheduler='lsf', workdir=str(tmp_path)))
    with pytest.raises(site.SiteError, match=r'the computer here does not answer.*\nTry'):
        site.ensure_computer('here', wanted)


def test_code(aiida_profile_clean, tmp_path):
    """A code is created once, must have an executable, and is not silently changed."""
    site.ensure_computer('here', site.Computer(**computer(workdir=str(tmp_path))))
    assert site.ensure_code('lammps@here', site.Code(executable='/bin/true')) == 'created'
    assert site.ensure_code('lammps@here', site.Code(executable='/bin/true')) == 'exists'
    assert orm.load_code('lammps@here').default_calc_job_plugin == 'ionconduct.lammps.md'
    with pytest.raises(site.SiteError, match='verdi code relabel'):
        site.ensure_code('lammps@here', site.Code(executable='/bin/false'))
    with pytest.raises(site.SiteError, match='does not exist'):
        site.ensure_code('pw@here', site.Code(executable='/nowhere/pw.x'))
