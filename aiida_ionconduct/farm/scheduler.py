"""Slurm, every job at most once."""

from __future__ import annotations

import asyncio
import re

from aiida import orm
from aiida.common.datastructures import CodeRunMode
from aiida.engine import ExitCode
from aiida.manage import get_manager
from aiida.schedulers import SchedulerError
from aiida.schedulers.datastructures import JobTemplateCodeInfo
from aiida.schedulers.plugins.slurm import SlurmScheduler
from kiwipy import CancelledError

from aiida_ionconduct.farm.ledger import accounting_table

JOB_ID_FILE = '_ionconduct_job'
"""In the folder of a job: that a submission has begun, and the job id, from ``sbatch`` or from the job itself."""
ANSWER = 'Submitted batch job'
NO_LOCK = 'no file locks work in the folder of the job: two simultaneous submissions would not see each other'
NO_SPACE = f'{JOB_ID_FILE} cannot be written, so nothing was submitted: is the disk full?'
PREVENTED = 'prevented'
NOT_WANTED = 'the job was cancelled before it was submitted'
MAX_JOBS = '# ionconduct: max_jobs='
"""Beginning of the line of a job script that says how many jobs of the user may be in the queue."""
FULL = 'as many jobs as max_jobs of the site file admits are in the queue'
LIMITS = re.compile(rf'(QOS|Assoc)\w*Submit\w*Limit|temporarily unable to accept job|{FULL}')
"""What the refusal of a job says that can be submitted when others have ended."""
WAITS = 'Waiting for a place in the queue'
"""Beginning of the status of a job that is submitted when others have ended."""
FIRST_WAIT_S, LONGEST_WAIT_S = 5.0, 60.0
NO_JOB_ID = 'the answer of sbatch holds no job id'


class SubmitOnceSlurmScheduler(SlurmScheduler):
    """Slurm, with a submission that can be repeated.

    When a worker dies, or the connection breaks, between ``sbatch`` and the moment when AiiDA has noted the job id,
    AiiDA submits again, and two jobs would write into the same folder. Here the job id stays in the folder of the job,
    and a second submission returns it. If a submission has begun and left no job id, Slurm is asked for a job of the
    same name, which contains the unique name of the folder; a job that has ended in the meantime has written its id
    itself. A lock holds a second submission back while the first waits for Slurm.
    """

    def submit_job(self, working_directory: str, filename: str) -> str | ExitCode:
        """Submit a job; where a limit of the number of jobs is reached, wait for its turn, however long that takes.

        AiiDA would try some times and then pause the job.
        """
        wait_s, job = FIRST_WAIT_S, None
        while True:
            try:
                return super().submit_job(working_directory, filename)
            except SchedulerError as error:
                reason = LIMITS.search(str(error))
                if not reason:
                    raise
            job = job or _job_of(working_directory)
            if job is not None:
                job.set_process_status(f'{WAITS}: {reason[0]}')
            runner = get_manager().get_runner()
            runner.run_until_complete(runner.loop.create_task(asyncio.sleep(wait_s)))  # other processes go on
            if job is not None and (job.is_terminated or job.paused):
                raise CancelledError
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def parse_output(
        self,
        detailed_job_info: dict[str, str | int] | None = None,
        stdout: str | None = None,
        stderr: str | None = None,
    ) -> ExitCode | None:
        """Return the exit code that follows from what ``sacct`` says, or else from the error file.

        What a login shell prints before the table of ``sacct`` is left out; AiiDA would take it for the table.
        """
        table = accounting_table(detailed_job_info or {})
        accounted = {**(detailed_job_info or {}), 'stdout': '\n'.join(table)} if len(table) > 1 else None
        return super().parse_output(accounted, stdout, stderr)

    def _get_submit_command(self, submit_script: str) -> str:
        """Return the command that submits a script unless that has been done.

        :param submit_script: its name, escaped.
        """
        sbatch = super()._get_submit_command(f'--job-name="$name" {submit_script}')
        return _locked(
            *_find_job(submit_script),
            f'if grep -q "^{PREVENTED}" {JOB_ID_FILE}; then echo "{NOT_WANTED}" >&2; exit 1; fi',
            f'if [ -z "$job" ]; then {_wait_for_place(submit_script)}',
            f'echo submitting >&9 || {{ echo "{NO_SPACE}" >&2; exit 1; }}',
            f'answer=$({sbatch}) || {{ status=$?; echo "$answer"; exit $status; }}',
            'job=$(echo "$answer" | job_id)',
            f'[ -n "$job" ] || {{ echo "{NO_JOB_ID}: $answer" >&2; exit 1; }}',
            f'fi; [ -n "$noted" ] || echo "{ANSWER} $job" >&9',
            f'echo "{ANSWER} $job"',
        )

    @staticmethod
    def prevent_command(submit_script: str) -> str:
        """Return the command after which a script is not submitted any more, and which prints the job id if it was.

        :param submit_script: its name, escaped.
        """
        return _locked(f'echo {PREVENTED} >&9', *_find_job(submit_script), f'echo "{ANSWER} $job"')

    @staticmethod
    def job_id_in(output: str) -> str | None:
        """Return the job id in the output of one of these commands; None if there is none."""
        match = re.search(rf'{ANSWER} (\d+)', output)
        return match[1] if match else None

    def _get_run_line(self, codes_info: list[JobTemplateCodeInfo], codes_run_mode: CodeRunMode) -> str:
        """Return the line of the program, before which the job writes its own id."""
        note = f'echo "{ANSWER} $SLURM_JOB_ID" >> "$SLURM_SUBMIT_DIR/{JOB_ID_FILE}"'
        return f'{note}\n{super()._get_run_line(codes_info, codes_run_mode)}'


