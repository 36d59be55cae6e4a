"""Jobs of AiiDA at their schedulers, without the daemon: which are left there, cancelled, held and released."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from aiida import orm
from aiida.common.escaping import escape_for_bash
from aiida.schedulers import JobState, Scheduler
from aiida.transports import Transport

from aiida_ionconduct.engines.schedulers import BY_PLUGIN
from aiida_ionconduct.farm import shell
from aiida_ionconduct.farm.scheduler import SubmitOnceSlurmScheduler

POLL_S = 1.0
HELD = 'ionconduct_held'
"""Extra of a job that this package has held at the scheduler."""


class QueueError(RuntimeError):
    """A scheduler that has not done what it was asked for."""


def cancel(jobs: Iterable[orm.CalcJobNode], patience_s: float) -> tuple[int, list[str]]:
    """Cancel what is left of some jobs at their schedulers, and wait until it is gone.

    A job whose submission was under way when its process ended is found by what it has left in its folder, where the
    scheduler is the Slurm of this package; it is not submitted any more.

    :param patience_s: how long to wait for the schedulers.
    :return: how many jobs were there, and those that are still there, as ``COMPUTER: JOB``.
    """
    n_cancelled, left = 0, []
    for computer, group in by_computer(jobs):
        with connection(computer) as (transport, scheduler):
            ids = [job.get_job_id() or _unanswered(job, scheduler, transport) for job in group]
            there = jobs_there(scheduler, ids)
            n_cancelled += len(there)
            end = time.monotonic() + patience_s
            while there and time.monotonic() < end:
                for job_id in there:
                    scheduler.kill_job(job_id)
                time.sleep(POLL_S)
                there = jobs_there(scheduler, ids)
        left += [f'{computer.label}: {job_id}' for job_id in there]
    return n_cancelled, left


def hold(jobs: Iterable[orm.CalcJobNode]) -> int:
    """Hold those of some jobs that wait in a queue, and return how many these are.

    :raises QueueError: if a scheduler refuses.
    """
    n_held = 0
    for computer, group in by_computer(job for job in jobs if job.get_job_id()):
        command = BY_PLUGIN[computer.scheduler_type].hold if computer.scheduler_type in BY_PLUGIN else ''
        if not command:
            continue
        with connection(computer) as (transport, scheduler):
            there = jobs_there(scheduler, [job.get_job_id() for job in group], JobState.QUEUED)
            waiting = [job for job in group if job.get_job_id() in there]
            refusal = _tell(transport, command, waiting)
            if refusal:
                held = jobs_there(scheduler, there, JobState.QUEUED_HELD)
                waiting = [job for job in waiting if job.get_job_id() in held]
            for job in waiting:
                job.base.extras.set(HELD, True)
            if refusal and jobs_there(scheduler, there, JobState.QUEUED):  # jobs that have begun cannot be held
                raise QueueError(refusal)
        n_held += len(waiting)
    return n_held


def release(jobs: Iterable[orm.CalcJobNode]) -> int:
    """Release those of some jobs that :func:`hold` has held, and return how many these are.

    :raises QueueError: if a scheduler refuses.
    """
    n_released = 0
    for computer, group in by_computer(job for job in jobs if job.base.extras.get(HELD, False)):
        with connection(computer) as (transport, scheduler):
            ids = [job.get_job_id() for job in group]
            there = jobs_there(scheduler, ids, JobState.QUEUED, JobState.QUEUED_HELD)
            waiting = [job for job in group if job.get_job_id() in there]
            refusal = _tell(transport, BY_PLUGIN[computer.scheduler_type].release, waiting)
            if refusal:
                raise QueueError(refusal)
        for job in group:
            job.base.extras.delete(HELD)
        n_released += len(waiting)
    return n_released


def by_computer(jobs: Iterable[orm.CalcJobNode]) -> list[tuple[orm.Computer, list[orm.CalcJobNode]]]:
    """Return the jobs of each computer."""
    groups: dict[str, tuple[orm.Computer, list[orm.CalcJobNode]]] = {}
    for job in jobs:
        if job.computer is not None:
            groups.setdefault(job.computer.uuid, (job.computer, []))[1].append(job)
    return list(groups.values())


@contextmanager
def connection(computer: orm.Computer) -> Iterator[tuple[Transport, Scheduler]]:
    """Connect to a computer and its scheduler.

    :raises QueueError: if it does not answer.
    """
    try:
        with computer.get_transport() as transport:
            yield transport, connected(computer, transport)
    except QueueError:
        raise
    except Exception as error:  # transports raise what their libraries raise
        raise QueueError(
            f'the computer {computer.label} does not answer, so jobs may be left there: {error!r}'
        ) from error


def connected(computer: orm.Computer, transport: Transport) -> Scheduler:
    """Return the scheduler of a computer that is connected."""
    scheduler = computer.get_scheduler()
    scheduler.set_transport(transport)
    return scheduler


def jobs_there(scheduler: Scheduler, ids: Sequence[str | None], *states: JobState) -> list[str]:
    """Return which jobs a scheduler has, as long as they have not ended.

    :param ids: their ids; None is passed over.
    :param states: only jobs in these states; by default in any.
    """
    known = sorted({job_id for job_id in ids if job_id})
    if not known:
        return []
    answer = scheduler.get_jobs(jobs=known, as_dict=True)
    return [
        job_id
        for job_id in known
        if job_id in answer and answer[job_id].job_state in (states or set(JobState) - {JobState.DONE})
    ]


def _unanswered(job: orm.CalcJobNode, scheduler: Scheduler, transport: Transport) -> str | None:
    """Return the id of a job whose submission AiiDA did not see the end of; it will not be submitted any more.

    :raises QueueError: if the scheduler does not say whether there is such a job.
    """
    folder = job.get_remote_workdir()
    if not folder or not isinstance(scheduler, SubmitOnceSlurmScheduler):
        return None
    name, script = escape_for_bash(folder), escape_for_bash(str(job.get_option('submit_script_filename')))
    uploaded = f'cd {name} 2>/dev/null && [ -e {script} ] || exit 0'
    status, output, _ = shell.run(transport, f'{uploaded}; {scheduler.prevent_command(script)}')
    if status:
        raise QueueError(f'whether the job of {folder} was submitted is not known: {output.strip() or status}')
    return scheduler.job_id_in(output)


def _tell(transport: Transport, command: str, jobs: Sequence[orm.CalcJobNode]) -> str:
    """Run a command of the scheduler for each of some jobs, and return what it says where it refuses."""
    if not jobs:
        return ''
    line = '; '.join(f'{command.format(job=job.get_job_id())} || status=$?' for job in jobs)
    status, output, _ = shell.run(transport, f'{{ status=0; {line}; }} 2>&1; exit $status')
    return f'`{command.format(job="JOB")}` has ended with {status}: {output.strip()}' if status else ''
