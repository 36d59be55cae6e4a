"""Trainings on the real nequip: what they learn, what they equal, and how they survive what cuts them."""

import os
import pathlib
import subprocess
import sys
import time

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node

from aiida_ionconduct.allegro.configuration import METRICS
from aiida_ionconduct.allegro.metrics import CURVES, read_rows
from aiida_ionconduct.allegro.predictions import read_predictions
from aiida_ionconduct.calculations import allegro_train
from aiida_ionconduct.data import DatasetData
from aiida_ionconduct.workchains import allegro as workchain
from aiida_ionconduct.workchains.allegro import AllegroWorkChain

pytestmark = pytest.mark.integration

FRAMES = pathlib.Path(__file__).parent / 'data' / 'Li3PO4_16atoms_aimd_40frames.extxyz'
PARAMETERS = {
    'r_max': 4.0,
    'l_max': 1,
    'num_layers': 1,
    'num_scalar_features': 16,
    'num_tensor_features': 4,
    'mlp_width': 16,
    'readout_width': 16,
    'max_epochs': 3,
    'batch_size': 1,
    'learning_rate': 0.01,
    'stress_coefficient': 1.0,
    'accelerator': 'cpu',
}
SPLIT = {'validation': 0.1, 'test': 0.1, 'seed': 1}
NOISE = 1e-3  # of a loss or an error: rounding
ENVIRONMENT = 'export OMP_NUM_THREADS=1'
# `kill -9` in the middle of an epoch, whatever the speed of the machine.
KILLED = """#!{python}
import os, pathlib, signal
from lightning.pytorch import callbacks
from nequip.scripts.train import main

killed = pathlib.Path({killed!r})


def kill(self, trainer, *_):
    if trainer.current_epoch == 1 and not killed.exists():
        killed.touch()
        os.kill(os.getpid(), signal.SIGKILL)


callbacks.EarlyStopping.on_train_batch_end = kill
main()
"""


@pytest.fixture(scope='module')
def code(aiida_profile, tmp_path_factory):
    """Return a function that makes a code of a program on this machine."""
    computer = orm.Computer(
        label=f'training-{time.monotonic_ns()}',
        hostname='localhost',
        transport_type='core.local',
        scheduler_type='core.direct',
        workdir=str(tmp_path_factory.mktemp('scratch')),
    ).store()
    computer.configure(safe_interval=0.0)
    computer.set_minimum_job_poll_interval(0.1)

    def code(program):
        return orm.InstalledCode(
            computer=computer,
            label=f'{pathlib.Path(program).name}-{time.monotonic_ns()}',
            default_calc_job_plugin='ionconduct.allegro.train',
            filepath_executable=str(program),
            prepend_text=ENVIRONMENT,
        ).store()

    return code


@pytest.fixture(scope='module')
def train(code, executable):
    """Return a function that runs the work chain, with changed parameters or another program; it must succeed."""

    def train(program=None, package_program=None, **parameters):
        training = {
            'code': code(program or executable('nequip-train')),
            'package_code': code(package_program or executable('nequip-package')),
            'parameters': orm.Dict({**PARAMETERS, **parameters}),
            'metadata': {'options': {'max_wallclock_seconds': 3600}},
        }
        _, node = run_get_node(
            AllegroWorkChain, train=training, dataset=DatasetData(FRAMES, stress_unit='eV/A^3'), split=orm.Dict(SPLIT)
        )
        assert node.is_finished_ok, node.exit_message
        return node

    return train


@pytest.fixture(scope='module')
def uninterrupted(train):
    """The work chain of an undisturbed training."""
    return train()


def jobs_of(node):
    """Return the training jobs of a work chain in order."""
    return sorted((child for child in node.called if isinstance(child, orm.CalcJobNode)), key=lambda job: job.pk)


def curves_of(node):
    """Return the learning curves, (curves, epochs)."""
    curves = node.outputs.output_parameters['curves']
    return np.array([curves[name] for name in sorted(curves)], dtype=float)


def by_hand(job, folder, executable):
    """Run nequip-train on the files that a job was given, in a folder of its own."""
    configuration = job.base.repository.get_object_content('training.yaml')
    (folder / 'training.yaml').write_text(configuration)
    for name in ('train', 'validation', 'test'):
        (folder / f'{name}.extxyz').write_text(job.inputs[name].get_content())
    command = [executable('nequip-train'), '--config-dir', '.', '--config-name', 'training.yaml', 'hydra.run.dir=.']
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return read_rows(folder / METRICS), read_predictions(folder / 'predictions_dataset0.xyz')


