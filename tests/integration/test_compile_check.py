"""Compiled models in the real LAMMPS against the real nequip: Allegro is used, a message-passing model is not."""

import os
import subprocess

import ase.io
import pytest
import yaml
from aiida import orm
from aiida.engine import run_get_node

from aiida_ionconduct.allegro.configuration import FILES, nequip_configuration
from aiida_ionconduct.allegro.parameters import TrainingParameters
from aiida_ionconduct.calculations.allegro_compile import AllegroCompileCalculation
from aiida_ionconduct.data import AllegroModelData, DatasetData
from aiida_ionconduct.data.model import remember_made_here

pytestmark = pytest.mark.integration

TYPE_NAMES = ['Li', 'P', 'Si', 'O']
GNN = {
    '_target_': 'nequip.model.NequIPGNNModel',
    'seed': 1,
    'model_dtype': 'float32',
    'type_names': TYPE_NAMES,
    'r_max': 4.0,
    'num_layers': 2,
    'l_max': 1,
    'num_features': 8,
    'radial_mlp_width': 8,
    'avg_num_neighbors': 20.0,
    'per_type_energy_shifts': '${training_data_stats:per_atom_energy_mean}',
    'per_type_energy_scales': '${training_data_stats:forces_rms}',
}


@pytest.fixture(scope='module')
def run_in(executable):
    """Return a function that runs a command of nequip in a folder."""

    def run(folder, name, *arguments):
        environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
        command = [executable(name), *map(str, arguments)]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]

    return run


@pytest.fixture(scope='module')
def message_passing(tmp_path_factory, run_in, dft_frames):
    """The package of a NequIP model of two layers, trained for some epochs."""
    folder = tmp_path_factory.mktemp('message_passing')
    frames = ase.io.read(dft_frames, ':')
    for name, part in {'train': frames[:10], 'validation': frames[10:12], 'test': frames[12:14]}.items():
        ase.io.write(folder / FILES[name], part)
    parameters = TrainingParameters.check({'r_max': 4.0, 'max_epochs': 10, 'accelerator': 'cpu', 'learning_rate': 0.01})
    configuration = {**nequip_configuration(parameters, TYPE_NAMES), 'run': ['train']}
    configuration['training_module']['model'] = GNN
    (folder / 'config.yaml').write_text(yaml.safe_dump(configuration))
    run_in(folder, 'nequip-train', '-cp', folder, '-cn', 'config', f'hydra.run.dir={folder}')
    run_in(folder, 'nequip-package', 'build', 'best.ckpt', 'gnn.nequip.zip')
    return folder / 'gnn.nequip.zip'


@pytest.fixture
def compile_model(aiida_profile, aiida_localhost, executable, plugin, dft_frames):
    """Return a function that compiles a model with a comparison, and gives the job."""
    environments = {'lmp': f'export LAMMPS_PLUGIN_PATH={plugin}'}
    codes = {
        name: orm.InstalledCode(
            label=f'{name}-of-the-check',
            computer=aiida_localhost,
            filepath_executable=executable(name),
            prepend_text=f'export OMP_NUM_THREADS=1\n{environments.get(name, "")}',
        ).store()
        for name in ('nequip-compile', 'nequip-train', 'lmp')
    }

    def compile_model(model):
        frame = DatasetData(dft_frames, stress_unit='eV/A^3')
        check = {'train_code': codes['nequip-train'], 'lammps_code': codes['lmp'], 'frame': frame}
        inputs = {'code': codes['nequip-compile'], 'model': model, 'trust_model': orm.Bool(True), 'check': check}
        return run_get_node(AllegroCompileCalculation, **inputs).node

    return compile_model


def test_allegro_model_is_used(trained, run_in, compile_model, tmp_path):
    run_in(trained, 'nequip-package', 'build', 'best.ckpt', tmp_path / 'model.nequip.zip')
    model = AllegroModelData(tmp_path / 'model.nequip.zip')
    remember_made_here(model.sha256)
    node = compile_model(model)
    assert node.is_finished_ok, node.exit_message
    check = node.outputs.model.base.attributes.get('check')
    assert check['max_force_difference_eV_per_A'] < 1e-4
    assert check['max_force_eV_per_A'] > 0.5  # the forces compared are not all small
    assert check['energy_difference_eV_per_atom'] < 1e-5


def test_message_passing_model_is_refused_by_name(message_passing):
    with pytest.raises(ValueError, match=r'is a model of the architecture `nequip\.model\.NequIPGNNModel`'):
        AllegroModelData(message_passing)


def test_message_passing_model_is_refused_by_its_numbers(message_passing, compile_model):
    """A package whose configuration does not tell: it compiles and runs in LAMMPS, but the forces are others."""
    node = compile_model(AllegroModelData(message_passing, type_names=TYPE_NAMES, r_max=4.0))
    assert node.exit_status == 330, node.exit_message
    assert 'The compiled model is not used: LAMMPS and nequip differ by' in node.exit_message
    assert 'model' not in node.outputs
