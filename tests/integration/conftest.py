"""Fixtures of the integration tests: a small trained model, installations as users have them, services."""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import ase.io
import psutil
import pytest
import yaml
from aiida import orm

from aiida_ionconduct.allegro.configuration import FILES, nequip_configuration
from aiida_ionconduct.allegro.parameters import TrainingParameters
from aiida_ionconduct.data import AllegroModelData
from aiida_ionconduct.lammps.plugin import build as plugin_build
from local_services import Services

from .installation import SCRIPTS, Installation
from .production_installation import OPTIONS, Farm

DATASET = pathlib.Path(__file__).parent / 'data' / 'Li7PSiO8_17atoms_dft_23frames.extxyz'
TYPE_NAMES = ['Li', 'P', 'Si', 'O']
TRAINING = {
    'r_max': 5.0,
    'l_max': 1,
    'num_layers': 1,
    'num_scalar_features': 16,
    'num_tensor_features': 4,
    'mlp_width': 16,
    'readout_width': 16,
    'max_epochs': 150,
    'learning_rate': 0.01,
    'accelerator': 'cpu',
}
COMPILE_OPTIONS = ('--mode', 'aotinductor', '--target', 'pair_allegro', '--device', 'cpu')


@pytest.fixture(scope='session')
def executable():
    """Return a function that finds a command of this Python environment."""
    return lambda name: shutil.which(name, path=f'{SCRIPTS}:{os.environ["PATH"]}')


@pytest.fixture(scope='session')
def dft_frames():
    """The file with the frames the model is trained on."""
    return DATASET


@pytest.fixture(scope='session')
def plugin():
    """Folder of the compiled pair style."""
    return plugin_build.build()[0].parent


@pytest.fixture(scope='session')
def trained(tmp_path_factory, executable):
    """Train a small model; return the folder with its checkpoint and the compiled file."""
    folder = tmp_path_factory.mktemp('training')
    frames = ase.io.read(DATASET, ':')
    for name, part in {'train': frames[::2], 'validation': frames[1::4], 'test': frames[3::4]}.items():
        ase.io.write(folder / FILES[name], part)
    configuration = {**nequip_configuration(TrainingParameters.check(TRAINING), TYPE_NAMES), 'run': ['train']}
    (folder / 'config.yaml').write_text(yaml.safe_dump(configuration))
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    for command in (
        ['nequip-train', '-cp', str(folder), '-cn', 'config', f'hydra.run.dir={folder}'],
        ['nequip-compile', *COMPILE_OPTIONS, 'best.ckpt', 'model.nequip.pt2'],
    ):
        command[0] = executable(command[0])
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder


@pytest.fixture
def md_of_trained(aiida_profile, aiida_localhost, trained, plugin, executable, dft_frames):
    """The inputs of a run of 17 atoms with the trained model, without parameters."""
    code = orm.InstalledCode(
        label=f'lmp-{time.monotonic_ns()}',
        computer=aiida_localhost,
        filepath_executable=executable('lmp'),
        default_calc_job_plugin='ionconduct.lammps.md',
        prepend_text=f'export OMP_NUM_THREADS=1 LAMMPS_PLUGIN_PATH={plugin}',
    ).store()
    options = {'resources': {'num_machines': 1, 'num_mpiprocs_per_machine': 1}, 'max_wallclock_seconds': 600}
    return {
        'code': code,
        'model': AllegroModelData(trained / 'model.nequip.pt2'),
        'trust_model': orm.Bool(True),  # trained beside AiiDA
        'structure': orm.StructureData(ase=ase.io.read(dft_frames, 2)),
        'metadata': {'options': options},
    }


@pytest.fixture(scope='module')
def installation(tmp_path_factory):
    """A profile with all codes, pseudopotentials and a running daemon, made by the command that users run."""
    installation = Installation(tmp_path_factory.mktemp('campaign'))
    try:
        installation.run('aiida-ionconduct', 'setup')
        yield installation
    finally:
        installation.stop()
    assert not installation.processes()


@pytest.fixture(scope='module')
def second_installation(tmp_path_factory):
    """An empty profile as somebody else has it: no code, no computer, no daemon, no caching."""
    installation = Installation(tmp_path_factory.mktemp('elsewhere'))
    who = ('--email', 'a@b.org', '--first-name', 'A', '--last-name', 'B', '--institution', 'C')
    installation.run(
        *('verdi', 'profile', 'setup', 'core.sqlite_dos', '-n', '--profile-name', 'other', '--broker', 'none'),
        *('--set-as-default', *who),
    )
    return installation


@pytest.fixture(scope='session')
def services():
    """PostgreSQL, RabbitMQ, sshd and Slurm, in a folder with a short name that other users can pass through."""
    services = Services.make(tempfile.mkdtemp(prefix='ionconduct-'), slots=2)
    # Tests that are ended by a signal stop the services, as Ctrl-C does.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        services.start()
        yield services
    finally:
        services.remove()
        signal.signal(signal.SIGTERM, before)
    assert not services.folder.exists()
    commands = [str(process.info['cmdline']) for process in psutil.process_iter(['cmdline'])]
    assert not [command for command in commands if str(services.folder) in command]


@pytest.fixture(scope='session')
def farm(tmp_path_factory, services, trained, plugin, dft_frames):
    """A production profile with two workers, set up by the command that users run."""
    farm = Farm(tmp_path_factory.mktemp('farm'), services, trained / 'model.nequip.pt2', plugin, dft_frames)
    try:
        farm.first = farm.set_up()
        farm.run('verdi', 'daemon', 'stop', '--timeout', '60')
        for name, value in OPTIONS.items():
            farm.run('verdi', 'config', 'set', name, str(value))
        farm.second = farm.set_up()
        yield farm
    finally:
        farm.stop()
