"""Fixtures of archives: another profile, and a campaign with everything that an archive with all jobs can hold."""

import io
import os
import pathlib
import shutil
import subprocess
import sys

import ase.build
import numpy as np
import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.engine import calcfunction
from ase.calculators.singlepoint import SinglePointCalculator

from aiida_ionconduct.calculations.functions.analysis import analyse_trajectories
from aiida_ionconduct.data import AllegroModelData, DatasetData, IonTrajectoryData

SEGMENT = 1003
"""Frames of the first segment of a run: no multiple of the numbers by which the tests thin."""
WORKDIR, FOLDER = '/project/{username}/aiida', '/project/kim/aiida'
SUBMIT = (
    b"#!/bin/bash\n# on login1.cluster.example.org, cluster.example.org\n'/home/kim/allegro/bin/lmp' -in /dev/stdin\n"
)
LOG = b'Step Temp PotEng\n0 900 -1\n' * 99
"""Of LAMMPS."""


def in_profile(folder):
    """Return a function that runs a command in the profile of a folder."""
    scripts = pathlib.Path(sys.executable).parent
    environment = {**os.environ, 'AIIDA_PATH': str(folder), 'PATH': f'{scripts}{os.pathsep}{os.environ["PATH"]}'}

    def run(*words):
        done = subprocess.run(
            [scripts / words[0], *words[1:]], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture(scope='session')
def empty_profile(tmp_path_factory):
    """A folder with an empty profile, which is made once, as it takes seconds, and copied for each use."""
    folder = tmp_path_factory.mktemp('empty')
    who = ('--email', 'a@b.org', '--first-name', 'A', '--last-name', 'B', '--institution', 'C')
    options = ('-n', '--profile-name', 'other', '--broker', 'none', '--set-as-default')
    in_profile(folder)('verdi', 'profile', 'setup', 'core.sqlite_dos', *options, *who)
    return folder


def copy_profile(empty, folder):
    """Copy a profile into a folder, whose name stands in its configuration; return the function of ``in_profile``."""
    shutil.copytree(empty, folder, dirs_exist_ok=True)
    configuration = folder / '.aiida' / 'config.json'
    configuration.write_text(configuration.read_text().replace(str(empty), str(folder)))
    return in_profile(folder)


@pytest.fixture
def elsewhere(empty_profile, tmp_path):
    """Return a function that runs a command in a profile of its own."""
    return copy_profile(empty_profile, tmp_path)


@pytest.fixture(scope='module')
def elsewhere_of_module(empty_profile, tmp_path_factory):
    """Return a function that runs a command in a profile that the tests of a file share."""
    return copy_profile(empty_profile, tmp_path_factory.mktemp('elsewhere'))


@calcfunction
def join(**segments):
    """Return a trajectory over segments."""
    return IonTrajectoryData.join([segment for _, segment in sorted(segments.items())])


def with_centres(run, n_before=0):
    """Return a run with three centres of mass in each interval between frames, and thermodynamic columns."""
    attributes = {name: value for name, value in run.base.attributes.all.items() if name not in ('n_frames', 'n_atoms')}
    rng = np.random.default_rng(attributes['seed'])
    n_frames = len(run.positions)
    attributes |= {'com_interval_ps': run.frame_interval_ps / 3, 'com_start_ps': n_before * run.frame_interval_ps}
    return IonTrajectoryData(
        run.positions, rng.normal(size=(3 * n_frames, 2, 3)), 1.0 * np.arange(n_frames)[:, None], **attributes
    )


def finished(process, outputs):
    """Store a process with its outputs by label, and end it; return it."""
    process.store()
    kind = LinkType.RETURN if isinstance(process, orm.WorkChainNode) else LinkType.CREATE
    for label, output in outputs.items():
        if not output.is_stored or kind == LinkType.RETURN:
            output.base.links.add_incoming(process, kind, label)
            output.store()
    process.set_process_state('finished')
    process.set_exit_status(0)
    process.seal()
    return process


def binary(name, content, **attributes):
    """Return a folder with a file."""
    node = orm.FolderData()
    node.base.repository.put_object_from_bytes(content, name)
    node.base.attributes.set_many(attributes)
    return node


@pytest.fixture(scope='module')
def whole_campaign(aiida_profile, make_salt_run):
    """Return a campaign with DFT, a training, a compiled model, and two runs, of which one is of two segments."""
    top = orm.WorkChainNode(process_type='aiida.workflows:ionconduct.conductivity', label='salt with everything')
    top.set_process_label('ConductivityWorkChain')
    structure = orm.StructureData(ase=ase.build.bulk('LiCl', 'rocksalt', a=5.1, cubic=True)).store()
    top.base.links.add_incoming(structure, LinkType.INPUT_WORK, 'structure')
    top.store()
    place = {'label': 'cluster', 'hostname': 'cluster.example.org', 'workdir': WORKDIR}
    plugins = {'transport_type': 'core.local', 'scheduler_type': 'core.direct'}
    _, computer = orm.Computer.collection.get_or_create(**place, **plugins)
    computer.store()
    code = orm.InstalledCode(computer, '/home/kim/allegro/bin/lmp', label='lammps').store()

    def job(plugin, inputs, outputs):
        """Return a finished job of the campaign."""
        process = orm.CalcJobNode(computer=computer, process_type=f'aiida.calculations:{plugin}')
        process.set_options({'resources': {'num_machines': 1}, 'max_wallclock_seconds': 60})
        process.base.links.add_incoming(top, LinkType.CALL_CALC, plugin.replace('.', '_') + str(len(inputs)))
        for label, node in inputs.items():
            process.base.links.add_incoming(node, LinkType.INPUT_CALC, label)
        process.base.links.add_incoming(code, LinkType.INPUT_CALC, 'code')
        process.set_remote_workdir(f'{FOLDER}/ab/12')
        process.base.repository.put_object_from_bytes(SUBMIT, '.aiida/submit.sh')
        remote = orm.RemoteData(remote_path=f'{FOLDER}/ab/12', computer=computer)
        return finished(process, {**outputs, 'remote_folder': remote})

    pw = job(
        'quantumespresso.pw', {'structure': structure}, {'retrieved': binary('aiida.out', b'!    total energy\n' * 99)}
    )
    frame = structure.get_ase()
    frame.calc = SinglePointCalculator(frame, energy=-1.0, forces=np.zeros((len(frame), 3)))

    @calcfunction
    def collect_labels(retrieved):
        """Return the labels of a job."""
        return DatasetData.from_frames([frame, frame])

    dataset = collect_labels(pw.outputs.retrieved)
    model = AllegroModelData(io.BytesIO(b'package'), 'm.nequip.zip', type_names=['Li', 'Cl'], r_max=5.0)
    checkpoint = binary('best.ckpt', os.urandom(4000), epoch=1)
    job('ionconduct.allegro.train', {'train': dataset}, {'model': model, 'checkpoint': checkpoint})
    compiled = AllegroModelData(io.BytesIO(os.urandom(5000)), 'm.nequip.pt2', type_names=['Li', 'Cl'], r_max=5.0)
    job('ionconduct.allegro.compile', {'model': model}, {'model': compiled})
    first = with_centres(make_salt_run(11, n_frames=SEGMENT))
    second = with_centres(make_salt_run(11, first=SEGMENT), SEGMENT)
    single = with_centres(make_salt_run(12))
    restart = orm.SinglefileData(io.BytesIO(os.urandom(3000)), filename='production.restart')
    parameters = orm.Dict({'seeds': [11]}).store()
    md = {'model': compiled, 'parameters': parameters}
    job('ionconduct.lammps.md', md, {'trajectories__seed11': first, 'restart': restart})
    job('ionconduct.lammps.md', {**md, 'restart': restart}, {'trajectories__seed11': second})
    retrieved = binary('lammps.log', LOG)
    retrieved.base.repository.put_object_from_bytes(b'done', '_scheduler-stdout.txt')
    job('ionconduct.lammps.md', {'model': compiled}, {'trajectories__seed12': single, 'retrieved': retrieved})
    short = with_centres(make_salt_run(13, n_frames=50))
    job('ionconduct.lammps.md', {**md, 'restart': restart, 'structure': structure}, {'trajectories__seed13': short})
    joined = join(segment_0=first, segment_1=second)
    settings = orm.Dict({'charges': {'Li': 1, 'Cl': -1}, 'mobile': 'Li'}).store()
    conductivity = analyse_trajectories(settings, T900_seed11=joined, T900_seed12=single)
    outputs = {
        'model': model,
        'structure': structure,
        'validation': orm.Dict({'passed': True, 'checks': []}).store(),
        'trajectories__T900_seed11': joined,
        'trajectories__T900_seed12': single,
        'conductivities__T900': conductivity,
    }
    return finished(top, outputs)
