"""Tests of Slurm with every job at most once, on a shell with false ``sbatch`` and ``squeue``."""

import os
import subprocess

import pytest
from aiida import orm
from aiida.common.datastructures import CodeRunMode
from aiida.engine import CalcJob
from aiida.plugins import SchedulerFactory
from aiida.schedulers import SchedulerError
from kiwipy import CancelledError

from aiida_ionconduct.engines.schedulers import gpus_cannot_be_asked, request_gpus
from aiida_ionconduct.farm import scheduler as slurm

SCRIPT = '#!/bin/bash\n#SBATCH --no-requeue\n#SBATCH --job-name="aiida-5"\n'
ACCEPT = 'echo "17 $1" >> ../queue'
"""Slurm has taken the job: what a false ``sbatch`` does before its answer gets lost."""
QUEUE = """case "$*" in *--name=*) ;; *) exit 1 ;; esac
for word in "$@"; do case $word in --name=*) name=${word#--name=} ;; esac; done
grep -e "--job-name=$name\\$" ../queue | sed 's/ .*//; s/^/Submitted batch job /'"""
"""What a false ``squeue`` says of the jobs that Slurm has taken."""


class Cluster:
    """The folder of a job, and false commands of Slurm."""

    def __init__(self, path):
        self.scheduler = SchedulerFactory('ionconduct.slurm')()
        self.path, self.folder = path, path / 'cdef-1234'
        (path / 'bin').mkdir()
        self.folder.mkdir()
        (path / 'queue').touch()
        (self.folder / '_aiidasubmit.sh').write_text(SCRIPT)
        self.program('squeue', QUEUE)

    def program(self, name, script):
        """Write a program that counts its calls."""
        path = self.path / 'bin' / name
        text = f'#!/bin/bash\necho {name} >> {self.path}/calls\n{script}\n'
        if not path.exists() or path.read_text() != text:  # not under the eyes of a shell that reads it
            path.write_text(text)
            path.chmod(0o755)

    def start(self, sbatch, before=''):
        """Start a submission in which ``sbatch`` is the given script, after other commands."""
        self.program('sbatch', sbatch)
        environment = {**os.environ, 'PATH': f'{self.path}/bin:{os.environ["PATH"]}'}
        command = f'{before}cd {self.folder} && ( {self.scheduler._get_submit_command("_aiidasubmit.sh")} )'
        pipes = {'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE, 'text': True}
        return subprocess.Popen(['bash', '-c', command], env=environment, **pipes)

    def result(self, process):
        """Return what AiiDA makes of the answer."""
        stdout, stderr = process.communicate(timeout=60)
        return self.scheduler._parse_submit_output(process.returncode, stdout, stderr)

    def submit(self, sbatch):
        """Return the job id after a submission."""
        return self.result(self.start(sbatch))

    def fail(self, sbatch, before=''):
        """Return what a submission that fails prints."""
        process = self.start(sbatch, before)
        stdout, stderr = process.communicate(timeout=60)
        assert process.returncode != 0
        return stdout + stderr

    def prevent(self):
        """Return the job id after the job was cancelled."""
        environment = {**os.environ, 'PATH': f'{self.path}/bin:{os.environ["PATH"]}'}
        command = f'cd {self.folder} && {self.scheduler.prevent_command("_aiidasubmit.sh")}'
        done = subprocess.run(['bash', '-c', command], env=environment, capture_output=True, text=True, check=True)
        return self.scheduler.job_id_in(done.stdout)

    def calls(self, name='sbatch'):
        """Return how often a program was called."""
        path = self.path / 'calls'
        return path.read_text().split().count(name) if path.exists() else 0


@pytest.fixture
def cluster(tmp_path):
    """Return a cluster whose queue is empty."""
    return Cluster(tmp_path)


def test_repeated(cluster):
    """A second submission gives the job of the first, without a question to Slurm."""
    first = cluster.submit('echo Submitted batch job 17')
    second = cluster.submit('echo Submitted batch job 18')
    assert (first, second, cluster.calls(), cluster.calls('squeue')) == ('17', '17', 1, 0)


def test_at_the_same_time(cluster):
    """A submission that comes while Slurm still thinks about the first waits for its answer."""
    processes = [cluster.start('sleep 0.5; echo Submitted batch job $$') for _ in range(3)]
    assert len({cluster.result(process) for process in processes}) == 1
    assert cluster.calls() == 1


def test_refused(cluster):
    """What Slurm has refused can be submitted again, and its message is passed on."""
    assert 'QOSMaxSubmitJob' in cluster.fail('echo QOSMaxSubmitJobPerUserLimit >&2; exit 1')
    assert cluster.submit('echo Submitted batch job 19') == '19'


@pytest.mark.parametrize('end', ['exit 1', 'kill -9 $$', 'echo Submitted batch job 17; exit 1', 'exit 0'])
def test_lost_answer(cluster, end):
    """Slurm has the job but its answer was lost: the next submissions find the job in the queue by its name."""
    cluster.fail(f'{ACCEPT}; {end}')
    assert [cluster.submit(f'{ACCEPT}; exit 1') for _ in range(2)] == ['17', '17']
    assert (cluster.calls(), cluster.calls('squeue')) == (1, 1)


def test_job_of_another_folder(cluster):
    """A job of the same process in another folder is another job."""
    (cluster.path / 'queue').write_text('16 --job-name=aiida-5-cdef-9999\n')
    cluster.fail('exit 1')
    assert cluster.submit('echo Submitted batch job 17') == '17'


def test_queue_does_not_answer(cluster):
    """Nothing is submitted while nobody knows whether the first submission has succeeded."""
    cluster.fail(f'{ACCEPT}; exit 1')
    cluster.program('squeue', 'echo slurm_load_jobs error >&2; exit 1')
    assert 'slurm_load_jobs error' in cluster.fail(f'{ACCEPT}; echo Submitted batch job 18')
    assert cluster.calls() == 1


def test_job_that_has_ended(cluster):
    """A job that has left the queue has written its own id, also from a script that has changed its folder."""
    line = cluster.scheduler._get_run_line([], CodeRunMode.SERIAL)
    (cluster.folder / '_aiidasubmit.sh').write_text(f'{SCRIPT}\ncd /\n{line}\n')
    run = 'SLURM_JOB_ID=17 SLURM_SUBMIT_DIR=$PWD bash _aiidasubmit.sh'
    cluster.fail(f'{run}; exit 1')
    assert cluster.submit('echo Submitted batch job 18') == '17'
    assert cluster.calls() == 1


def test_banner(cluster):
    """What else stands on the standard output is no job id."""
    assert cluster.submit('echo Welcome, job 4711; echo Submitted batch job 17 on cluster two; echo Bye 3') == '17'
    assert cluster.submit('echo Submitted batch job 18') == '17'


def test_banner_alone(cluster):
    """A banner without an answer is told, and does not hinder the next submission."""
    assert slurm.NO_JOB_ID in cluster.fail('echo Welcome, job 4711')
    assert cluster.submit('echo Submitted batch job 18') == '18'


@pytest.mark.parametrize('text', ['Welcome to the cluster\n', 'submitting\nWelcome\n'])
def test_file_without_job_id(cluster, text):
    """A file that a banner has filled asks for a look at the queue and is not taken for an answer."""
    (cluster.folder / slurm.JOB_ID_FILE).write_text(text)
    assert cluster.submit('echo Submitted batch job 18') == '18'
    assert cluster.calls('squeue') == 1


@pytest.mark.parametrize('flock', ['echo flock: Function not implemented >&2; exit 65', 'exit 127'])
def test_no_file_locks(cluster, flock):
    """Where locks do not work, jobs are submitted, once as well, and a warning says so."""
    cluster.program('flock', flock)
    stdout, stderr = cluster.start('echo Submitted batch job 17').communicate(timeout=60)
    assert 'Submitted batch job 17' in stdout
    assert slurm.NO_LOCK in stderr
    assert cluster.submit('echo Submitted batch job 18') == '17'


def test_full_disk(cluster):
    """Without space for the note of a submission nothing is submitted, however often it is tried."""
    limit = "trap '' XFSZ; ulimit -f 0; "  # every write to a file fails
    for _ in range(3):
        printed = cluster.fail('echo sbatch was called >&2; echo Submitted batch job 17', before=limit)
        assert 'is the disk full' in printed
        assert 'sbatch was called' not in printed


def test_disk_that_fills_up(cluster):
    """A job whose id could not be written is found in the queue."""
    cluster.submit(f'{ACCEPT}; echo Submitted batch job 17')
    (cluster.folder / slurm.JOB_ID_FILE).write_text('submitting\n')  # all that there was space for
    assert cluster.submit('echo Submitted batch job 18') == '17'
    assert cluster.calls() == 1


def test_account(cluster):
    """A wrong account ends the job, as with AiiDA's own plugin."""
    result = cluster.submit('echo "sbatch: error: Invalid account or partition" >&2; exit 1')
    assert result == CalcJob.exit_codes.ERROR_SCHEDULER_INVALID_ACCOUNT


def test_no_answer_is_an_error(cluster):
    with pytest.raises(SchedulerError):
        cluster.submit('exit 0')


SACCT = 'AllocCPUS|ElapsedRaw|JobID|State|\n1|60|17|{}|\n1|60|17.batch|CANCELLED|\n'
BANNER = 'Welcome to the cluster\nBudget: 12|345 h\n'


@pytest.mark.parametrize('banner', ['', BANNER])
@pytest.mark.parametrize(
    ('state', 'name'),
    [
        ('TIMEOUT', 'ERROR_SCHEDULER_OUT_OF_WALLTIME'),
        ('OUT_OF_MEMORY', 'ERROR_SCHEDULER_OUT_OF_MEMORY'),
        ('NODE_FAIL', 'ERROR_SCHEDULER_NODE_FAILURE'),
        ('COMPLETED', None),
    ],
)
def test_state_in_the_accounting(banner, state, name):
    """How a job has ended is read from ``sacct``, also if the login shell prints before it."""
    info = {'retval': 0, 'stdout': banner + SACCT.format(state), 'stderr': ''}
    exit_code = SchedulerFactory('ionconduct.slurm')().parse_output(info, '', '')
    assert exit_code == (CalcJob.exit_codes[name] if name else None)


@pytest.mark.parametrize('info', [None, {'retval': 0, 'stdout': BANNER, 'stderr': ''}])
def test_error_file_where_the_accounting_says_nothing(info):
    error = 'slurmstepd: error: *** JOB 17 ON node1 CANCELLED AT 2026-11-29T20:00:00 DUE TO TIME LIMIT ***'
    exit_code = SchedulerFactory('ionconduct.slurm')().parse_output(info, '', error)
    assert exit_code == CalcJob.exit_codes.ERROR_SCHEDULER_OUT_OF_WALLTIME


def test_prevented(cluster):
    """A job that was cancelled before its submission is not submitted, and has no id."""
    assert cluster.prevent() is None
    assert slurm.NOT_WANTED in cluster.fail('echo Submitted batch job 17')
    assert cluster.calls() == 0


@pytest.mark.parametrize('answer', ['', '; echo Submitted batch job 17'])
def test_prevented_too_late(cluster, answer):
    """The id of a job that was submitted before is given, also where AiiDA has not seen the answer."""
    submit = cluster.submit if answer else cluster.fail
    submit(f'{ACCEPT}{answer}' if answer else f'{ACCEPT}; exit 1')
    assert cluster.prevent() == '17'


@pytest.mark.parametrize(('n_jobs', 'taken'), [(1, True), (2, False)])
def test_limit_of_the_site(cluster, n_jobs, taken):
    """With as many jobs in the queue as the site admits, nothing is submitted and nothing is noted."""
    (cluster.folder / '_aiidasubmit.sh').write_text(f'{SCRIPT}{slurm.MAX_JOBS}2\n')
    cluster.program('squeue', f'seq {n_jobs}')
    if taken:
        assert cluster.submit('echo Submitted batch job 17') == '17'
    else:
        assert slurm.FULL in cluster.fail('echo Submitted batch job 17')
        assert (cluster.calls(), (cluster.folder / slurm.JOB_ID_FILE).read_text()) == (0, '')


class Full:
    """A transport to a cluster that refuses some submissions before it takes one."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def exec_command_wait(self, command, workdir):
        return self.answers.pop(0)


REFUSAL = (1, '', 'sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: Batch job submission failed')
ACCEPTED = (0, 'Submitted batch job 17\n', '')


@pytest.fixture
def submission(aiida_profile, aiida_localhost, monkeypatch):
    """Return a function that submits a job to a cluster with some answers, and the job."""
    monkeypatch.setattr(slurm, 'FIRST_WAIT_S', 0.01)
    monkeypatch.setattr(slurm, 'LONGEST_WAIT_S', 0.01)
    job = orm.CalcJobNode(computer=aiida_localhost)
    job.set_remote_workdir('/scratch/cd/ef')
    job.set_process_state('waiting')
    job.store()

    def submit(*answers):
        scheduler = SchedulerFactory('ionconduct.slurm')()
        scheduler.set_transport(Full(*answers))
        return scheduler.submit_job('/scratch/cd/ef', '_aiidasubmit.sh')

    yield submit, job
    job.set_process_state('finished')


def test_limit_is_waited_for(submission):
    """A job that a limit refuses is submitted when others have ended, and its status says that it waits."""
    submit, job = submission
    assert submit(*[REFUSAL] * 20, ACCEPTED) == '17'
    assert job.process_status == f'{slurm.WAITS}: QOSMaxSubmitJobPerUserLimit'


def test_other_refusals_are_not_waited_for(submission):
    with pytest.raises(SchedulerError):
        submission[0]((1, '', 'sbatch: error: Requested node configuration is not available'), ACCEPTED)


def test_killed_while_it_waits(submission):
    """A job that is killed or paused while it waits is not submitted any more."""
    submit, job = submission
    job.pause()
    with pytest.raises(CancelledError):
        submit(REFUSAL, ACCEPTED)
    job.unpause()


def test_gpus():
    """GPUs are asked for as with AiiDA's own plugin."""
    script = '#!/bin/bash\n#SBATCH --nodes=1\n'
    assert gpus_cannot_be_asked('ionconduct.slurm') is None
    assert request_gpus(script, 'ionconduct.slurm', 2) == request_gpus(script, 'core.slurm', 2)
