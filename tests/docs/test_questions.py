"""Every command of docs/how-to/questions.md, as it is written there, on a small stored campaign."""

import pathlib
import re
import shlex

import numpy as np
import pytest
from aiida.manage import get_manager
from click.testing import CliRunner

from aiida_ionconduct.cli import cli

pytestmark = pytest.mark.slow

PAGE = pathlib.Path(__file__).parents[2] / 'docs' / 'how-to' / 'questions.md'
COMMANDS = [
    line.removeprefix('aiida-ionconduct ')
    for block in re.findall(r'```bash\n(.*?)```', PAGE.read_text(), flags=re.DOTALL)
    for line in block.splitlines()
]
# What the answer must hold.
ANSWERS = {
    'show 12': r'σ at 900 K: .* 95 % .*criterion +met',
    'query conductivities': r'ClLi|LiCl',
    'query arrhenius': r'ln_sigma_T,',
    'analyse 12': r'Estimator: block.*Stored as ConductivityData, 600 K: \d+, 900 K: \d+',
    'study blocks': r'full: blocks of 50, 100, 200 ps give',
    'export 12': r'Written: conductivity-12.aiida, .* of which trajectories',
    'import': r'900 K  σ = .*aiida-ionconduct show',
    'query warnings': r'8 atoms: check the finite-size effect',
    'query trajectories': r'T900_seed3',
    'query model': r'IonTrajectoryData.*ConductivityData',
    'status 12': r'ConductivityWorkChain<\d+> finished',
    'analyse seed1': r'900 K +value.*Seeds: 2',
    'report 12': r'Page written: conductivity.html',
}


@pytest.fixture
def here(stored_campaign, tmp_path, monkeypatch):
    """Make a folder with two dumps; return what the numbers and the formula of the page stand for."""
    monkeypatch.chdir(tmp_path)
    runs = [stored_campaign.outputs.trajectories[f'T900_seed{seed}'] for seed in (1, 2)]
    for number, run in enumerate(runs, 1):
        write_dump(tmp_path / f'seed{number}.lammpstrj', run.positions, run.symbols, run.cell)
    hot = stored_campaign.outputs.conductivities['T900']
    return {'12': stored_campaign.pk, '34': hot.pk, '56': stored_campaign.outputs.model.pk, 'Li7SiPO8': 'LiCl'}


def write_dump(path, positions, symbols, cell):
    """Write frames as LAMMPS does."""
    box = '\n'.join(f'0.0 {length:.8f}' for length in np.diag(cell))
    with path.open('w') as handle:
        for index, frame in enumerate(positions):
            head = f'ITEM: TIMESTEP\n{100 * index}\nITEM: NUMBER OF ATOMS\n{len(symbols)}\n'
            rows = '\n'.join(f'{s} {x!r} {y!r} {z!r}' for s, (x, y, z) in zip(symbols, frame.tolist(), strict=True))
            handle.write(f'{head}ITEM: BOX BOUNDS pp pp pp\n{box}\nITEM: ATOMS element xu yu zu\n{rows}\n')


def test_there_are_ten():
    """The page answers ten questions at least."""
    assert len(COMMANDS) >= 10


@pytest.mark.parametrize('command', [command for command in COMMANDS if not command.startswith('launch')])
def test_answer(command, here, tmp_path):
    """A command of the page prints what the page is about."""
    words = shlex.split(command.partition(' > ')[0])
    if words[0] == 'import':
        run(['export', str(here['12']), '-o', words[1]])
    output = run([str(here.get(word, word)) for word in words])
    output = output.replace(str(here['12']), '12') if words[0] == 'export' else output
    (expected,) = [answer for start, answer in ANSWERS.items() if command.startswith(start)]
    assert re.search(expected, output, flags=re.DOTALL), output


def run(words):
    """Run a command and return what it prints."""
    result = CliRunner().invoke(cli, [*words, '-p', get_manager().get_profile().name])
    assert result.exit_code == 0, result.output
    return result.output
