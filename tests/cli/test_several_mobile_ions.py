"""`aiida-ionconduct analyse PK --mobile Li,Na`: several mobile species of stored runs."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from aiida_ionconduct.cli import cli
from aiida_ionconduct.data import IonTrajectoryData

SYMBOLS = ['Li'] * 8 + ['Na'] * 8 + ['Cl'] * 16
CELL = 18 * np.eye(3)


def stored_run(seed, frames=400):
    """Store a run in which lithium walks further than sodium, and chlorine vibrates."""
    rng = np.random.default_rng(seed)
    lithium, sodium = (np.cumsum(rng.normal(0, step, (frames, 8, 3)), axis=0) for step in (0.3, 0.15))
    positions = np.concatenate((lithium, sodium, rng.normal(0, 0.05, (frames, 16, 3))), axis=1)
    positions += np.random.default_rng(0).uniform(0, 18, (1, 32, 3))
    centres = np.stack([positions[:, i : i + n].mean(axis=1) for i, n in ((0, 8), (8, 8), (16, 16))], axis=1)
    return IonTrajectoryData(
        positions,
        centres,
        np.zeros((2, 2)),
        symbols=SYMBOLS,
        species=['Li', 'Na', 'Cl'],
        cell=CELL.tolist(),
        temperature_K=900.0,
        timestep_fs=2.0,
        frame_interval_ps=0.1,
        com_interval_ps=0.1,
        seed=seed,
        thermo_columns=['Step', 'Temp'],
    ).store()


def analyse_runs(*words):
    """Return the outcome of the command on two runs of unequal length."""
    nodes = [stored_run(1), stored_run(2, 250)]
    return CliRunner().invoke(cli, ['analyse', *(str(node.pk) for node in nodes), *words])


@pytest.mark.usefixtures('aiida_profile')
def test_each_species_has_its_coefficients():
    """A node with the coefficients, the Onsager matrix and the transference numbers of both, from all frames."""
    result = analyse_runs('--mobile', 'Li,Na', '--format', 'json')
    assert result.exit_code == 0, result.output
    (conductivity,) = json.loads(result.stdout)
    assert conductivity['mobile'] == 'Li,Na'
    assert conductivity['n_frames'] == 650
    assert conductivity['diffusivity_cm2_per_s_Li'] > 2 * conductivity['diffusivity_cm2_per_s_Na']
    assert conductivity['transference_Li'] + conductivity['transference_Na'] == pytest.approx(1, abs=0.05)
    assert np.shape(conductivity['onsager_S_per_cm']) == (3, 3)
    assert conductivity['frame'].endswith('relative to the centre of mass of Cl')


@pytest.mark.usefixtures('aiida_profile')
@pytest.mark.parametrize(
    ('words', 'says'),
    [
        (('--charges', 'column'), 'stored runs hold no charges of atoms'),
        (('--discard-ps', '30'), '--discard-ps 30 leaves nothing of a run of 24.9 ps'),
        (('--mobile', 'Li,K'), "no atom is the mobile species 'K'"),
    ],
)
def test_what_stored_runs_cannot_do_is_said(words, says):
    result = analyse_runs(*words)
    assert result.exit_code == 1
    assert says in ' '.join(result.output.split())
    assert 'Traceback' not in result.output


@pytest.mark.usefixtures('aiida_profile')
def test_charges_that_are_not_whole_belong_to_stored_runs_too():
    result = analyse_runs('--charges', 'Li=0.9', 'Na=0.9', 'Cl=-0.9', '--format', 'json')
    assert result.exit_code == 0, result.output
    (conductivity,) = json.loads(result.stdout)
    assert any('not whole numbers' in text for text in conductivity['warnings'])
