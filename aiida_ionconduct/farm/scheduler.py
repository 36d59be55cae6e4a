"""Slurm, every job at most once."""

from aiida.schedulers.plugins.slurm import SlurmScheduler

JOB_ID_FILE = '_ionconduct_job'
"""In the folder of a job: what ``sbatch`` has said."""


class SubmitOnceSlurmScheduler(SlurmScheduler):
    """Slurm, with a submission that can be repeated.

    When a worker dies, or the connection breaks, between ``sbatch`` and the moment when AiiDA has noted the job id,
    AiiDA submits again, and two jobs write into the same folder. Here the answer of ``sbatch`` stays in the folder of
    the job, and a second submission returns it. A lock holds a second one back while the first waits for Slurm.
    """

    def _get_submit_command(self, submit_script: str) -> str:
        """Return the command that submits a script unless that has been done.

        :param submit_script: its name, escaped.
        """
        once = f'{{ [ -s {JOB_ID_FILE} ] || {super()._get_submit_command(submit_script)} >&9; }}'
        return f'( flock 9 && {once} && cat {JOB_ID_FILE} ) 9>>{JOB_ID_FILE}'