def _locked(*steps: str) -> str:
    """Return the command that runs some steps while no other submission of the folder runs.

    It is one line without exclamation marks: the user's own shell, which may be a csh, reads it before bash does.
    """
    lock = f'flock 9 || echo "{NO_LOCK}" >&2'
    return f'( {"; ".join([lock, *steps])} ) 9>>{JOB_ID_FILE}'


def _wait_for_place(submit_script: str) -> str:
    """Return the step that ends a submission where the user has as many jobs as the script admits."""
    limit = f'max=$(sed -n "s/^{MAX_JOBS}\\([0-9][0-9]*\\)$/\\1/p" {submit_script} | head -n 1)'
    count = 'n_jobs=$(squeue --noheader --user="$(id -un)" --format=%i | wc -l)'
    refusal = f'{{ echo "{FULL}" >&2; exit 1; }}'
    return f'{limit}; if [ -n "$max" ]; then {count}; [ "$n_jobs" -lt "$max" ] || {refusal}; fi'


def _job_of(folder: str) -> orm.CalcJobNode | None:
    """Return the job of a folder that has not ended."""
    active = {'attributes.remote_workdir': folder, 'attributes.process_state': {'in': ['running', 'waiting']}}
    job = orm.QueryBuilder().append(orm.CalcJobNode, filters=active).first(flat=True)
    return job if isinstance(job, orm.CalcJobNode) else None


def _find_job(submit_script: str) -> tuple[str, ...]:
    """Return the steps after which ``$job`` is the id of the job of a script, if it was submitted before."""
    squeue = f'squeue --noheader --states=all --user="$(id -un)" --name="$name" --format="{ANSWER} %i"'
    return (
        f'job_id() {{ sed -n "s/^.*{ANSWER} \\([0-9][0-9]*\\).*/\\1/p" | head -n 1; }}',
        f'name=$(sed -n "s/^#SBATCH --job-name=.\\(.*\\).$/\\1/p" {submit_script} | head -n 1)-${{PWD##*/}}',
        f'noted=$(job_id < {JOB_ID_FILE}); job=$noted',
        f'if [ -z "$job" ] && [ -s {JOB_ID_FILE} ]; then queue=$({squeue}) || exit 1',
        'job=$(echo "$queue" | job_id); fi',
    )
