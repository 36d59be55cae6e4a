"""Tests of Slurm with every job at most once, on a shell with a false ``sbatch``."""

import os
import subprocess

import pytest
from aiida.plugins import SchedulerFactory

from aiida_ionconduct.engines.schedulers import gpus_cannot_be_asked, request_gpus


@pytest.fixture
def sbatch(tmp_path):
    """Return a function that starts the command of the scheduler in a folder, ``sbatch`` being the given script."""
    scheduler = SchedulerFactory('ionconduct.slurm')()
    (tmp_path / 'bin').mkdir()

    def start(script):
        program = tmp_path / 'bin' / 'sbatch'
        text = f'#!/bin/bash\necho call >> {tmp_path}/calls\n{script}\n'
        if not program.exists() or program.read_text() != text:  # not under the eyes of a shell that reads it
            program.write_text(text)
            program.chmod(0o755)
        environment = {**os.environ, 'PATH': f'{tmp_path}/bin:{os.environ["PATH"]}'}
        command = ['bash', '-c', f'cd {tmp_path} && ( {scheduler._get_submit_command("_aiidasubmit.sh")} )']
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def job_id(process):
        stdout, stderr = process.communicate(timeout=60)
        return scheduler._parse_submit_output(process.returncode, stdout, stderr)

    start.job_id, start.calls = job_id, lambda: (tmp_path / 'calls').read_text().count('call')
    return start


def test_repeated(sbatch):
    """A second submission gives the job of the first."""
    first = sbatch.job_id(sbatch('echo Submitted batch job 17'))
    second = sbatch.job_id(sbatch('echo Submitted batch job 18'))
    assert (first, second, sbatch.calls()) == ('17', '17', 1)


def test_at_the_same_time(sbatch):
    """A submission that comes while Slurm still thinks about the first waits for its answer."""
    processes = [sbatch('sleep 0.5; echo Submitted batch job $$') for _ in range(3)]
    assert len({sbatch.job_id(process) for process in processes}) == 1
    assert sbatch.calls() == 1


def test_refused(sbatch):
    """What Slurm has refused can be submitted again."""
    process = sbatch('echo no >&2; exit 1')
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert sbatch.job_id(sbatch('echo Submitted batch job 19')) == '19'


def test_gpus():
    """GPUs are asked for as with AiiDA's own plugin."""
    script = '#!/bin/bash\n#SBATCH --nodes=1\n'
    assert gpus_cannot_be_asked('ionconduct.slurm') is None
    assert request_gpus(script, 'ionconduct.slurm', 2) == request_gpus(script, 'core.slurm', 2)
