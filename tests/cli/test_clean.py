"""Tests of ``aiida-ionconduct clean``."""

import numpy as np
import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.engine import ProcessState

from aiida_ionconduct.cli import clean
from aiida_ionconduct.data import IonTrajectoryData

pytestmark = pytest.mark.usefixtures('aiida_profile_clean')


def trajectory():
    """Return a trajectory of one atom."""
    ones = np.ones((2, 1, 3))
    return IonTrajectoryData(
        ones, ones, np.ones((2, 2)), symbols=['Li'], species=['Li'], cell=np.eye(3).tolist(), temperature_K=300.0,
        timestep_fs=1.0, frame_interval_ps=0.1, com_interval_ps=0.1, seed=1, thermo_columns=['step', 'a'],
    )  # fmt: skip


@pytest.fixture
def run(aiida_localhost, tmp_path):
    """Return a function that stores a finished LAMMPS run with a folder on the computer."""

    def make(name='run', exit_status=0, stored=True, folder=None):
        folder = folder or tmp_path / 'work' / name[:2] / name[2:4] / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / 'trajectory.bin').write_bytes(b'0' * 50_000)
        node = orm.CalcJobNode(computer=aiida_localhost, process_type='aiida.calculations:ionconduct.lammps.md')
        node.set_remote_workdir(str(folder))
        parameters = orm.Dict({'seeds': [1]}).store()
        node.base.links.add_incoming(parameters, LinkType.INPUT_CALC, 'parameters')
        node.set_process_state(ProcessState.FINISHED)
        node.set_exit_status(exit_status)
        node.store()
        outputs = {'remote_folder': orm.RemoteData(remote_path=str(folder), computer=aiida_localhost)}
        if stored:
            outputs['trajectories__seed1'] = trajectory()
        for label, output in outputs.items():
            output.base.links.add_incoming(node, LinkType.CREATE, label)
            output.store()
        return node, folder

    return make


def removable():
    """Return the folders that may go."""
    return [folder for folder in clean.remote_folders() if not folder.reason]


def test_finished(run):
    """The folder of a run that ended well is counted, then removed, then not found any more."""
    node, folder = run()
    (finished,) = removable()
    assert finished.job.pk == node.pk
    ((_, number, n_bytes),) = clean.clean([finished], apply=False)
    assert number == 1
    assert n_bytes >= 50_000
    assert (folder / 'trajectory.bin').exists()
    list(clean.clean([finished], apply=True))
    assert not list(folder.glob('*'))
    assert node.outputs.remote_folder.is_cleaned
    assert clean.remote_folders() == []


def test_not_finished(run):
    """Runs that failed or were cut are not even looked at."""
    run('failed', exit_status=310)
    run('cut', exit_status=400)
    assert clean.remote_folders() == []


def test_not_stored(run):
    """A run whose trajectory is not stored keeps its folder, and the reason is told."""
    run(stored=False)
    (kept,) = clean.remote_folders()
    assert '0 of 1 trajectories are stored' in kept.reason


def test_in_use(run):
    """A folder that a running job reads from stays."""
    node, _ = run()
    user = orm.CalcJobNode(computer=node.computer)
    user.base.links.add_incoming(node.outputs.remote_folder, LinkType.INPUT_CALC, 'parent_folder')
    user.set_process_state(ProcessState.RUNNING)
    user.store()
    (kept,) = clean.remote_folders()
    assert 'a running job reads from it' in kept.reason


def test_other_folder(run, aiida_localhost, tmp_path):
    """A folder that is not the one of the job, as a node from elsewhere may claim, stays."""
    node, _ = run()
    for path in ('/', str(tmp_path)):
        remote = orm.RemoteData(remote_path=path, computer=aiida_localhost)
        assert 'not a folder that AiiDA has made' in clean.why_it_stays(node, remote)


def test_recent(run):
    """Runs that ended lately can be left alone."""
    run()
    assert clean.remote_folders(older_than_days=1) == []


def test_shell(run, tmp_path):
    """A folder is never a command."""
    folder = tmp_path / 'work' / 'ab' / 'cd' / '$(touch bad);touch bad; "x"'
    node, _ = run(folder=folder)
    (finished,) = removable()
    ((_, _, n_bytes),) = clean.clean([finished], apply=True)
    assert n_bytes >= 50_000
    assert not list(folder.parent.rglob('bad'))
    assert node.outputs.remote_folder.is_cleaned


# Jobs of other programs -------------------------------------------------------------------------------------------

RESULTS = {
    'quantumespresso.pw': ('output_parameters', 'output_trajectory'),
    'ionconduct.pw.frames': ('labelled', 'output_parameters'),
    'ionconduct.allegro.train': ('model', 'checkpoint', 'output_parameters', 'parity'),
    'ionconduct.allegro.compile': ('model',),
    'ionconduct.allegro.evaluate': ('predictions',),
}


@pytest.fixture
def job(aiida_localhost, tmp_path):
    """Return a function that stores a job that ended well, called by a work chain, with a folder on the computer."""

    def make(plugin, *, ended=True, caller='ionconduct.aimd', results=None):
        folder = tmp_path / 'work' / plugin[:2] / plugin[2:4] / plugin
        folder.mkdir(parents=True)
        (folder / 'aiida.save').write_bytes(b'0' * 50_000)
        chain = orm.WorkChainNode(process_type=f'aiida.workflows:{caller}')
        chain.set_process_state(ProcessState.FINISHED if ended else ProcessState.WAITING)
        base = orm.WorkChainNode(process_type='aiida.workflows:quantumespresso.pw.base')
        base.set_process_state(ProcessState.FINISHED)
        base.base.links.add_incoming(chain.store(), LinkType.CALL_WORK, 'base')
        node = orm.CalcJobNode(computer=aiida_localhost, process_type=f'aiida.calculations:{plugin}')
        node.set_remote_workdir(str(folder))
        node.base.links.add_incoming(base.store(), LinkType.CALL_CALC, 'job')
        node.set_process_state(ProcessState.FINISHED)
        node.set_exit_status(0)
        outputs = {'remote_folder': orm.RemoteData(remote_path=str(folder), computer=aiida_localhost)}
        outputs |= {name: orm.Dict({}) for name in (RESULTS[plugin] if results is None else results)}
        node.store()
        for label, output in outputs.items():
            output.base.links.add_incoming(node, LinkType.CREATE, label)
            output.store()
        return folder

    return make


@pytest.mark.parametrize('plugin', RESULTS)
def test_other_jobs(job, plugin):
    """The folders of pw.x and of trainings, which are the largest, can go as well."""
    folder = job(plugin)
    ((_, number, n_bytes),) = clean.clean(removable(), apply=True)
    assert number == 1
    assert n_bytes >= 50_000
    assert not list(folder.glob('*'))


@pytest.mark.parametrize('plugin', RESULTS)
def test_jobs_of_a_running_work_chain(job, plugin):
    """The next job of a relaxation goes on from the folder of this job."""
    job(plugin, ended=False)
    (kept,) = clean.remote_folders()
    assert 'has not ended' in kept.reason


@pytest.mark.parametrize('plugin', RESULTS)
def test_results_that_are_not_stored(job, plugin):
    job(plugin, results=RESULTS[plugin][1:])
    (kept,) = clean.remote_folders()
    assert kept.reason == f'{RESULTS[plugin][0]} is not stored'


def test_jobs_of_the_user(job):
    """Jobs of pw.x outside of this package are not looked at."""
    job('quantumespresso.pw', caller='quantumespresso.pw.bands')
    assert clean.remote_folders() == []
