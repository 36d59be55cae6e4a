"""A farm of LAMMPS runs on PostgreSQL, RabbitMQ and Slurm over ssh, while one or the other of them dies.

Every campaign must end with every seed finished exactly once, every frame there, and the numbers of a campaign that was
left alone. Nothing here waits for a fixed time but the length of an outage: what a test waits for is a state.

`make test` runs them; `FAULTS=full` in the long form, 60 seeds and outages of 30 s and more; `FAULTS=` leaves them out.
"""

import contextlib
import os
import pathlib
import signal
import time

import numpy as np
import psutil
import pytest

from local_services import slurm

from .production_actions import STEPS, STRIDES, T_K
from .production_installation import NODE_TYPE, collect, is_command, needs_services, wait_until

pytestmark = [pytest.mark.integration, needs_services]

SECOND_RESTART = 'production.restart.2'  # of a run, or the pipe in its place

FULL = os.environ.get('IONCONDUCT_FAULTS') == 'full'
N_SEEDS, N_MANY, OUTAGE_S, SSH_OUTAGE_S = (6, 60, 30, 60) if FULL else (2, 4, 4, 4)


@pytest.fixture(scope='module')
def undisturbed(farm):
    """The arrays of every seed, of a campaign that was left alone."""
    seeds = list(range(1, N_MANY + 1))
    pk = farm.submit(seeds)
    wait_until(lambda: farm.has_ended(pk), farm)
    answer, arrays = collect(farm, pk)
    assert (answer['state'], answer['exit_status']) == ('finished', 0)
    assert len(answer['jobs']) == N_MANY
    return arrays


@pytest.fixture
def campaign(farm, undisturbed):
    """Return a function that submits a campaign; after the test, also a failed test, no campaign is left running."""

    def start(n_seeds=N_SEEDS, **options):
        start.before = len(farm.services.finished_jobs())
        start.seeds = list(range(1, n_seeds + 1))
        pk = farm.submit(start.seeds, **options)
        start.left.append(pk)
        return pk

    start.left = []
    yield start
    for path in (farm.gate, farm.quota, farm.hang, *filter(pathlib.Path.is_fifo, farm.scratch.rglob(SECOND_RESTART))):
        path.unlink(missing_ok=True)
    if start.left:
        farm.services.start()
    for pk in start.left:
        if not farm.has_ended(pk):
            farm.services.slurm('scancel', f'--user={slurm.USER}', check=False)  # one may wait at a pipe
        wait_until(lambda pk=pk: farm.has_ended(pk), farm)
        collect(farm, pk)


def check(farm, campaign, pk, undisturbed, cut=False, forget=True):
    """Wait for the end of a campaign: every seed once, every frame, the numbers of the undisturbed campaign.

    :param cut: whether LAMMPS itself was interrupted: round-off then grows from the restart on.
    :return: the jobs.
    """
    wait_until(lambda: farm.has_ended(pk), farm)
    answer, arrays = collect(farm, pk, forget)
    if forget:
        campaign.left.remove(pk)
    assert (answer['state'], answer['exit_status']) == ('finished', 0), answer
    labels = sorted(f'T{T_K}_seed{seed}' for seed in campaign.seeds)
    assert answer['seeds'] == sorted(arrays) == labels
    ended = [label for label, state, status in answer['runs'] if (state, status) == ('finished', 0)]
    assert sorted(ended) == labels
    # What a killed worker had submitted and not noted was set aside before it began, everything else ran once.
    assert {state for label, state, _ in answer['runs']} <= {'finished', 'killed'}, answer['runs']
    good = [job['run'] for job in answer['jobs'] if job['exit_status'] == 0]
    assert sorted(good) == labels
    folders = [job['WorkDir'] for job in farm.services.finished_jobs()[campaign.before :]]
    assert len(folders) == len(set(folders)), 'two jobs of Slurm have run in the same folder'
    assert set(folders) == {job['folder'] for job in answer['jobs'] if job['job_id']}

    n_frames = 1 + STEPS['production_steps'] // STRIDES['frame_stride']
    for label in labels:
        arrays_of_seed, expected = arrays[label], undisturbed[label]
        assert len(arrays_of_seed['positions']) == n_frames
        for name, values in expected.items():
            assert arrays_of_seed[name].shape == values.shape, (label, name)
            if not cut:
                assert np.array_equal(arrays_of_seed[name], values), (label, name)
        assert np.allclose(arrays_of_seed['times_ps'], expected['times_ps'], rtol=0, atol=1e-9)
        assert np.abs(arrays_of_seed['positions'] - expected['positions']).max() < 2e-3
        assert np.abs(arrays_of_seed['centres_of_mass'] - expected['centres_of_mass']).max() < 2e-3
    jobs = [job for job in answer['jobs'] if job['state'] != 'killed']
    if not cut:
        assert len(jobs) == len(labels), jobs
    return jobs


