"""Tests of the command line itself; the steps of ``setup`` are tested in ``test_setup.py``."""

import subprocess
import sys

import ase.io
import click
import pytest
from aiida import orm
from click.testing import CliRunner

from aiida_ionconduct import __version__
from aiida_ionconduct.cli import cli


def test_commands():
    """The commands are listed with their purpose, and the version is the package's."""
    result = CliRunner().invoke(cli, ['--help'])
    assert result.exit_code == 0
    assert set(result.output.split()) >= {'analyse', 'export', 'import', 'launch', 'query', 'show', 'status', 'study'}
    assert __version__ in CliRunner().invoke(cli, ['--version']).output


def test_help_without_aiida():
    """``--help`` answers without importing AiiDA or NumPy, which take a second."""
    code = """
import sys
from click.testing import CliRunner
from aiida_ionconduct.cli import cli
assert CliRunner().invoke(cli, ['--help']).exit_code == 0
sys.exit(bool({'aiida', 'numpy', 'pandas', 'ase'} & set(sys.modules)))
"""
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0


def commands(group, words=()):
    """Return every command below a group, with its words."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*words, name))
        else:
            yield ' '.join((*words, name)), command


@pytest.mark.parametrize(
    ('name', 'command'), list(commands(cli)), ids=lambda value: value if isinstance(value, str) else ''
)
def test_every_help_has_an_example(name, command):
    text = CliRunner().invoke(cli, [*name.split(), '--help']).output
    assert f'  aiida-ionconduct {name}' in text


def test_errors_are_sentences(aiida_profile, tmp_path):
    """No profile, and a defect of AiiDA's storage: one sentence and exit code 1; a defect of ours is not hidden."""
    result = CliRunner().invoke(cli, ['query', 'campaigns', '-p', 'nowhere'])
    assert (result.exit_code, 'Traceback' in result.output) == (1, False)
    assert '`verdi profile list` shows those there are' in result.output
    (tmp_path / 'a.aiida').write_text('no archive')
    result = CliRunner().invoke(cli, ['import', str(tmp_path / 'a.aiida')])
    assert (result.exit_code, 'not an AiiDA archive' in result.output) == (1, True)
    result = CliRunner().invoke(cli, ['--traceback', 'import', str(tmp_path / 'a.aiida')])
    assert isinstance(result.exception, ValueError)


def test_alloy(tmp_path):
    """The table is printed, and the cells are written to a file."""
    command = ['alloy', 'beta-Li3PO4', '--substitute', 'P=Si', '--fraction', '0.5', '--n-best', '3']
    path = tmp_path / 'cells.extxyz'
    result = CliRunner().invoke(cli, [*command, '-o', str(path)])
    assert result.exit_code == 0
    assert 'Li7PSiO8' in result.output
    assert [len(atoms) for atoms in ase.io.read(path, ':')] == [17, 17, 17]


@pytest.mark.parametrize(
    ('options', 'says'),
    [
        (('--substitute', 'P=Si'), 'the fraction must be above 0'),
        (('--charges', 'P=3'), 'the charges of Li3PO4 sum to -4 a cell'),
    ],
)
def test_an_alloy_that_cannot_be_made(options, says):
    result = CliRunner().invoke(cli, ['alloy', 'beta-Li3PO4', *options])
    assert (result.exit_code, says in result.output) == (1, True)


@pytest.mark.parametrize(
    ('words', 'says'),
    [
        (('alloy', 'beta-Li3PO4', '--substitute', 'Si'), '`Si` is not of the form NAME=VALUE'),
        (('alloy', 'beta-Li3PO4', '--charges', 'P=V'), '`V` in `P=V` must be a number'),
        (('study', 'blocks', '1', '--charges', 'P=V'), '`V` in `P=V` must be a number'),
        (('launch', '--charges', 'P=V'), '`V` in `P=V` must be a number'),
        (('analyse', 'run.npz', '--masses', 'P=V'), '`V` in `P=V` must be a number'),
    ],
)
def test_pairs_that_cannot_be_read(words, says):
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 2
    assert says in result.output


def test_report_of_another_node(aiida_profile_clean):
    """A node that is no conductivity work chain, or none at all, is refused with a message that says so."""
    pk = str(orm.Int(1).store().pk)
    profile = ['--profile', aiida_profile_clean.name]
    result = CliRunner().invoke(cli, ['report', pk, *profile])
    assert result.exit_code == 2
    assert 'not a ConductivityWorkChain' in result.output
    result = CliRunner().invoke(cli, ['report', '999999', *profile])
    assert result.exit_code == 2
    assert 'no node 999999' in result.output


def test_report_of_several(aiida_profile_clean, tmp_path):
    """Two campaigns that have only started are compared; one twice is refused."""
    pks = []
    for _ in range(2):
        node = orm.WorkChainNode()
        node.set_process_type('aiida.workflows:ionconduct.conductivity')
        node.set_process_label('ConductivityWorkChain')
        pks.append(str(node.store().pk))
    options = ['--profile', aiida_profile_clean.name, '-o', str(tmp_path / 'comparison.html')]
    result = CliRunner().invoke(cli, ['report', *pks, *options])
    assert result.exit_code == 0, result.output
    assert '2 campaigns compared' in (tmp_path / 'comparison.html').read_text()
    result = CliRunner().invoke(cli, ['report', pks[0], pks[0], *options])
    assert result.exit_code == 2
    assert 'each once' in result.output
