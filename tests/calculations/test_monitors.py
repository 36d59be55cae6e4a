"""The monitor that ends an exploded run, and the monitor that says how far a training has come."""

import pathlib
import re
import shutil

import pytest
from aiida import orm
from aiida.plugins.entry_point import load_entry_point
from aiida.transports.plugins.local import LocalTransport
from ase.build import bulk

from aiida_ionconduct.allegro.configuration import METRICS
from aiida_ionconduct.calculations.allegro_train import MONITOR as TRAINING_MONITOR
from aiida_ionconduct.calculations.monitors import TAIL_BYTES, explosion, training
from aiida_ionconduct.workchains.lammps_base import MONITOR

FIXTURES = pathlib.Path(__file__).parents[1] / 'parsers' / 'fixtures' / 'lammps_md'
PARAMETERS = {
    'temperature_K': 900.0,
    'timestep_fs': 1.0,
    'equilibration_steps': 40,
    'production_steps': 100,
    'seeds': [7],
}


@pytest.fixture
def look(aiida_profile, generate_calc_job_node, tmp_path):
    """Return a function that shows the monitor a log."""

    def look(text):
        inputs = {'structure': orm.StructureData(ase=bulk('Li')), 'parameters': orm.Dict(PARAMETERS)}
        node = generate_calc_job_node('ionconduct.lammps.md', None, inputs)
        node.set_remote_workdir(str(tmp_path))
        if text is not None:
            (tmp_path / 'lammps.log').write_text(text)
        with LocalTransport() as transport:
            return explosion(node, transport)

    return look


@pytest.fixture(scope='module')
def running():
    """Return the log of a run of 17 atoms that goes on."""
    return (FIXTURES / 'killed' / 'lammps.log').read_text()


@pytest.mark.parametrize(('entry', 'monitor'), [(MONITOR, explosion), (TRAINING_MONITOR, training)])
def test_entry_point(entry, monitor):
    assert load_entry_point('aiida.calculations.monitors', entry['entry_point']) is monitor


def test_healthy(look, running):
    assert look(None) is None
    assert look('') is None
    assert look(running) is None


def test_login_shell_that_prints(look, running, monkeypatch):
    """A text that the shell prints before and after every command is not taken for a part of the log."""
    original = LocalTransport.exec_command_wait

    def talking(self, command, **kwargs):
        script = f"trap 'echo ERROR in the farewell' EXIT; echo ERROR: the disk is nearly full; {command}"
        return original(self, script, **kwargs)

    monkeypatch.setattr(LocalTransport, 'exec_command_wait', talking)
    assert look(running) is None
    lines = running.splitlines(keepends=True)
    row = next(line for line in reversed(lines) if len(line.split()) == 6 and line.split()[0].isdigit())
    words = row.split()
    words[4] = str(float(words[4]) - 20)
    assert 'the total energy ran away' in look(running.replace(row, ' '.join(words) + '\n')).message


def test_energy_runs_away(look, running):
    """The monitor leaves the exit code to the parser, so that what came before is kept."""
    lines = running.splitlines(keepends=True)
    row = next(line for line in reversed(lines) if len(line.split()) == 6 and line.split()[0].isdigit())
    words = row.split()
    words[4] = str(float(words[4]) - 20)
    result = look(running.replace(row, ' '.join(words) + '\n'))
    assert f'the total energy ran away at step {words[0]} of the production (seed 7)' in result.message
    assert not result.override_exit_code
    assert result.retrieve
    assert result.parse


@pytest.mark.parametrize('change_eV', [0.0, -20.0])
def test_long_log(change_eV, look, running):
    """Of many rows only the last are fetched; they are still compared with the first row of the production."""
    last = [line for line in running.splitlines() if len(line.split()) == 6 and line.split()[0].isdigit()][-1].split()
    rows = []
    for step in range(int(last[0]) + 10, 40000, 10):
        energy = float(last[4]) + (change_eV if step >= 20000 else 0.0)
        rows.append(f'{step} {last[1]} {last[2]} {last[3]} {energy:.16g} {last[5]}\n')
    text = running[: running.rfind('\n') + 1] + ''.join(rows)
    assert sum(map(len, rows[:2000])) > TAIL_BYTES
    result = look(text)
    assert bool(result) == bool(change_eV)
    if result:
        step = re.search(r'the total energy ran away at step (\d+) of the production', result.message).group(1)
        assert int(step) > 20000  # the first row that was fetched


@pytest.mark.slow
def test_log_that_grows(look, running):
    """A healthy run is never ended, wherever its log ends."""
    for end in range(0, len(running), 97):
        assert look(running[:end]) is None


@pytest.mark.parametrize('case', ['exploded', 'lost_atoms', 'default'])
def test_ended_by_itself(case, look):
    """A run that has ended by itself is left to the parser."""
    assert look((FIXTURES / case / 'lammps.log').read_text()) is None


def test_progress_of_a_training(aiida_profile, generate_calc_job_node, tmp_path):
    """The last whole epoch becomes an extra of the job; before the first epoch ends there is no extra."""
    node = generate_calc_job_node('ionconduct.allegro.train', None, {})
    node.set_remote_workdir(str(tmp_path))
    with LocalTransport() as transport:
        assert training(node, transport) is None
        assert 'progress' not in node.base.extras
        (tmp_path / METRICS).parent.mkdir(parents=True)
        fixture = FIXTURES.with_name('allegro_train') / 'default' / 'metrics.csv'
        lines = fixture.read_text().splitlines()
        (tmp_path / METRICS).write_text('\n'.join(lines[:3]) + '\n')
        assert training(node, transport) is None
        first = node.base.extras.get('progress')
        (tmp_path / METRICS).write_text('\n'.join(lines) + '\n')
        training(node, transport)
    assert (first['epoch'], node.base.extras.get('progress')['epoch']) == (0, 1)
    assert first['train_loss'] == pytest.approx(27.075974227291574)


def test_progress_of_a_training_that_diverges(aiida_profile, generate_calc_job_node, tmp_path):
    """Losses that are not finite, which AiiDA refuses to store, are left out."""
    node = generate_calc_job_node('ionconduct.allegro.train', None, {})
    node.set_remote_workdir(str(tmp_path))
    (tmp_path / METRICS).parent.mkdir(parents=True)
    shutil.copy(FIXTURES.with_name('allegro_train') / 'diverged' / 'metrics.csv', tmp_path / METRICS)
    with LocalTransport() as transport:
        training(node, transport)
    assert node.base.extras.get('progress') == {'epoch': 2}