def test_workers_killed(farm, campaign, undisturbed):
    """`kill -9` of the workers at five stages of their jobs, of all workers or of a single worker."""
    stages = [
        (['new'], True),  # before and during upload
        (['unstashing', 'submitting'], False),
        (['withscheduler'], False),  # in the queue or running
        (['stashing', 'retrieving'], True),
        (['parsing'], True),
    ]
    farm.gate.touch()
    pk = campaign(N_MANY)
    for stage, every in stages:
        if stage == ['stashing', 'retrieving']:
            farm.gate.unlink()
        wait_until(lambda stage=stage: farm.jobs_in(*stage), farm, within=pk, interval_s=0.01)
        assert farm.kill_workers(every)
        wait_until(lambda: len(farm.workers()) == 2, farm)
    check(farm, campaign, pk, undisturbed)


@pytest.mark.parametrize('name', ['rabbitmq', 'postgresql'])
def test_service_stopped(farm, campaign, undisturbed, name):
    """A service is away for a while, in the middle of a campaign, and comes back."""
    farm.gate.touch()
    pk = campaign()
    wait_until(lambda: farm.slurm_jobs('RUNNING'), farm, within=pk)
    farm.services.stop(name)
    farm.gate.unlink()
    time.sleep(OUTAGE_S)
    farm.services.start(name)
    check(farm, campaign, pk, undisturbed)


def test_jobs_cancelled(farm, campaign, undisturbed):
    """`scancel` of a running job: it goes on from its restart file."""
    farm.hang.touch()
    pk = campaign()
    farm.services.slurm('scancel', job_in(farm, hanging(farm, pk)))
    jobs = check(farm, campaign, pk, undisturbed, cut=True)
    (cut,) = [job for job in jobs if job['exit_status'] != 0]
    assert cut['exit_status'] == 320
    assert len(jobs) == N_SEEDS + 1


def hanging(farm, pk):
    """Wait until a job of a campaign hangs in the middle of its run, and return its folder."""

    def waits(folder):
        process = farm.engine_in(folder)
        asleep = process is not None and (folder / 'production.restart.1').exists()
        for _ in range(20):  # what computes is not asleep each time
            asleep = asleep and is_asleep(process)
            time.sleep(0.02)
        return asleep

    def pipe():
        return next((path for path in farm.scratch.rglob(SECOND_RESTART) if path.is_fifo()), None)

    path = wait_until(pipe, farm, within=pk)
    wait_until(lambda: waits(path.parent), farm, within=pk)
    path.unlink()  # who waits at it goes on waiting; nobody else shall
    return path.parent


