"""What needs no profile does not import AiiDA, which makes a configuration folder as soon as it is imported."""

import os
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest

from aiida_ionconduct.cli import cli
from aiida_ionconduct.structures import CRYSTALS

RUN = """
import sys
from aiida_ionconduct.cli import cli
try:
    cli(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
assert 'aiida' not in sys.modules
"""


def run_at_home(home: Path, *words: str) -> str:
    """Return what a command prints for a user who has never used AiiDA; it must end well and print no warning."""
    hidden = ('AIIDA_PATH', 'AIIDA_IONCONDUCT_CACHE')
    environment = {name: value for name, value in os.environ.items() if name not in hidden} | {'HOME': str(home)}
    # At home, and not in this repository, of which AiiDA's configuration is not a part either.
    done = subprocess.run(
        [sys.executable, '-c', RUN, *words], env=environment, cwd=home, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, '')
    assert not (home / '.aiida').exists()
    return done.stdout


@pytest.fixture
def home(tmp_path):
    """Return an empty home, with a trajectory and a crystal in folders of their own beside it."""
    (tmp_path / 'home').mkdir()
    return tmp_path / 'home'


@pytest.fixture
def trajectory(tmp_path):
    """Write a trajectory of ions that diffuse beside a framework at rest."""
    steps = 0.1 * np.random.default_rng(1).normal(size=(301, 8, 3))
    steps[:, 4:] = 0
    path = tmp_path / 'run.npz'
    symbols = ['Li'] * 4 + ['Cl'] * 4
    positions = np.cumsum(steps, axis=0)
    np.savez(path, positions=positions, symbols=symbols, cell=12 * np.eye(3), dt_ps=0.1, temperature_K=900.0)
    return str(path)


def test_analysis_of_files(home, trajectory):
    printed = run_at_home(home, 'analyse', trajectory, '--block-ps', '5')
    assert 'Estimator: block' in printed
    assert '900 K: ' in printed.splitlines()[-1]


def test_analysis_of_files_as_json(home, trajectory):
    assert '"sigma_full_S_per_cm"' in run_at_home(home, 'analyse', trajectory, '--format', 'json')


def test_page_and_curves_of_files(home, trajectory, tmp_path):
    page, curves = tmp_path / 'page.html', tmp_path / 'curves'
    printed = run_at_home(home, 'analyse', trajectory, '--page', str(page), '--csv', str(curves))
    assert printed.splitlines()[-1] == f'Written: {curves}, {page}'
    assert page.exists()
    names = {path.name.split('_')[0] for path in curves.iterdir()}
    assert names == {'displacements', 'plateau', 'spectrum'}


@pytest.mark.parametrize(
    ('words', 'says'),
    [
        (('--version',), 'version'),
        (('structures', 'list'), 'gamma-Li3PO4'),
        (('structures', 'show', 'gamma-Li3PO4'), 'neutral'),
        (('structures', 'show', str(CRYSTALS['beta-Li3PO4'])), 'neutral'),
        (('structures', 'show', 'Li10GeP2S12', '--picture', 'cell.svg'), 'Written: cell.svg'),
        (('structures', 'show', 'Li10GeP2S12'), 'Ge 0.515, P 0.485'),
        (('structures', 'export', 'beta-Li3PO4', '-o', 'cell.cif'), 'Written'),
        (('alloy', 'beta-Li3PO4', '--substitute', 'P=Si', '--fraction', '0.5', '--n-best', '1'), 'Li7PSiO8'),
        (('alloy', 'beta-Li3PO4', '--substitute', 'P=Si', '--fraction', '0.5', '--picture', 'a.svg'), 'P 1, Si 1'),
        (('alloy', str(CRYSTALS['beta-Li3PO4']), '--substitute', 'P=Si', '--fraction', '0.5'), 'Li7PSiO8'),
    ],
    ids=lambda value: ' '.join(value[:2]) if isinstance(value, tuple) else '',
)
def test_commands_for_files(home, words, says):
    assert says in run_at_home(home, *words)


def commands(group, words=()):
    """Yield the words of every command and of every group below a group."""
    context = click.Context(group)
    for name in group.list_commands(context):
        yield (*words, name)
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*words, name))


def test_help_of_every_command(home):
    """In one process, as each takes a second to start."""
    code = """
import sys
from click.testing import CliRunner
from aiida_ionconduct.cli import cli
for words in sys.argv[1:]:
    result = CliRunner().invoke(cli, [*words.split(), '--help'])
    assert result.exit_code == 0, words
    assert 'aiida' not in sys.modules, words
"""
    words = [' '.join(words) for words in commands(cli)]
    environment = {name: value for name, value in os.environ.items() if name != 'AIIDA_PATH'} | {'HOME': str(home)}
    command = [sys.executable, '-c', code, *words]
    done = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, '')
    assert not list(home.iterdir())
