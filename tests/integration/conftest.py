"""A small trained model; an installation as a user has it: a configuration and a daemon of its own."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile

import ase.io
import psutil
import pytest
import yaml

from aiida_ionconduct.allegro.configuration import FILES, nequip_configuration
from aiida_ionconduct.lammps.plugin import build as plugin_build

REPOSITORY = pathlib.Path(__file__).parents[2]
SCRIPTS = pathlib.Path(sys.executable).parent
PROBE = pathlib.Path(__file__).with_name('probe.py')

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
TIMEOUT_S = 1500  # on a busy machine; a command that hangs must not hang the tests


class Installation:
    """A folder with an AiiDA configuration, and the commands of this Python environment run in it."""

    def __init__(self, path: pathlib.Path):
        self.path = path
        self.home = path / 'home'
        self.home.mkdir()
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(('AIIDA_', 'PYTEST_', 'OMP_'))
        }
        self.environment = clean | {
            'AIIDA_PATH': str(path),
            'AIIDA_IONCONDUCT_CACHE': os.environ.get('AIIDA_IONCONDUCT_CACHE', str(path / 'cache')),
            'HOME': str(self.home),
            'PATH': f'{SCRIPTS}{os.pathsep}{os.environ["PATH"]}',
        }

    def start(self, *command) -> subprocess.Popen:
        """Start a command in the folder."""
        pipes = {'stdin': subprocess.DEVNULL, 'stdout': subprocess.PIPE, 'stderr': subprocess.STDOUT, 'text': True}
        return subprocess.Popen(
            [shutil.which(command[0], path=self.environment['PATH']), *map(str, command[1:])],
            cwd=self.path,
            env=self.environment,
            # Ctrl-C is ignored by what a shell starts in the background, and so by its children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            **pipes,
        )

    def run(self, *command, status: int | None = 0) -> str:
        """Return what a command prints; its exit code must be `status`, if that is not None."""
        process = self.start(*command)
        try:
            output, _ = process.communicate(timeout=TIMEOUT_S)
        except BaseException:
            process.kill()
            raise
        assert status in (None, process.returncode), f'{command} ended with {process.returncode}:\n{output}'
        return output

    def ask(self, question: str, *arguments):
        """Return the answer of a function of probe.py."""
        return json.loads(self.run('verdi', 'run', PROBE, question, *arguments).splitlines()[-1])

    def count_nodes(self) -> int:
        """Return the number of nodes in the profile, read without AiiDA."""
        (database,) = (self.path / '.aiida' / 'repository').rglob('database.sqlite')
        with contextlib.closing(sqlite3.connect(database)) as connection:
            return connection.execute('SELECT count(*) FROM db_dbnode').fetchone()[0]

    def processes(self) -> list[psutil.Process]:
        """Return what runs in this installation: the environment, which children inherit, tells."""
        found, folders = [], (str(self.path), str(self.path / '.aiida'))  # the daemon has the second
        for process in psutil.process_iter():
            try:
                if process.environ().get('AIIDA_PATH') in folders:
                    found.append(process)
            except (psutil.AccessDenied, psutil.NoSuchProcess):
                continue
        return found

    def stop(self) -> None:
        """Stop the daemon, and whatever else is left when a test has failed."""
        self.run('verdi', 'daemon', 'stop', status=None)
        for number in (signal.SIGTERM, signal.SIGKILL):
            left = self.processes()
            for process in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(number)
            psutil.wait_procs(left, timeout=10)


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
    configuration = {**nequip_configuration(TRAINING, TYPE_NAMES), 'run': ['train']}
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
    from .production import services_script

    services = services_script.Services(tempfile.mkdtemp(prefix='ionconduct-'), slots=2)
    # Whoever ends the tests by a signal shall find none of the services afterwards, as with Ctrl-C.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        services.start()
        yield services
    finally:
        services.remove()
        signal.signal(signal.SIGTERM, before)
    assert not services.folder.exists()
    assert not [
        one.info for one in psutil.process_iter(['cmdline']) if str(services.folder) in str(one.info['cmdline'])
    ]


@pytest.fixture(scope='session')
def farm(tmp_path_factory, services, trained, plugin, dft_frames):
    """A production profile with two workers, set up by the command that users run."""
    from .production import OPTIONS, Farm

    farm = Farm(tmp_path_factory.mktemp('farm'), services, trained / 'model.nequip.pt2', plugin, dft_frames)
    try:
        farm.first = farm.set_up()
        farm.run('verdi', 'daemon', 'stop')
        for name, value in OPTIONS.items():
            farm.run('verdi', 'config', 'set', name, str(value))
        farm.second = farm.set_up()
        yield farm
    finally:
        farm.stop()
