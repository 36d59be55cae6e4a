"""Tests of the command line itself; the steps of ``setup`` are tested in ``test_setup.py``."""

import subprocess
import sys

import ase.io
from aiida import orm
from click.testing import CliRunner

from aiida_ionconduct import __version__
from aiida_ionconduct.cli import cli


def test_commands():
    """The commands are listed with their purpose, and the version is the package's."""
    result = CliRunner().invoke(cli, ['--help'])
    assert result.exit_code == 0
    assert {'alloy', 'report', 'setup', 'study'} <= set(result.output.split())
    assert __version__ in CliRunner().invoke(cli, ['--version']).output


def test_help_without_aiida():
    """``--help`` answers without importing AiiDA, which takes a second."""
    code = 'import sys, aiida_ionconduct.cli; sys.exit("aiida" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0


def test_alloy(tmp_path):
    """The table, and the cells in a file; what does not fit is said in a sentence."""
    command = ['alloy', 'beta-Li3PO4', '--substitute', 'P=Si', '--fraction', '0.5', '--n-best', '3']
    path = tmp_path / 'cells.extxyz'
    result = CliRunner().invoke(cli, [*command, '-o', str(path)])
    assert result.exit_code == 0
    assert 'Li7PSiO8' in result.output
    assert [len(atoms) for atoms in ase.io.read(path, ':')] == [17, 17, 17]
    result = CliRunner().invoke(cli, ['alloy', 'beta-Li3PO4', '--substitute', 'P=Si'])
    assert result.exit_code == 1
    assert 'the fraction must be above 0' in result.output
    assert CliRunner().invoke(cli, ['alloy', 'beta-Li3PO4', '--substitute', 'Si']).exit_code == 2
    assert CliRunner().invoke(cli, ['alloy', 'beta-Li3PO4', '--charges', 'P=V']).exit_code == 2
    assert CliRunner().invoke(cli, ['study', 'blocks', '1', '--charges', 'P=V']).exit_code == 2
    result = CliRunner().invoke(cli, ['alloy', 'beta-Li3PO4', '--charges', 'P=3'])
    assert result.exit_code == 1
    assert 'the charges of Li3PO4 sum to -4 a cell' in result.output


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
