"""Trainings that are cut by the wall time, killed, and that diverge: on the real nequip."""

import os
import pathlib
import shutil
import subprocess
import threading
import time

import ase.io
import numpy as np
import psutil
import pytest
from aiida import orm
from aiida.engine import run_get_node

from aiida_ionconduct.calculations.allegro_config import METRICS
from aiida_ionconduct.calculations.allegro_train import AllegroTrainCalculation
from aiida_ionconduct.calculations.functions.datasets import split_dataset
from aiida_ionconduct.data import AllegroModelData, DatasetData
from aiida_ionconduct.parsers.allegro_train import read_predictions, read_rows
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
ENVIRONMENT = 'export OMP_NUM_THREADS=1'
# The files alone matter here: compiling is tested elsewhere.
COMPILE = '#!/bin/bash\ncp "${@: -2:1}" "${@: -1}"\n'


@pytest.fixture
def allegro(aiida_profile, aiida_localhost, executable, tmp_path):
    """Return a function that gives the inputs of the work chain, with changed parameters."""

    def code(plugin, path, **others):
        name = f'{pathlib.Path(path).name}-{time.monotonic_ns()}'
        described = {'label': name, 'default_calc_job_plugin': plugin, 'filepath_executable': str(path)}
        return orm.InstalledCode(computer=aiida_localhost, **described, **others).store()

    (tmp_path / 'compile').write_text(COMPILE)
    (tmp_path / 'compile').chmod(0o755)
    train = 'ionconduct.allegro.train'
    codes = {
        'code': code(train, executable('nequip-train'), prepend_text=ENVIRONMENT),
        'package_code': code(train, executable('nequip-package'), prepend_text=ENVIRONMENT),
    }
    compile_code = code('ionconduct.allegro.compile', tmp_path / 'compile')
    dataset = DatasetData(FRAMES)

    def inputs(walltime_s=3600, **parameters):
        options = {'resources': {'num_machines': 1, 'num_mpiprocs_per_machine': 1}}
        training = {
            **codes,
            'parameters': orm.Dict({**PARAMETERS, **parameters}),
            'metadata': {'options': {**options, 'max_wallclock_seconds': walltime_s}},
        }
        compilation = {'code': compile_code, 'metadata': {'options': options}}
        return {'train': training, 'compile': compilation, 'dataset': dataset, 'split': orm.Dict(SPLIT)}

    return inputs


def trained(inputs):
    """Run the work chain and return its node, which must have succeeded."""
    _, node = run_get_node(AllegroWorkChain, **inputs)
    assert node.is_finished_ok, node.exit_message
    return node


def jobs_of(node):
    """Return the training jobs of a work chain in order."""
    jobs = [one for one in node.called_descendants if one.process_type.endswith('allegro.train')]
    return sorted(jobs, key=lambda job: job.pk)


def curves_of(node):
    """Return the learning curves, (curves, epochs)."""
    curves = node.outputs.output_parameters['curves']
    return np.array([curves[name] for name in sorted(curves)], dtype=float)


@pytest.fixture
def uninterrupted(allegro):
    """The work chain that nothing has happened to."""
    return trained(allegro())


def kill_once(folder, stop, killed):
    """Kill nequip-train in the first job that starts in a folder, once an epoch is over."""
    while not stop.is_set() and not killed:
        for metrics in folder.rglob(METRICS):
            job = metrics.parents[2]
            if (job / 'last.ckpt').exists() and read_rows(metrics):
                for process in psutil.process_iter(['cwd', 'cmdline']):
                    is_training = any('nequip-train' in word for word in process.info['cmdline'] or ())
                    if is_training and process.info['cwd'] == str(job):
                        process.kill()
                        killed.append(process.pid)
        time.sleep(0.005)


def by_hand(job, folder, executable):
    """Run nequip-train on the files that a job was given, in a folder of its own."""
    for name in job.base.repository.list_object_names():
        if name.endswith('.yaml'):
            (folder / name).write_text(job.base.repository.get_object_content(name))
    for name in ('train', 'validation', 'test'):
        (folder / f'{name}.extxyz').write_text(job.inputs[name].get_content())
    command = [executable('nequip-train'), '--config-dir', '.', '--config-name', 'training.yaml', 'hydra.run.dir=.']
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return read_rows(folder / METRICS), read_predictions(folder / 'predictions_dataset0.xyz')


def test_training(uninterrupted, allegro, executable, tmp_path, aiida_localhost):
    """All of one trained potential: what it learns, what it equals, and how it survives."""
    parameters = uninterrupted.outputs.output_parameters.get_dict()
    (job,) = jobs_of(uninterrupted)
    losses = parameters['curves']['train_loss']
    assert losses[-1] < losses[0]  # the learning curve falls
    assert set(parameters['test_forces_mae_by_element']) == {'Li', 'O', 'P'}
    assert parameters['test_stress_mae_eV_per_A3'] > 0
    assert job.base.extras.get('progress', {'epoch': 2})['epoch'] <= 2
    # … a training by hand, with the configuration that was written
    folder = tmp_path / 'by_hand'
    folder.mkdir()
    rows, predicted = by_hand(job, folder, executable)
    assert parameters['curves']['val_forces_mae_eV_per_A'] == [row['val0_epoch/forces_mae'] for row in rows.values()]
    for name, values in predicted.items():
        np.testing.assert_array_equal(uninterrupted.outputs.parity.get_array(name), values)
    # … and one that is cut after every epoch, as an epoch takes longer than the wall time leaves
    cut = trained(allegro(walltime_s=1))
    assert [one.exit_status for one in jobs_of(cut)] == [420] * (len(jobs_of(cut)) - 1) + [0]
    assert len(jobs_of(cut)) == 3
    same_training(cut, uninterrupted)
    # … and one that is killed
    folder, stop, killed = pathlib.Path(aiida_localhost.get_workdir()), threading.Event(), []
    shutil.rmtree(folder, ignore_errors=True)
    watch = threading.Thread(target=kill_once, args=(folder, stop, killed))
    watch.start()
    try:
        survivor = trained(allegro())
    finally:
        stop.set()
        watch.join()
    assert len(killed) == 1
    assert [one.exit_status for one in jobs_of(survivor)] == [330, 0]
    same_training(survivor, uninterrupted)


def same_training(node, reference):
    """Check that a training in several jobs is the one in a single job, as its optimiser has forgotten nothing."""
    np.testing.assert_allclose(curves_of(node), curves_of(reference), rtol=1e-3)
    one, other = (run.outputs.output_parameters.get_dict() for run in (node, reference))
    assert one['best_epoch'] == other['best_epoch']
    assert one['test_forces_mae_eV_per_A'] == pytest.approx(other['test_forces_mae_eV_per_A'], rel=1e-3)
    assert isinstance(node.outputs.model, AllegroModelData)
    assert node.outputs.model.is_made_here


def test_divergence(allegro):
    """A learning rate at which the loss is soon no number: the training stops there, and says so."""
    inputs = allegro(learning_rate=1e12, max_epochs=50)
    parts = split_dataset(inputs['dataset'], inputs['split'])
    _, node = run_get_node(AllegroTrainCalculation, **inputs['train'], **parts)
    assert node.exit_status == 400
    assert node.outputs.output_parameters['n_epochs'] < 50
    assert 'model' not in node.outputs
    assert len(ase.io.read(FRAMES, ':')) == sum(part.n_frames for part in parts.values())