def is_asleep(process):
    """Whether a process waits at this moment."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() == psutil.STATUS_SLEEPING
    return False


def job_in(farm, folder):
    """Return the id of the job that runs in a folder."""
    lines = farm.services.slurm('squeue', '--noheader', '--states=RUNNING', '--format=%i %Z').splitlines()
    return next(line.split()[0] for line in lines if line.split()[1] == str(folder))


def test_walltime(farm, campaign, undisturbed):
    """LAMMPS hangs and cannot stop itself, so Slurm kills it at the end of the wall time; the run goes on."""
    farm.hang.touch()
    pk = campaign(walltime_s=60)
    folder = hanging(farm, pk)
    jobs = check(farm, campaign, pk, undisturbed, cut=True)
    states = {job['WorkDir']: job['JobState'] for job in farm.services.finished_jobs()}
    assert states[str(folder)] == 'TIMEOUT'
    assert [job['exit_status'] for job in jobs if job['folder'] == str(folder)] == [320]


def test_node_drained(farm, campaign, undisturbed):
    """A node is drained while jobs run: they end, those in the queue wait until it is returned."""

    def drained():
        return 'drained' in farm.services.slurm('sinfo', '--noheader', '--format=%T')

    farm.gate.touch()
    pk = campaign(N_MANY, max_concurrent=N_MANY)
    n_running = farm.services.slots
    wait_until(lambda: len(farm.slurm_jobs('PENDING', 'RUNNING')) == N_MANY, farm, within=pk)
    wait_until(lambda: len(farm.slurm_jobs('RUNNING')) == n_running, farm, within=pk)
    farm.services.slurm('scontrol', 'update', f'nodename={slurm.NODE}', 'state=drain', 'reason=test')
    farm.gate.unlink()
    wait_until(drained, farm, within=pk)
    assert len(farm.slurm_jobs('PENDING')) == N_MANY - n_running
    farm.services.slurm('scontrol', 'update', f'nodename={slurm.NODE}', 'state=resume')
    check(farm, campaign, pk, undisturbed)


def test_held_job_is_named(farm, campaign, undisturbed):
    """`status` says that a job is held, and what to type; what it says releases the job."""
    farm.gate.touch()
    pk = campaign(N_MANY, max_concurrent=N_MANY)
    (held, *_) = wait_until(lambda: farm.slurm_jobs('PENDING'), farm, within=pk)
    farm.services.slurm('scontrol', 'uhold', held)
    text = wait_until(lambda: (shown := farm.run('aiida-ionconduct', 'status', pk)).count('is held') and shown, farm)
    assert f'job {held}' in text
    assert 'a user has held it (JobHeldUser)' in text
    assert f'scontrol release {held}' in text
    assert 'the end cannot be predicted while 1 process does not move' in text
    farm.services.slurm('scontrol', 'release', held)
    farm.gate.unlink()
    check(farm, campaign, pk, undisturbed)


def test_ssh_cut(farm, campaign, undisturbed):
    """The ssh server and its sessions die while jobs run, and come back."""
    farm.gate.touch()
    pk = campaign()
    wait_until(lambda: farm.slurm_jobs('RUNNING'), farm, within=pk)
    farm.services.stop('sshd', kill=True)
    farm.gate.unlink()
    time.sleep(SSH_OUTAGE_S)
    farm.services.start('sshd')
    check(farm, campaign, pk, undisturbed)


def test_everything_down(farm, campaign, undisturbed):
    """The daemon, its workers, all services and the jobs end without warning and are started again: a reboot."""
    farm.gate.touch()
    pk = campaign()
    wait_until(lambda: farm.slurm_jobs('RUNNING'), farm, within=pk)
    for process in farm.processes():
        if is_command(process, 'daemon'):
            process.send_signal(signal.SIGKILL)
    farm.services.stop('slurmctld', 'slurmd')
    farm.services.stop(kill=True)
    farm.services.kill_jobs()
    farm.gate.unlink()
    farm.services.start()
    # Slurm knows a rebooted node by the time of the boot, and gives up its jobs, as it does for any node that is down.
    update = ('scontrol', 'update', f'nodename={slurm.NODE}', 'reason=boot')
    farm.services.slurm(*update, 'state=down')
    farm.services.slurm(*update, 'state=resume', check=False)  # refused if the node has come back by itself
    farm.set_up()
    jobs = check(farm, campaign, pk, undisturbed, cut=True)
    assert any(job['exit_status'] for job in jobs)


def test_disk_full(farm, campaign, undisturbed):
    """What LAMMPS writes beyond a limit is lost without a message; the run is repeated when there is room again."""
    farm.quota.touch()
    pk = campaign()
    failed = "SELECT 1 FROM db_dbnode WHERE id > %s AND node_type = %s AND attributes->>'exit_status' <> '0'"
    wait_until(lambda: farm.query(failed, pk, NODE_TYPE), farm, within=pk)
    farm.quota.unlink()
    jobs = check(farm, campaign, pk, undisturbed, cut=True)
    assert any(job['exit_status'] for job in jobs)


def test_submitted_twice(farm, campaign, undisturbed):
    """The same submission made twice at the same time is one campaign; made again later, it takes nothing to run."""
    farm.gate.touch()
    pk = campaign(at_once=2)
    again = farm.submit(campaign.seeds)
    farm.gate.unlink()
    assert again == pk
    check(farm, campaign, pk, undisturbed, forget=False)
    later = farm.submit(campaign.seeds)
    wait_until(lambda: farm.has_ended(later), farm)
    answer, arrays = collect(farm, later)
    assert later != pk
    assert all(job['cached'] for job in answer['jobs'])
    for label, cached in arrays.items():
        assert np.array_equal(cached['positions'], undisturbed[label]['positions'])