def test_learns(uninterrupted):
    """The learning curve falls, and errors on held-out frames are told by element."""
    parameters = uninterrupted.outputs.output_parameters.get_dict()
    losses = parameters['curves']['train_loss']
    assert len(losses) == PARAMETERS['max_epochs']
    assert losses[-1] < losses[0] / 2
    parity = uninterrupted.outputs.parity
    errors = np.abs(parity.get_array('forces_predicted') - parity.get_array('forces_reference'))
    expected = {
        symbol: errors[parity.get_array('numbers') == number].mean()
        for symbol, number in {'Li': 3, 'O': 8, 'P': 15}.items()
    }
    assert parameters['test_forces_mae_by_element'] == pytest.approx(expected)
    assert parameters['test_stress_mae_eV_per_A3'] > 0
    assert uninterrupted.outputs.model.is_made_here


def test_equals_a_training_by_hand(uninterrupted, executable, tmp_path):
    """Of the configuration and the frames that were written: curves and predictions are the same."""
    (job,) = jobs_of(uninterrupted)
    rows, predicted = by_hand(job, tmp_path, executable)
    curves = uninterrupted.outputs.output_parameters['curves']
    for name, column in CURVES.items():  # in 14 digits, as AiiDA stores them
        assert curves[name] == pytest.approx([row[column] for row in rows.values()], rel=1e-12)
    assert len(predicted['forces_predicted']) > 0
    for name, values in predicted.items():
        np.testing.assert_array_equal(uninterrupted.outputs.parity.get_array(name), values)


def test_killed_and_out_of_time(uninterrupted, train, tmp_path, monkeypatch):
    """`kill -9` within the second epoch, the wall time after it: the third job ends as an undisturbed training."""
    program = tmp_path / 'nequip-train'
    program.write_text(KILLED.format(python=sys.executable, killed=str(tmp_path / 'killed')))
    program.chmod(0o755)
    times_s = iter((3600, 1e-3, 3600))
    monkeypatch.setattr(allegro_train, 'stop_after', lambda _: next(times_s))
    node = train(program)
    assert [job.exit_status for job in jobs_of(node)] == [330, 420, 0]
    assert [job.outputs.checkpoint.base.attributes.get('epoch') for job in jobs_of(node)] == [0, 1, 2]
    np.testing.assert_allclose(curves_of(node), curves_of(uninterrupted), rtol=NOISE)
    cut, uncut = (run.outputs.output_parameters.get_dict() for run in (node, uninterrupted))
    assert cut['best_epoch'] == uncut['best_epoch']
    assert cut['test_forces_mae_eV_per_A'] == pytest.approx(uncut['test_forces_mae_eV_per_A'], rel=NOISE)
    assert node.outputs.model.is_made_here


def test_killed_while_it_is_packaged(uninterrupted, train, executable, tmp_path):
    """Half a package is refused: the test and the packaging are done again, without another epoch."""
    program = tmp_path / 'nequip-package'
    cut = f'mkdir {tmp_path}/killed 2>/dev/null && truncate --size=10000 model.nequip.zip'
    program.write_text(f'#!/bin/bash\n{executable("nequip-package")} "$@"\n{cut}\nexit 0\n')
    program.chmod(0o755)
    node = train(package_program=program)
    assert [job.exit_status for job in jobs_of(node)] == [320, 0]
    np.testing.assert_array_equal(curves_of(node), curves_of(uninterrupted))
    errors = [run.outputs.output_parameters['test_forces_mae_eV_per_A'] for run in (node, uninterrupted)]
    assert errors[0] == pytest.approx(errors[1], rel=NOISE)
    assert node.outputs.model.is_made_here


def test_divergence(train, monkeypatch):
    """A learning rate at which the loss is no number: the training stops there, and a lower one learns."""
    monkeypatch.setattr(workchain, 'LOWERED_BY', 1e-14)
    node = train(learning_rate=1e12, max_epochs=4)
    diverged, again = jobs_of(node)
    assert (diverged.exit_status, again.exit_status) == (400, 0)
    assert diverged.outputs.output_parameters['n_epochs'] < 4
    assert 'model' not in diverged.outputs
    assert again.inputs.parameters['learning_rate'] == pytest.approx(0.01)
    losses = node.outputs.output_parameters['curves']['train_loss']
    assert losses[-1] < losses[0]
