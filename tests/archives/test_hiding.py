"""Archives that name no folder and no computer: what stands there, what stays, and what longer names keep."""

import shutil
import zipfile

import pytest
from aiida import orm
from aiida.tools.archive.implementations.sqlite_zip.main import ArchiveFormatSqlZip
from click.testing import CliRunner

from aiida_ionconduct.archives import export, read_readme
from aiida_ionconduct.archives.hiding import Hiding, names_to_hide
from aiida_ionconduct.cli.commands.archives import export_command

PLACES = (b'/project/kim', b'/home/kim', b'cluster.example.org')


@pytest.mark.parametrize(
    ('text', 'hidden'),
    [
        ('/work/main/bin/lmp', '/environment/bin/lmp'),
        ("'/work/main'", "'/environment'"),
        ('file:///work/main/x, /work/main.', 'file:///environment/x, /environment.'),
        ('/work/main2 /work/main.old /data/work/main', '/work/main2 /work/main.old /data/work/main'),
        ('/work/mainframe/x', '/deeper/x'),
        ('/scratch/kim/aiida/ab/12', '/scratch/ab/12'),
        ('/home/kim/.bashrc:12', '/home/user/.bashrc:12'),
        ('loaded /soft/x-1/aiida_ionconduct/lammps', 'loaded /package/aiida_ionconduct/lammps'),
        ('kim@hpc.example.org', 'kim@cluster'),
        ('login1.hpc.example.org, myhpc.example.org', 'cluster, myhpc.example.org'),
        ('gpu, slurm', 'gpu, slurm'),
        ('1/2 and a/b', '1/2 and a/b'),
    ],
)
def test_text(text, hidden):
    names = {'/work/main': '/environment', '/work/mainframe': '/deeper', 'hpc.example.org': 'cluster'}
    hiding = Hiding(names | {'/scratch/{username}/aiida': '/scratch'})
    assert hiding.in_row({'a': [text, {text: 1.5}], 'b': None}) == {'a': [hidden, {hidden: 1.5}], 'b': None}
    assert hiding.n_rows == (text != hidden)


def test_alias_of_a_computer_is_hidden_in_its_row_alone():
    """An alias may be a word that settings hold as well."""
    hiding = Hiding({'/work/main': '/environment'})
    assert hiding.in_row({'label': 'cluster', 'hostname': 'gpu'}) == {'label': 'cluster', 'hostname': 'cluster'}
    assert hiding.in_row({'attributes': {'device': 'gpu'}}) == {'attributes': {'device': 'gpu'}}
    assert Hiding({}).in_row({'label': 'cluster', 'hostname': 'gpu'})['hostname'] == 'gpu'


@pytest.mark.parametrize('path', ['/libdata/kim/bin/lmp', '/opt/kim/venv/bin/lmp', '/usr/bin/pw.x', 'lmp'])
def test_folders_of_codes(aiida_profile_clean, aiida_localhost, path):
    """Folders that only begin like those of the system are hidden, and so is what lies in /opt."""
    code = orm.InstalledCode(aiida_localhost, path, label='code').store()
    names = names_to_hide({code.pk})
    folder = path.removesuffix('/bin/lmp')
    assert (names.get(folder) == '/environment') == path.endswith('/bin/lmp')
    assert not {'/', '/usr', '.', ''} & set(names)


@pytest.fixture(scope='module')
def unpacked(whole_campaign, tmp_path_factory):
    """Return what was exported, and a folder with the files of the archive."""
    folder = tmp_path_factory.mktemp('hidden')
    options = {'provenance': True, 'every': 10, 'hide_folders': True}
    made = export(whole_campaign, folder / 'hidden.aiida', **options)
    with zipfile.ZipFile(made.path) as archive:
        archive.extractall(folder / 'files')
    return made, folder / 'files'


@pytest.mark.slow
def test_no_file_of_the_archive_holds_a_name(unpacked, whole_campaign, tmp_path):
    made, folder = unpacked
    files = [path for path in folder.rglob('*') if path.is_file()]
    assert not [path for path in files if any(name in path.read_bytes() for name in PLACES)]
    assert set(made.hidden) >= {'/project/{username}/aiida', '/home/kim/allegro', 'cluster.example.org'}
    # Without the option every name is there.
    whole = export(whole_campaign, tmp_path / 'whole.aiida', provenance=True)
    shutil.unpack_archive(whole.path, tmp_path / 'whole', 'zip')
    content = b''.join(path.read_bytes() for path in (tmp_path / 'whole').rglob('*') if path.is_file())
    assert all(name in content for name in PLACES)
    assert whole.hiding == ''


@pytest.mark.slow
def test_what_stands_in_the_place_of_names(unpacked, whole_campaign):
    made, folder = unpacked
    with ArchiveFormatSqlZip().open(made.path, 'r') as reader:
        job = reader.querybuilder().append(orm.CalcJobNode).first(flat=True)
        assert job.get_remote_workdir() == '/scratch/ab/12'
        computer = reader.querybuilder().append(orm.Computer).first(flat=True)
        assert (computer.label, computer.hostname, computer.get_workdir()) == ('cluster', 'cluster', '/scratch')
        code = reader.querybuilder().append(orm.InstalledCode).first(flat=True)
        assert str(code.filepath_executable) == '/environment/bin/lmp'
    submits = [path.read_text() for path in folder.rglob('*') if path.is_file() and path.read_bytes()[:2] == b'#!']
    assert submits == ["#!/bin/bash\n# on cluster, cluster\n'/environment/bin/lmp' -in /dev/stdin\n"]
    assert made.hiding in read_readme(made.path)
    # The script of the jobs, and the source of the functions in the fixture, which AiiDA stores.
    assert 'in 2 text files' in made.hiding


@pytest.mark.slow
def test_hidden_archive_is_imported_and_analysed(elsewhere, unpacked, whole_campaign):
    """Another profile takes it, shows the result, and keeps the hashes of the jobs for its cache."""
    made, _ = unpacked
    conductivity = whole_campaign.outputs.conductivities['T900']
    assert 'hidden' in elsewhere('aiida-ionconduct', 'import', made.path) + read_readme(made.path)
    assert '900' in elsewhere('aiida-ionconduct', 'show', str(conductivity.uuid))
    with ArchiveFormatSqlZip().open(made.path, 'r') as reader:
        query = reader.querybuilder().append(orm.CalcJobNode, project=['uuid', 'extras._aiida_hash'])
        hashes = dict(query.all())
    assert hashes == {uuid: orm.load_node(uuid).base.caching.get_hash() for uuid in hashes}


@pytest.mark.slow
def test_command(whole_campaign, tmp_path):
    words = [str(whole_campaign.pk), '-o', str(tmp_path / 'a.aiida'), '--hide-folders']
    done = CliRunner().invoke(export_command, words)
    assert 'give --provenance as well' in str(done.exception)
    done = CliRunner().invoke(export_command, [*words, '--provenance'], catch_exceptions=False)
    assert '/home/kim/allegro' in done.output
    assert 'Names of folders and computers are hidden in' in done.output
