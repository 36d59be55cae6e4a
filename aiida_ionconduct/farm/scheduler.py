"""Slurm, every job at most once."""

from __future__ import annotations

from aiida.common.datastructures import CodeRunMode
from aiida.schedulers.datastructures import JobTemplateCodeInfo
from aiida.schedulers.plugins.slurm import SlurmScheduler

JOB_ID_FILE = '_ionconduct_job'
"""In the folder of a job: that a submission has begun, and the job id, from ``sbatch`` or from the job itself."""
ANSWER = 'Submitted batch job'
NO_LOCK = 'no file locks work in the folder of the job: two simultaneous submissions would not see each other'
NO_SPACE = f'{JOB_ID_FILE} cannot be written, so nothing was submitted: is the disk full?'
NO_JOB_ID = 'the answer of sbatch holds no job id'


class SubmitOnceSlurmScheduler(SlurmScheduler):
    """Slurm, with a submission that can be repeated.

    When a worker dies, or the connection breaks, between ``sbatch`` and the moment when AiiDA has noted the job id,
    AiiDA submits again, and two jobs would write into the same folder. Here the job id stays in the folder of the job,
    and a second submission returns it. If a submission has begun and left no job id, Slurm is asked for a job of the
    same name, which contains the unique name of the folder; a job that has ended in the meantime has written its id
    itself. A lock holds a second submission back while the first waits for Slurm.
    """

    def _get_submit_command(self, submit_script: str) -> str:
        """Return the command that submits a script unless that has been done.

        :param submit_script: its name, escaped.
        """
        sbatch = super()._get_submit_command(f'--job-name="$name" {submit_script}')
        squeue = f'squeue --noheader --states=all --user="$(id -un)" --name="$name" --format="{ANSWER} %i"'
        # One line without exclamation marks: the user's own shell, which may be a csh, reads it before bash does.
        steps = [
            f'flock 9 || echo "{NO_LOCK}" >&2',
            f'job_id() {{ sed -n "s/^.*{ANSWER} \\([0-9][0-9]*\\).*/\\1/p" | head -n 1; }}',
            f'name=$(sed -n "s/^#SBATCH --job-name=.\\(.*\\).$/\\1/p" {submit_script} | head -n 1)-${{PWD##*/}}',
            f'noted=$(job_id < {JOB_ID_FILE}); job=$noted',
            f'if [ -z "$job" ] && [ -s {JOB_ID_FILE} ]; then queue=$({squeue}) || exit 1',
            'job=$(echo "$queue" | job_id); fi',
            f'if [ -z "$job" ]; then echo submitting >&9 || {{ echo "{NO_SPACE}" >&2; exit 1; }}',
            f'answer=$({sbatch}) || {{ status=$?; echo "$answer"; exit $status; }}',
            'job=$(echo "$answer" | job_id)',
            f'[ -n "$job" ] || {{ echo "{NO_JOB_ID}: $answer" >&2; exit 1; }}',
            f'fi; [ -n "$noted" ] || echo "{ANSWER} $job" >&9',
            f'echo "{ANSWER} $job"',
        ]
        return f'( {"; ".join(steps)} ) 9>>{JOB_ID_FILE}'

    def _get_run_line(self, codes_info: list[JobTemplateCodeInfo], codes_run_mode: CodeRunMode) -> str:
        """Return the line of the program, before which the job writes its own id."""
        note = f'echo "{ANSWER} $SLURM_JOB_ID" >> "$SLURM_SUBMIT_DIR/{JOB_ID_FILE}"'
        return f'{note}\n{super()._get_run_line(codes_info, codes_run_mode)}'
